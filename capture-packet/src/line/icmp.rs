//! ICMP and ICMPv6.

use std::fmt::Write as _;

use super::{
    Line,
    layer::{Layer, shown},
    network::{carried_len, ports},
    push,
};

impl<'a> Line<'a> {
    /// The IP header around the layer at this place.
    fn ip_before(&self, place: usize) -> Option<Layer<'a>> {
        let before = self.layers.get(..place)?.iter().rev().map(Layer);
        before
            .into_iter()
            .find(|layer| matches!(layer.name(), "ip" | "ipv6"))
    }

    /// ICMP; `next` is the layer behind it, the packet that an error quotes.
    pub(super) fn icmp(&mut self, layer: Layer<'a>, next: usize) {
        let len = self.ip_before(next).map_or(0, carried_len);
        let number = |name| layer.number(name);
        let what = match (number("icmp.type"), number("icmp.code")) {
            (Some(kind @ (0 | 8)), _) => {
                let word = if kind == 8 { "request" } else { "reply" };
                let [id, seq] = ["icmp.ident", "icmp.seq"].map(|name| shown(layer.value(name)));
                format!("echo {word}, id {id}, seq {seq}")
            }
            (Some(3), Some(4)) => {
                let mtu = number("icmp.mtu").filter(|mtu| *mtu > 0);
                let mtu = mtu.map_or_else(String::new, |mtu| format!(" (mtu {mtu})"));
                format!("{}{mtu}", self.unreachable(4, next))
            }
            (Some(3), Some(code)) => self.unreachable(code, next),
            (Some(4), _) => "source quench".to_owned(),
            (Some(5), Some(code)) => {
                let what = if code == 0 { "net" } else { "host" };
                let host = self
                    .layer(next)
                    .map_or_else(String::new, |ip| shown(ip.value("ip.dst")));
                let router = shown(layer.value("icmp.redir_gw"));
                format!("redirect {host} to {what} {router}")
            }
            (Some(9), _) => "router advertisement".to_owned(),
            (Some(10), _) => "router solicitation".to_owned(),
            (Some(11), Some(0)) => "time exceeded in-transit".to_owned(),
            (Some(11), _) => "ip reassembly time exceeded".to_owned(),
            (Some(12), _) => "parameter problem".to_owned(),
            (Some(13), _) => "time stamp query".to_owned(),
            (Some(14), _) => "time stamp reply".to_owned(),
            (Some(kind), Some(code)) => format!("type-#{kind}, code {code}"),
            _ => "[|icmp]".to_owned(),
        };
        push!(self, "ICMP {what}, length {len}");
    }

    /// What cannot be reached, by the quoted packet.
    fn unreachable(&self, code: u64, quoted: usize) -> String {
        let host = self
            .layer(quoted)
            .map_or_else(String::new, |ip| shown(ip.value("ip.dst")));
        let carried = self.layer(quoted + 1);
        let port = carried.and_then(ports).map(|(_, destination)| destination);
        match (code, carried, port) {
            (0, ..) => format!("net {host} unreachable"),
            (1, ..) => format!("host {host} unreachable"),
            (2, ..) => format!("{host} protocol unreachable"),
            (3, Some(carried), Some(port)) => {
                format!("{host} {} port {port} unreachable", carried.name())
            }
            (3, ..) => format!("{host} port unreachable"),
            (4, ..) => format!("{host} unreachable - need to frag"),
            (5, ..) => format!("{host} unreachable - source route failed"),
            (9, ..) => format!("net {host} unreachable - admin prohibited"),
            (10, ..) => format!("host {host} unreachable - admin prohibited"),
            (13, ..) => format!("host {host} unreachable - admin prohibited filter"),
            _ => format!("{host} unreachable - #{code}"),
        }
    }

    pub(super) fn icmpv6(&mut self, layer: Layer<'a>) {
        let value = |name| shown(layer.value(name));
        let code = layer.number("icmpv6.code").unwrap_or(0);
        let what = match layer.number("icmpv6.type") {
            Some(1) => format!("destination unreachable, code {code}"),
            Some(2) => format!("packet too big, mtu {}", value("icmpv6.mtu")),
            Some(3) => "time exceeded".to_owned(),
            Some(4) => "parameter problem".to_owned(),
            Some(kind @ (128 | 129)) => {
                let word = if kind == 128 { "request" } else { "reply" };
                let id = layer.number("icmpv6.echo.identifier").unwrap_or(0);
                format!(
                    "echo {word}, id {id}, seq {}",
                    value("icmpv6.echo.sequence_number")
                )
            }
            Some(130) => "multicast listener query".to_owned(),
            Some(131) => "multicast listener report".to_owned(),
            Some(132) => "multicast listener done".to_owned(),
            Some(133) => "router solicitation".to_owned(),
            Some(134) => "router advertisement".to_owned(),
            Some(135) => {
                let target = value("icmpv6.nd.ns.target_address");
                format!("neighbor solicitation, who has {target}")
            }
            Some(136) => {
                format!(
                    "neighbor advertisement, tgt is {}",
                    value("icmpv6.nd.na.target_address")
                )
            }
            Some(137) => "redirect".to_owned(),
            Some(143) => "multicast listener report v2".to_owned(),
            Some(kind) => format!("type-#{kind}, code {code}"),
            None => "[|icmp6]".to_owned(),
        };
        let len = self.icmpv6_len(layer);
        push!(self, "ICMP6, {what}, length {len}");
    }

    /// From the header to the end that the IP header says.
    fn icmpv6_len(&self, layer: Layer<'a>) -> u64 {
        let ips = self
            .layers
            .iter()
            .map(Layer)
            .filter(|it| it.name() == "ipv6");
        let around = ips.take_while(|ip| ip.0.offset < layer.0.offset).last();
        around.map_or(0, |ip| {
            let extensions = layer.0.offset - ip.0.offset - ip.0.len;
            carried_len(ip).saturating_sub(extensions.into())
        })
    }
}
