//! The classes of Wireshark (`tcp.analysis.*`), packet by packet, for people who compare. They are defined by the User's
//! Guide, chapter "TCP Analysis"; what it leaves open was found by trying tshark 4.0. Nothing else of this crate is judged by
//! them: they know neither where the capture was made nor IP identifications, and take reordering for loss and loss for reordering.

use std::fmt;

use super::{Segment, sequence::after};
use crate::{decode::TcpFlags, flow::Side};

/// A fast retransmission comes this soon after the acknowledgement that asks for it.
const FAST_NS: u64 = 20_000_000;

/// What comes this soon after the highest sequence number is out of order, where no handshake gives a round trip.
const OUT_OF_ORDER_NS: u64 = 3_000_000;

/// Repetitions of an acknowledgement, after the other side acknowledged something unseen: more than any, so that what is
/// sent then counts as asked for; and the next repetition is the first.
const UNSEEN: u32 = u32::MAX;

/// Classes of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WiresharkClasses(u16);

const NAMES: [&str; 14] = [
    "retransmission",
    "fast_retransmission",
    "spurious_retransmission",
    "out_of_order",
    "duplicate_ack",
    "lost_segment",
    "ack_lost_segment",
    "keep_alive",
    "keep_alive_ack",
    "window_update",
    "window_full",
    "zero_window",
    "zero_window_probe",
    "zero_window_probe_ack",
];

impl WiresharkClasses {
    /// The names of all classes, without `tcp.analysis.`.
    pub const NAMES: [&'static str; 14] = NAMES;

    const RETRANSMISSION: u16 = 1;
    const FAST: u16 = 1 << 1;
    const SPURIOUS: u16 = 1 << 2;
    const OUT_OF_ORDER: u16 = 1 << 3;
    const DUPLICATE_ACK: u16 = 1 << 4;
    const LOST_SEGMENT: u16 = 1 << 5;
    const ACK_LOST_SEGMENT: u16 = 1 << 6;
    const KEEP_ALIVE: u16 = 1 << 7;
    const KEEP_ALIVE_ACK: u16 = 1 << 8;
    const WINDOW_UPDATE: u16 = 1 << 9;
    const WINDOW_FULL: u16 = 1 << 10;
    const ZERO_WINDOW: u16 = 1 << 11;
    const ZERO_WINDOW_PROBE: u16 = 1 << 12;
    const ZERO_WINDOW_PROBE_ACK: u16 = 1 << 13;

    fn has(self, class: u16) -> bool {
        self.0 & class != 0
    }

    /// Whether it is of none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names, without `tcp.analysis.`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let indexed = NAMES.iter().enumerate();
        indexed
            .filter(move |(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| *name)
    }
}

impl fmt::Display for WiresharkClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(" "))
    }
}

/// One direction as Wireshark keeps it.
#[derive(Clone, Copy, Debug, Default)]
struct Direction {
    /// The sequence number of the SYN.
    base: Option<u32>,
    /// Behind the highest, and when that came.
    next: Option<u32>,
    next_ns: u64,
    /// Behind what was seen without a gap.
    contiguous: Option<u32>,
    /// The latest acknowledgement, when it came, and how often it was repeated.
    ack: u32,
    ack_ns: u64,
    repeated: u32,
    window: Option<u16>,
    /// The latest window was that of a SYN, which is never scaled.
    unscaled: bool,
    scale: Option<u8>,
    classes: WiresharkClasses,
}

/// A connection as Wireshark keeps it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conversation {
    directions: [Direction; 2],
    syn: Option<u64>,
    answered: bool,
    round_trip_ns: Option<u64>,
}

impl Conversation {
    /// The classes of a segment.
    pub fn packet(&mut self, side: Side, segment: &Segment<'_>) -> WiresharkClasses {
        let tcp = segment.tcp;
        let (syn, ack) = (segment.is(TcpFlags::SYN), segment.is(TcpFlags::ACK));
        let base = self.directions[side.index()].base;
        if syn && !ack && base.is_some_and(|base| base != tcp.sequence) {
            *self = Self::default();
        }
        let soon_ns = self.round_trip_ns.unwrap_or(OUT_OF_ORDER_NS);
        self.handshake(side, segment, syn, ack);
        let [low, high] = &mut self.directions;
        let (own, other) = match side {
            Side::Low => (low, high),
            Side::High => (high, low),
        };
        let mut classes = WiresharkClasses(without_order(own, other, segment));
        if tcp.acknowledgement != own.ack {
            own.repeated = 0;
        }
        lost_acknowledged(&mut classes, other, segment);
        order(&mut classes, own, other, segment, soon_ns);
        remember(own, segment, classes);
        classes
    }

    /// Window scale, and the round trip that the handshake shows: from the SYN to whatever comes after the SYN/ACK.
    fn handshake(&mut self, side: Side, segment: &Segment<'_>, syn: bool, ack: bool) {
        let own = &mut self.directions[side.index()];
        if syn {
            own.base.get_or_insert(segment.seq());
            own.scale = segment.tcp.window_scale;
            if ack {
                self.answered = true;
                if own.scale.is_none() {
                    self.directions[side.other().index()].scale = Some(0);
                    self.directions[side.index()].scale = Some(0);
                }
            } else {
                self.syn = Some(segment.ns);
            }
        } else if let Some(ns) = self.syn
            && ack
            && self.answered
            && self.round_trip_ns.is_none()
        {
            self.round_trip_ns = Some(segment.ns.saturating_sub(ns));
        }
    }
}

