//! Who talks: the ends of packets, counted in a table of bounded size. Of too many ends the busiest stay, counted too
//! low by as much as the others have displaced (Misra and Gries, 1982).

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use capture_packet::decode::{Decoded, Transport};
use capture_task::preview::Talker;
use ipnet::IpNet;

/// Ends that are told of.
const MOST_SHOWN: usize = 20;

/// Ends that are counted at the same time.
const MOST: usize = 1024;

/// What a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmpv6,
    Arp,
    /// By its number.
    Other(u8),
}

impl Kind {
    pub(super) fn name(self) -> String {
        match self {
            Self::Tcp => "TCP".to_owned(),
            Self::Udp => "UDP".to_owned(),
            Self::Sctp => "SCTP".to_owned(),
            Self::Icmp => "ICMP".to_owned(),
            Self::Icmpv6 => "ICMPv6".to_owned(),
            Self::Arp => "ARP".to_owned(),
            Self::Other(number) => format!("IP {number}"),
        }
    }
}

/// One side of a conversation: the address, the service that it offers or, where the other side does, the one that it
/// uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Side {
    address: IpAddr,
    kind: Kind,
    service: Option<Service>,
}

/// A port, and on which side it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Service {
    /// Of this side.
    Offers(u16),
    /// Of the other side.
    Uses(u16),
}

/// The ends that were seen.
#[derive(Debug, Default)]
pub(super) struct Talkers {
    sides: HashMap<Side, u64>,
}

impl Talkers {
    /// Counts both ends of a packet. One within a tunnel has none: the filter looks at the outside.
    pub(super) fn add(&mut self, packet: &Decoded<'_>) {
        if packet.tunnels > 0 {
            return;
        }
        let Some((kind, [source, destination], ports)) = ends(packet) else {
            return;
        };
        // The port of a service is the lower one: clients take theirs from the upper range.
        let services = ports.map(|[from, to]| {
            if from <= to {
                [Service::Offers(from), Service::Uses(from)]
            } else {
                [Service::Uses(to), Service::Offers(to)]
            }
        });
        for (address, index) in [(source, 0), (destination, 1)] {
            let service = services.map(|services| services[index]);
            self.count(Side {
                address,
                kind,
                service,
            });
        }
    }

