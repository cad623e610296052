//! The interfaces of a network namespace, by one dump of route netlink: what the listing shows of them, and on what
//! each lies. An interface that is being renamed has one name or the other.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

use super::entry::{InterfaceDetails, InterfaceEntry, LinkCounters, LinkState};
use crate::{
    error::{Error, Result},
    netlink::{Answer, Netlink, Request, attribute, c_string, text, u16_at, u32_at, u64_at},
};

/// Length of `struct ifinfomsg` (include/uapi/linux/rtnetlink.h).
const LINK_LEN: usize = 16;
/// Length of `struct ifaddrmsg` (include/uapi/linux/if_addr.h).
const ADDRESS_LEN: usize = 8;

/// Leaves the counters out of a dump: RTEXT_FILTER_SKIP_STATS (include/uapi/linux/rtnetlink.h).
const SKIP_STATS: u32 = 1 << 3;

/// Nested in IFLA_XDP (include/uapi/linux/if_link.h).
const IFLA_XDP_ATTACHED: u32 = 2;
const IFLA_XDP_SKB_PROG_ID: u32 = 6;

/// Dumps of a list that changes meanwhile, of which the last is taken as it is.
const ATTEMPTS: usize = 10;

/// An interface, and on what it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its own properties, without addresses.
    pub(crate) entry: InterfaceEntry,
    /// Whether the name is UTF-8. The kernel takes any bytes, and one that is not can be asked for by nobody.
    pub(crate) has_text_name: bool,
    /// `vlan`, `bond`, `veth`, …; empty for hardware.
    pub(crate) kind: String,
    /// Index of the one below in the same namespace.
    pub(crate) lower: Option<u32>,
    /// Index of the bond or bridge that it is a port of.
    pub(crate) master: Option<u32>,
    /// Identifier of its generic XDP program.
    pub(crate) generic_xdp: Option<u32>,
    /// Whether it has an XDP program of any kind.
    pub(crate) has_xdp: bool,
}

/// All interfaces of a network namespace, by index.
#[derive(Debug, Default)]
pub(crate) struct Links(BTreeMap<u32, Link>);

impl Links {
    /// Those of the calling thread's namespace.
    pub(crate) fn list() -> Result<Self> {
        Self::dump(false).map_err(Error::system("list the interfaces"))
    }

    /// The same with what the kernel has counted on each.
    pub(super) fn list_with_counters() -> Result<Self> {
        Self::dump(true).map_err(Error::system("list the interfaces"))
    }

    fn dump(with_counters: bool) -> io::Result<Self> {
        let netlink = Netlink::open()?;
        let request = || {
            let mut request = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &[0; LINK_LEN]);
            let mask = if with_counters { 0 } else { SKIP_STATS };
            request.attribute(libc::IFLA_EXT_MASK.into(), &mask.to_ne_bytes());
            request
        };
        let mut links = BTreeMap::new();
        for _ in 0..ATTEMPTS {
            links.clear();
            let is_consistent = netlink.ask(request(), LINK_LEN, |answer| {
                if let Some(link) = Link::read(&answer) {
                    links.insert(link.entry.ifindex, link);
                }
            })?;
            if is_consistent {
                break;
            }
        }
        Ok(Self(links))
    }

    /// Those that can be captured on by name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &InterfaceEntry> {
        let named = self.0.values().filter(|link| link.has_text_name);
        named.map(|link| &link.entry)
    }

    /// The same, with their addresses.
    pub(super) fn into_entries(self) -> Result<Vec<InterfaceEntry>> {
        let addresses = addresses().map_err(Error::system("list the addresses"))?;
        let mut links = self.0;
        for (ifindex, address) in addresses {
            if let Some(link) = links.get_mut(&ifindex) {
                link.entry.addresses.push(address);
            }
        }
        let named = links.into_values().filter(|link| link.has_text_name);
        Ok(named.map(|link| link.entry).collect())
    }

    /// The interface of an index.
    pub(crate) fn get(&self, ifindex: u32) -> Option<&Link> {
        self.0.get(&ifindex)
    }

    /// All, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.0.values()
    }
}

#[cfg(test)]
impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        let links = links.into_iter();
        Self(links.map(|link| (link.entry.ifindex, link)).collect())
    }
}

