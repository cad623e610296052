//! The matching criteria, and the same as an expression in the language of pcap-filter(7), for the pcapng interface
//! description and for people. Endpoints are written both ways round, as `ip` with `ports` means
//! that one and the same side of the packet has both; the short forms (`host A and port P`) are
//! used only where they mean the same.
//!
//! Three things the language cannot say alike: `host` also takes RARP, libpcap looks for ports
//! neither behind IPv6 extension headers nor in later fragments, and what an ICMP error quotes it
//! does not know.

use std::{
    fmt::{Display, Formatter, Result},
    ops::RangeInclusive,
};

use ipnet::IpNet;

use super::keyword::Protocol;

/// The matching criteria; [`std::fmt::Display`] writes them as a filter expression that tcpdump
/// takes, and that matches the same packets as far as the expression language can say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Protocol.
    pub protocol: Protocol,
    /// `ip` and `ports`.
    pub local: Endpoint,
    /// `peer_ip` and `peer_ports`; everything where the task is not a pair.
    pub peer: Endpoint,
    /// Also ICMP and ICMPv6 errors about packets that match.
    pub icmp_errors: bool,
}

/// One side of the conversation. An absent part matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Addresses and prefixes, host bits cleared, sorted, none within another; `None` matches every address.
    pub addresses: Option<Vec<IpNet>>,
    /// Ports, sorted, disjoint and not adjacent; `None` matches every packet, also one without ports.
    pub ports: Option<Vec<RangeInclusive<u16>>>,
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self {
            protocol,
            local,
            peer,
            icmp_errors: _,
        } = self;
        let protocol = match protocol {
            Protocol::All => None,
            Protocol::Tcp => Some("tcp"),
            Protocol::Udp => Some("udp"),
            Protocol::Icmp => Some("(icmp or icmp6)"),
        };
        let terms = protocol
            .map(str::to_owned)
            .into_iter()
            .chain(conversation(local, peer));
        f.write_str(&terms.collect::<Vec<_>>().join(" and "))
    }
}

/// The endpoints, as terms that all hold; none where everything matches.
fn conversation(local: &Endpoint, peer: &Endpoint) -> Vec<String> {
    if *peer == Endpoint::default() && (local.addresses.is_none() || local.ports.is_none()) {
        return side(local, "");
    }
    if let (
        Endpoint {
            addresses: Some(a),
            ports: None,
        },
        Endpoint {
            addresses: Some(b),
            ports: None,
        },
    ) = (local, peer)
        && !a.iter().any(|one| {
            b.iter()
                .any(|other| one.contains(other) || other.contains(one))
        })
    {
        return [side(local, ""), side(peer, "")].concat();
    }
    let ways = [("src ", "dst "), ("dst ", "src ")].map(|(of_local, of_peer)| {
        let terms = [side(local, of_local), side(peer, of_peer)].concat();
        format!("({})", terms.join(" and "))
    });
    vec![format!("({})", ways.join(" or "))]
}

/// One side's terms, each with the qualifier (`src `, `dst ` or none for either).
fn side(endpoint: &Endpoint, qualifier: &str) -> Vec<String> {
    let addresses = endpoint.addresses.as_ref().map(|nets| {
        let terms = nets.iter().map(|net| address_term(net, qualifier));
        either(terms.collect())
    });
    let ports = endpoint.ports.as_ref().map(|ranges| {
        let terms: Vec<_> = ranges
            .iter()
            .map(|range| match (range.start(), range.end()) {
                (first, last) if first == last => format!("{qualifier}port {first}"),
                (first, last) => format!("{qualifier}portrange {first}-{last}"),
            })
            .collect();
        either(terms)
    });
    addresses.into_iter().chain(ports).collect()
}

/// One of these terms holds.
fn either(terms: Vec<String>) -> String {
    match terms.as_slice() {
        [term] => term.clone(),
        terms => format!("({})", terms.join(" or ")),
    }
}

fn address_term(net: &IpNet, qualifier: &str) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        format!("{qualifier}host {}", net.addr())
    } else {
        format!("{qualifier}net {net}")
    }
}

#[cfg(test)]
mod tests;
