//! What is known of the whole capture, and how sure it lets anyone be.

use crate::{finding::Confidence, packet::Losses};

/// What is known of the whole capture when findings are made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// Time of the first packet.
    pub(crate) first_ns: u64,
    /// Time of the last packet.
    pub(crate) last_ns: u64,
    /// What the capture lost itself; `None` where the file does not say.
    pub(crate) losses: Option<Losses>,
    /// Whether of nearly all flows only one direction is there.
    pub(crate) one_sided: bool,
}

impl Facts {
    /// Silence after a packet that is long enough to be called an absence: a second resend of a SYN (RFC 6298) or a
    /// second try of a resolver would have been seen.
    pub(crate) const LONG_ENOUGH_NS: u64 = 3_000_000_000;

    /// Whether "there was no answer to what came at `ns`" can be said: nothing was lost, both directions were seen,
    /// and the capture went on for long enough.
    pub(crate) fn may_claim_absence(&self, ns: u64) -> bool {
        self.losses.unwrap_or_default() == Losses::default()
            && !self.one_sided
            && self.last_ns.saturating_sub(ns) >= Self::LONG_ENOUGH_NS
    }
}

/// A confidence, lower where the capture lost packets: what is missing might have explained it.
pub(crate) fn confidence(facts: &Facts, confidence: Confidence) -> Confidence {
    match (
        facts.losses.unwrap_or_default() == Default::default(),
        confidence,
    ) {
        (true, confidence) => confidence,
        (false, Confidence::High) => Confidence::Medium,
        (false, _) => Confidence::Low,
    }
}
