//! The matching criteria in words, and where their expression says something else to tcpdump.

use std::{net::SocketAddr, ops::RangeInclusive};

use ipnet::IpNet;

use super::{
    address,
    filter::{Endpoint, Filter},
    keyword::Protocol,
};
use crate::amount::count_text;

/// Items of a list of addresses that are said one by one.
const MOST_ADDRESSES: usize = 8;

/// Items of a list of ports that are said one by one.
const MOST_PORTS: usize = 8;

impl Filter {
    /// The criteria in one phrase without a final stop: `TCP packets from or to port 443 of 10.0.0.5`.
    pub fn summary(&self) -> String {
        let Self {
            protocol,
            local,
            peer,
            icmp_errors,
        } = self;
        let has_ports = local.ports.is_some() || peer.ports.is_some();
        let what = match protocol {
            Protocol::Tcp => "TCP packets",
            Protocol::Udp => "UDP packets",
            Protocol::Icmp => "ICMP and ICMPv6 packets",
            Protocol::All if has_ports => "TCP, UDP and SCTP packets",
            Protocol::All if *self == Self::default() => return "Every frame".to_owned(),
            Protocol::All => "Packets",
        };
        let nothing = Endpoint::default();
        let mut text = match (*local == nothing, *peer == nothing) {
            (true, true) => what.to_owned(),
            (_, true) => format!("{what} from or to {}", side(local)),
            _ => format!("{what} between {} and {}", side(local), side(peer)),
        };
        if self.takes_arp() {
            text.push_str(", ARP included");
        }
        if *icmp_errors {
            text.push_str(", and ICMP errors about such packets");
        }
        text
    }

    /// What tcpdump does otherwise with the expression that [`Display`](std::fmt::Display) writes: a sentence for each
    /// difference. None where everything matches.
    pub fn caveats(&self) -> Vec<&'static str> {
        let has_ports = self.local.ports.is_some() || self.peer.ports.is_some();
        let has_headers = has_ports || self.protocol != Protocol::All;
        let rows = [
            (
                self.takes_arp(),
                "tcpdump also takes RARP of this address; the task does not",
            ),
            (
                has_ports,
                "tcpdump looks for ports neither behind IPv6 extension headers nor in later fragments; the task does",
            ),
            (
                has_headers && !has_ports,
                "tcpdump does not look behind IPv6 extension headers; the task does",
            ),
            (
                self.icmp_errors,
                "tcpdump cannot match by the packet that an ICMP error quotes; the task does",
            ),
            (
                *self != Self::default(),
                "in a file, tcpdump finds frames with a VLAN tag only with `vlan and` before the expression; the task looks through tags",
            ),
        ];
        let rows = rows.into_iter().filter(|(holds, _)| *holds);
        rows.map(|(_, sentence)| sentence).collect()
    }

    /// Whether packets of a protocol between these two ends match, as far as that is decided by their headers.
    pub fn takes(&self, protocol: Protocol, ends: [SocketAddr; 2]) -> bool {
        let has = |endpoint: &Endpoint, end: SocketAddr| {
            let Endpoint { addresses, ports } = endpoint;
            let (addresses, ports) = (addresses.as_ref(), ports.as_ref());
            addresses.is_none_or(|nets| nets.iter().any(|net| net.contains(&end.ip())))
                && ports.is_none_or(|ranges| ranges.iter().any(|range| range.contains(&end.port())))
        };
        let [one, other] = ends;
        let both = |one, other| has(&self.local, one) && has(&self.peer, other);
        (self.protocol == Protocol::All || self.protocol == protocol)
            && (both(one, other) || both(other, one))
    }

    /// Whether ARP between the addresses matches.
    fn takes_arp(&self) -> bool {
        let Self {
            protocol,
            local,
            peer,
            icmp_errors: _,
        } = self;
        let has_ipv4 = |nets: &Vec<IpNet>| nets.iter().any(|net| net.addr().is_ipv4());
        *protocol == Protocol::All
            && local.ports.is_none()
            && peer.ports.is_none()
            && local.addresses.as_ref().is_some_and(has_ipv4)
            && peer.addresses.as_ref().is_none_or(has_ipv4)
    }
}

