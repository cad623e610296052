//! Packets and bytes by protocol. Of a tunnel the inner headers count.

use std::collections::BTreeMap;

use crate::{decode::Decoded, flow::FlowKey, report::ProtocolVolume, seen::Flow};

/// Versions of IP by name.
const VERSIONS: [&str; 2] = ["ip", "ipv6"];

/// Numbers of IP protocols.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Protocols without IP that are told apart.
const MOST_OTHERS: usize = 64;

/// Packets and their bytes on the wire.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    packets: u64,
    bytes: u64,
}

impl Sum {
    #[inline]
    fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }
}

/// Figures of protocols.
#[derive(Clone, Debug)]
pub(super) struct Protocols {
    /// By version, IPv4 first, and by what IP carries.
    ip: [Box<[Sum; 256]>; 2],
    /// By version, by what IP carries, and by name. There are as many names as detectors.
    applications: BTreeMap<(usize, u8, &'static str), Sum>,
    /// By EtherType; 0 is what is not decoded.
    others: Vec<(u16, Sum)>,
}

impl Default for Protocols {
    fn default() -> Self {
        let none = || Box::new([Sum::default(); 256]);
        Self {
            ip: [none(), none()],
            applications: BTreeMap::new(),
            others: Vec::new(),
        }
    }
}

impl Protocols {
    #[inline]
    pub(super) fn packet(&mut self, headers: &Decoded<'_>) {
        let bytes = u64::from(headers.wire_len);
        match &headers.ip {
            Some(ip) => {
                let version = usize::from(!ip.source.is_v4());
                self.ip[version][usize::from(ip.protocol)].add(1, bytes);
            }
            None => self.other(headers.ether_type, bytes),
        }
    }

    /// A flow has ended, of which more is known than its headers say.
    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        let Some(name) = application(key, flow) else {
            return;
        };
        let version = usize::from(!key.ends[0].address.is_v4());
        let sum = self.applications.entry((version, key.protocol, name));
        let (packets, bytes) = (flow.packets.iter().sum(), flow.bytes.iter().sum());
        sum.or_default().add(packets, bytes);
    }

    fn other(&mut self, ether_type: u16, bytes: u64) {
        let known = |others: &[(u16, Sum)], kind| others.iter().position(|(it, _)| *it == kind);
        let index = known(&self.others, ether_type).unwrap_or_else(|| {
            let kind = match self.others.len() < MOST_OTHERS {
                true => ether_type,
                false => 0,
            };
            known(&self.others, kind).unwrap_or_else(|| {
                self.others.push((kind, Sum::default()));
                self.others.len() - 1
            })
        });
        self.others[index].1.add(1, bytes);
    }

    /// Each protocol behind the one that carries it, the one with the most bytes first.
    pub(super) fn report(&self) -> Vec<ProtocolVolume> {
        let mut roots = Vec::new();
        for version in [0, 1] {
            let carried = (0_u8..=255).zip(self.ip[version].iter());
            let carried = carried.filter(|(_, sum)| sum.packets > 0);
            let mut all = Sum::default();
            let below = carried.map(|(number, sum)| {
                all.add(sum.packets, sum.bytes);
                self.carried(version, number, sum)
            });
            let below = in_order(below.collect());
            if all.packets > 0 {
                let own = volume(VERSIONS[version].to_owned(), &all);
                roots.push([vec![own], below].concat());
            }
        }
        for (kind, sum) in &self.others {
            roots.push(vec![volume(ether_type(*kind), sum)]);
        }
        in_order(roots)
    }

    /// What IP carries, and the applications that it carries.
    fn carried(&self, version: usize, number: u8, sum: &Sum) -> Vec<ProtocolVolume> {
        let path = format!("{}:{}", VERSIONS[version], ip_protocol(number));
        let of_it = |&&(of, by, _): &&(usize, u8, &str)| (of, by) == (version, number);
        let names = self.applications.keys().filter(of_it);
        let below = names.map(|key| {
            let path = format!("{path}:{}", key.2.to_ascii_lowercase());
            vec![volume(path, &self.applications[key])]
        });
        let below = in_order(below.collect());
        [vec![volume(path.clone(), sum)], below].concat()
    }
}

/// The protocol with the most bytes first, and behind each what it carries.
fn in_order(mut trees: Vec<Vec<ProtocolVolume>>) -> Vec<ProtocolVolume> {
    trees.sort_by(|one, other| most_first(&one[0], &other[0]));
    trees.into_iter().flatten().collect()
}

/// What a flow carries: by its content, where that is known, or by a port that is for nothing else.
fn application(key: &FlowKey, flow: &Flow) -> Option<&'static str> {
    if let Some(kind) = flow.application.kind {
        return Some(kind.name);
    }
    let name_of = |port: u16| match (key.protocol, port) {
        (TCP | UDP, 53) => Some("dns"),
        (UDP, 67 | 68) => Some("dhcp"),
        (UDP, 123) => Some("ntp"),
        (UDP, 137) => Some("nbns"),
        (UDP, 546 | 547) => Some("dhcpv6"),
        (UDP, 5353) => Some("mdns"),
        (UDP, 5355) => Some("llmnr"),
        _ => None,
    };
    key.ends.iter().find_map(|end| name_of(end.port))
}

fn volume(path: String, sum: &Sum) -> ProtocolVolume {
    ProtocolVolume {
        path,
        packets: sum.packets,
        bytes: sum.bytes,
    }
}

fn most_first(one: &ProtocolVolume, other: &ProtocolVolume) -> std::cmp::Ordering {
    (other.bytes, &one.path).cmp(&(one.bytes, &other.path))
}

/// The name of what IP carries, as Wireshark has it.
fn ip_protocol(number: u8) -> String {
    let name = match number {
        0 => "ipv6.hopopts",
        1 => "icmp",
        2 => "igmp",
        6 => "tcp",
        17 => "udp",
        46 => "rsvp",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "icmpv6",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        115 => "l2tp",
        132 => "sctp",
        other => return format!("protocol {other}"),
    };
    name.to_owned()
}

/// The name of what a frame carries.
fn ether_type(kind: u16) -> String {
    let name = match kind {
        0 => "other",
        0x0806 => "arp",
        // Whose header is too short to be one.
        0x0800 => "ip (damaged)",
        0x86dd => "ipv6 (damaged)",
        0x8035 => "rarp",
        0x8100 | 0x88a8 => "vlan",
        0x8137 => "ipx",
        0x8809 => "slow",
        0x8847 | 0x8848 => "mpls",
        0x8863 => "pppoed",
        0x8864 => "pppoes",
        0x888e => "eapol",
        0x88cc => "lldp",
        0x88e5 => "macsec",
        0x88f7 => "ptp",
        1..0x0600 => "llc",
        other => return format!("ethertype 0x{other:04x}"),
    };
    name.to_owned()
}
