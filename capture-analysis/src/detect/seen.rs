//! What a detector is given: a packet, and the flow that it belongs to.

use capture_common::Direction;

use crate::{
    decode::Decoded,
    flow::Side,
    tcp::{Connection, Conversation},
};

/// A packet as detectors see it, copies on other interfaces taken out.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'s, 'a> {
    /// As [`Packet::number`](crate::Packet::number).
    pub(crate) number: u64,
    /// As [`Packet::timestamp_ns`](crate::Packet::timestamp_ns).
    pub(crate) ns: u64,
    /// As [`Packet::interface`](crate::Packet::interface).
    pub(crate) interface: u32,
    /// As [`Packet::direction`](crate::Packet::direction).
    pub(crate) direction: Option<Direction>,
    /// The headers.
    pub(crate) headers: &'s Decoded<'a>,
}

/// What is known of one flow. The TCP state and that of the application stand apart, for those flows that have one.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Time of the first packet.
    pub(crate) first_ns: u64,
    /// Time of the latest packet.
    pub(crate) last_ns: u64,
    /// Number of the first packet.
    pub(crate) first_packet: u64,
    /// The end that sent the first packet; of TCP the one that sent the SYN, where it was seen.
    pub(crate) client: Side,
    /// Of each side: packets sent.
    pub(crate) packets: [u64; 2],
    /// Of each side: bytes on the wire of the packets sent.
    pub(crate) bytes: [u64; 2],
    /// Of each side: bytes of payload sent, resends included.
    pub(crate) payload: [u64; 2],
    /// The connection, of TCP.
    pub(crate) tcp: Option<Box<Connection>>,
    /// The same as Wireshark has it, where that is asked for.
    pub(crate) wireshark: Option<Box<Conversation>>,
}
