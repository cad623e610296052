//! Which way packets to an address go, as the kernel's routing decides, and where default routes lead out.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::link::Links;
use crate::{
    error::{Error, Result},
    netlink::{Netlink, Request, attribute, u32_at},
};

/// Length of `struct rtmsg` (include/uapi/linux/rtnetlink.h).
const ROUTE_LEN: usize = 12;
/// Asks for the entry of the table by which it is decided, and not for the decision: RTM_F_FIB_MATCH.
const FIB_MATCH: u32 = 0x2000;

/// Addresses for documentation (RFC 5737, RFC 3849), which are nobody's: what leads there leads everywhere.
const ELSEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// The way to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The interface that packets leave by; of an address of this host, the one that has it.
    pub interface: String,
    /// The address that they come from, where the kernel says.
    pub source: Option<IpAddr>,
    /// The next router, where there is one.
    pub gateway: Option<IpAddr>,
    /// Whether the address is of this host.
    pub local: bool,
}

/// The way to an address from the calling thread's network namespace; none where there is no route.
///
/// # Errors
/// The kernel does not answer.
pub fn route_to(address: IpAddr) -> Result<Option<Route>> {
    let failed = Error::system("look up a route");
    let Some(found) = look_up(address, 0).map_err(failed)? else {
        return Ok(None);
    };
    let entries = Links::list()?.into_entries()?;
    let owner = || {
        let mut with = entries.iter();
        with.find(|entry| entry.addresses.iter().any(|own| own.addr() == address))
    };
    let local = found.kind == libc::RTN_LOCAL;
    let by_index = || {
        let mut with = entries.iter();
        with.find(|entry| Some(entry.ifindex) == found.ifindex)
    };
    let interface = local.then(owner).flatten().or_else(by_index);
    Ok(interface.map(|entry| Route {
        interface: entry.name.clone(),
        source: found.source,
        gateway: found.gateway,
        local,
    }))
}

/// Indexes of the interfaces by which default routes lead out. Two routes to the halves of all addresses, as VPNs set
/// them, are one.
pub(super) fn default_interfaces() -> Vec<u32> {
    let found = ELSEWHERE.into_iter().filter_map(|address| {
        let found = look_up(address, FIB_MATCH);
        let found = found.inspect_err(|error| log::debug!("looking for a default route: {error}"));
        let found = found.ok().flatten()?;
        found.ifindex.filter(|_| found.prefix_length <= 1)
    });
    found.collect()
}

/// What the kernel answers.
struct Found {
    /// RTN_…
    kind: u8,
    /// Of the entry in the table, with [`FIB_MATCH`].
    prefix_length: u8,
    ifindex: Option<u32>,
    source: Option<IpAddr>,
    gateway: Option<IpAddr>,
}

fn look_up(address: IpAddr, flags: u32) -> io::Result<Option<Found>> {
    let (family, bytes) = match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    let mut header = [0; ROUTE_LEN];
    header[0] = family as u8;
    header[1] = 8 * bytes.len() as u8;
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    let mut request = Request::new(libc::RTM_GETROUTE, 0, &header);
    request.attribute(libc::RTA_DST.into(), &bytes);
    let mut found = None;
    let asked = Netlink::open()?.ask(request, ROUTE_LEN, |answer| {
        let value = |kind: u16| attribute(answer.attributes, kind.into());
        let [prefix_length, kind] = [1, 7].map(|at| answer.header[at]);
        let ifindex = value(libc::RTA_OIF).and_then(|index| u32_at(index, 0));
        // Of several next hops the first: `struct rtnexthop` has the index behind four bytes.
        let first = || u32_at(value(libc::RTA_MULTIPATH)?, 4);
        found = Some(Found {
            kind,
            prefix_length,
            ifindex: ifindex.or_else(first),
            source: value(libc::RTA_PREFSRC).and_then(address_of),
            gateway: value(libc::RTA_GATEWAY).and_then(address_of),
        });
    });
    match asked {
        Ok(_) => {
            let refuses = [
                libc::RTN_UNREACHABLE,
                libc::RTN_BLACKHOLE,
                libc::RTN_PROHIBIT,
            ];
            Ok(found.filter(|found: &Found| !refuses.contains(&found.kind)))
        }
        Err(error) if is_no_route(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the kernel says so that packets to the address go nowhere; EINVAL is for a blackhole, and for an address
/// that no packet can be sent to.
fn is_no_route(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::EACCES
                | libc::EINVAL
                | libc::EAFNOSUPPORT
                | libc::EOPNOTSUPP
        )
    )
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What needs root: routes of its own.
    mod privileged {
        use capture_tests::netns::Netns;

        use super::*;

        #[test]
        fn routes_are_those_of_the_kernel() {
            let namespace = Netns::new();
            namespace.ip("link set lo up");
            namespace.ip("link add here type veth peer name there");
            namespace.ip("addr add 10.9.0.1/24 dev here");
            namespace.ip("link set here up");
            namespace.ip("link set there up");
            let to = |address: &str| {
                let address = address.parse().expect("an address");
                namespace.within(|| route_to(address)).expect("an answer")
            };
            let is_default = || {
                let entries = namespace.within(super::super::super::list_in_detail);
                let entries = entries.expect("interfaces can be listed").into_iter();
                let default = entries.filter(|entry| entry.details.default_route);
                default.map(|entry| entry.name).collect::<Vec<_>>()
            };
            assert_eq!(to("203.0.113.7"), None);
            assert_eq!(to("2001:db8::7"), None);
            assert_eq!(is_default(), [""; 0]);
            let near = Route {
                interface: "here".to_owned(),
                source: "10.9.0.1".parse().ok(),
                gateway: None,
                local: false,
            };
            assert_eq!(to("10.9.0.2"), Some(near.clone()));
            let own = to("10.9.0.1").expect("a route");
            assert_eq!((own.interface.as_str(), own.local), ("here", true));

            namespace.ip("route add default via 10.9.0.254");
            let far = Route {
                gateway: "10.9.0.254".parse().ok(),
                ..near
            };
            assert_eq!(to("203.0.113.7"), Some(far));
            assert_eq!(is_default(), ["here"]);
            namespace.ip("route del default");
            // As some VPNs do it.
            namespace.ip("route add 0.0.0.0/1 dev here");
            namespace.ip("route add 128.0.0.0/1 dev here");
            assert_eq!(is_default(), ["here"]);
            namespace.ip("route del 128.0.0.0/1");
            namespace.ip("route add 203.0.113.0/24 dev here");
            assert_eq!(is_default(), [""; 0]);
            namespace.ip("route add blackhole 198.51.100.0/24");
            assert_eq!(to("198.51.100.1"), None);
            namespace.ip("route add ::/0 dev here");
            assert_eq!(is_default(), ["here"]);
        }
    }
}
