//! The whole answer: totals, findings, conversations.

mod volume;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{
        Ref, Schema,
        schema::{AnyOfBuilder, ObjectBuilder},
    },
};

pub use self::volume::{HostVolume, ProtocolVolume, Series};
use crate::{
    DnsReport, TlsReport,
    address::Address,
    finding::Finding,
    histogram::Histogram,
    tcp::{Figures, SeenFrom},
};

/// What a capture says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Report {
    /// Packets that were read.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Time of the earliest packet, RFC 3339 with nanoseconds.
    #[schema(value_type = Option<String>)]
    pub first: Option<Timestamp>,
    /// Time of the latest packet.
    #[schema(value_type = Option<String>)]
    pub last: Option<Timestamp>,
    /// Seconds from the first to the last.
    pub duration: f64,
    /// Whether the capture lost nothing; `null` where the file does not say.
    pub complete: Option<bool>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// Packets and bytes by protocol, each behind the one that carries it.
    pub protocols: Vec<ProtocolVolume>,
    /// The flows with the most bytes.
    pub conversations: Vec<Conversation>,
    /// The addresses with the most bytes.
    pub hosts: Vec<HostVolume>,
    /// Figures over time; left out without packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// The figures of all TCP connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpTotal>,
    /// DNS; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsReport>,
    /// TLS; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsReport>,
    /// Flows that had to give way to others, and whose figures end early.
    pub evicted_flows: u64,
    /// Directions of TCP data of which losses had to be forgotten as others had some too: resends that fill them count as
    /// not needed.
    pub forgotten_losses: u64,
}

/// One flow.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Conversation {
    /// `tcp`, `udp`, or the number of the IP protocol.
    pub protocol: String,
    /// The end that began.
    #[schema(value_type = String)]
    pub client: Address,
    /// Its port.
    pub client_port: u16,
    /// The other end.
    #[schema(value_type = String)]
    pub server: Address,
    /// Its port.
    pub server_port: u16,
    /// Packets from the client, and from the server.
    pub packets: [u64; 2],
    /// Bytes on the wire, likewise.
    pub bytes: [u64; 2],
    /// Time of the first packet.
    #[schema(value_type = Option<String>)]
    pub first: Option<Timestamp>,
    /// Seconds from the first packet to the last.
    pub duration: f64,
    /// The figures of a TCP connection, both directions together.
    #[serde(flatten)]
    #[schema(schema_with = tcp_figures_or_nothing)]
    pub tcp: Option<TcpFigures>,
    /// The figures of the data from the client, and from the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directions: Option<[TcpFigures; 2]>,
}

/// Flattened, `null` is not there at all: what utoipa makes of an option would refuse it.
fn tcp_figures_or_nothing() -> Schema {
    let nothing = ObjectBuilder::new().description(Some("Not of TCP."));
    let either = AnyOfBuilder::new().item(Ref::from_schema_name("TcpFigures"));
    Schema::AnyOf(either.item(nothing).build())
}

/// All TCP connections together.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TcpTotal {
    /// Bytes on the wire.
    pub bytes: u64,
    /// The figures.
    #[serde(flatten)]
    pub figures: TcpFigures,
}

/// What is counted of TCP. Resends and losses are segments, where a frame of an offload holds several.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TcpFigures {
    /// Packets.
    pub segments: u64,
    /// Segments that their sender sent again.
    pub retransmissions: u64,
    /// Those of them sent by fast retransmit or SACK recovery (RFC 5681, 6675).
    pub fast_retransmissions: u64,
    /// How often a retransmission timer expired (RFC 6298).
    pub timeouts: u64,
    /// Tail-loss probes among the resends (RFC 8985).
    pub tail_loss_probes: u64,
    /// Resends that were not needed, as what they repeat had arrived.
    pub spurious_retransmissions: u64,
    /// Packets that arrived after others that were sent later.
    pub reordered: u64,
    /// Packets that the network delivered twice.
    pub network_duplicates: u64,
    /// Segments that were lost before they came past the capture.
    pub lost_before_capture: u64,
    /// Segments that were acknowledged, and that the capture never saw.
    pub not_captured: u64,
    /// Announcements of a closed window.
    pub zero_window: u64,
    /// Segments that filled the window of the receiver.
    pub window_full: u64,
    /// Keep-alives.
    pub keep_alives: u64,
    /// Resets.
    pub resets: u64,
    /// From the SYN to the end of the handshake, in microseconds; the median of several connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake_us: Option<u64>,
    /// Round trips in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<Microseconds>,
    /// Where most of the data was seen from.
    pub seen_from: SeenFrom,
}

/// Durations in microseconds. The quantiles are within a fifth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Microseconds {
    /// The shortest.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// The 95th percentile.
    pub p95: u64,
}

impl Microseconds {
    pub(crate) fn of(durations: &Histogram) -> Option<Self> {
        (!durations.is_empty()).then(|| Self {
            min: durations.min_ns() / 1000,
            p50: durations.quantile_ns(0.5) / 1000,
            p95: durations.quantile_ns(0.95) / 1000,
        })
    }
}

impl TcpFigures {
    pub(crate) fn new(
        segments: u64,
        figures: &Figures,
        handshake_ns: Option<u64>,
        rtt: &Histogram,
        seen_from: SeenFrom,
    ) -> Self {
        Self {
            segments,
            retransmissions: figures.retransmissions.into(),
            fast_retransmissions: figures.fast.into(),
            timeouts: figures.timeouts.into(),
            tail_loss_probes: figures.probes.into(),
            spurious_retransmissions: figures.spurious.into(),
            reordered: figures.reordered.into(),
            network_duplicates: figures.network_duplicates.into(),
            lost_before_capture: figures.lost_before.into(),
            not_captured: figures.missed.into(),
            zero_window: figures.zero_window.into(),
            window_full: figures.window_full.into(),
            keep_alives: figures.keep_alives.into(),
            resets: figures.resets.into(),
            handshake_us: handshake_ns.map(|ns| ns / 1000),
            rtt_us: Microseconds::of(rtt),
            seen_from,
        }
    }
}
