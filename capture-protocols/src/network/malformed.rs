//! Packets that no honest stack sends: impossible flags, lengths and addresses, and segments that say two different things
//! about the same bytes.

use std::{
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    net::IpAddr,
};

use foldhash::fast::RandomState;

use crate::{
    address::Address,
    decode::{Decoded, Ip, Problem, Tcp, TcpFlags},
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    prefetch::prefetch,
    rules::network as rules,
    seen::Seen,
    severity::Severity,
    text::several,
};

/// Most kinds of packets and senders that are told apart.
const MOST: usize = 256;

/// Segments that are remembered, a power of two.
const PLACES: usize = 2048;

/// Least payload that is compared: one byte may be a keep-alive, which may hold anything (RFC 9293 section 3.8.4).
const LEAST: usize = 2;

/// Bytes of a segment that are compared.
const COMPARED: usize = 16;

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    SynFin,
    SynReset,
    Land,
    IpLength,
    TransportLength,
    TcpOption,
    Short,
    SourceIsGroup,
    SourceIsLoopback,
    SourceIsReserved,
    Overlap,
}

impl Kind {
    /// What follows the number of packets and the sender in a sentence, the filter that shows them, and how bad it is.
    fn words(self) -> (&'static str, &'static str, Severity) {
        use Severity::{High, Warn};
        match self {
            Self::SynFin => (
                "open and close a connection at once (SYN and FIN)",
                "tcp.flags.syn == 1 && tcp.flags.fin == 1",
                Warn,
            ),
            Self::SynReset => (
                "open and reset a connection at once (SYN and RST)",
                "tcp.flags.syn == 1 && tcp.flags.reset == 1",
                Warn,
            ),
            Self::Land => (
                "have the same address and port as source and destination (land attack)",
                "(tcp.srcport == tcp.dstport || udp.srcport == udp.dstport)",
                High,
            ),
            Self::IpLength => (
                "have an IP header whose length or version cannot be",
                "(ip || ipv6 || eth)",
                Warn,
            ),
            Self::TransportLength => (
                "have a TCP or UDP header whose length cannot be",
                "(tcp || udp)",
                Warn,
            ),
            Self::TcpOption => ("have a TCP option whose length cannot be", "tcp", Warn),
            Self::Short => ("end within a header", "frame", Warn),
            Self::SourceIsGroup => (
                "have a multicast or broadcast address as source",
                "(ip || ipv6)",
                Warn,
            ),
            Self::SourceIsLoopback => (
                "have a loopback address as source on a network",
                "(ip || ipv6)",
                Warn,
            ),
            Self::SourceIsReserved => (
                "have a source address of a reserved range",
                "(ip || ipv6)",
                Warn,
            ),
            Self::Overlap => (
                "say something else about bytes of a TCP stream that were sent before",
                "tcp.len > 0",
                High,
            ),
        }
    }
}

/// The start of a segment, in a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Segment {
    hash: u64,
    ns: u64,
    number: u64,
    len: u8,
    bytes: [u8; COMPARED],
}

/// Measures packets that should not be.
#[derive(Clone, Debug)]
pub(super) struct Detector {
    packets: Lru<(Kind, Option<Address>), Evidence>,
    segments: Vec<Segment>,
    /// With a seed: nobody can make segments that are taken for others.
    hasher: RandomState,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            packets: Lru::new(MOST),
            segments: vec![Segment::default(); PLACES],
            hasher: RandomState::default(),
        }
    }
}

