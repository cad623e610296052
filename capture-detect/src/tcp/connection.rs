//! A connection: both directions of data, and what concerns the two together.

mod events;
mod state;

use self::state::{Closed, Reset};
use super::{
    Segment,
    figures::{Figures, Kind},
    recoveries::Recoveries,
    shared::Shared,
    stream::{Context, Stream, TICK_NS, add},
    vantage::{Place, SeenFrom},
};
use crate::{decode::TcpFlags, flow::Side};

/// Payload of a full segment where nothing tells: Ethernet, without options.
const USUAL_MSS: u32 = 1460;

/// A delayed acknowledgement: 40 ms of Linux, 200 ms of Windows and others (RFC 1122 section 4.2.3.2), in milliseconds.
const DELAYED_MS: [std::ops::RangeInclusive<u64>; 2] = [36..=50, 180..=225];

/// Silence of which state on the way may be forgotten, in seconds.
const LONG_SILENCE_S: u64 = 60;

/// The state of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The data of each side.
    pub streams: [Stream; 2],
    /// Who sent the SYN, or is taken for it.
    pub client: Side,
    place: Place,
    /// Which service it belongs to, an index of the detector.
    pub service: Option<u32>,
    /// Time of the first SYN; 0 where none was seen.
    pub syn_ns: u64,
    /// Time of the last of several; 0 where none was seen.
    pub last_syn_ns: u64,
    /// Likewise of the SYN/ACK.
    syn_ack_ns: u64,
    /// From SYN to SYN/ACK and on to the ACK, where all three were seen.
    pub handshake_ns: Option<(u64, u64)>,
    first_ns: u64,
    last_ns: u64,
    /// The end of the latest long silence, and its seconds.
    pub idle: Option<(u64, u32)>,
    /// Figures of earlier connections between the same ports.
    pub earlier: Option<Box<[Figures; 2]>>,
    /// Latest data of the client that the server has not answered; 0 for none.
    request_ns: u64,
    /// How long the window of each side was closed; of most never.
    closed: Option<Box<[Closed; 2]>>,
    /// Since when data of a side may go on, after a delayed acknowledgement.
    delayed_ns: [u64; 2],
    /// How it was reset, if it was.
    pub reset: Option<Box<Reset>>,
}

/// What a packet did, for evidence.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// What the segment is.
    pub kind: Kind,
    /// It announces a closed window.
    pub zero_window: bool,
    /// It acknowledges much later than others did.
    pub late_ack: bool,
    /// Between the ends, by what it acknowledges.
    pub round_trip_ns: Option<u64>,
    /// It leaves no room for another full segment in the window.
    pub fills_window: bool,
    /// Its sender went on after a delayed acknowledgement.
    pub delayed_write: bool,
    /// From the last of a request to the first of its answer.
    pub response_ns: Option<u64>,
    /// The handshake ended with this.
    pub established: bool,
    /// It completes a handshake of which all three packets were seen.
    pub opened: bool,
}

impl Outcome {
    /// Whether it is worth a look at what is kept of the service.
    #[inline]
    pub fn is_notable(&self) -> bool {
        !matches!(self.kind, Kind::Data | Kind::Control)
            || self.zero_window
            || self.late_ack
            || self.fills_window
            || self.delayed_write
            || self.response_ns.is_some()
    }
}

impl Connection {
    /// A connection whose first packet comes from `side`.
    pub fn new(side: Side, segment: &Segment<'_>, loopback: bool) -> Self {
        let tcp = segment.tcp;
        let syn = segment.is(TcpFlags::SYN);
        let client = match (syn, segment.is(TcpFlags::ACK)) {
            (true, false) => side,
            (true, true) => side.other(),
            // The lower port is the server's, as a rule.
            _ if tcp.source_port < tcp.destination_port => side.other(),
            _ => side,
        };
        Self {
            streams: Default::default(),
            client,
            place: if loopback {
                Place::Loopback
            } else {
                Place::Unknown
            },
            service: None,
            syn_ns: 0,
            last_syn_ns: 0,
            syn_ack_ns: 0,
            handshake_ns: None,
            first_ns: segment.ns,
            last_ns: segment.ns,
            idle: None,
            earlier: None,
            request_ns: 0,
            closed: None,
            delayed_ns: [0; 2],
            reset: None,
        }
    }

    /// From its first packet to its last. A flow may be longer, as ports come again.
    pub fn duration_ns(&self) -> u64 {
        self.last_ns.saturating_sub(self.first_ns)
    }

