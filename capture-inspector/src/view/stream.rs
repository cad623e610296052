//! The bytes of one connection of TCP, or of one exchange of UDP: which packets hold them, and where. No byte is kept,
//! so that a stream of any length takes little memory; whoever shows it reads the packets again.
//!
//! Of TCP each byte is taken once, from the packet that had it first. A hole is closed when the other end acknowledges what
//! is behind it: these bytes have arrived, but not past the capture. Wireshark's `follow` does the same.

use std::collections::BTreeMap;

use capture_detect::flow::{End, FlowKey, Side};
use capture_packet::decode::{Tcp, TcpFlags, Transport};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::observed::Observed;

/// Most pieces of a stream. Beyond them it is shown up to there.
const MOST_PIECES: usize = 500_000;

/// Most pieces of one side that wait for a hole to be closed: more than a window of any length has on a network without
/// damage.
const MOST_WAITING: usize = 16_384;

/// Which side of a stream bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StreamSide {
    /// The end that began.
    Client,
    /// The other end.
    Server,
}

/// Bytes of a stream, in the payload of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) from: StreamSide,
    /// Number of the packet.
    pub(crate) number: u64,
    /// Packets of the capture before it.
    pub(crate) position: u64,
    /// Its time, in nanoseconds since 1970.
    pub(crate) ns: u64,
    /// Where they lie in the stream of their side.
    pub(crate) offset: u64,
    /// Where they begin in the payload.
    pub(crate) skip: u32,
    /// How many there are.
    pub(crate) len: u32,
    /// Bytes of this side that are missing before them.
    pub(crate) gap: u64,
}

/// Follows one stream through a capture, packet by packet.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    key: FlowKey,
    /// The packet that the stream is to hold.
    wanted: u64,
    client: Option<Side>,
    sides: [Half; 2],
    pieces: Vec<Piece>,
    /// Whether the packet that it is to hold was seen: what is before may be of another connection.
    is_found: bool,
    is_over: bool,
    is_cut: bool,
}

/// One direction of data.
#[derive(Clone, Debug, Default)]
struct Half {
    /// Sequence number of the SYN, or one before the first that was seen.
    first: Option<u32>,
    /// Sequence number that is next in order.
    next: u32,
    /// Bytes of the stream before it.
    offset: u64,
    /// Bytes that are missing before what comes next.
    gap: u64,
    /// What lies behind a hole, by its place in the stream.
    waiting: BTreeMap<u64, Waiting>,
    /// Bytes that were taken.
    bytes: u64,
}

/// A segment, or a part of it, that lies behind a hole.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: u64,
    position: u64,
    ns: u64,
    skip: u32,
    /// Bytes on the wire, and those of them that were captured.
    len: u32,
    kept: u32,
}

impl Follower {
    /// Follows the stream that has this packet. `None` where it has neither TCP nor UDP.
    pub(crate) fn of(packet: &Observed<'_, '_>) -> Option<Self> {
        let (key, _) = FlowKey::of(packet.headers)?;
        let is_stream = matches!(
            packet.headers.transport,
            Transport::Tcp(_) | Transport::Udp(_)
        );
        is_stream.then(|| Self {
            key,
            wanted: packet.number,
            client: None,
            sides: Default::default(),
            pieces: Vec::new(),
            is_found: false,
            is_over: false,
            is_cut: false,
        })
    }

