//! A packet in one line, in the manner of tcpdump: `IP 10.0.0.1.40000 > 10.0.0.2.443: Flags [S], seq 7, win 65535, length 0`.
//!
//! The line is made of the layers that [`fields`](crate::fields::fields) finds, each by the function for its protocol. Bytes
//! of packets are escaped.

mod app;
mod connections;
mod header;
mod icmp;
mod layer;
mod link;
mod network;
mod transport;

use std::fmt::Write as _;

pub use self::connections::Connections;
use self::layer::Layer;
use crate::{fields::Field, frame::Frame};

/// What is said of a packet behind the time and the interface. With `connections` TCP's sequence numbers are counted from
/// the start of each connection.
pub fn line(layers: &[Field], frame: &Frame<'_>, connections: Option<&mut Connections>) -> String {
    let mut line = Line {
        text: String::new(),
        layers,
        frame,
        connections,
    };
    line.packet();
    line.text
}

/// The same with the link header before it, where there is one, as tcpdump's `-e` has it.
pub fn line_with_link_header(
    layers: &[Field],
    frame: &Frame<'_>,
    connections: Option<&mut Connections>,
) -> String {
    let line = line(layers, frame, connections);
    let header = header::link_header(layers, frame);
    if header.is_empty() {
        return line;
    }
    // The link header has named what follows it.
    let named = ["IP ", "IP6 ", "ARP, "];
    let rest = named.iter().find_map(|name| line.strip_prefix(name));
    header + rest.unwrap_or(&line)
}

/// A line under way.
struct Line<'a> {
    text: String,
    layers: &'a [Field],
    frame: &'a Frame<'a>,
    connections: Option<&'a mut Connections>,
}

/// Writing into a text cannot fail.
macro_rules! push {
    ($line:expr, $($argument:tt)*) => {
        let _ = write!($line.text, $($argument)*);
    };
}
use push;

impl<'a> Line<'a> {
    fn layer(&self, place: usize) -> Option<Layer<'a>> {
        self.layers.get(place).map(Layer)
    }

    fn packet(&mut self) {
        let mut place = 0;
        while let Some(layer) = self.layer(place) {
            place += 1;
            match layer.name() {
                "ip" | "ipv6" => place = self.ip(layer, place),
                "tcp" => return self.tcp(layer, place),
                "udp" if self.udp(layer, place) => {}
                "udp" => return,
                "icmp" => return self.icmp(layer, place),
                "icmpv6" => return self.icmpv6(layer),
                "arp" => return self.arp(layer),
                "mpls" => self.mpls(layer),
                "pppoes" => self.pppoe(layer),
                "gre" | "vxlan" | "geneve" | "gtp" | "erspan" => self.tunnel(layer),
                "data" => return self.data(layer, place),
                _ => {}
            }
        }
        self.unknown();
    }

    /// Bytes from where a layer begins to the end of the packet on the wire, as far as that is known.
    fn len_from(&self, offset: u32) -> u32 {
        self.frame.wire_len.saturating_sub(offset)
    }

    fn data(&mut self, layer: Layer<'_>, place: usize) {
        let before = place.checked_sub(2).and_then(|place| self.layer(place));
        match before.map(Layer::name) {
            Some(
                "ip" | "ipv6" | "ipv6.fraghdr" | "ipv6.dstopts" | "ipv6.hopopts" | "ipv6.routing"
                | "ah",
            ) => {}
            Some("eth" | "vlan" | "ieee8021ad" | "sll" | "llc") => self.ether_type(),
            None if place == 1 => {
                push!(self, "link type {}, ", self.frame.link_type);
            }
            _ => {}
        }
        push!(self, "length {}", self.len_from(layer.0.offset));
    }

    /// The frame ends with a layer that says nothing of its own.
    fn unknown(&mut self) {
        if self.text.is_empty() {
            push!(self, "[cut] length {}", self.frame.wire_len);
        }
    }

    fn ether_type(&mut self) {
        let names = ["eth.type", "vlan.etype", "sll.etype", "llc.type"];
        let types = self.layers.iter().rev().map(Layer);
        let kind = types
            .flat_map(|layer| names.map(|name| layer.number(name)))
            .flatten()
            .next();
        match kind {
            Some(kind) => {
                push!(self, "{}, ", header::ether_type_name(kind));
            }
            None => self.text.push_str("802.3, "),
        }
    }
}

#[cfg(test)]
mod tests;