    /// Whether a segment begins another connection between the same ports.
    #[inline]
    pub fn is_reused(&self, side: Side, segment: &Segment<'_>) -> bool {
        let stream = &self.streams[side.index()];
        segment.is(TcpFlags::SYN)
            && !segment.is(TcpFlags::ACK)
            && stream.is_started()
            && stream.isn != segment.seq()
    }

    /// Where data from this side was seen from.
    #[inline]
    pub fn seen_from(&self, side: Side) -> SeenFrom {
        self.place.seen_from(side)
    }

    /// Whether a SYN/ACK was seen.
    pub fn is_answered(&self) -> bool {
        self.syn_ack_ns > 0
    }

    /// Looks at a segment, and at `hash` of it by `Fingerprints`.
    #[inline]
    pub fn packet(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        hash: u64,
        shared: &mut Shared,
    ) -> Outcome {
        let mut outcome = Outcome {
            kind: Kind::Control,
            zero_window: false,
            late_ack: false,
            round_trip_ns: None,
            fills_window: false,
            delayed_write: false,
            response_ns: None,
            established: false,
            opened: false,
        };
        if let Some(before) = shared.fingerprints.seen(hash, segment)
            && let Some(kind) = self.twice(side, segment, before)
        {
            outcome.kind = kind;
            return outcome;
        }
        self.streams[side.index()].packet(segment);
        self.see_place(side, segment);
        self.pass_time(segment.ns);
        if segment.is(TcpFlags::SYN) {
            outcome.kind = self.syn(
                side,
                segment,
                &mut outcome.established,
                &mut shared.recoveries,
            );
            return outcome;
        }
        // Before its acknowledgement: what it answers was outstanding.
        if segment.is(TcpFlags::RST) {
            self.reset(side, segment);
        }
        if segment.is(TcpFlags::ACK) {
            self.acknowledge(side, segment, &mut outcome, &mut shared.recoveries);
        }
        if segment.is(TcpFlags::RST) {
            return outcome;
        }
        let context = self.context(side);
        outcome.kind = self.streams[side.index()].data(segment, &context, &mut shared.recoveries);
        if segment.len > 0 {
            self.payload(side, segment, &mut outcome);
        } else if outcome.kind == Kind::Control {
            self.streams[side.index()].ask_for_echo(segment);
        }
        if segment.is(TcpFlags::FIN) {
            self.streams[side.index()].fin = true;
        }
        outcome
    }

    /// What a packet that equals another in everything is.
    #[cold]
    fn twice(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        before: super::fingerprints::Before,
    ) -> Option<Kind> {
        if before.turned {
            self.place = Place::Loopback;
            return Some(Kind::Copy);
        }
        let round_trip_ns = self.round_trip_ns();
        let seen_from = self.seen_from(side);
        let stream = &mut self.streams[side.index()];
        let is_copy = match segment.ip_id {
            Some(_) => segment.tcp.timestamps.is_some() || stream.ids_vary(),
            // Two acknowledgements may be equal; data with the same TSval was sent within one tick of it, and a resend takes
            // a round trip.
            None => {
                let short = match round_trip_ns {
                    0 => 1_000_000,
                    longer if longer >= TICK_NS => u64::MAX,
                    known => known / 2,
                };
                segment.end != segment.seq()
                    && seen_from != SeenFrom::Sender
                    && before.age_ns < short
            }
        };
        if is_copy {
            add(&mut stream.figures_mut().network_duplicates, 1);
        }
        is_copy.then_some(Kind::Duplicate)
    }

    #[inline]
    fn see_place(&mut self, side: Side, segment: &Segment<'_>) {
        if self.place == Place::Unknown {
            let ttls = [self.streams[0].ttl, self.streams[1].ttl];
            self.place = self.place.of_packets(side, segment.direction, ttls);
        }
    }

    /// The time since the last packet was spent as things stood then.
    #[inline]
    fn pass_time(&mut self, now_ns: u64) {
        let passed = now_ns.saturating_sub(self.last_ns);
        self.last_ns = self.last_ns.max(now_ns);
        if passed >= LONG_SILENCE_S * 1_000_000_000 {
            let seconds = u32::try_from(passed / 1_000_000_000).unwrap_or(u32::MAX);
            self.idle = Some((now_ns, seconds));
        }
        for index in [0, 1] {
            let window = self.streams[1 - index].window;
            let stream = &mut self.streams[index];
            let in_flight = stream.in_flight();
            if in_flight > 0 {
                stream.busy_ns = stream.busy_ns.saturating_add(passed);
                let full = in_flight.saturating_add(stream.largest) > window;
                if full && window > 0 && stream.largest > 0 {
                    stream.limited_ns = stream.limited_ns.saturating_add(passed);
                }
            }
        }
    }