/// `port 443 of 10.0.0.5`, `10.0.0.0/8`.
fn side(endpoint: &Endpoint) -> String {
    let Endpoint { addresses, ports } = endpoint;
    match (addresses, ports) {
        (Some(nets), None) => address_words(nets),
        (Some(nets), Some(ports)) => format!("{} of {}", port_words(ports), address_words(nets)),
        (None, Some(ports)) => port_words(ports),
        (None, None) => "any address".to_owned(),
    }
}

/// `10.0.0.5`, `10.0.0.5 or 10.1.0.0/16`; of a long list only the first ones.
pub fn address_words(nets: &[IpNet]) -> String {
    let mut words: Vec<_> = nets
        .iter()
        .take(MOST_ADDRESSES)
        .map(address::text)
        .collect();
    let more = nets.len().saturating_sub(MOST_ADDRESSES);
    if more > 0 {
        words.push(format!("{more} more"));
    }
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => words.concat(),
    }
}

fn port_words(ports: &[RangeInclusive<u16>]) -> String {
    let word = match ports {
        [range] if range.start() == range.end() => "port",
        _ => "ports",
    };
    let shown = ports.iter().take(MOST_PORTS);
    let items: Vec<_> = shown
        .map(|range| match (range.start(), range.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        })
        .collect();
    let more = ports.len().saturating_sub(MOST_PORTS);
    let more = match more {
        0 => String::new(),
        more => format!(" and {} more", count_text(more as u64)),
    };
    format!("{word} {}{more}", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str, ports: &[RangeInclusive<u16>]) -> Endpoint {
        Endpoint {
            addresses: (!address.is_empty()).then(|| {
                let nets = address.split(' ').map(|net| net.parse().expect("a prefix"));
                nets.collect()
            }),
            ports: (!ports.is_empty()).then(|| ports.to_vec()),
        }
    }

    fn filter(protocol: Protocol, local: Endpoint, peer: Endpoint) -> Filter {
        Filter {
            protocol,
            local,
            peer,
            icmp_errors: false,
        }
    }

    #[test]
    fn criteria_in_words() {
        let none = Endpoint::default;
        for (filter, words) in [
            (Filter::default(), "Every frame"),
            (filter(Protocol::Udp, none(), none()), "UDP packets"),
            (
                filter(Protocol::All, endpoint("10.0.0.0/8", &[]), none()),
                "Packets from or to 10.0.0.0/8, ARP included",
            ),
            (
                filter(Protocol::All, endpoint("2001:db8::1/128", &[]), none()),
                "Packets from or to 2001:db8::1",
            ),
            (
                filter(Protocol::All, endpoint("", &[53..=53]), none()),
                "TCP, UDP and SCTP packets from or to port 53",
            ),
            (
                filter(
                    Protocol::Tcp,
                    endpoint("10.0.0.5/32", &[443..=443, 8000..=8100]),
                    endpoint("10.0.0.9/32", &[]),
                ),
                "TCP packets between ports 443, 8000-8100 of 10.0.0.5 and 10.0.0.9",
            ),
        ] {
            assert_eq!(filter.summary(), words);
        }
        let about = Filter {
            icmp_errors: true,
            ..filter(Protocol::Tcp, none(), none())
        };
        assert_eq!(
            about.summary(),
            "TCP packets, and ICMP errors about such packets"
        );
    }

    #[test]
    fn lists_of_addresses_in_words() {
        let some = endpoint("10.0.0.5/32 10.1.0.0/16 ::5/128", &[443..=443]);
        let words = filter(Protocol::Tcp, some.clone(), endpoint("::9/128", &[])).summary();
        assert_eq!(
            words,
            "TCP packets between port 443 of 10.0.0.5, 10.1.0.0/16 or ::5 and ::9"
        );
        let nets: Vec<IpNet> = (0..64)
            .map(|n| format!("10.0.{n}.1/32").parse().expect("an address"))
            .collect();
        assert!(address_words(&nets).ends_with("10.0.7.1 or 56 more"));
        assert_eq!(address_words(&nets[..2]), "10.0.0.1 or 10.0.1.1");
        // ARP has IPv4 addresses alone, of both sides.
        for (local, peer, has_arp) in [
            ("10.0.0.5/32 ::5/128", "", true),
            ("::5/128", "", false),
            ("10.0.0.5/32 ::5/128", "::9/128", false),
            ("10.0.0.5/32 ::5/128", "::9/128 10.0.0.9/32", true),
        ] {
            let words = filter(Protocol::All, endpoint(local, &[]), endpoint(peer, &[])).summary();
            assert_eq!(words.contains("ARP"), has_arp, "{words}");
        }
        let ends = |one: &str, other: &str| [one, other].map(|end| end.parse().expect("an end"));
        let filter = filter(Protocol::Tcp, some, Endpoint::default());
        assert!(filter.takes(Protocol::Tcp, ends("10.1.9.9:443", "192.0.2.1:9")));
        assert!(filter.takes(Protocol::Tcp, ends("[::7]:9", "[::5]:443")));
        assert!(!filter.takes(Protocol::Tcp, ends("10.2.9.9:443", "10.0.0.5:9")));
    }

    #[test]
    fn a_long_list_of_ports_is_cut() {
        let ports: Vec<_> = (0..1024).map(|n| n * 3..=n * 3).collect();
        let words = filter(Protocol::Tcp, endpoint("", &ports), Endpoint::default()).summary();
        assert_eq!(
            words,
            "TCP packets from or to ports 0, 3, 6, 9, 12, 15, 18, 21 and 1,016 more"
        );
    }

    #[test]
    fn ends_match_either_way_round() {
        let filter = filter(
            Protocol::Tcp,
            endpoint("10.0.0.5/32", &[443..=443]),
            endpoint("10.0.0.0/8", &[]),
        );
        let takes = |protocol, one: &str, other: &str| {
            let ends = [one, other].map(|end| end.parse().expect("an end"));
            filter.takes(protocol, ends)
        };
        let [server, client] = ["10.0.0.5:443", "10.9.9.9:5000"];
        assert!(takes(Protocol::Tcp, server, client));
        assert!(takes(Protocol::Tcp, client, server));
        assert!(!takes(Protocol::Udp, server, client));
        assert!(!takes(Protocol::Tcp, "10.0.0.5:80", client));
        assert!(!takes(Protocol::Tcp, server, "192.0.2.1:5000"));
    }

    #[test]
    fn caveats_are_those_that_hold() {
        let none = Endpoint::default;
        assert_eq!(Filter::default().caveats(), [""; 0]);
        let count = |filter: Filter, word: &str| {
            let caveats = filter.caveats();
            caveats.iter().filter(|text| text.contains(word)).count()
        };
        let host = || filter(Protocol::All, endpoint("10.0.0.5/32", &[]), none());
        assert_eq!([count(host(), "RARP"), count(host(), "vlan")], [1, 1]);
        assert_eq!(count(host(), "extension headers"), 0);
        let v6 = filter(Protocol::All, endpoint("::1/128", &[]), none());
        assert_eq!(count(v6, "RARP"), 0);
        let tcp = || filter(Protocol::Tcp, none(), none());
        assert_eq!(count(tcp(), "extension headers"), 1);
        assert_eq!(count(tcp(), "fragments"), 0);
        let ports = filter(Protocol::Tcp, endpoint("", &[1..=1]), none());
        assert_eq!(
            [
                count(ports.clone(), "fragments"),
                count(ports, "extension headers")
            ],
            [1, 1]
        );
        let about = Filter {
            icmp_errors: true,
            ..tcp()
        };
        assert_eq!(count(about, "quotes"), 1);
    }
}
