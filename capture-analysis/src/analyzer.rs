//! One pass over the packets of a capture: copies out, headers, flows, detectors; and at the end, or in between, a report.

use std::collections::BTreeMap;

use crate::{
    copies::Copies,
    decode::Decoded,
    detect::{Baseline, Detectors, tcp::round_trips},
    facts::Facts,
    finding::{Finding, time},
    flow::{FlowKey, FlowTable, Side},
    packet::{Interface, Losses, Packet},
    prefetch::prefetch,
    report::{Conversation, Report, TcpFigures},
    seen::{Flow, Seen},
    tcp::{Figures, Segment, WiresharkClasses},
};

/// Bounds of an analysis.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Most flows that are followed at once. Each takes about 256 bytes, and one of TCP 600 more.
    pub flows: usize,
    /// Most conversations in a report.
    pub conversations: usize,
    /// Whether the TCP classes of Wireshark are found too, for [`Analyzer::wireshark_classes`].
    pub wireshark_classes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flows: 65_536,
            conversations: 100,
            wireshark_classes: false,
        }
    }
}

/// An analysis under way.
#[derive(Debug)]
pub struct Analyzer {
    options: Options,
    interfaces: BTreeMap<u32, Interface>,
    /// The interface of the latest packet, and its link type.
    latest: Option<(u32, u16)>,
    losses: Option<Losses>,
    /// Packets that were not looked at.
    skipped: u64,
    packets: u64,
    bytes: u64,
    first_ns: u64,
    last_ns: u64,
    ended_ns: u64,
    copies: Copies,
    flows: FlowTable<Flow>,
    detectors: Detectors,
    wireshark: WiresharkClasses,
}

