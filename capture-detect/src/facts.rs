//! What is known of the whole capture, and how sure it lets anyone be.

use crate::{finding::Confidence, packet::Losses};

/// What is known of the whole capture when findings are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Time of the first packet.
    pub first_ns: u64,
    /// Time of the last packet.
    pub last_ns: u64,
    /// When the capture ended, at its last packet or later: what did not come until then did not come.
    pub ended_ns: u64,
    /// What the capture lost itself; `None` where the file does not say.
    pub losses: Option<Losses>,
    /// Whether of nearly all flows only one direction is there.
    pub one_sided: bool,
    /// Packets that were not looked at.
    pub skipped: u64,
}

impl Facts {
    /// Silence after a packet that is long enough to be called an absence: a second resend of a SYN (RFC 6298) or a
    /// second try of a resolver would have been seen.
    pub const LONG_ENOUGH_NS: u64 = 3_000_000_000;

    /// Whether packets are missing that may have been there.
    fn is_incomplete(&self) -> bool {
        self.skipped > 0 || self.losses.unwrap_or_default() != Losses::default()
    }

    /// Whether "there was no answer to what came at `ns`" can be said: nothing was lost, both directions were seen,
    /// and the capture went on for long enough.
    pub fn may_claim_absence(&self, ns: u64) -> bool {
        !self.is_incomplete()
            && !self.one_sided
            && self.ended_ns.saturating_sub(ns) >= Self::LONG_ENOUGH_NS
    }
}

/// A confidence, lower where the capture lost packets: what is missing might have explained it.
pub fn confidence(facts: &Facts, confidence: Confidence) -> Confidence {
    match (facts.is_incomplete(), confidence) {
        (false, confidence) => confidence,
        (true, Confidence::High) => Confidence::Medium,
        (true, _) => Confidence::Low,
    }
}
