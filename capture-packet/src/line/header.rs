//! The link header, as tcpdump's `-e` shows it.

use std::fmt::Write as _;

use super::layer::{Layer, shown};
use crate::{fields::Field, frame::Frame};

/// What an EtherType is called.
pub(super) fn ether_type_name(kind: u64) -> String {
    let name = match kind {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x8035 => "Reverse ARP",
        0x8100 => "802.1Q",
        0x86dd => "IPv6",
        0x8808 => "MPCP",
        0x8809 => "Slow Protocols",
        0x8847 => "MPLS unicast",
        0x8848 => "MPLS multicast",
        0x8863 => "PPPoE D",
        0x8864 => "PPPoE S",
        0x888e => "EAPOL",
        0x88a8 => "802.1Q-QinQ",
        0x88cc => "LLDP",
        0x88e5 => "MACsec",
        0x9100 => "802.1Q-9100",
        _ => return format!("ethertype Unknown (0x{kind:04x})"),
    };
    format!("ethertype {name} (0x{kind:04x})")
}

/// The link header as tcpdump's `-e` has it, with a colon and a blank behind it; empty where there is none.
pub(super) fn link_header(layers: &[Field], frame: &Frame<'_>) -> String {
    let mut text = String::new();
    for layer in layers.iter().map(Layer) {
        let number = |name| layer.number(name).unwrap_or(0);
        let _ = match layer.name() {
            "eth" => {
                let [source, destination] =
                    ["eth.src", "eth.dst"].map(|name| shown(layer.value(name)));
                let kind = match layer.number("eth.type") {
                    Some(kind) => ether_type_name(kind),
                    None => "802.3".to_owned(),
                };
                write!(
                    text,
                    "{source} > {destination}, {kind}, length {}: ",
                    frame.wire_len
                )
            }
            "sll" => {
                let way = match number("sll.pkttype") {
                    0 => "In",
                    1 => "B",
                    2 => "M",
                    3 => "P",
                    4 => "Out",
                    _ => "?",
                };
                let kind = ether_type_name(number("sll.etype"));
                write!(text, "{way} {kind}, length {}: ", frame.wire_len)
            }
            "vlan" => {
                let kind = ether_type_name(number("vlan.etype"));
                let (id, priority) = (number("vlan.id"), number("vlan.priority"));
                write!(text, "vlan {id}, p {priority}, {kind}, ")
            }
            "ieee8021ad" => {
                let (id, priority) = (number("ieee8021ad.id"), number("ieee8021ad.priority"));
                write!(text, "vlan {id}, p {priority}, ")
            }
            "null" | "ppp" | "llc" => Ok(()),
            _ => break,
        };
    }
    text
}
