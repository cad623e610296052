//! The whole answer: totals, findings, conversations.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{address::Address, detect::net::dns::DnsReport, finding::Finding};

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
    /// The flows with the most bytes.
    pub conversations: Vec<Conversation>,
    /// DNS; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsReport>,
    /// Flows that had to give way to others, and whose figures end early.
    pub evicted_flows: u64,
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
}
