//! A packet as JSON.

use capture_common::Direction;
use capture_packet::fields::Field;
use serde::Serialize;

/// One object a packet.
#[derive(Serialize)]
pub(super) struct PacketRecord<'a> {
    /// Number in the file, from 1.
    pub(super) number: u64,
    /// RFC 3339 with nanoseconds; null where the file has none.
    pub(super) time: Option<String>,
    /// Name of the interface, where the file has it.
    pub(super) interface: Option<&'a str>,
    /// `ingress` or `egress`, where the file says so.
    pub(super) direction: Option<&'static str>,
    /// Bytes on the wire.
    pub(super) length: u32,
    /// Bytes captured.
    pub(super) captured: usize,
    /// What the line says.
    pub(super) info: &'a str,
    /// The layers and their fields.
    pub(super) fields: &'a [Field],
}

/// The word of the API for a direction.
pub(super) fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}
