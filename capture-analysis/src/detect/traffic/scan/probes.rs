//! Segments that no stack sends, as they belong to no connection and open none: whoever sends them wants to learn from the
//! answer, past a filter that looks for SYNs (RFC 9293 section 3.10.7.1).

use crate::{
    address::Address,
    decode::TcpFlags,
    detect::traffic::sets::Ports,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::security as rules,
    seen::Seen,
    words::{duration, several},
};

/// Pairs of hosts that are followed.
const PAIRS: usize = 256;

/// Which flags a probe has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Null,
    Fin,
    Xmas,
    Ack,
}

const ALL: u16 =
    TcpFlags::FIN | TcpFlags::SYN | TcpFlags::RST | TcpFlags::PSH | TcpFlags::ACK | TcpFlags::URG;

impl Kind {
    /// Of flags without SYN and RST.
    fn of(flags: u16) -> Option<Self> {
        match flags & ALL {
            0 => Some(Self::Null),
            TcpFlags::FIN => Some(Self::Fin),
            flags if flags & (TcpFlags::ACK | TcpFlags::FIN) == TcpFlags::FIN => Some(Self::Xmas),
            TcpFlags::ACK => Some(Self::Ack),
            _ => None,
        }
    }

    /// Its name, and the display filter of its flags.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Null => ("NULL probes (no flags)", "tcp.flags & 0x3f == 0"),
            Self::Fin => ("FIN probes", "tcp.flags & 0x3f == 0x01"),
            Self::Xmas => (
                "Xmas probes (FIN with PSH or URG, without ACK)",
                "tcp.flags.fin == 1 && tcp.flags.ack == 0",
            ),
            Self::Ack => ("ACK probes", "tcp.flags & 0x3f == 0x10"),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Pair {
    ports: Ports,
    /// Resets that came back.
    resets: u64,
    packets: Evidence,
}

/// Measures probes.
#[derive(Clone, Debug)]
pub(crate) struct Probes(Lru<(Address, Address, Kind), Box<Pair>>);

impl Default for Probes {
    fn default() -> Self {
        Self(Lru::new(PAIRS))
    }
}

impl Probes {
    /// A segment without SYN and RST that has no ACK, or that is the first of its flow.
    #[cold]
    pub(crate) fn packet(&mut self, seen: &Seen<'_, '_>, flags: TcpFlags) {
        let headers = seen.headers;
        let (Some(ip), Some((source, destination))) = (headers.ip, headers.transport.ports())
        else {
            return;
        };
        let Some(kind) = Kind::of(flags.0) else {
            return;
        };
        // The acknowledgement of a connection that is older than the capture goes to either port; that of a server, to a
        // client whose address another host has by now, to a high one.
        if kind == Kind::Ack && (destination >= source || headers.payload_len > 0) {
            return;
        }
        let key = (ip.source, ip.destination, kind);
        let pair = self.0.entry(&key, Box::default);
        if pair.ports.add(destination) {
            pair.packets.add(seen.number, seen.ns);
        }
    }

    /// A reset of a flow that no SYN opened.
    #[cold]
    pub(crate) fn reset(&mut self, seen: &Seen<'_, '_>) {
        let Some(ip) = seen.headers.ip else { return };
        for kind in [Kind::Null, Kind::Fin, Kind::Xmas, Kind::Ack] {
            if let Some(pair) = self.0.peek_mut(&(ip.destination, ip.source, kind)) {
                pair.resets += 1;
                return;
            }
        }
    }

    /// One finding for each source.
    pub(crate) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut pairs: Vec<_> = self
            .0
            .iter()
            .filter(|(key, pair)| is_scan(key.2, pair))
            .collect();
        pairs.sort_unstable_by_key(|(key, pair)| {
            (key.0, std::cmp::Reverse(pair.ports.len()), **key)
        });
        for of_source in pairs.chunk_by(|(one, _), (other, _)| one.0 == other.0) {
            let [(key, most), others @ ..] = of_source else {
                continue;
            };
            let mut packets = Evidence::default();
            of_source
                .iter()
                .for_each(|(_, pair)| packets.merge(&pair.packets));
            findings.push(finding(**key, most, others.len() as u64, packets, facts));
        }
    }
}

fn is_scan(kind: Kind, pair: &Pair) -> bool {
    match kind {
        Kind::Ack => {
            pair.ports.len() >= rules::SCANNED_PORTS.count()
                && pair.resets >= rules::SCANNED_PORTS.count()
        }
        _ => pair.ports.len() >= rules::PROBES.count(),
    }
}

fn finding(
    (source, target, kind): (Address, Address, Kind),
    pair: &Pair,
    others: u64,
    packets: Evidence,
    facts: &Facts,
) -> Finding {
    let (name, flags) = kind.words();
    let took = duration(packets.until_ns().saturating_sub(packets.since_ns()));
    let (among, filter) = match others {
        0 => (
            String::new(),
            format!(
                "{} && {} && {flags}",
                filter("src", source),
                filter("dst", target)
            ),
        ),
        _ => (
            format!(", and more to {}", several(others, "other host or way")),
            format!("{} && tcp.flags.syn == 0", filter("src", source)),
        ),
    };
    let summary = format!(
        "{source} sent {name} to {} of {target} ({}) within {took}{among}; {} came back.",
        several(pair.ports.len(), "port"),
        pair.ports,
        several(pair.resets, "reset"),
    );
    let sure = match kind {
        Kind::Ack => Confidence::Medium,
        _ => Confidence::High,
    };
    Finding::new(&rules::STEALTH, summary, packets)
        .confidence(confidence(facts, sure))
        .subject(Subject {
            source: Some(source),
            destination: (others == 0).then_some(target),
            protocol: Some("tcp"),
            ..Subject::default()
        })
        .check(filter)
}
