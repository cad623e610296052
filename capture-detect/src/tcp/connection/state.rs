//! What is remembered of events of a connection.

use crate::flow::Side;

/// A reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Number of its packet.
    pub number: u64,
    pub ns: u64,
    /// Whom it claims to come from.
    pub by: Side,
    pub ttl: u8,
    /// Time to live of the packets of that side before.
    pub usual_ttl: Option<u8>,
    /// Neither end had said that it is done, and data had gone.
    pub is_mid: bool,
    /// Something was outstanding or asked for.
    pub is_open: bool,
    /// It answers the first data after a long silence.
    pub after_idle: bool,
    /// The sender went on as if it had not sent it.
    pub went_on: bool,
    pub(super) end: u32,
}

/// A window that was closed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Closed {
    /// Since when it is; 0 where it is open.
    pub(super) since_ns: u64,
    pub(super) all_ns: u64,
    pub(super) longest_ns: u64,
}
