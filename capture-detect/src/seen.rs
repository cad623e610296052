//! What a detector is given: a packet, and the flow that it belongs to.

use capture_common::Direction;

use crate::{
    application::Application,
    decode::Decoded,
    flow::Side,
    tcp::{Connection, Conversation},
};

/// A packet as detectors see it, copies on other interfaces taken out.
#[derive(Clone, Copy)]
pub struct Seen<'s, 'a> {
    /// As [`Packet::number`](crate::Packet::number).
    pub number: u64,
    /// As [`Packet::timestamp_ns`](crate::Packet::timestamp_ns).
    pub ns: u64,
    /// As [`Packet::interface`](crate::Packet::interface).
    pub interface: u32,
    /// As [`Packet::direction`](crate::Packet::direction).
    pub direction: Option<Direction>,
    /// The headers.
    pub headers: &'s Decoded<'a>,
    /// Its hashes.
    pub hashes: Hashes,
}

/// Hashes of a packet by which detectors look for others, known early so that their places are in the cache by then; 0
/// where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashes {
    /// Of what stays the same of a packet on its way.
    pub passed: u64,
    /// Of all that a segment says.
    pub segment: u64,
    /// Of where the payload of a segment lies in its stream.
    pub place: u64,
}

/// What is known of one flow. The TCP state and that of the application stand apart, for those flows that have one.
#[derive(Debug)]
pub struct Flow {
    /// Time of the first packet.
    pub first_ns: u64,
    /// Time of the latest packet.
    pub last_ns: u64,
    /// Number of the first packet.
    pub first_packet: u64,
    /// The end that sent the first packet; of TCP the one that sent the SYN, where it was seen.
    pub client: Side,
    /// Of each side: packets sent.
    pub packets: [u64; 2],
    /// Of each side: bytes on the wire of the packets sent.
    pub bytes: [u64; 2],
    /// Of each side: bytes of payload sent, resends included.
    pub payload: [u64; 2],
    /// The connection, of TCP.
    pub tcp: Option<Box<Connection>>,
    /// What it carries.
    pub application: Application,
    /// The same as Wireshark has it, where that is asked for.
    pub wireshark: Option<Box<Conversation>>,
}
