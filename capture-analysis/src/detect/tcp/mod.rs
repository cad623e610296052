//! TCP: what the connections measure, summed up by client, server and port; and what ICMP says about them.

mod findings;
mod icmp;
mod table;
#[cfg(test)]
mod tests;

use self::table::{Attempt, Service, Table, Who};
use super::{Facts, Flow, Seen};
use crate::{
    decode::TcpFlags,
    evidence::Evidence,
    finding::Finding,
    flow::{FlowKey, Side},
    report::TcpTotal,
    rules::tcp as rules,
    tcp::{Connection, Figures, Fingerprints, Histogram, Kind, Outcome, SeenFrom, Segment, Stuck},
};

/// Clients and ports of servers that are told apart.
const SERVICES: usize = 2048;

/// Those that did not answer.
const ATTEMPTS: usize = 1024;

/// Measures TCP.
#[derive(Debug)]
pub(super) struct Detector {
    fingerprints: Fingerprints,
    services: Table<Service>,
    attempts: Table<Attempt>,
    icmp: icmp::Errors,
    total: Total,
}

/// Of all connections.
#[derive(Debug, Default)]
struct Total {
    segments: u64,
    bytes: u64,
    figures: Figures,
    handshake: Histogram,
    rtt: Histogram,
    /// Payload by where it was seen from.
    seen: [u64; 3],
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            fingerprints: Fingerprints::default(),
            services: Table::new(SERVICES),
            attempts: Table::new(ATTEMPTS),
            icmp: icmp::Errors::default(),
            total: Total::default(),
        }
    }
}

impl Detector {
    /// Looks at a TCP packet.
    #[inline]
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>, flow: &mut Flow, side: Side) {
        let headers = seen.headers;
        let Some(segment) = Segment::of(seen.number, seen.ns, seen.direction, headers) else {
            return;
        };
        if let Some(old) = &flow.tcp
            && old.is_reused(side, &segment)
        {
            self.reuse(seen, flow, side);
        }
        let connection = flow.tcp.get_or_insert_with(|| {
            let loopback = headers.ip.is_some_and(|ip| ip.source == ip.destination);
            Box::new(Connection::new(side, &segment, loopback))
        });
        let outcome = connection.packet(side, &segment, &mut self.fingerprints);
        flow.client = connection.client;
        if connection.service.is_none()
            && (outcome.established || (segment.len > 0 && !segment.is(TcpFlags::SYN)))
        {
            connection.service = self.services.row(&who(seen, side, connection));
        }
        if !outcome.is_notable() {
            return;
        }
        if let Some(service) = connection
            .service
            .and_then(|row| self.services.get_mut(row))
        {
            let direction = usize::from(side != connection.client);
            service.note(direction, &segment, &outcome);
        }
    }

    /// Another connection between the same ports.
    #[cold]
    fn reuse(&mut self, seen: &Seen<'_, '_>, flow: &mut Flow, side: Side) {
        let Some(old) = flow.tcp.take() else { return };
        self.end(&who(seen, side, &old), &old, flow.first_packet);
        let earlier = [old.figures(Side::Low), old.figures(Side::High)];
        if let Some(segment) = Segment::of(seen.number, seen.ns, seen.direction, seen.headers) {
            let mut new = Box::new(Connection::new(side, &segment, false));
            new.earlier = Some(Box::new(earlier));
            flow.tcp = Some(new);
        }
    }

    /// Looks at an ICMP error.
    pub(super) fn icmp(&mut self, seen: &Seen<'_, '_>) {
        self.icmp.packet(seen);
    }

    /// A flow that will not be seen again, or that is there at the end.
    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let Some(connection) = &flow.tcp else { return };
        let who = Who {
            client: key.end(connection.client).address,
            server: key.end(connection.client.other()).address,
            port: key.end(connection.client.other()).port,
        };
        self.end(&who, connection, flow.first_packet);
        self.total.segments += flow.packets[0] + flow.packets[1];
        self.total.bytes += flow.bytes[0] + flow.bytes[1];
        let Some(service) = connection
            .service
            .and_then(|row| self.services.get_mut(row))
        else {
            return;
        };
        let duration_ns = flow.last_ns.saturating_sub(flow.first_ns);
        service.duration_ns = service.duration_ns.saturating_add(duration_ns);
        for (direction, side) in [connection.client, connection.client.other()]
            .into_iter()
            .enumerate()
        {
            let into = &mut service.directions[direction];
            into.packets += flow.packets[side.index()];
            into.payload += flow.payload[side.index()];
            let seen = connection.seen_from(side) as usize;
            self.total.seen[seen] += flow.payload[side.index()] + 1;
        }
    }

    /// Sums up a connection.
    fn end(&mut self, who: &Who, connection: &Connection, number: u64) {
        for side in [Side::Low, Side::High] {
            let stream = &connection.streams[side.index()];
            self.total.figures.add(&stream.figures());
        }
        self.total.rtt.merge(&round_trips(connection));
        if let Some((to_answer, to_ack)) = connection.handshake_ns {
            self.total.handshake.add(to_answer + to_ack);
        }
        if connection.syn_ns > 0 && !connection.is_answered() {
            self.attempt(who, connection, number);
        }
        if let Some(service) = connection
            .service
            .and_then(|row| self.services.get_mut(row))
        {
            service.end(connection, number);
        }
    }

    fn attempt(&mut self, who: &Who, connection: &Connection, number: u64) {
        let Some(attempt) = self
            .attempts
            .row(who)
            .and_then(|row| self.attempts.get_mut(row))
        else {
            return;
        };
        let client = &connection.streams[connection.client.index()];
        let refused = connection
            .reset
            .as_ref()
            .filter(|reset| reset.by != connection.client);
        if let Some(reset) = refused {
            attempt.refused.add(reset.number, reset.ns);
        } else if connection.streams[connection.client.other().index()].is_started() {
            // Something came back, so that it is no silence.
        } else if u64::from(client.syns) >= rules::UNANSWERED_SYNS.count() {
            attempt.unanswered.add(number, connection.syn_ns);
            attempt.unanswered_connections += 1;
            let first = attempt.first_syn_ns.get_or_insert(connection.syn_ns);
            *first = connection.syn_ns.min(*first);
            attempt.at_server |= connection.seen_from(connection.client) == SeenFrom::Receiver;
        }
    }

    /// The figures of all connections.
    pub(super) fn total(&self) -> Option<TcpTotal> {
        let total = &self.total;
        if total.segments == 0 {
            return None;
        }
        let seen = [SeenFrom::Sender, SeenFrom::Receiver, SeenFrom::Between];
        let most = seen
            .into_iter()
            .max_by_key(|from| total.seen[*from as usize]);
        Some(TcpTotal {
            bytes: total.bytes,
            figures: crate::report::TcpFigures::new(
                total.segments,
                &total.figures,
                (!total.handshake.is_empty()).then(|| total.handshake.quantile_ns(0.5)),
                &total.rtt,
                most.unwrap_or(SeenFrom::Between),
            ),
        })
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        findings::all(self, facts, findings);
    }
}

