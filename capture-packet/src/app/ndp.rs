//! Neighbour discovery of IPv6: routers and neighbours (RFC 4861 section 4).

use crate::{
    address::{Address, Mac},
    decode::Icmp,
};

/// Type of a router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;

/// Type of a neighbour solicitation.
pub const NEIGHBOUR_SOLICITATION: u8 = 135;

/// Type of a neighbour advertisement.
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Options that hold the hardware address of the sender, and of the target.
const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// Most options that are looked at.
const MAX_OPTIONS: usize = 32;

/// Prefixes of a router, no more than these.
pub type Prefixes = [Option<(Address, u8)>; 4];

/// A router advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// Seconds for which it is a default router; 0: it is none.
    pub lifetime: u16,
    /// Whether addresses come by DHCPv6.
    pub is_managed: bool,
    /// The first prefixes, and their lengths.
    pub prefixes: Prefixes,
    /// Hardware address of the router.
    pub mac: Option<Mac>,
}

impl RouterAdvertisement {
    /// The advertisement in an ICMPv6 message, of which `payload` begins behind eight bytes.
    pub fn new(icmp: &Icmp, payload: &[u8]) -> Option<Self> {
        if !icmp.is_v6 || icmp.kind != ROUTER_ADVERTISEMENT || icmp.code != 0 {
            return None;
        }
        let mut advertisement = Self {
            lifetime: icmp.rest as u16,
            is_managed: icmp.rest & 0x0080_0000 != 0,
            prefixes: [None; 4],
            mac: None,
        };
        for option in options(payload.get(8..)?) {
            match option[0] {
                SOURCE_LINK_LAYER => advertisement.mac = link_layer(option),
                3 if option.len() == 32 => {
                    let prefix = option[16..].first_chunk().map(|bytes| Address::v6(*bytes));
                    let free = advertisement.prefixes.iter_mut().find(|one| one.is_none());
                    if let Some(place) = free {
                        *place = prefix.map(|prefix| (prefix, option[2]));
                    }
                }
                _ => {}
            }
        }
        Some(advertisement)
    }
}

/// A neighbour solicitation or advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The address that is asked for, or that is told.
    pub target: Address,
    /// Whether it is an advertisement.
    pub is_advertisement: bool,
    /// Whether an advertisement replaces what is known of the target. Those of anycast addresses and of proxies do not
    /// (RFC 4861 section 7.2.4).
    pub is_override: bool,
    /// The hardware address of the sender of a solicitation, or of the target of an advertisement.
    pub mac: Option<Mac>,
}

impl Neighbour {
    /// The solicitation or advertisement in an ICMPv6 message, of which `payload` begins behind eight bytes.
    pub fn new(icmp: &Icmp, payload: &[u8]) -> Option<Self> {
        let (is_advertisement, wanted) = match icmp.kind {
            NEIGHBOUR_SOLICITATION => (false, SOURCE_LINK_LAYER),
            NEIGHBOUR_ADVERTISEMENT => (true, TARGET_LINK_LAYER),
            _ => return None,
        };
        if !icmp.is_v6 || icmp.code != 0 {
            return None;
        }
        let (target, rest) = payload.split_first_chunk()?;
        let option = options(rest).find(|option| option[0] == wanted);
        Some(Self {
            target: Address::v6(*target),
            is_advertisement,
            is_override: icmp.rest & 0x2000_0000 != 0,
            mac: option.and_then(link_layer),
        })
    }
}

/// The options of a message, each with its type and length in front.
fn options(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let next = move || {
        let len = usize::from(*bytes.get(1)?) * 8;
        let (option, rest) = bytes.split_at_checked(len).filter(|_| len > 0)?;
        bytes = rest;
        Some(option)
    };
    std::iter::from_fn(next).take(MAX_OPTIONS)
}

fn link_layer(option: &[u8]) -> Option<Mac> {
    option[2..].first_chunk().map(|bytes| Mac(*bytes))
}
