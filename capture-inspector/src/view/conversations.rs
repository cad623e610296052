//! Who talks with whom: the conversations of a capture with their packets, bytes and times, and of TCP what `capture-analysis`
//! counts too. Of very many those that were silent for longest are forgotten, and counted.

use capture_detect::{
    flow::{End, FlowKey, FlowTable, Side},
    tcp::{Connection, Segment, Shared},
};
use capture_packet::decode::TcpFlags;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{observed::Observed, row::rfc3339};

/// Most conversations that are known at once.
pub(crate) const MOST: usize = 65_536;

/// By what conversations are ordered, what is most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationOrder {
    /// Bytes, both ways.
    #[default]
    Bytes,
    /// Packets, both ways.
    Packets,
    /// The first packet, the earliest first.
    Start,
    /// From the first packet to the last.
    Duration,
}

/// Figures of the end that began, and of the other one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BothWays {
    /// From `a` to `b`.
    pub a: u64,
    /// From `b` to `a`.
    pub b: u64,
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewConversation {
    /// `tcp`, `udp`, `sctp`, `icmp`, `icmpv6`, or the number of the IP protocol.
    pub protocol: String,
    /// Address of the end that began.
    pub a: String,
    /// Its port, where the protocol has ports.
    pub a_port: Option<u16>,
    /// Address of the other end.
    pub b: String,
    /// Its port.
    pub b_port: Option<u16>,
    /// Packets each way.
    pub packets: BothWays,
    /// Bytes on the wire each way.
    pub bytes: BothWays,
    /// Time of the first packet.
    #[schema(format = DateTime)]
    pub first: String,
    /// Time of the last packet.
    #[schema(format = DateTime)]
    pub last: String,
    /// Number of the first packet.
    pub first_packet: u64,
    /// Of TCP: the control bits that were seen, as letters: `SAPF`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
    /// From the SYN to the acknowledgement that completes the handshake, in microseconds, where all of it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<u64>,
    /// The shortest round trip between the ends, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u64>,
    /// Segments that were sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retransmissions: Option<u64>,
    /// Resets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets: Option<u64>,
    /// The display filter of its packets.
    pub filter: String,
}

/// A part of the conversations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Conversations {
    /// In the order that was asked for.
    pub conversations: Vec<ViewConversation>,
    /// Where the next page begins, if there is one.
    #[schema(required = true, pattern = "^[0-9]+$")]
    pub next_cursor: Option<String>,
    /// How many there are.
    pub total: u64,
    /// How many more were seen, and forgotten as there were too many at once.
    pub forgotten: u64,
    /// Packets that were looked at.
    pub searched: u64,
    /// Whether these are all packets.
    pub complete: bool,
}

/// The conversations so far.
pub(crate) struct ConversationTable {
    flows: FlowTable<Talk>,
    /// Earlier connections between the same ports, as far as there is room.
    ended: Vec<(FlowKey, Talk)>,
    most: usize,
    /// Those for which there was no room.
    not_kept: u64,
    shared: Shared,
}

/// What is known of a conversation.
#[derive(Debug)]
struct Talk {
    /// The end that began.
    client: Side,
    packets: [u64; 2],
    bytes: [u64; 2],
    first_ns: u64,
    last_ns: u64,
    first_packet: u64,
    flags: u16,
    tcp: Option<Box<Connection>>,
}

impl Default for ConversationTable {
    fn default() -> Self {
        Self::new(MOST)
    }
}

impl ConversationTable {
    fn new(most: usize) -> Self {
        Self {
            flows: FlowTable::new(most),
            ended: Vec::new(),
            most,
            not_kept: 0,
            shared: Shared::default(),
        }
    }

    /// Takes the next packet of the capture.
    pub(crate) fn packet(&mut self, packet: &Observed<'_, '_>) {
        let headers = packet.headers;
        let Some((key, side)) = FlowKey::of(headers) else {
            return;
        };
        let segment = Segment::of(packet.number, packet.ns, packet.direction, headers);
        let id = self
            .flows
            .get_or_insert(&key, || Talk::new(packet, side), |_, _| ());
        let talk = self.flows.get_mut(id);
        if let (Some(segment), Some(old)) = (&segment, &talk.tcp)
            && old.is_reused(side, segment)
        {
            let old = std::mem::replace(talk, Talk::new(packet, side));
            match self.ended.len() < self.most {
                true => self.ended.push((key, old)),
                false => self.not_kept += 1,
            }
        }
        talk.packets[side.index()] += 1;
        talk.bytes[side.index()] += u64::from(headers.wire_len);
        talk.last_ns = talk.last_ns.max(packet.ns);
        talk.first_ns = talk.first_ns.min(packet.ns);
        if let Some(tcp) = headers.tcp() {
            talk.flags |= tcp.flags.0;
        }
        let (Some(segment), Some(ip)) = (segment, &headers.ip) else {
            return;
        };
        let hash = self
            .shared
            .fingerprints
            .look_ahead(headers, ip, segment.tcp);
        let connection = talk.tcp.get_or_insert_with(|| {
            let is_loopback = ip.source == ip.destination;
            Box::new(Connection::new(side, &segment, is_loopback))
        });
        connection.packet(side, &segment, hash, &mut self.shared);
        talk.client = connection.client;
    }

