//! IP and the tunnels in it.

use std::fmt::Write as _;

use super::{
    Line,
    layer::{Layer, shown},
    push,
};

/// What a protocol number is called, as tcpdump calls it.
fn protocol_name(number: u64) -> String {
    let name = match number {
        1 => "ICMP",
        2 => "igmp",
        4 => "IP-in-IP",
        6 => "tcp",
        17 => "udp",
        41 => "IPv6-in-IP",
        47 => "GREv0",
        50 => "ESP",
        51 => "AH",
        58 => "ICMP6",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        132 => "sctp",
        _ => return format!("ip-proto-{number}"),
    };
    name.to_owned()
}

impl<'a> Line<'a> {
    /// An IP header and its extension headers; `next` is the layer behind it. Gives the layer to go on with.
    pub(super) fn ip(&mut self, ip: Layer<'a>, mut next: usize) -> usize {
        let is_v4 = ip.name() == "ip";
        let mut extensions = String::new();
        let mut fragment = is_v4.then(|| {
            let offset = ip.number("ip.frag_offset").unwrap_or(0);
            (offset, ip.is_set("ip.flags.mf"))
        });
        let mut protocol = ip.number("ip.proto").or(ip.number("ipv6.nxt"));
        while let Some(extension) = self.layer(next) {
            protocol = match extension.name() {
                "ipv6.hopopts" => {
                    extensions.push_str("HBH ");
                    extension.number("ipv6.hopopts.nxt")
                }
                "ipv6.dstopts" => {
                    extensions.push_str("DSTOPT ");
                    extension.number("ipv6.dstopts.nxt")
                }
                "ipv6.routing" => {
                    extensions.push_str("srcrt ");
                    extension.number("ipv6.routing.nxt")
                }
                "ipv6.fraghdr" => {
                    let offset = extension.number("ipv6.fraghdr.offset").unwrap_or(0) * 8;
                    fragment = Some((offset, extension.is_set("ipv6.fraghdr.more")));
                    extension.number("ipv6.fraghdr.nxt")
                }
                "ah" => {
                    extensions.push_str("AH ");
                    extension.number("ah.next_header")
                }
                _ => break,
            };
            next += 1;
        }
        self.text.push_str(if is_v4 { "IP " } else { "IP6 " });
        self.endpoints(ip, self.layer(next));
        self.text.push_str(&extensions);
        if let Some((offset, more)) = fragment.filter(|(offset, more)| *offset > 0 || *more) {
            let more = if more { ", more" } else { "" };
            push!(self, "frag {offset}{more} ");
        }
        let protocol = protocol.unwrap_or(0);
        match self.layer(next) {
            None => {
                push!(self, "{} [cut]", protocol_name(protocol));
            }
            Some(carried) if carried.name() == "data" => {
                push!(self, "{}, ", protocol_name(protocol));
            }
            Some(carried) if carried.name() == "sctp" => {
                push!(self, "sctp, length {}", carried_len(ip));
                return self.layers.len();
            }
            Some(_) => {}
        }
        next
    }

    /// Both ends with their ports, where what is carried has some.
    fn endpoints(&mut self, ip: Layer<'_>, carried: Option<Layer<'_>>) {
        let addresses = match ip.name() {
            "ip" => ["ip.src", "ip.dst"],
            _ => ["ipv6.src", "ipv6.dst"],
        };
        let [from, to] = addresses.map(|name| shown(ip.value(name)));
        let ports = carried.and_then(ports);
        match ports {
            Some((source, destination)) => {
                push!(self, "{from}.{source} > {to}.{destination}: ");
            }
            None => {
                push!(self, "{from} > {to}: ");
            }
        }
    }

    pub(super) fn tunnel(&mut self, layer: Layer<'_>) {
        let number = |name| layer.number(name).unwrap_or(0);
        match layer.name() {
            "gre" => {
                push!(self, "GREv0, length {}: ", self.len_from(layer.0.offset));
            }
            "vxlan" => {
                push!(self, "VXLAN, vni {}: ", number("vxlan.vni"));
            }
            "geneve" => {
                push!(self, "Geneve, vni 0x{:x}: ", number("geneve.vni"));
            }
            "gtp" => {
                push!(self, "GTP-U, teid 0x{:x}: ", number("gtp.teid"));
            }
            _ => {
                push!(self, "ERSPAN, session {}: ", number("erspan.spanid"));
            }
        }
    }
}

/// Source and destination port of a transport.
pub(super) fn ports(layer: Layer<'_>) -> Option<(u64, u64)> {
    let names = match layer.name() {
        "tcp" => ["tcp.srcport", "tcp.dstport"],
        "udp" => ["udp.srcport", "udp.dstport"],
        "sctp" => ["sctp.srcport", "sctp.dstport"],
        _ => return None,
    };
    let [source, destination] = names.map(|name| layer.number(name));
    source.zip(destination)
}

/// Bytes that an IP packet carries, as its header says.
pub(super) fn carried_len(ip: Layer<'_>) -> u64 {
    match ip.name() {
        "ip" => {
            let [len, header] = ["ip.len", "ip.hdr_len"].map(|name| ip.number(name).unwrap_or(0));
            len.saturating_sub(header)
        }
        _ => ip.number("ipv6.plen").unwrap_or(0),
    }
}
