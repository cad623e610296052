//! From what a reader lends to text.

use std::{collections::HashMap, fmt::Write as _, ops::ControlFlow};

use capture_common::Direction;
use capture_file::read::{Item, Packet};
use capture_packet::{
    fields::{self, Field, Value},
    frame::{Clock, Frame},
    line::{Connections, line, line_with_link_header},
};
use capture_task::printable;
use jiff::tz::TimeZone;

use super::{
    packet::{PacketRecord, direction_word},
    style::Style,
    time, tree,
};

/// Prints the packets of one file.
pub(crate) struct Printer {
    style: Style,
    /// Packets that may still be printed.
    left: u64,
    interfaces: HashMap<u32, Interface>,
    /// Of all packets, for filters.
    clock: Clock,
    /// Of those that are printed.
    shown: Clock,
    connections: Connections,
    zone: TimeZone,
    /// What is printed of a packet, kept for its memory.
    text: String,
}

#[derive(Default)]
struct Interface {
    link_type: u16,
    name: Option<String>,
}

impl Printer {
    /// Prints `left` packets at most.
    pub(crate) fn new(style: Style, left: u64) -> Self {
        Self {
            style,
            left,
            interfaces: HashMap::new(),
            clock: Clock::default(),
            shown: Clock::default(),
            connections: Connections::default(),
            zone: TimeZone::system(),
            text: String::new(),
        }
    }

    /// Packets that may still be printed.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// What was made of the last item.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Makes text of the next part of a file; break where nothing more is to be printed.
    pub(crate) fn item(&mut self, item: Item<'_>) -> ControlFlow<()> {
        self.text.clear();
        match item {
            Item::Interface(interface) => {
                let described = Interface {
                    link_type: interface.link_type,
                    name: interface.name.as_deref().map(printable),
                };
                self.interfaces.insert(interface.id, described);
            }
            Item::Packet(packet) => self.packet(&packet),
            _ => {}
        }
        match self.left {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn packet(&mut self, packet: &Packet<'_>) {
        let unknown = Interface::default();
        let interface = self.interfaces.get(&packet.interface).unwrap_or(&unknown);
        let frame = Frame {
            number: packet.number,
            time: self.clock.next(packet.timestamp_ns),
            link_type: interface.link_type,
            wire_len: packet.original_len.max(packet.data.len() as u32),
            interface: packet.interface,
            interface_name: interface.name.as_deref(),
            data: packet.data,
        };
        let layers = fields::fields(frame.link_type, frame.data);
        let passes = self.style.filter.as_ref();
        if !passes.is_none_or(|filter| filter.matches_fields(&frame, &layers)) || self.left == 0 {
            return;
        }
        self.left -= 1;
        let connections = self.style.relative_numbers.then_some(&mut self.connections);
        let info = match self.style.link_header && !self.style.json {
            true => line_with_link_header(&layers, &frame, connections),
            false => line(&layers, &frame, connections),
        };
        let shown = Frame {
            time: self.shown.next(packet.timestamp_ns),
            ..frame
        };
        if self.style.json {
            json(&mut self.text, &frame, packet, &info, &layers);
        } else {
            let Self {
                style, text, zone, ..
            } = self;
            human(style, text, zone, &shown, packet.direction, &info, &layers);
        }
    }
}

/// One object on a line.
fn json(text: &mut String, frame: &Frame<'_>, packet: &Packet<'_>, info: &str, layers: &[Field]) {
    let record = PacketRecord {
        number: frame.number,
        time: packet.timestamp_ns.and_then(time::rfc3339),
        interface: frame.interface_name,
        direction: packet.direction.map(direction_word),
        length: frame.wire_len,
        captured: frame.data.len(),
        info,
        fields: layers,
    };
    // Nothing in it can fail to be JSON.
    if let Ok(line) = serde_json::to_string(&record) {
        text.push_str(&line);
        text.push('\n');
    }
}

/// A line, and below it what else was asked for.
fn human(
    style: &Style,
    text: &mut String,
    zone: &TimeZone,
    frame: &Frame<'_>,
    direction: Option<Direction>,
    info: &str,
    layers: &[Field],
) {
    if style.number {
        let _ = write!(text, "{:>5}  ", frame.number);
    }
    time::push(text, style.time, frame.time, zone);
    place(text, frame, direction, layers);
    text.push_str(info);
    text.push('\n');
    if style.tree {
        tree::push(text, layers, frame.data);
    }
    if let Some(dump) = style.dump {
        dump.push(text, layers, frame.data);
    }
}

/// Interface and direction, where the file has them, as wide as tcpdump's.
fn place(text: &mut String, frame: &Frame<'_>, direction: Option<Direction>, layers: &[Field]) {
    let cooked = layers.first().filter(|layer| layer.name == "sll");
    let number = |name| {
        let field = cooked?.fields.iter().find(|field| field.name == name)?;
        match field.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    };
    let way = match (direction, number("sll.pkttype")) {
        (Some(Direction::Ingress), _) | (None, Some(0)) => "In",
        (Some(Direction::Egress), _) | (None, Some(4)) => "Out",
        (None, Some(1)) => "B",
        (None, Some(2)) => "M",
        (None, Some(3)) => "P",
        (None, _) => "",
    };
    match (frame.interface_name, number("sll.ifindex")) {
        (Some(name), _) => {
            let _ = write!(text, "{name:<5} ");
        }
        (None, Some(index)) => {
            let _ = write!(text, "if{index:<3} ");
        }
        (None, None) => {}
    }
    if !way.is_empty() {
        let _ = write!(text, "{way:<3} ");
    }
}
