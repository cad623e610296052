//! One direction of data: what its sender sent, and what the other end acknowledged of it.

mod recovery;

use super::{
    Segment,
    figures::{Cause, Counts, Figures, Kind},
    holes::Stamp,
    recoveries::Recoveries,
    resend::{Stuck, Trouble},
    sequence::{after, later},
    vantage::SeenFrom,
};
use crate::{decode::TcpFlags, histogram::Samples};

/// TSval changes at least as often (RFC 7323 section 5.4 allows a second; systems have 1, 4 or 10 ms).
pub(super) const TICK_NS: u64 = 10_000_000;

/// Farther than this ahead, a sequence number is not of this connection (RFC 7323: the largest window is 1 GiB).
const FARTHEST: u32 = 1 << 30;

/// Round trips that many times the shortest are remembered as evidence.
const LATE: u64 = 3;

/// Segment whose acknowledgement is timed.
#[derive(Clone, Copy, Debug, Default)]
struct Timed {
    end: u32,
    len: u32,
    tsval: Option<u32>,
    ns: u64,
}

/// What a stream needs to know of the rest.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub seen_from: SeenFrom,
    /// Window of the other end, in bytes.
    pub window: u32,
    /// Shortest round trip between the ends that was seen, 0 where none was.
    pub round_trip_ns: u64,
    /// Both ends understand SACK.
    pub sack: bool,
    /// Payload of a full segment.
    pub mss: u32,
}

/// What an acknowledgement tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acknowledged {
    /// It came much later than others.
    pub late: bool,
    /// Since what it acknowledges was sent.
    pub round_trip_ns: Option<u64>,
}

/// See above.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    started: bool,
    pub syns: u8,
    pub fin: bool,
    /// It permitted SACK.
    pub sack: bool,
    has_sacked: bool,
    in_recovery: bool,
    after_timeout: bool,
    probed: bool,
    /// What is timed has no data: its TSval is waited for.
    times_echo: bool,
    ids_vary: bool,
    dup_acks: u8,
    pub scale: Option<u8>,
    pub ttl: Option<u8>,
    /// How many identifications in a row came near the one before.
    id_order: i8,
    ip_id: u16,
    pub mss: u16,
    /// Initial sequence number.
    pub isn: u32,
    /// Behind the highest that was sent.
    pub next: u32,
    /// Highest acknowledgement of it.
    pub acked: u32,
    sacked: u32,
    recovery_end: u32,
    /// The latest TSval.
    pub tsval: u32,
    /// Window that its sender announces, in bytes.
    pub window: u32,
    pub window_max: u32,
    /// Largest payload, and largest that was acknowledged.
    pub largest: u32,
    pub largest_acked: u32,
    /// When it last sent data; when data of it was last acknowledged.
    pub data_ns: u64,
    advance_ns: u64,
    /// Time with data outstanding, and the part of it in which the window of the other end was full.
    pub busy_ns: u64,
    pub limited_ns: u64,
    timed: Timed,
    pub rtt: Samples,
    pub counts: Counts,
    trouble: Option<Box<Trouble>>,
}

/// Adds to a count, which does not wrap whatever a capture holds.
#[inline]
pub(super) fn add(count: &mut u32, more: u32) {
    *count = count.saturating_add(more);
}

impl Stream {
    #[inline]
    pub fn start(&mut self, seq: u32) {
        if !self.started {
            self.started = true;
            self.isn = seq;
            self.next = seq;
            self.acked = seq;
        }
    }