/// Round trips between the ends: those of the data that went farthest to its acknowledgement.
pub(crate) fn round_trips(connection: &Connection) -> Histogram {
    let [low, high] = &connection.streams;
    match low.rtt.min_ns() >= high.rtt.min_ns() {
        true => low.rtt.histogram(),
        false => high.rtt.histogram(),
    }
}

fn who(seen: &Seen<'_, '_>, side: Side, connection: &Connection) -> Who {
    let unspecified = crate::address::Address::v4([0; 4]);
    let (source, destination) = match &seen.headers.ip {
        Some(ip) => (ip.source, ip.destination),
        None => (unspecified, unspecified),
    };
    let (from, to) = seen.headers.transport.ports().unwrap_or((0, 0));
    match side == connection.client {
        true => Who {
            client: source,
            server: destination,
            port: to,
        },
        false => Who {
            client: destination,
            server: source,
            port: from,
        },
    }
}

impl Service {
    /// A packet that is worth a mention.
    fn note(&mut self, direction: usize, segment: &Segment<'_>, outcome: &Outcome) {
        let (number, ns) = (segment.number, segment.ns);
        let of = &mut self.directions[direction];
        match outcome.kind {
            Kind::Resent(_) => of.resent.add(number, ns),
            Kind::Reordered => of.reordered.add(number, ns),
            Kind::Duplicate => of.doubled.add(number, ns),
            Kind::Copy | Kind::KeepAlive | Kind::WindowProbe | Kind::Data | Kind::Control => {}
        }
        if outcome.zero_window {
            of.closed.add(number, ns);
        }
        if outcome.fills_window {
            of.full.add(number, ns);
        }
        if outcome.late_ack {
            self.directions[1 - direction].late.add(number, ns);
        }
        let of = &mut self.directions[direction];
        if outcome.delayed_write {
            of.delayed_writes.add(number, ns);
        }
        if let Some(response_ns) = outcome.response_ns {
            self.response.add(response_ns);
            if response_ns >= rules::SLOW_ANSWER.ns() {
                self.slow_responses.add(number, ns);
            }
        }
    }

