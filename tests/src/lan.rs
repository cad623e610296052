//! Hosts on one link, with ARP and neighbour discovery as the kernel has them. What joins them forwards every frame to
//! every port, so whoever captures at one host sees what all of them send, as behind a mirror port.

use std::process::Command;

use crate::{netns::Netns, output};

/// The interface of each host.
pub const LAN_IF: &str = "lan0";

/// A link and its hosts.
#[derive(Debug)]
pub struct Lan {
    // Before the hub, whose ports go with them.
    hosts: Vec<Netns>,
    _hub: Netns,
}

impl Lan {
    /// Makes one with so many hosts, up, each with its addresses.
    pub fn new(count: usize) -> Self {
        let hub = Netns::new();
        hub.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        hub.ip(
            "link add hub type bridge stp_state 0 mcast_snooping 0 ageing_time 0\nlink set hub up",
        );
        let hosts: Vec<_> = (0..count).map(|_| Netns::new()).collect();
        for (index, host) in hosts.iter().enumerate() {
            let port = format!("port{index}");
            let mut ip = Command::new("ip");
            ip.args(["link", "add", LAN_IF, "netns", host.name()]);
            ip.args(["address", &Self::mac(index)]);
            ip.args(["type", "veth", "peer", "name", &port, "netns", hub.name()]);
            output(&mut ip);
            hub.ip(&format!("link set {port} master hub up"));
            let (ipv4, ipv6) = (Self::ipv4(index), Self::ipv6(index));
            host.ip(&format!(
                "link set {LAN_IF} up\naddr add {ipv4}/24 dev {LAN_IF}\naddr add {ipv6}/64 dev {LAN_IF} nodad\n"
            ));
        }
        for (index, host) in hosts.iter().enumerate() {
            host.wait_until_up(LAN_IF);
            hub.wait_until_up(&format!("port{index}"));
        }
        Self { hosts, _hub: hub }
    }

    /// A host, counted from 0.
    pub fn host(&self, index: usize) -> &Netns {
        &self.hosts[index]
    }

    /// Its IPv4 address, of a /24.
    pub fn ipv4(index: usize) -> String {
        format!("10.0.0.{}", index + 1)
    }

    /// Its IPv6 address, of a /64.
    pub fn ipv6(index: usize) -> String {
        format!("fd00::{:x}", index + 1)
    }

    /// Its hardware address.
    pub fn mac(index: usize) -> String {
        format!("02:00:00:00:00:{:02x}", index + 1)
    }
}
