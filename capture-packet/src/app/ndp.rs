//! Router advertisements of IPv6 (RFC 4861 section 4.2).

use crate::{
    address::{Address, Mac},
    decode::Icmp,
};

/// Type of a router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;

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
        let mut options = payload.get(8..)?;
        let mut advertisement = Self {
            lifetime: icmp.rest as u16,
            is_managed: icmp.rest & 0x0080_0000 != 0,
            prefixes: [None; 4],
            mac: None,
        };
        for _ in 0..MAX_OPTIONS {
            let [kind, units, ..] = *options else { break };
            let len = usize::from(units) * 8;
            let Some((option, rest)) = options.split_at_checked(len).filter(|_| len > 0) else {
                break;
            };
            match kind {
                1 => advertisement.mac = option[2..].first_chunk().map(|bytes| Mac(*bytes)),
                3 if len == 32 => {
                    let prefix = option[16..].first_chunk().map(|bytes| Address::v6(*bytes));
                    let free = advertisement.prefixes.iter_mut().find(|one| one.is_none());
                    if let Some(place) = free {
                        *place = prefix.map(|prefix| (prefix, option[2]));
                    }
                }
                _ => {}
            }
            options = rest;
        }
        Some(advertisement)
    }
}