    /// A part of them in an order, from a place on.
    pub(crate) fn page(
        &self,
        order: ConversationOrder,
        from: usize,
        limit: usize,
    ) -> Conversations {
        let mut all: Vec<(&FlowKey, &Talk)> = self.flows.iter().collect();
        all.extend(self.ended.iter().map(|(key, talk)| (key, talk)));
        // What is equal stands as it began, so that pages fit together.
        all.sort_unstable_by_key(|(_, talk)| {
            let most_first = match order {
                ConversationOrder::Bytes => talk.bytes[0].saturating_add(talk.bytes[1]),
                ConversationOrder::Packets => talk.packets[0] + talk.packets[1],
                ConversationOrder::Start => u64::MAX - talk.first_ns,
                ConversationOrder::Duration => talk.last_ns - talk.first_ns,
            };
            (std::cmp::Reverse(most_first), talk.first_packet)
        });
        let page = all.iter().skip(from).take(limit);
        let next = from.saturating_add(limit);
        Conversations {
            next_cursor: (next < all.len()).then(|| next.to_string()),
            conversations: page.map(|(key, talk)| talk.describe(key)).collect(),
            total: all.len() as u64,
            forgotten: self.flows.evicted() + self.not_kept,
            searched: 0,
            complete: false,
        }
    }
}

impl Talk {
    fn new(packet: &Observed<'_, '_>, side: Side) -> Self {
        Self {
            client: side,
            packets: [0; 2],
            bytes: [0; 2],
            first_ns: packet.ns,
            last_ns: packet.ns,
            first_packet: packet.number,
            flags: 0,
            tcp: None,
        }
    }

    fn describe(&self, key: &FlowKey) -> ViewConversation {
        let (a, b) = (key.end(self.client), key.end(self.client.other()));
        let both = |figures: [u64; 2]| BothWays {
            a: figures[self.client.index()],
            b: figures[self.client.other().index()],
        };
        let has_ports = matches!(key.protocol, 6 | 17 | 132 | 136);
        let tcp = self.tcp.as_deref();
        let sum = |count: fn(&capture_detect::tcp::Figures) -> u32| {
            tcp.map(|tcp| {
                let figures = [Side::Low, Side::High].map(|side| count(&tcp.figures(side)));
                figures.map(u64::from).iter().sum()
            })
        };
        let round_trip = tcp.map(Connection::round_trip_ns);
        let handshake = tcp.and_then(|tcp| tcp.handshake_ns);
        ViewConversation {
            protocol: protocol(key.protocol),
            a: a.address.to_string(),
            a_port: has_ports.then_some(a.port),
            b: b.address.to_string(),
            b_port: has_ports.then_some(b.port),
            packets: both(self.packets),
            bytes: both(self.bytes),
            first: rfc3339(self.first_ns).unwrap_or_default(),
            last: rfc3339(self.last_ns).unwrap_or_default(),
            first_packet: self.first_packet,
            flags: tcp.map(|_| letters(self.flags)),
            handshake_us: handshake.map(|(answer, ack)| (answer + ack) / 1000),
            rtt_us: round_trip.filter(|ns| *ns > 0).map(|ns| ns / 1000),
            retransmissions: sum(|figures| figures.retransmissions),
            resets: sum(|figures| figures.resets),
            filter: conversation_filter(key.protocol, a, b),
        }
    }
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

fn letters(flags: u16) -> String {
    let named = [
        (TcpFlags::SYN, 'S'),
        (TcpFlags::ACK, 'A'),
        (TcpFlags::PSH, 'P'),
        (TcpFlags::URG, 'U'),
        (TcpFlags::FIN, 'F'),
        (TcpFlags::RST, 'R'),
    ];
    let seen = named.iter().filter(|(bit, _)| flags & bit != 0);
    seen.map(|(_, letter)| *letter).collect()
}

/// The display filter of what two ends say to each other, as Wireshark makes it.
pub(crate) fn conversation_filter(protocol: u8, a: End, b: End) -> String {
    let ip = if a.address.is_v4() { "ip" } else { "ipv6" };
    let (a_address, b_address) = (a.address, b.address);
    let hosts = format!("({ip}.addr eq {a_address} and {ip}.addr eq {b_address})");
    let ports = match protocol {
        6 => "tcp",
        17 => "udp",
        132 => "sctp",
        1 => return format!("{hosts} and icmp"),
        58 => return format!("{hosts} and icmpv6"),
        _ => return hosts,
    };
    format!(
        "{hosts} and ({ports}.port eq {} and {ports}.port eq {})",
        a.port, b.port
    )
}