    #[inline]
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Bytes sent and not acknowledged.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        let bytes = self.next.wrapping_sub(self.acked);
        if bytes < FARTHEST { bytes } else { 0 }
    }

    /// Whether IP identifications of this sender differ from packet to packet.
    pub fn ids_vary(&self) -> bool {
        self.ids_vary
    }

    /// When data of it was last acknowledged.
    pub fn advance_ns(&self) -> u64 {
        self.advance_ns
    }

    /// Learns from any packet of the sender.
    #[inline]
    pub fn packet(&mut self, segment: &Segment<'_>) {
        self.ttl.get_or_insert(segment.ttl);
        if let Some(id) = segment.ip_id {
            let step = id.wrapping_sub(self.ip_id) as i16;
            self.ids_vary |= step != 0 && self.ip_id != 0;
            let near = step != 0 && step.unsigned_abs() < 1024;
            self.id_order = match near {
                true => (self.id_order + 1).min(16),
                false => (self.id_order - 1).max(-16),
            };
            self.ip_id = id;
        }
    }

    /// What a segment with sequence numbers of its own is, and counts it.
    #[inline]
    pub fn data(
        &mut self,
        segment: &Segment<'_>,
        context: &Context,
        recoveries: &mut Recoveries,
    ) -> Kind {
        self.start(segment.seq());
        let ahead = segment.seq().wrapping_sub(self.next) as i32;
        if segment.end == segment.seq() {
            return self.without_data(segment, ahead, context);
        }
        let kind = if ahead >= 0 {
            if ahead as u32 > FARTHEST {
                return Kind::Control;
            }
            if ahead > 0 {
                let end = segment.seq();
                let (start, behind) = (self.next, Stamp::of(segment));
                let trouble = self.trouble();
                trouble.has_holes = true;
                let known = recoveries.of(&mut trouble.recovery);
                known.holes.open(start, end, behind);
            }
            self.new_data(segment, context);
            Kind::Data
        } else if ahead == -1 && segment.len <= 1 && !segment.is(TcpFlags::SYN | TcpFlags::FIN) {
            self.probe(context)
        } else {
            self.old(segment, context, recoveries)
        };
        if after(segment.end, self.next) {
            self.next = segment.end;
        }
        self.data_ns = segment.ns;
        kind
    }

    fn without_data(&mut self, segment: &Segment<'_>, ahead: i32, context: &Context) -> Kind {
        let asks = ahead == -1 && !segment.is(TcpFlags::RST) && segment.is(TcpFlags::ACK);
        // What was already acknowledged up to here and then asked for again: a keep-alive; Linux asks a closed window alike.
        let head = self.acked.wrapping_sub(1) == segment.seq();
        match (asks && self.acked == self.next) || (context.window == 0 && head && ahead < 0) {
            true => self.probe(context),
            false => Kind::Control,
        }
    }

    fn probe(&mut self, context: &Context) -> Kind {
        if context.window == 0 {
            Kind::WindowProbe
        } else {
            add(&mut self.counts.keep_alives, 1);
            Kind::KeepAlive
        }
    }

    #[inline]
    fn new_data(&mut self, segment: &Segment<'_>, context: &Context) {
        if self.timed.ns == 0 || self.times_echo {
            self.times_echo = false;
            self.timed = Timed {
                end: segment.end,
                len: segment.len.min(context.mss),
                tsval: segment.tsval(),
                ns: segment.ns,
            };
        }
        self.largest = self.largest.max(segment.len.min(context.mss));
        if let Some(tsval) = segment.tsval() {
            self.tsval = tsval;
        }
        add(
            &mut self.counts.segments,
            segment.len.div_ceil(context.mss.max(1)),
        );
        let in_flight = segment.end.wrapping_sub(self.acked);
        if context.window > 0 && in_flight == context.window && segment.len > 0 {
            add(&mut self.counts.window_full, 1);
        }
    }

    /// A SYN, or the SYN of a SYN/ACK: whether it is a resend.
    pub fn syn(&mut self, segment: &Segment<'_>) -> Kind {
        self.syns = self.syns.saturating_add(1);
        self.mss = segment.tcp.mss.unwrap_or(536);
        self.scale = segment.tcp.window_scale;
        self.sack = segment.tcp.sack_permitted;
        if self.syns == 1 {
            *self = Self {
                started: true,
                isn: segment.seq(),
                acked: segment.seq(),
                next: segment.end,
                data_ns: segment.ns,
                tsval: segment.tsval().unwrap_or(0),
                ..std::mem::take(self)
            };
            self.timed = Timed {
                end: segment.end,
                len: 0,
                tsval: None,
                ns: segment.ns,
            };
            return Kind::Data;
        }
        self.data_ns = segment.ns;
        self.timed = Timed::default();
        add(&mut self.figures_mut().retransmissions, 1);
        add(&mut self.figures_mut().timeouts, 1);
        add(&mut self.figures_mut().resent_syns, 1);
        Kind::Resent(Cause::Timeout)
    }

    /// An acknowledgement that its sender sends. Of one that only receives, the echo in full segments is timed; of those
    /// that have the same TSval the first.
    #[inline]
    pub fn ask_for_echo(&mut self, segment: &Segment<'_>) {
        let Some(tsval) = segment.tsval() else { return };
        if std::mem::replace(&mut self.tsval, tsval) != tsval && self.timed.ns == 0 {
            self.times_echo = true;
            self.timed = Timed {
                end: self.next,
                len: 0,
                tsval: Some(tsval),
                ns: segment.ns,
            };
        }
    }

    /// A full segment of the other end.
    #[inline]
    pub fn echoed(&mut self, segment: &Segment<'_>) {
        let (Some((_, echo)), Some(asked)) = (segment.tcp.timestamps, self.timed.tsval) else {
            return;
        };
        if !self.times_echo || after(asked, echo) {
            return;
        }
        if asked == echo {
            self.rtt.add(segment.ns.saturating_sub(self.timed.ns));
        }
        self.times_echo = false;
        self.timed = Timed::default();
    }

    /// An acknowledgement of it by the other end. `same_window`: it announces the window that it announced before.
    #[inline]
    pub fn acknowledge(
        &mut self,
        segment: &Segment<'_>,
        same_window: bool,
        recoveries: &mut Recoveries,
    ) -> Acknowledged {
        let ack = segment.tcp.acknowledgement;
        self.start(ack);
        let blocks = segment.tcp.sack.as_slice();
        let ahead = ack.wrapping_sub(self.acked) as i32;
        let mut acknowledged = Acknowledged::default();
        if ahead > 0 {
            if after(ack, self.next) && !self.never_seen(ack) {
                return acknowledged;
            }
            acknowledged = self.advance(segment, ack, ahead as u32, recoveries);
        } else if ahead == 0
            && segment.end == segment.seq()
            && self.next != ack
            && (same_window || !blocks.is_empty())
            && !segment.is(TcpFlags::RST)
        {
            self.dup_acks = self.dup_acks.saturating_add(1);
        }
        if !blocks.is_empty() {
            self.selective(ack, blocks, recoveries);
        }
        acknowledged
    }

    fn advance(
        &mut self,
        segment: &Segment<'_>,
        ack: u32,
        bytes: u32,
        recoveries: &mut Recoveries,
    ) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        let head = self.acked;
        let echo = segment.tcp.timestamps.map(|(_, echo)| echo);
        if self.timed.ns > 0 && !self.times_echo && !after(self.timed.end, ack) {
            let timed = std::mem::take(&mut self.timed);
            // The echo is of this segment, and not of a resend.
            if timed.tsval.is_none() || echo.is_none() || timed.tsval == echo {
                let round_trip_ns = segment.ns.saturating_sub(timed.ns);
                acknowledged.late =
                    round_trip_ns >= self.rtt.min_ns().saturating_mul(LATE) && !self.rtt.is_empty();
                acknowledged.round_trip_ns = Some(round_trip_ns);
                self.rtt.add(round_trip_ns);
            }
            self.largest_acked = self.largest_acked.max(timed.len);
        }
        self.largest_acked = self.largest_acked.max(bytes.min(self.largest));
        if let Some(trouble) = &mut self.trouble {
            trouble.acknowledged(head, ack, echo, self.largest, recoveries);
            if trouble.stuck.resends > 0 && after(ack, trouble.stuck.seq) {
                trouble.stuck = Stuck::default();
            }
        }
        self.acked = ack;
        self.advance_ns = segment.ns;
        self.dup_acks = 0;
        self.probed = false;
        if self.has_sacked && !after(self.sacked, ack) {
            self.has_sacked = false;
        }
        if self.in_recovery && !after(self.recovery_end, ack) {
            self.in_recovery = false;
            self.after_timeout = false;
        }
        acknowledged
    }

    /// Acknowledged, though not captured; false where it cannot be of this connection.
    #[cold]
    fn never_seen(&mut self, ack: u32) -> bool {
        let missed = ack.wrapping_sub(self.next);
        if missed > FARTHEST {
            return false;
        }
        let largest = self.largest.max(536);
        add(&mut self.figures_mut().missed, missed.div_ceil(largest));
        self.next = ack;
        self.timed = Timed::default();
        true
    }

    fn selective(&mut self, ack: u32, blocks: &[(u32, u32)], recoveries: &mut Recoveries) {
        let Some((left, right)) = blocks.first().copied() else {
            return;
        };
        // RFC 2883: below the acknowledgement, or within the second block.
        let is_duplicate = !after(right, ack)
            || blocks.get(1).is_some_and(|(outer_left, outer_right)| {
                !after(*outer_left, left) && !after(right, *outer_right)
            });
        if is_duplicate
            && let Some(trouble) = &mut self.trouble
            && trouble.resent_end.is_some()
            && let Some(resend) = recoveries
                .of(&mut trouble.recovery)
                .resends
                .reported_twice(left, right)
        {
            add(&mut trouble.figures.spurious, resend.segments);
        }
        for (_, right) in &blocks[usize::from(is_duplicate)..] {
            if after(*right, ack) && !after(*right, self.next) {
                self.sacked = if self.has_sacked {
                    later(self.sacked, *right)
                } else {
                    *right
                };
                self.has_sacked = true;
            }
        }
    }

    /// All counts.
    pub fn figures(&self) -> Figures {
        let mut figures = self
            .trouble
            .as_ref()
            .map_or_else(Figures::default, |trouble| trouble.figures);
        figures.segments = self.counts.segments;
        figures.zero_window = self.counts.zero_window;
        figures.window_full = self.counts.window_full;
        figures.keep_alives = self.counts.keep_alives;
        figures.resets = self.counts.resets;
        figures
    }

    /// The counts of what went wrong.
    pub fn figures_mut(&mut self) -> &mut Figures {
        &mut self.trouble().figures
    }

    /// The segment that was last sent in vain.
    pub fn stuck(&self) -> Stuck {
        self.trouble
            .as_ref()
            .map_or_else(Stuck::default, |trouble| trouble.stuck)
    }

    fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }
}