    fn count(&mut self, side: Side) {
        if let Some(count) = self.sides.get_mut(&side) {
            *count += 1;
        } else if self.sides.len() < MOST {
            self.sides.insert(side, 1);
        } else {
            // Each step takes back what as many packets have added before.
            self.sides.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// The busiest ends.
    pub(super) fn most(&self) -> Vec<Talker> {
        let mut ends: BTreeMap<(IpAddr, Option<u16>, Kind), u64> = BTreeMap::new();
        for (side, count) in &self.sides {
            let port = match side.service {
                Some(Service::Offers(port)) => Some(port),
                _ => None,
            };
            *ends.entry((side.address, port, side.kind)).or_default() += count;
        }
        let mut ends: Vec<_> = ends.into_iter().collect();
        ends.sort_by_key(|((_, port, _), packets)| (std::cmp::Reverse(*packets), port.is_none()));
        ends.truncate(MOST_SHOWN);
        let talkers = ends.into_iter();
        talkers
            .map(|((address, port, kind), packets)| Talker {
                address: address.to_string(),
                port,
                protocol: kind.name(),
                packets,
            })
            .collect()
    }

    /// What the addresses of some prefixes, or all, offer and use, busiest first.
    pub(super) fn services(&self, of: Option<&[IpNet]>) -> Vec<(Kind, Option<Service>)> {
        let mut services: BTreeMap<(Kind, Option<Service>), u64> = BTreeMap::new();
        for (side, count) in &self.sides {
            let is_asked = of.is_none_or(|nets| nets.iter().any(|net| net.contains(&side.address)));
            // Without an address every packet has a side that offers.
            let is_told = of.is_some() || !matches!(side.service, Some(Service::Uses(_)));
            if is_asked && is_told {
                *services.entry((side.kind, side.service)).or_default() += count;
            }
        }
        let mut services: Vec<_> = services.into_iter().collect();
        services.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
        services.into_iter().map(|(service, _)| service).collect()
    }

    /// Whether an address of one of these prefixes was seen.
    pub(super) fn has(&self, nets: &[IpNet]) -> bool {
        let mut sides = self.sides.keys();
        sides.any(|side| nets.iter().any(|net| net.contains(&side.address)))
    }
}

/// Kind, addresses and ports of a packet, the source's first.
fn ends(packet: &Decoded<'_>) -> Option<(Kind, [IpAddr; 2], Option<[u16; 2]>)> {
    if let Some(arp) = &packet.arp {
        return Some((Kind::Arp, [arp.sender.ip(), arp.target.ip()], None));
    }
    let ip = packet.ip.as_ref()?;
    let addresses = [ip.source.ip(), ip.destination.ip()];
    let (kind, ports) = match &packet.transport {
        Transport::Tcp(tcp) => (Kind::Tcp, Some([tcp.source_port, tcp.destination_port])),
        Transport::Udp(udp) => (Kind::Udp, Some([udp.source_port, udp.destination_port])),
        Transport::Sctp(sctp) => (Kind::Sctp, Some([sctp.source_port, sctp.destination_port])),
        Transport::Icmp(_) | Transport::None => {
            let kind = match ip.protocol {
                1 => Kind::Icmp,
                6 => Kind::Tcp,
                17 => Kind::Udp,
                58 => Kind::Icmpv6,
                132 => Kind::Sctp,
                other => Kind::Other(other),
            };
            (kind, None)
        }
    };
    Some((kind, addresses, ports))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A UDP packet of IPv4.
    pub(in crate::tasks::probe) fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
        let mut frame = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
        frame.extend([from.0, to.0].concat());
        frame.extend(from.1.to_be_bytes());
        frame.extend(to.1.to_be_bytes());
        frame.extend([0, 8, 0, 0]);
        frame
    }

    pub(in crate::tasks::probe) fn add(talkers: &mut Talkers, frame: &[u8]) {
        talkers.add(&Decoded::new(101, frame, frame.len() as u32));
    }

    const HERE: [u8; 4] = [10, 0, 0, 5];

    #[test]
    fn services_are_told_from_clients() {
        let mut talkers = Talkers::default();
        for client in 0..3 {
            let there = ([10, 0, 0, 9], 40_000 + client);
            add(&mut talkers, &udp(there, (HERE, 8443)));
            add(&mut talkers, &udp((HERE, 8443), there));
        }
        add(&mut talkers, &udp((HERE, 40_000), ([10, 0, 0, 1], 53)));
        let most = talkers.most();
        let told: Vec<_> = most
            .iter()
            .map(|there| (there.address.as_str(), there.port, there.packets))
            .collect();
        assert_eq!(
            told,
            [
                ("10.0.0.5", Some(8443), 6),
                ("10.0.0.9", None, 6),
                ("10.0.0.1", Some(53), 1),
                ("10.0.0.5", None, 1),
            ]
        );
        let nets = |texts: &[&str]| -> Vec<IpNet> {
            let nets = texts.iter().map(|text| text.parse().expect("a prefix"));
            nets.collect()
        };
        let net = nets(&["10.0.0.4/32", "10.0.0.5/32"]);
        assert_eq!(
            talkers.services(Some(&net)),
            [
                (Kind::Udp, Some(Service::Offers(8443))),
                (Kind::Udp, Some(Service::Uses(53))),
            ]
        );
        assert!(talkers.has(&net) && !talkers.has(&nets(&["10.0.0.6/32"])));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_busiest() {
        let mut talkers = Talkers::default();
        let busy = udp((HERE, 443), (HERE, 443));
        for n in 0..50_000_u32 {
            let [_, a, b, c] = n.to_be_bytes();
            add(
                &mut talkers,
                &udp(([172, a, b, c], 40_000), ([192, a, b, c], 9)),
            );
            add(&mut talkers, &busy);
            assert!(talkers.sides.len() <= MOST);
        }
        assert_eq!(talkers.most()[0].address, "10.0.0.5");
        assert!(talkers.most().len() <= MOST_SHOWN);
    }

    #[test]
    fn what_is_no_packet_of_ip_has_no_ends() {
        let mut talkers = Talkers::default();
        for frame in [&[][..], &[0x45], &[0xff; 64]] {
            add(&mut talkers, frame);
        }
        assert_eq!(talkers.most(), []);
    }
}
