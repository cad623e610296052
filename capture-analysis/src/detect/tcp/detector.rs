//! Follows the connections, and sums up those that end.

use super::{
    attempts::Attempts,
    icmp,
    table::{Service, Table, Who},
};
use crate::{
    address::Address,
    decode::{Decoded, Ip, Tcp, TcpFlags},
    flow::{FlowKey, Side},
    histogram::Histogram,
    report::{TcpFigures, TcpTotal},
    seen::{Flow, Seen},
    tcp::{Connection, Figures, Outcome, SeenFrom, Segment, Shared},
};

/// Clients and ports of servers that are told apart.
const SERVICES: usize = 2048;

/// Measures TCP.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    shared: Shared,
    pub(super) services: Table<Service>,
    pub(super) attempts: Attempts,
    pub(super) icmp: icmp::Errors,
    total: Total,
}

/// Of all connections.
#[derive(Clone, Debug, Default)]
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
            shared: Shared::default(),
            services: Table::new(SERVICES),
            attempts: Attempts::default(),
            icmp: icmp::Errors::default(),
            total: Total::default(),
        }
    }
}

impl Detector {
    /// The hash of a segment, by which it is known when it comes again.
    #[inline]
    pub(crate) fn look_ahead(&self, headers: &Decoded<'_>, ip: &Ip, tcp: &Tcp) -> u64 {
        self.shared.fingerprints.look_ahead(headers, ip, tcp)
    }

    /// Looks at a TCP packet, and tells what it did.
    #[inline]
    pub(crate) fn packet(
        &mut self,
        seen: &Seen<'_, '_>,
        flow: &mut Flow,
        side: Side,
    ) -> Option<Outcome> {
        let headers = seen.headers;
        let segment = Segment::of(seen.number, seen.ns, seen.direction, headers)?;
        if let Some(old) = &flow.tcp
            && old.is_reused(side, &segment)
        {
            self.reuse(seen, flow, side);
        }
        let connection = flow.tcp.get_or_insert_with(|| {
            let loopback = headers.ip.is_some_and(|ip| ip.source == ip.destination);
            Box::new(Connection::new(side, &segment, loopback))
        });
        let was_open = connection.handshake_ns.is_some();
        let mut outcome = connection.packet(side, &segment, seen.hashes.segment, &mut self.shared);
        outcome.opened = !was_open && connection.handshake_ns.is_some();
        flow.client = connection.client;
        if connection.service.is_none()
            && (outcome.established || (segment.len > 0 && !segment.is(TcpFlags::SYN)))
        {
            connection.service = self.services.row(&who(seen, side, connection));
        }
        if !outcome.is_notable() {
            return Some(outcome);
        }
        if let Some(service) = connection
            .service
            .and_then(|row| self.services.get_mut(row))
        {
            let direction = usize::from(side != connection.client);
            service.note(direction, &segment, &outcome);
        }
        Some(outcome)
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
    pub(crate) fn icmp(&mut self, seen: &Seen<'_, '_>) {
        self.icmp.packet(seen);
    }

    /// A flow that will not be seen again, or that is there at the end.
    pub(crate) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
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
            self.attempts.add(who, connection, number);
        }
        if let Some(service) = connection
            .service
            .and_then(|row| self.services.get_mut(row))
        {
            service.end(connection, number);
        }
    }

    /// Directions of data of which losses had to be forgotten.
    pub(crate) fn forgotten_losses(&self) -> u64 {
        self.shared.recoveries.forgotten()
    }

    /// The figures of all connections.
    pub(crate) fn total(&self) -> Option<TcpTotal> {
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
