//! The packets that pass a display filter, by the names and numbers that they have in their file.

use std::collections::HashMap;

use capture_analysis::{Packet, PacketId};
use capture_packet::{
    filter::Filter,
    frame::{Clock, Frame},
};

/// A filter, and what it is told of a capture.
pub(crate) struct Chosen {
    filter: Filter,
    interfaces: HashMap<u32, (u16, Option<String>)>,
    clock: Clock,
}

impl Chosen {
    pub(crate) fn new(filter: Filter) -> Self {
        Self {
            filter,
            interfaces: HashMap::new(),
            clock: Clock::default(),
        }
    }

    pub(crate) fn interface(&mut self, number: u32, link_type: u16, name: Option<String>) {
        self.interfaces.insert(number, (link_type, name));
    }

    pub(crate) fn passes(&mut self, packet: &Packet<'_>) -> bool {
        let (link_type, name) = match self.interfaces.get(&packet.interface) {
            Some((link_type, name)) => (*link_type, name.as_deref()),
            None => return false,
        };
        let number = match PacketId::unpacked(packet.number) {
            PacketId::Number(number) | PacketId::OfFile { number, .. } => number,
        };
        self.filter.matches(&Frame {
            number,
            time: self.clock.next(Some(packet.timestamp_ns)),
            link_type,
            wire_len: packet.original_len.max(packet.data.len() as u32),
            interface: packet.interface,
            interface_name: name,
            data: packet.data,
        })
    }
}