impl Analyzer {
    /// An analysis of nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            interfaces: BTreeMap::new(),
            latest: None,
            losses: None,
            skipped: 0,
            packets: 0,
            bytes: 0,
            first_ns: u64::MAX,
            last_ns: 0,
            ended_ns: 0,
            copies: Copies::default(),
            flows: FlowTable::new(options.flows),
            detectors: Detectors::default(),
            wireshark: WiresharkClasses::default(),
        }
    }

    /// Makes an interface known, before its first packet.
    pub fn interface(&mut self, id: u32, interface: Interface) {
        self.interfaces.insert(id, interface);
        self.latest = None;
    }

    /// What the capture lost, as its statistics say; later calls add to it. A capture that says it lost nothing is
    /// more than one that says nothing.
    pub fn losses(&mut self, losses: Losses) {
        let all = self.losses.get_or_insert_default();
        all.capture += losses.capture;
        all.interface += losses.interface;
    }

    /// When the capture ended, as its statistics say: maybe long after the last packet, so that a silence is one. The
    /// latest of several calls counts.
    pub fn ended(&mut self, ns: u64) {
        self.ended_ns = self.ended_ns.max(ns);
    }

    /// Compares this capture with another one, by its [`baseline`](Self::baseline): hosts that are new become findings.
    pub fn compare_with(&mut self, baseline: Baseline) {
        self.detectors.compare_with(baseline);
    }

    /// The hosts that talked so far, for [`compare_with`](Self::compare_with) of the analysis of another capture. To be
    /// asked after the last packet, before [`finish`](Self::finish).
    pub fn baseline(&self) -> Baseline {
        let mut baseline = self.detectors.baseline();
        for (key, flow) in self.flows.iter() {
            for side in [Side::Low, Side::High] {
                if flow.packets[side.index()] > 0 {
                    baseline.add(key.end(side).address);
                }
            }
        }
        baseline
    }

    /// Looks at a packet. One of an unknown interface is taken for Ethernet.
    #[inline]
    pub fn packet(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        self.bytes += u64::from(packet.original_len);
        self.first_ns = self.first_ns.min(packet.timestamp_ns);
        self.last_ns = self.last_ns.max(packet.timestamp_ns);
        if packet.lost_before > 0 {
            self.losses(Losses {
                capture: packet.lost_before,
                interface: 0,
            });
        }
        let link_type = match self.latest {
            Some((interface, link_type)) if interface == packet.interface => link_type,
            _ => self.link_type(packet.interface),
        };
        let wire_len = packet.original_len.max(packet.data.len() as u32);
        let mut headers = Decoded::undecoded(packet.data, wire_len);
        headers.decode(link_type);
        // Not moved from here: a move would be a copy of some hundred bytes that were just written.
        let headers = &headers;
        if self.interfaces.len() > 1 && self.copies.is_copy(packet, headers) {
            self.detectors.copy(packet.number, packet.timestamp_ns);
            return;
        }
        let hashes = self.detectors.look_ahead(headers);
        let seen = Seen {
            number: packet.number,
            ns: packet.timestamp_ns,
            interface: packet.interface,
            direction: packet.direction,
            headers,
            hashes,
        };
        self.wireshark = WiresharkClasses::default();
        let Some((key, side)) = FlowKey::of(headers) else {
            return self.detectors.packet(&seen, None);
        };
        let detectors = &mut self.detectors;
        let id = self.flows.get_or_insert(
            &key,
            || Flow {
                first_ns: seen.ns,
                last_ns: seen.ns,
                first_packet: seen.number,
                client: side,
                packets: [0; 2],
                bytes: [0; 2],
                payload: [0; 2],
                tcp: None,
                application: Default::default(),
                wireshark: None,
            },
            |key, flow| detectors.flow(key, &flow),
        );
        let flow = self.flows.get_mut(id);
        if let Some(connection) = &flow.tcp {
            prefetch(&**connection);
        }
        flow.last_ns = flow.last_ns.max(seen.ns);
        flow.packets[side.index()] += 1;
        flow.bytes[side.index()] += u64::from(wire_len);
        flow.payload[side.index()] += u64::from(headers.payload_len);
        if self.options.wireshark_classes {
            self.wireshark = wireshark(flow, side, &seen);
        }
        self.detectors.packet(&seen, Some((flow, side)));
    }

    /// The link type of an interface, whose packets come now.
    #[cold]
    fn link_type(&mut self, interface: u32) -> u16 {
        let found = self.interfaces.get(&interface);
        let link_type = found.map_or(1, |interface| interface.link_type);
        self.latest = Some((interface, link_type));
        link_type
    }

    /// What Wireshark calls the packet that was looked at last: none where it is not TCP, or where
    /// [`Options::wireshark_classes`] is off.
    pub fn wireshark_classes(&self) -> WiresharkClasses {
        self.wireshark
    }

    /// Leaves a packet out. What is not there may be in such packets.
    pub fn skip(&mut self) {
        self.skipped += 1;
    }

    /// The report in between, with losses that are known besides.
    pub fn report(&self, more: Option<Losses>) -> Report {
        let losses = match (self.losses, more) {
            (Some(one), Some(other)) => Some(Losses {
                capture: one.capture + other.capture,
                interface: one.interface + other.interface,
            }),
            (one, other) => one.or(other),
        };
        self.report_of(self.detectors.clone(), losses)
    }

    /// The report, at the end.
    pub fn finish(mut self) -> Report {
        let detectors = std::mem::take(&mut self.detectors);
        self.report_of(detectors, self.losses)
    }

    /// The report of detectors that have not seen yet which flows there are at the end.
    fn report_of(&self, mut detectors: Detectors, losses: Option<Losses>) -> Report {
        for (key, flow) in self.flows.iter() {
            detectors.flow(key, flow);
        }
        let facts = Facts {
            first_ns: self.first_ns.min(self.last_ns),
            last_ns: self.last_ns,
            ended_ns: self.ended_ns.max(self.last_ns),
            losses,
            one_sided: detectors.is_one_sided(),
            skipped: self.skipped,
        };
        let mut findings = detectors.findings(&facts);
        findings.sort_by(worst_first);
        Report {
            packets: self.packets,
            bytes: self.bytes,
            first: (self.packets > 0).then(|| time(facts.first_ns)).flatten(),
            last: (self.packets > 0).then(|| time(facts.last_ns)).flatten(),
            duration: seconds(facts.last_ns - facts.first_ns),
            complete: losses.map(|losses| losses == Losses::default()),
            findings,
            protocols: detectors.protocols(),
            conversations: self.conversations(),
            hosts: detectors.hosts(),
            series: detectors.series(),
            tcp: detectors.tcp(),
            dns: detectors.dns(),
            tls: detectors.tls(),
            evicted_flows: self.flows.evicted(),
            forgotten_losses: self.detectors.forgotten_losses(),
        }
    }

    fn conversations(&self) -> Vec<Conversation> {
        let most = self.options.conversations;
        let mut flows: Vec<_> = self.flows.iter().enumerate().collect();
        let bytes = |flow: &Flow| flow.bytes[0] + flow.bytes[1];
        let largest_first = |(index, (key, flow)): &(usize, (&FlowKey, &Flow))| {
            let bytes = std::cmp::Reverse(bytes(flow));
            (bytes, flow.first_ns, key.ends, *index)
        };
        // Those that are not told need no order.
        if most < flows.len() {
            flows.select_nth_unstable_by_key(most, largest_first);
            flows.truncate(most);
        }
        flows.sort_unstable_by_key(largest_first);
        let flows = flows.into_iter();
        flows
            .map(|(_, (key, flow))| conversation(key, flow))
            .collect()
    }
}