impl Detector {
    #[inline]
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>) {
        if !seen.headers.problems.is_empty() {
            self.problems(seen);
        }
        let Some(ip) = &seen.headers.ip else { return };
        if is_suspicious(ip) {
            self.suspicious(seen, ip);
        }
    }

    /// The hash of where the payload of a segment lies in its stream, whose place will be asked for.
    #[inline]
    pub(super) fn look_ahead(&self, headers: &Decoded<'_>, ip: &Ip, tcp: &Tcp) -> u64 {
        if headers.payload.len() < LEAST {
            return 0;
        }
        let mut hasher = self.hasher.build_hasher();
        (ip.source, ip.destination).hash(&mut hasher);
        hasher.write_u32(u32::from(tcp.source_port) << 16 | u32::from(tcp.destination_port));
        hasher.write_u32(tcp.sequence);
        let hash = hasher.finish();
        prefetch(&self.segments[(hash >> 53) as usize % PLACES]);
        hash
    }

    #[inline]
    pub(super) fn tcp(&mut self, seen: &Seen<'_, '_>, ip: &Ip, tcp: &Tcp) {
        if tcp.flags.has(TcpFlags::SYN) && tcp.flags.any(TcpFlags::FIN | TcpFlags::RST) {
            let is_fin = tcp.flags.any(TcpFlags::FIN);
            self.add(seen, if is_fin { Kind::SynFin } else { Kind::SynReset });
        }
        if seen.headers.payload.len() >= LEAST {
            self.overlap(seen, ip);
        }
    }

    #[cold]
    fn add(&mut self, seen: &Seen<'_, '_>, kind: Kind) {
        let source = seen.headers.ip.map(|ip| ip.source);
        let packets = self.packets.entry(&(kind, source), Evidence::default);
        packets.add(seen.number, seen.ns);
    }

    #[cold]
    fn problems(&mut self, seen: &Seen<'_, '_>) {
        let problems = seen.headers.problems;
        for (problem, kind) in [
            (Problem::IpVersion, Kind::IpLength),
            (Problem::IpHeaderLength, Kind::IpLength),
            (Problem::IpLength, Kind::IpLength),
            (Problem::TcpHeaderLength, Kind::TransportLength),
            (Problem::UdpLength, Kind::TransportLength),
            (Problem::TcpOption, Kind::TcpOption),
            (Problem::ShortHeader, Kind::Short),
        ] {
            // What follows from it is no finding of its own.
            if problems.contains(problem) {
                return self.add(seen, kind);
            }
        }
    }

    #[cold]
    fn suspicious(&mut self, seen: &Seen<'_, '_>, ip: &Ip) {
        let is_on_loopback = seen
            .headers
            .ethernet
            .is_none_or(|ethernet| ethernet.source.0 == [0; 6]);
        let ports = seen.headers.transport.ports();
        let (is_group, is_loopback, is_reserved) = match ip.source.ip() {
            IpAddr::V4(source) => (
                source.is_multicast() || source.is_broadcast(),
                source.is_loopback(),
                source.octets()[0] >= 240,
            ),
            IpAddr::V6(source) => (source.is_multicast(), source.is_loopback(), false),
        };
        if is_group {
            self.add(seen, Kind::SourceIsGroup);
        } else if is_loopback && !is_on_loopback {
            self.add(seen, Kind::SourceIsLoopback);
        } else if is_reserved {
            self.add(seen, Kind::SourceIsReserved);
        } else if ip.source == ip.destination && !is_on_loopback {
            // To itself, and by a network: a host does this through its loopback interface.
            if ports.is_some_and(|(source, destination)| source == destination) {
                self.add(seen, Kind::Land);
            }
        }
    }

    /// Compares the start of a segment with that of an earlier one of the same sequence number.
    fn overlap(&mut self, seen: &Seen<'_, '_>, ip: &Ip) {
        let hash = seen.hashes.place;
        let payload = seen.headers.payload;
        let len = payload.len().min(COMPARED);
        let place = &mut self.segments[(hash >> 53) as usize % PLACES];
        if place.hash == hash && seen.ns.saturating_sub(place.ns) <= rules::RESEND_WITHIN.ns() {
            let common = len.min(usize::from(place.len));
            if place.bytes[..common] != payload[..common] {
                let (number, ns) = (place.number, place.ns);
                let packets = &mut self.packets;
                let packets = packets.entry(&(Kind::Overlap, Some(ip.source)), Evidence::default);
                packets.add(number, ns);
                packets.add(seen.number, seen.ns);
            }
            return;
        }
        match payload.first_chunk() {
            Some(start) => place.bytes = *start,
            None => place.bytes[..len].copy_from_slice(&payload[..len]),
        }
        (place.hash, place.ns, place.number, place.len) = (hash, seen.ns, seen.number, len as u8);
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let mut all: Vec<_> = self.packets.iter().collect();
        all.sort_by_key(|(key, _)| **key);
        // A flood of invented senders is one event.
        for group in all.chunk_by(|(one, _), (other, _)| one.0 == other.0) {
            if group.len() as u64 > rules::SENDERS.count() {
                let mut packets = Evidence::default();
                group.iter().for_each(|(_, more)| packets.merge(more));
                findings.push(finding(group[0].0.0, None, group.len(), packets, facts));
                continue;
            }
            for ((kind, source), packets) in group {
                findings.push(finding(*kind, *source, 1, (*packets).clone(), facts));
            }
        }
    }
}

/// Whether addresses need a closer look: of none of the ordinary kinds, or the same twice.
#[inline]
fn is_suspicious(ip: &Ip) -> bool {
    ip.source == ip.destination || !ip.source.is_ordinary()
}

/// What one packet does, of what several do.
fn singular(what: &str) -> String {
    const VERBS: [(&str, &str); 5] = [
        ("have ", "has "),
        ("open and close ", "opens and closes "),
        ("open and reset ", "opens and resets "),
        ("end ", "ends "),
        ("say ", "says "),
    ];
    let found = VERBS
        .iter()
        .find_map(|(plural, verb)| Some((verb, what.strip_prefix(plural)?)));
    match found {
        Some((verb, rest)) => format!("{verb}{rest}"),
        None => what.to_owned(),
    }
}

fn finding(
    kind: Kind,
    source: Option<Address>,
    senders: usize,
    packets: Evidence,
    facts: &Facts,
) -> Finding {
    let (what, shown, severity) = kind.words();
    let count = match kind {
        // Both segments are cited.
        Kind::Overlap => packets.count() / 2,
        _ => packets.count(),
    };
    let who = match (source, senders) {
        (Some(source), 1) => format!(" from {source}"),
        (None, 1) => String::new(),
        (_, senders) => format!(" from {senders} or more senders"),
    };
    let thing = if kind == Kind::Overlap {
        "segment"
    } else {
        "packet"
    };
    let what = match count {
        1 => singular(what),
        _ => what.to_owned(),
    };
    let check = match source {
        Some(source) => format!("{shown} && {}", filter("src", source)),
        None => shown.to_owned(),
    };
    Finding::new(
        &rules::MALFORMED,
        format!("{}{who} {what}.", several(count, thing)),
        packets,
    )
    .count(count)
    .severity(severity)
    .confidence(confidence(facts, Confidence::High))
    .subject(Subject {
        source,
        ..Subject::default()
    })
    .check(check)
}