    /// A connection of it ends.
    fn end(&mut self, connection: &Connection, number: u64) {
        self.connections += 1;
        if let Some((to_answer, _)) = connection.handshake_ns {
            self.handshake.add(to_answer);
            let syns = connection.streams[connection.client.index()].syns;
            if to_answer >= rules::SLOW_HANDSHAKE.ns() || syns > 1 {
                self.slow_handshakes.add(number, connection.syn_ns);
                self.resent_syns += u64::from(syns > 1);
            }
        }
        for (direction, side) in [connection.client, connection.client.other()]
            .into_iter()
            .enumerate()
        {
            let of = &mut self.directions[direction];
            of.end(connection, side);
        }
        let Some(reset) = &connection.reset else {
            return;
        };
        let resets = &mut self.resets[usize::from(reset.by != connection.client)];
        let usual = reset.usual_ttl.unwrap_or(reset.ttl);
        let far = u64::from(reset.ttl.abs_diff(usual)) >= rules::ODD_TTL.count();
        if reset.is_mid && (far || reset.went_on) {
            resets.injected.add(reset.number, reset.ns);
            resets.ttls = (reset.ttl, usual);
            resets.went_on += u64::from(reset.went_on);
        } else if reset.is_mid {
            if let Some(seconds) = long_silence(connection).filter(|_| reset.after_idle) {
                let idle = &mut self.directions[usize::from(reset.by == connection.client)];
                idle.after_idle.add(reset.number, reset.ns);
                idle.idle_s = idle.idle_s.max(seconds);
                return;
            }
            resets.mid.add(reset.number, reset.ns);
            resets.open += u64::from(reset.is_open);
        }
    }
}

impl table::Direction {
    fn end(&mut self, connection: &Connection, side: Side) {
        let stream = &connection.streams[side.index()];
        let other = &connection.streams[side.other().index()];
        self.figures.add(&stream.figures());
        self.rtt.merge(&stream.rtt.histogram());
        self.seen_from = Some(connection.seen_from(side));
        let (closed, longest) = connection.closed_ns(side);
        self.closed_ns = self.closed_ns.saturating_add(closed);
        self.closed_longest_ns = self.closed_longest_ns.max(longest);
        self.busy_ns = self.busy_ns.saturating_add(stream.busy_ns);
        self.limited_ns = self.limited_ns.saturating_add(stream.limited_ns);
        self.window = self.window.max(other.window_max);
        let stuck = stream.stuck();
        if u64::from(stuck.resends) < rules::RESENDS_IN_VAIN.count() {
            return;
        }
        let (sent, arrived) = (stuck.len.min(stream.largest.max(1)), stream.largest_acked);
        let mut evidence = Evidence::of(stuck.first, stuck.first_ns);
        evidence.add(stuck.last, stuck.last_ns);
        let silence = long_silence(connection).filter(|_| connection.is_first_since_idle(side));
        if let Some(seconds) = silence {
            self.after_idle.merge(&evidence);
            self.idle_s = self.idle_s.max(seconds);
        } else if f64::from(sent) >= rules::FULL_SIZE.value && sent > arrived {
            self.too_large.merge(&evidence);
            self.sizes = (arrived.max(self.sizes.0), sent.max(self.sizes.1));
        } else {
            self.stuck.merge(&evidence);
        }
        if stuck.resends > self.worst.resends {
            self.worst = stuck;
        }
    }
}

/// Seconds of silence, where a box on the way may have forgotten the connection in them.
fn long_silence(connection: &Connection) -> Option<u32> {
    let seconds = connection.idle.map(|(_, seconds)| seconds);
    seconds.filter(|seconds| rules::IDLE.is_reached((*seconds).into()))
}

/// Whether a segment was sent in vain often enough, and later and later.
fn is_in_vain(stuck: &Stuck) -> bool {
    u64::from(stuck.resends) >= rules::RESENDS_IN_VAIN.count()
        && stuck.backed_off + 1 >= stuck.resends / 2
}