/// What the sequence number right behind the others, or right before, means.
fn without_order(own: &mut Direction, other: &Direction, segment: &Segment<'_>) -> u16 {
    type C = WiresharkClasses;
    let tcp = segment.tcp;
    let (seq, ack, window, len) = (tcp.sequence, tcp.acknowledgement, tcp.window, segment.len);
    let is_plain = !segment.is(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST);
    let next = own.next;
    let is_next = next.is_none_or(|next| next == seq) && (next.is_some() || seq == 0);
    if len == 1 && is_next && other.window == Some(0) && next.is_some() {
        return C::ZERO_WINDOW_PROBE;
    }
    let mut classes = 0;
    if window == 0 && is_plain {
        classes |= C::ZERO_WINDOW;
    }
    if next.is_some_and(|next| after(seq, next)) && !segment.is(TcpFlags::RST) {
        classes |= C::LOST_SEGMENT;
    }
    if len <= 1 && next.is_some_and(|next| next.wrapping_sub(1) == seq) && is_plain {
        classes |= C::KEEP_ALIVE;
    }
    let repeats = len == 0 && is_next && ack == own.ack && is_plain;
    if repeats && window != 0 && own.window != Some(window) {
        classes |= C::WINDOW_UPDATE;
    }
    if len > 0
        && is_plain
        && let Some(scale) = other.scale
        && other.window.is_some()
    {
        let scale = if other.unscaled { 0 } else { scale };
        let edge = other
            .ack
            .wrapping_add(u32::from(other.window.unwrap_or(0)) << scale.min(14));
        if seq.wrapping_add(len) == edge {
            classes |= C::WINDOW_FULL;
        }
    }
    let same_window = own.window == Some(window);
    if repeats && window != 0 && same_window && other.classes.has(C::KEEP_ALIVE) {
        return classes | C::KEEP_ALIVE_ACK;
    }
    let probed = other.classes.has(C::ZERO_WINDOW_PROBE);
    if repeats && window == 0 && same_window && probed {
        return classes | C::ZERO_WINDOW_PROBE_ACK;
    }
    if repeats && window != 0 && same_window {
        own.repeated = own.repeated.wrapping_add(1).max(1);
        classes |= C::DUPLICATE_ACK;
    }
    classes
}

/// An acknowledgement of what was not seen: told once for each gap, and once for each acknowledgement of the other side.
fn lost_acknowledged(classes: &mut WiresharkClasses, other: &mut Direction, segment: &Segment<'_>) {
    let Some(contiguous) = other.contiguous.filter(|_| segment.is(TcpFlags::ACK)) else {
        return;
    };
    if !after(segment.tcp.acknowledgement, contiguous) {
        return;
    }
    if let Some(next) = other.next.filter(|next| after(*next, contiguous)) {
        other.contiguous = Some(next);
        classes.0 |= WiresharkClasses::ACK_LOST_SEGMENT;
        return;
    }
    if other.repeated == 0 {
        classes.0 |= WiresharkClasses::ACK_LOST_SEGMENT;
    }
    other.repeated = UNSEEN;
}

/// Whether a segment that does not go beyond the others was sent again or overtaken.
fn order(
    classes: &mut WiresharkClasses,
    own: &Direction,
    other: &Direction,
    segment: &Segment<'_>,
    soon_ns: u64,
) {
    type C = WiresharkClasses;
    let takes_room = segment.len > 0 || segment.is(TcpFlags::SYN | TcpFlags::FIN);
    if !takes_room || classes.has(C::KEEP_ALIVE) {
        return;
    }
    let (seq, len) = (segment.seq(), segment.len);
    let end = seq.wrapping_add(len);
    let acked = other.ack;
    if len > 0 && acked != 0 && !after(end, acked) {
        classes.0 |= C::SPURIOUS | C::RETRANSMISSION;
        return;
    }
    let Some(next) = own.next else { return };
    // With more than one byte, right before the next: new data behind the byte of a window probe.
    if !after(next, seq) || (len > 1 && next.wrapping_sub(1) == seq) {
        return;
    }
    let since_ack = segment.ns.saturating_sub(other.ack_ns);
    if other.repeated >= 2 && acked == seq && since_ack < FAST_NS {
        classes.0 |= C::FAST | C::RETRANSMISSION;
        return;
    }
    let since_next = segment.ns.saturating_sub(own.next_ns);
    if since_next < soon_ns && next != segment.end {
        classes.0 |= C::OUT_OF_ORDER;
        return;
    }
    classes.0 |= C::RETRANSMISSION;
}

/// Keeps what the next ones are compared with.
fn remember(own: &mut Direction, segment: &Segment<'_>, classes: WiresharkClasses) {
    let is_probe = classes.has(WiresharkClasses::ZERO_WINDOW_PROBE);
    let is_higher = own.next.is_none_or(|next| after(segment.end, next));
    if is_higher && !is_probe {
        own.next = Some(segment.end);
        own.next_ns = segment.ns;
    }
    if own
        .contiguous
        .is_none_or(|contiguous| contiguous == segment.seq())
        && !is_probe
    {
        own.contiguous = own.next;
    }
    own.window = Some(segment.tcp.window);
    own.unscaled = segment.is(TcpFlags::SYN);
    own.ack = segment.tcp.acknowledgement;
    own.ack_ns = segment.ns;
    own.classes = classes;
}
