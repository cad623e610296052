//! Follows the connections, and sums up those that end.

use super::{
    icmp,
    table::{Attempt, Service, Table, Who},
};
use crate::{
    address::Address,
    decode::TcpFlags,
    detect::seen::{Flow, Seen},
    flow::{FlowKey, Side},
    histogram::Histogram,
    report::{TcpFigures, TcpTotal},
    rules::tcp as rules,
    tcp::{Connection, Figures, Fingerprints, SeenFrom, Segment},
};

/// Clients and ports of servers that are told apart.
const SERVICES: usize = 2048;

/// Those that did not answer.
const ATTEMPTS: usize = 1024;

/// Measures TCP.
#[derive(Debug)]
pub(in crate::detect) struct Detector {
    fingerprints: Fingerprints,
    pub(super) services: Table<Service>,
    pub(super) attempts: Table<Attempt>,
    pub(super) icmp: icmp::Errors,
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
    pub(in crate::detect) fn packet(&mut self, seen: &Seen<'_, '_>, flow: &mut Flow, side: Side) {
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
    pub(in crate::detect) fn icmp(&mut self, seen: &Seen<'_, '_>) {
        self.icmp.packet(seen);
    }

    /// A flow that will not be seen again, or that is there at the end.
    pub(in crate::detect) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
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
    pub(in crate::detect) fn total(&self) -> Option<TcpTotal> {
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
            figures: TcpFigures::new(
                total.segments,
                &total.figures,
                (!total.handshake.is_empty()).then(|| total.handshake.quantile_ns(0.5)),
                &total.rtt,
                most.unwrap_or(SeenFrom::Between),
            ),
        })
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
    let unspecified = Address::v4([0; 4]);
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
