//! Which addresses are of one's own network.

use std::net::{IpAddr, Ipv4Addr};

use crate::address::Address;

/// Whether an address is only good inside a network: private (RFC 1918, RFC 4193), shared (RFC 6598), link-local, loopback.
pub(super) fn is_inside(address: Address) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || is_shared(ip)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && b & 0xc0 == 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_and_outside() {
        let is_inside = |text: &str| is_inside(text.parse::<IpAddr>().expect("an address").into());
        for inside in [
            "10.1.2.3",
            "192.168.0.1",
            "100.64.0.1",
            "fd00::1",
            "fe80::1",
            "::1",
        ] {
            assert!(is_inside(inside), "{inside}");
        }
        for outside in ["203.0.113.5", "100.128.0.1", "2001:db8::1"] {
            assert!(!is_inside(outside), "{outside}");
        }
    }
}
