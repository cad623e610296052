//! Segments that begin before the highest that was seen: sent again, overtaken, or late, and why.

use super::{Context, Recoveries, Stream, TICK_NS, Timed, Trouble, add};
use crate::tcp::{
    Segment,
    figures::{Cause, Kind},
    recoveries::Recovery,
    resend::Stuck,
    sequence::{after, later},
    vantage::SeenFrom,
};

/// Shortest retransmission timeout of Linux (`TCP_RTO_MIN`), and of others: RFC 6298 says 1 s, which nobody does.
const RTO_MIN_NS: u64 = 200_000_000;

/// A resend where no stamp tells comes at least this long after what overtook it, as Wireshark has it.
const SOON_NS: u64 = 3_000_000;

impl Trouble {
    /// Data up to `ack` arrived, `head` being the first byte that was outstanding.
    pub(super) fn acknowledged(
        &mut self,
        head: u32,
        ack: u32,
        echo: Option<u32>,
        largest: u32,
        recoveries: &mut Recoveries,
    ) {
        if self.resent_end.is_some_and(|end| after(end, head)) {
            let recovery = recoveries.of(&mut self.recovery);
            if let Some(resend) = recovery.resends.acknowledged(head, ack, echo) {
                add(&mut self.figures.spurious, resend.segments);
            }
        }
        if self.has_holes {
            let holes = &mut recoveries.of(&mut self.recovery).holes;
            let missed = holes.forget(ack);
            self.has_holes = !holes.is_empty();
            add(&mut self.figures.missed, missed.div_ceil(largest.max(536)));
        }
    }
}

impl Stream {
    /// A segment that begins before the highest that was seen.
    #[cold]
    pub(super) fn old(
        &mut self,
        segment: &Segment<'_>,
        context: &Context,
        recoveries: &mut Recoveries,
    ) -> Kind {
        let ids_count = self.id_order > 4;
        // A resend takes a round trip from what asked for it, and gets another TSval in that time.
        let soon_ns = match context.round_trip_ns {
            0 => SOON_NS,
            longer if longer >= TICK_NS && segment.tsval().is_some() => u64::MAX,
            known => known * 3 / 4,
        };
        let recovery = recoveries.of(&mut self.trouble().recovery);
        let hole = recovery.holes.fill(segment);
        if context.seen_from != SeenFrom::Sender {
            let overtaken = match hole {
                Some(hole) => !hole.behind.is_before(segment, ids_count, soon_ns),
                None => self.was_resent_too(segment, recovery),
            };
            if overtaken {
                recovery.holes.sent_before(segment);
                add(&mut self.figures_mut().reordered, 1);
                return Kind::Reordered;
            }
        }
        let segments = segment.len.div_ceil(context.mss.max(1)).max(1);
        if context.seen_from != SeenFrom::Sender && hole.is_some() {
            add(&mut self.figures_mut().lost_before, segments);
        }
        if context.seen_from == SeenFrom::Receiver && hole.is_none() {
            add(&mut self.figures_mut().spurious, segments);
        } else {
            recovery.resends.add(segment, segments);
            let trouble = self.trouble();
            let end = trouble.resent_end.unwrap_or(segment.end);
            trouble.resent_end = Some(later(segment.end, end));
        }
        add(&mut self.figures_mut().retransmissions, segments);
        let cause = self.cause(segment, context);
        match cause {
            Cause::Fast => add(&mut self.figures_mut().fast, segments),
            Cause::Timeout => add(&mut self.figures_mut().timeouts, 1),
            Cause::Probe => add(&mut self.figures_mut().probes, 1),
            Cause::AfterTimeout | Cause::Unknown => {}
        }
        self.resent_head(segment);
        // What it is timed by may be acknowledged for the resend (Karn's algorithm); only a TSval tells.
        if self.timed.tsval.is_none() {
            self.timed = Timed::default();
        }
        if let Some(tsval) = segment.tsval() {
            self.tsval = later(tsval, self.tsval);
        }
        Kind::Resent(cause)
    }

    /// The original comes after its resend: both were delayed, or overtaken.
    fn was_resent_too(&mut self, segment: &Segment<'_>, recovery: &mut Recovery) -> bool {
        let Some(resend) = recovery.resends.original_of(segment) else {
            return false;
        };
        let figures = self.figures_mut();
        add(&mut figures.spurious, resend.segments);
        figures.lost_before = figures.lost_before.saturating_sub(resend.segments);
        true
    }

    /// Why it was sent again.
    fn cause(&mut self, segment: &Segment<'_>, context: &Context) -> Cause {
        let quiet_ns = segment.ns.saturating_sub(self.data_ns.max(self.advance_ns));
        let round_trip_ns = match self.rtt.is_empty() {
            true => context.round_trip_ns,
            false => self.rtt.min_ns().max(context.round_trip_ns),
        };
        let is_tail = segment.end == self.next;
        let evidence = self.dup_acks >= 3 || (self.has_sacked && after(self.sacked, segment.seq()));
        let may_probe = is_tail && context.sack && !self.probed && !evidence && !self.after_timeout;
        // A timer is as long as a round trip and the shortest timeout; jiffies and coalescing take some off.
        let timer = quiet_ns >= RTO_MIN_NS * 9 / 10 + round_trip_ns * 9 / 10;
        let cause = if may_probe && quiet_ns >= round_trip_ns {
            self.probed = true;
            Cause::Probe
        } else if timer {
            Cause::Timeout
        } else if self.after_timeout {
            Cause::AfterTimeout
        } else if evidence || self.in_recovery {
            Cause::Fast
        } else {
            Cause::Unknown
        };
        if !self.in_recovery || cause == Cause::Timeout && !self.after_timeout {
            let is_new = u32::from(!self.in_recovery);
            add(&mut self.figures_mut().episodes, is_new);
            self.in_recovery = true;
            self.recovery_end = self.next;
        }
        if cause == Cause::Timeout {
            self.after_timeout = true;
            self.recovery_end = self.next;
        }
        cause
    }

    fn resent_head(&mut self, segment: &Segment<'_>) {
        if segment.seq() != self.acked && !after(self.acked, segment.seq()) {
            return;
        }
        let stuck = &mut self.trouble().stuck;
        if stuck.resends == 0 || stuck.seq != segment.seq() {
            *stuck = Stuck {
                seq: segment.seq(),
                len: segment.len,
                resends: 1,
                first_ns: segment.ns,
                last_ns: segment.ns,
                first: segment.number,
                last: segment.number,
                ..Stuck::default()
            };
            return;
        }
        let gap_ns = segment.ns.saturating_sub(stuck.last_ns);
        if gap_ns >= stuck.gap_ns.saturating_mul(3) / 2 && gap_ns >= RTO_MIN_NS {
            stuck.backed_off = stuck.backed_off.saturating_add(1);
        }
        stuck.gap_ns = gap_ns;
        stuck.last_ns = segment.ns;
        stuck.last = segment.number;
        stuck.resends = stuck.resends.saturating_add(1);
    }
}
