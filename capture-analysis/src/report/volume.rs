//! How much there is of what in the report. Packets that were captured twice count once.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::address::Address;

/// A protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProtocolVolume {
    /// What carries it, and it, by the names of Wireshark: `ip`, `ip:tcp`, `ip:tcp:http`. Of a tunnel the inner headers.
    pub path: String,
    /// Packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HostVolume {
    /// Its address; a group that is sent to has one as well.
    #[schema(value_type = String)]
    pub address: Address,
    /// Packets that it sent.
    pub packets_out: u64,
    /// Packets that were sent to it.
    pub packets_in: u64,
    /// Bytes on the wire that it sent.
    pub bytes_out: u64,
    /// Bytes on the wire that were sent to it.
    pub bytes_in: u64,
    /// Flows that it takes part in.
    pub conversations: u64,
}

/// Figures over time, in at most 256 intervals of one length.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Series {
    /// When the first interval begins.
    #[schema(value_type = Option<String>)]
    pub start: Option<Timestamp>,
    /// Length of each interval in seconds.
    pub interval: f64,
    /// Packets of each.
    pub packets: Vec<u64>,
    /// Their bytes on the wire.
    pub bytes: Vec<u64>,
    /// TCP packets that their sender sent again; left out where there were none at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmissions: Option<Vec<u64>>,
    /// Median of the round trips in microseconds, within a fifth; `null` where there were none, and left out where there
    /// were none at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_p50_us: Option<Vec<Option<u64>>>,
    /// 95th percentile of the round trips, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_p95_us: Option<Vec<Option<u64>>>,
}