    fn context(&self, side: Side) -> Context {
        let (own, other) = (
            &self.streams[side.index()],
            &self.streams[side.other().index()],
        );
        Context {
            seen_from: self.seen_from(side),
            window: other.window,
            round_trip_ns: self.round_trip_ns(),
            sack: own.sack && other.sack,
            mss: self.mss(side),
        }
    }

    /// Payload of a full segment, without the 12 bytes of timestamps.
    #[inline]
    fn mss(&self, side: Side) -> u32 {
        let (own, other) = (
            &self.streams[side.index()],
            &self.streams[side.other().index()],
        );
        let announced = u32::from(own.mss.min(other.mss));
        let options = if own.tsval != 0 { 12 } else { 0 };
        match announced {
            0 => USUAL_MSS - options,
            known => known.saturating_sub(options).max(1),
        }
    }

    /// The shortest round trip between the ends: the two parts on the way, of which one is nothing at an end.
    pub fn round_trip_ns(&self) -> u64 {
        self.streams[0].rtt.min_ns() + self.streams[1].rtt.min_ns()
    }

    #[inline]
    fn acknowledge(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        outcome: &mut Outcome,
        recoveries: &mut Recoveries,
    ) {
        let [low, high] = &mut self.streams;
        let (own, other) = match side {
            Side::Low => (low, high),
            Side::High => (high, low),
        };
        // Scaled only where both ends said so (RFC 7323 section 2.2).
        let scale = match (own.scale, other.scale) {
            (Some(scale), Some(_)) => scale,
            _ => 0,
        };
        let window = u32::from(segment.tcp.window) << scale.min(14);
        let was_outstanding = other.in_flight() > 0;
        let (was_acked, sent_ns) = (other.acked, other.data_ns);
        let acknowledged = other.acknowledge(segment, window == own.window, recoveries);
        outcome.late_ack = acknowledged.late;
        // Of an end the other part of the way is nothing, or nearly.
        outcome.round_trip_ns = acknowledged
            .round_trip_ns
            .filter(|_| own.rtt.min_ns() <= other.rtt.min_ns());
        if !segment.is(TcpFlags::RST) {
            own.window = window;
            own.window_max = own.window_max.max(window);
        }
        let all = was_outstanding && other.acked == other.next && other.acked != was_acked;
        // One small segment, whose acknowledgement came later than a round trip.
        let is_small = other.acked.wrapping_sub(was_acked) < other.largest.max(USUAL_MSS - 100);
        if all && segment.len == 0 && is_small {
            let waited_ns = segment.ns.saturating_sub(sent_ns);
            let ms = waited_ns.saturating_sub(other.rtt.min_ns()) / 1_000_000;
            let delayed = DELAYED_MS.iter().any(|range| range.contains(&ms));
            self.delayed_ns[side.other().index()] = if delayed { segment.ns } else { 0 };
        }
        self.see_handshake(side, segment);
        outcome.zero_window = self.window(side, window, segment);
    }

    #[inline]
    fn see_handshake(&mut self, side: Side, segment: &Segment<'_>) {
        if self.handshake_ns.is_some() || self.syn_ack_ns == 0 || side != self.client {
            return;
        }
        let to_ack = segment.ns.saturating_sub(self.syn_ack_ns);
        if self.syn_ns > 0 {
            let to_answer = self.syn_ack_ns.saturating_sub(self.syn_ns);
            // Of several SYNs the last is the one that was answered.
            let single = self.syn_ack_ns.saturating_sub(self.last_syn_ns);
            self.place = self.place.of_handshake(side, single, to_ack);
            self.handshake_ns = Some((to_answer, to_ack));
        }
    }

    /// Whether all that is outstanding of a side was sent after a long silence.
    pub fn is_first_since_idle(&self, side: Side) -> bool {
        let stream = &self.streams[side.index()];
        let since = self.idle.map(|(ended_ns, _)| ended_ns);
        since.is_some_and(|ended_ns| stream.in_flight() > 0 && stream.advance_ns() < ended_ns)
    }

    /// All that was counted of a side, earlier connections included.
    pub fn figures(&self, side: Side) -> Figures {
        let mut figures = self.streams[side.index()].figures();
        if let Some(earlier) = &self.earlier {
            figures.add(&earlier[side.index()]);
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_small() {
        let size = size_of::<Connection>();
        assert!(size <= 600, "{size} bytes");
    }
}