impl Link {
    fn read(answer: &Answer<'_>) -> Option<Self> {
        let header = answer.header;
        let value = |kind: u16| attribute(answer.attributes, kind.into());
        let number = |kind| u32_at(value(kind)?, 0);
        let name = value(libc::IFLA_IFNAME)?;
        let kind = value(libc::IFLA_LINKINFO)
            .and_then(|info| attribute(info, libc::IFLA_INFO_KIND.into()))
            .map(text);
        let xdp = value(libc::IFLA_XDP);
        let generic_xdp = xdp.and_then(|xdp| u32_at(attribute(xdp, IFLA_XDP_SKB_PROG_ID)?, 0));
        // One byte, XDP_ATTACHED_NONE is 0.
        let has_xdp = xdp
            .and_then(|xdp| attribute(xdp, IFLA_XDP_ATTACHED)?.first().copied())
            .is_some_and(|attached| attached != 0);
        Some(Self {
            entry: InterfaceEntry {
                name: text(name),
                ifindex: u32_at(header, 4)?,
                state: LinkState::from_flags(u32_at(header, 8)?),
                arphrd: u16_at(header, 2)?,
                mtu: number(libc::IFLA_MTU)?,
                addresses: Vec::new(),
                details: value(libc::IFLA_STATS64).map(counted).unwrap_or_default(),
            },
            has_text_name: str::from_utf8(c_string(name)).is_ok(),
            kind: kind.unwrap_or_default(),
            // Of another namespace the index says nothing here.
            lower: number(libc::IFLA_LINK).filter(|_| value(libc::IFLA_LINK_NETNSID).is_none()),
            master: number(libc::IFLA_MASTER),
            generic_xdp,
            has_xdp,
        })
    }

    /// A link of a kind with this index.
    #[cfg(test)]
    pub(crate) fn of_kind(ifindex: u32, kind: &str) -> Self {
        Self {
            entry: InterfaceEntry {
                name: format!("if{ifindex}"),
                ifindex,
                state: LinkState::Up,
                arphrd: 1,
                mtu: 1500,
                addresses: Vec::new(),
                details: InterfaceDetails::default(),
            },
            has_text_name: true,
            kind: kind.to_owned(),
            lower: None,
            master: None,
            generic_xdp: None,
            has_xdp: false,
        }
    }
}

/// The counters at the beginning of `struct rtnl_link_stats64` (include/uapi/linux/if_link.h), 64 bits each: packets,
/// bytes, errors and drops, of each first what came in and then what went out.
fn counted(stats: &[u8]) -> InterfaceDetails {
    let at = |index: usize| u64_at(stats, 8 * index).unwrap_or_default();
    let way = |way: usize| LinkCounters {
        packets: at(way),
        bytes: at(2 + way),
        errors: at(4 + way),
        dropped: at(6 + way),
    };
    InterfaceDetails {
        rx: way(0),
        tx: way(1),
        ..InterfaceDetails::default()
    }
}

/// The addresses of all interfaces with the index of each, in the kernel's order.
fn addresses() -> io::Result<Vec<(u32, IpNet)>> {
    let netlink = Netlink::open()?;
    let mut addresses = Vec::new();
    for _ in 0..ATTEMPTS {
        addresses.clear();
        let request = Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &[0; ADDRESS_LEN]);
        let is_consistent = netlink.ask(request, ADDRESS_LEN, |answer| {
            addresses.extend(address(&answer));
        })?;
        if is_consistent {
            break;
        }
    }
    Ok(addresses)
}

/// An address with its prefix length, host bits kept. Where there is a peer, IFA_ADDRESS is the peer's and IFA_LOCAL the
/// interface's own (include/uapi/linux/if_addr.h).
fn address(answer: &Answer<'_>) -> Option<(u32, IpNet)> {
    let value = |kind: u16| attribute(answer.attributes, kind.into());
    let value = value(libc::IFA_LOCAL).or_else(|| value(libc::IFA_ADDRESS))?;
    let [family, length] = [0, 1].map(|offset| answer.header.get(offset).copied());
    let address = match i32::from(family?) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?)),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?)),
        _ => return None,
    };
    let ifindex = u32_at(answer.header, 4)?;
    Some((ifindex, IpNet::new(address, length?).ok()?))
}
