//! What lies between the link header and IP, and ARP.

use std::fmt::Write as _;

use super::{
    Line,
    layer::{Layer, shown},
    push,
};
use crate::fields::Value;

impl Line<'_> {
    pub(super) fn mpls(&mut self, layer: Layer<'_>) {
        let number = |name| layer.number(name).unwrap_or(0);
        let bottom = if number("mpls.bottom") == 0 {
            ""
        } else {
            "[S], "
        };
        push!(
            self,
            "MPLS (label {}, tc {}, {bottom}ttl {}) ",
            number("mpls.label"),
            number("mpls.exp"),
            number("mpls.ttl")
        );
    }

    pub(super) fn pppoe(&mut self, layer: Layer<'_>) {
        let session = layer.number("pppoe.session_id").unwrap_or(0);
        push!(self, "PPPoE [ses 0x{session:x}] ");
    }

    pub(super) fn arp(&mut self, layer: Layer<'_>) {
        let value = |name| shown(layer.value(name));
        let (sender, target) = (value("arp.src.proto_ipv4"), value("arp.dst.proto_ipv4"));
        let len = self.len_from(layer.0.offset);
        match layer.number("arp.opcode") {
            Some(1) => {
                // Zeros, unless the sender knows whom it asks.
                let known = match layer.value("arp.dst.hw_mac") {
                    Some(Value::Mac(mac)) if mac.0 != [0; 6] => format!(" ({mac})"),
                    _ => String::new(),
                };
                push!(
                    self,
                    "ARP, Request who-has {target}{known} tell {sender}, length {len}"
                );
            }
            Some(2) => {
                let mac = value("arp.src.hw_mac");
                push!(self, "ARP, Reply {sender} is-at {mac}, length {len}");
            }
            Some(other) => {
                push!(self, "ARP, operation {other}, length {len}");
            }
            None => {
                push!(self, "ARP [|arp], length {len}");
            }
        }
    }
}