    /// `tcp` or `udp`.
    pub(crate) fn protocol(&self) -> &'static str {
        match self.key.protocol {
            6 => "tcp",
            _ => "udp",
        }
    }

    /// The end that began.
    pub(crate) fn client(&self) -> End {
        self.key.end(self.client.unwrap_or(Side::Low))
    }

    /// The other end.
    pub(crate) fn server(&self) -> End {
        self.key.end(self.client.unwrap_or(Side::Low).other())
    }

    /// Bytes of each side that are there, of the client and of the server.
    pub(crate) fn bytes(&self) -> [u64; 2] {
        let client = self.client.unwrap_or(Side::Low);
        [client, client.other()].map(|side| self.sides[side.index()].bytes)
    }

    /// What there is of it, in the order in which it became readable.
    pub(crate) fn pieces(&self) -> &[Piece] {
        match self.is_found {
            true => &self.pieces,
            false => &[],
        }
    }

    /// Whether another connection between the same ports has begun: no later packet belongs to it.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether it is longer than what is shown.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether another one was made for the same packet.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        other.key == self.key && other.wanted == self.wanted
    }

    /// Takes the next packet of the capture.
    pub(crate) fn packet(&mut self, packet: &Observed<'_, '_>) {
        if self.is_over {
            return;
        }
        let Some((key, side)) = FlowKey::of(packet.headers) else {
            return;
        };
        if key != self.key {
            return;
        }
        self.is_found |= packet.number == self.wanted;
        match packet.headers.transport {
            Transport::Tcp(tcp) => self.segment(packet, side, &tcp),
            Transport::Udp(_) => {
                self.client.get_or_insert(side);
                let half = &mut self.sides[side.index()];
                let waiting = Waiting::of(packet);
                half.take(waiting, self.client, side, &mut self.pieces);
                self.bound();
            }
            _ => {}
        }
    }

    /// No more packets come: what is behind a hole is taken as it is.
    pub(crate) fn finish(&mut self) {
        for side in [Side::Low, Side::High] {
            while self.sides[side.index()].leap(u64::MAX) {
                self.go_on(side);
            }
        }
    }

    fn segment(&mut self, packet: &Observed<'_, '_>, side: Side, tcp: &Tcp) {
        // What the other fragments hold is not known.
        if packet.headers.ip.is_some_and(|ip| ip.fragment.is_some()) {
            return;
        }
        let is_syn = tcp.flags.has(TcpFlags::SYN);
        let is_ack = tcp.flags.has(TcpFlags::ACK);
        if is_syn && !is_ack && self.is_another(side, tcp.sequence) {
            if packet.number > self.wanted {
                self.is_over = true;
                return;
            }
            self.begin_again();
        }
        self.client.get_or_insert(match (is_syn, is_ack) {
            (true, true) => side.other(),
            _ => side,
        });
        let first = tcp.sequence.wrapping_add(u32::from(is_syn));
        let half = &mut self.sides[side.index()];
        if half.first.is_none() {
            half.first = Some(first.wrapping_sub(1));
            half.next = first;
        }
        // What it answers came before.
        if is_ack {
            self.acknowledge(side.other(), tcp.acknowledgement);
        }
        // What comes with a reset explains it, and is no part of the stream (RFC 9293 section 3.5.3).
        if !tcp.flags.has(TcpFlags::RST) && packet.headers.payload_len > 0 {
            self.sides[side.index()].add(first, Waiting::of(packet));
            self.go_on(side);
        }
        self.bound();
    }

    /// Whether a SYN begins another connection.
    fn is_another(&self, side: Side, sequence: u32) -> bool {
        let half = &self.sides[side.index()];
        half.first.is_some_and(|first| first != sequence)
    }

    fn begin_again(&mut self) {
        self.client = None;
        self.sides = Default::default();
        self.pieces.clear();
        self.is_cut = false;
    }

    /// Takes what is in order now.
    fn go_on(&mut self, side: Side) {
        let half = &mut self.sides[side.index()];
        while let Some((offset, waiting)) = half.waiting.first_key_value() {
            let (offset, mut waiting) = (*offset, *waiting);
            if offset > half.offset {
                break;
            }
            half.waiting.pop_first();
            // Bytes that were there before.
            let before = half.offset - offset;
            let Some(new) = u64::from(waiting.len)
                .checked_sub(before)
                .filter(|new| *new > 0)
            else {
                continue;
            };
            // Both are less than the length of a segment.
            waiting.skip += before as u32;
            waiting.len = new as u32;
            waiting.kept = waiting.kept.saturating_sub(before as u32);
            half.take(waiting, self.client, side, &mut self.pieces);
        }
    }

    /// The other end has everything up to here.
    fn acknowledge(&mut self, side: Side, number: u32) {
        let half = &mut self.sides[side.index()];
        if half.first.is_none() || half.waiting.is_empty() {
            return;
        }
        let ahead = number.wrapping_sub(half.next).cast_signed();
        let Ok(ahead) = u64::try_from(ahead) else {
            return;
        };
        let acknowledged = half.offset + ahead;
        while self.sides[side.index()].leap(acknowledged) {
            self.go_on(side);
        }
    }

    /// Keeps within the bounds.
    fn bound(&mut self) {
        for side in [Side::Low, Side::High] {
            while self.sides[side.index()].waiting.len() > MOST_WAITING
                && self.sides[side.index()].leap(u64::MAX)
            {
                self.go_on(side);
            }
        }
        if self.pieces.len() > MOST_PIECES {
            self.pieces.truncate(MOST_PIECES);
            self.is_cut = true;
            self.is_over = true;
        }
    }
}

impl Waiting {
    fn of(packet: &Observed<'_, '_>) -> Self {
        let headers = packet.headers;
        let kept = u32::try_from(headers.payload.len()).unwrap_or(u32::MAX);
        Self {
            number: packet.number,
            position: packet.position,
            ns: packet.ns,
            skip: 0,
            len: headers.payload_len.max(kept),
            kept,
        }
    }
}

impl Half {
    /// Puts a segment where it belongs.
    fn add(&mut self, first: u32, mut segment: Waiting) {
        let ahead = i64::from(first.wrapping_sub(self.next).cast_signed());
        let offset = match u64::try_from(ahead) {
            Ok(ahead) => self.offset + ahead,
            Err(_) => {
                let before = ahead.unsigned_abs();
                let Some(new) = u64::from(segment.len).checked_sub(before) else {
                    return;
                };
                segment.skip = before as u32;
                segment.len = new as u32;
                segment.kept = segment.kept.saturating_sub(before as u32);
                self.offset
            }
        };
        if segment.len == 0 {
            return;
        }
        let there = self.waiting.entry(offset).or_insert(segment);
        if there.len < segment.len {
            *there = segment;
        }
    }

    /// Goes on behind a hole, if something behind it lies before this place. Says whether there was one.
    fn leap(&mut self, up_to: u64) -> bool {
        let Some((&offset, _)) = self.waiting.first_key_value() else {
            return false;
        };
        if offset >= up_to || offset <= self.offset {
            return false;
        }
        let missing = offset - self.offset;
        self.gap += missing;
        self.next = self.next.wrapping_add(missing as u32);
        self.offset = offset;
        true
    }

    /// Takes bytes that are next in order.
    fn take(&mut self, bytes: Waiting, client: Option<Side>, side: Side, pieces: &mut Vec<Piece>) {
        if bytes.kept > 0 {
            pieces.push(Piece {
                from: match client == Some(side) {
                    true => StreamSide::Client,
                    false => StreamSide::Server,
                },
                number: bytes.number,
                position: bytes.position,
                ns: bytes.ns,
                offset: self.offset,
                skip: bytes.skip,
                len: bytes.kept,
                gap: std::mem::take(&mut self.gap),
            });
        }
        self.bytes += u64::from(bytes.kept);
        self.gap += u64::from(bytes.len - bytes.kept);
        self.offset += u64::from(bytes.len);
        self.next = self.next.wrapping_add(bytes.len);
    }
}
