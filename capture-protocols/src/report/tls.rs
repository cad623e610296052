//! TLS in the report: how much, of which version, to which servers, and by which clients.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// Who speaks TLS with whom.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TlsReport {
    /// Connections in which a client said hello, over TCP or QUIC.
    pub connections: u64,
    /// Those of them over QUIC.
    pub over_quic: u64,
    /// How many servers answered with which version.
    pub versions: BTreeMap<&'static str, u64>,
    /// The names of servers that were asked for most often (SNI).
    pub names: Vec<TlsName>,
    /// The fingerprints of clients that were seen most often.
    pub clients: Vec<TlsClient>,
}

/// A server and how often it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TlsName {
    /// The name, in lower case, what cannot be shown escaped.
    pub name: String,
    /// Connections. Of names that are rare too few may be counted, never too many.
    pub connections: u64,
}

/// A fingerprint and how often it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TlsClient {
    /// JA4 of the ClientHello: the same program with the same library has the same.
    pub ja4: String,
    /// Connections, counted as those of a name.
    pub connections: u64,
}
