//! A part of a stream, as an answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stream::StreamSide;

/// Bytes of both sides of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamBytes {
    /// Of the end that began.
    pub client: u64,
    /// Of the other end.
    pub server: u64,
}

impl From<[u64; 2]> for StreamBytes {
    fn from([client, server]: [u64; 2]) -> Self {
        Self { client, server }
    }
}

/// Bytes of a stream that one packet brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// Which end sent it.
    pub side: StreamSide,
    /// Number of the packet.
    pub number: u64,
    /// Its time.
    #[schema(format = DateTime)]
    pub time: String,
    /// Bytes of this end before it, missing ones included.
    pub offset: u64,
    /// The bytes, in base 64.
    pub data: String,
    /// Bytes of this end that the capture does not have and that come right before these.
    pub gap: u64,
}

/// A part of a stream. Segments stand in the order in which they could be read by the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamPart {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The end that began: `ADDRESS:PORT`, an IPv6 address in brackets.
    pub client: String,
    /// The other end.
    pub server: String,
    /// Bytes of each end, so far.
    pub bytes: StreamBytes,
    /// The segments, at most 1 MiB of bytes.
    pub segments: Vec<Segment>,
    /// What to give as `from` for those that follow; `null` where these are the last ones so far.
    #[schema(required = true)]
    pub next: Option<u64>,
    /// Whether the stream is longer than what can be shown of it.
    pub cut: bool,
    /// Packets that were looked at.
    pub searched: u64,
    /// Whether all packets were looked at that may belong to it. If not, ask again.
    pub complete: bool,
    /// Whether more of it may come.
    pub growing: bool,
}