fn wireshark(flow: &mut Flow, side: Side, seen: &Seen<'_, '_>) -> WiresharkClasses {
    match Segment::of(seen.number, seen.ns, seen.direction, seen.headers) {
        Some(segment) => flow
            .wireshark
            .get_or_insert_default()
            .packet(side, &segment),
        None => WiresharkClasses::default(),
    }
}

fn conversation(key: &FlowKey, flow: &Flow) -> Conversation {
    let (client, server) = (key.end(flow.client), key.end(flow.client.other()));
    let of_both = |figures: [u64; 2]| {
        [
            figures[flow.client.index()],
            figures[flow.client.other().index()],
        ]
    };
    Conversation {
        protocol: match key.protocol {
            1 => "icmp".to_owned(),
            6 => "tcp".to_owned(),
            17 => "udp".to_owned(),
            58 => "icmpv6".to_owned(),
            132 => "sctp".to_owned(),
            other => format!("protocol {other}"),
        },
        client: client.address,
        client_port: client.port,
        server: server.address,
        server_port: server.port,
        packets: of_both(flow.packets),
        bytes: of_both(flow.bytes),
        first: time(flow.first_ns),
        duration: seconds(flow.last_ns - flow.first_ns),
        tcp: tcp_figures(flow, &[flow.client, flow.client.other()]),
        directions: tcp_figures(flow, &[flow.client])
            .zip(tcp_figures(flow, &[flow.client.other()]))
            .map(<[_; 2]>::from),
    }
}

/// The figures of the data of these sides.
fn tcp_figures(flow: &Flow, sides: &[Side]) -> Option<TcpFigures> {
    let connection = flow.tcp.as_ref()?;
    let mut figures = Figures::default();
    let mut segments = 0;
    for side in sides {
        figures.add(&connection.figures(*side));
        segments += flow.packets[side.index()];
    }
    let most = sides.iter().max_by_key(|side| flow.payload[side.index()])?;
    let rtt = match sides {
        [side] => connection.streams[side.index()].rtt.histogram(),
        _ => round_trips(connection),
    };
    let handshake_ns = connection
        .handshake_ns
        .map(|(to_answer, to_ack)| to_answer + to_ack);
    let seen_from = connection.seen_from(*most);
    Some(TcpFigures::new(
        segments,
        &figures,
        handshake_ns,
        &rtt,
        seen_from,
    ))
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// What the capture itself says first, then by severity, confidence, and time.
fn worst_first(one: &Finding, other: &Finding) -> std::cmp::Ordering {
    let rank = |finding: &Finding| {
        (
            finding.code != "capture.lost",
            std::cmp::Reverse((finding.severity, finding.confidence)),
            finding.since,
            finding.code,
        )
    };
    rank(one).cmp(&rank(other))
}
