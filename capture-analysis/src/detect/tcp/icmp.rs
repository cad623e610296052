//! ICMP errors about TCP connections: who rejects them, and who says that packets are too big.

use super::table::{Table, Who};
use crate::{
    address::Address,
    decode::{Decoded, Icmp},
    evidence::Evidence,
    seen::Seen,
};

/// Connections that were rejected, and paths with a smaller MTU, that are told apart.
const MOST: usize = 512;

/// A rejection.
#[derive(Clone, Debug, Default)]
pub(super) struct Rejected {
    pub(super) packets: Evidence,
    /// The device that rejects, and what it says.
    pub(super) by: Option<Address>,
    pub(super) reason: &'static str,
}

/// A report of a smaller MTU.
#[derive(Clone, Debug, Default)]
pub(super) struct TooBig {
    pub(super) packets: Evidence,
    pub(super) by: Option<Address>,
    pub(super) mtu: u32,
}

/// What was said.
#[derive(Clone, Debug)]
pub(super) struct Errors {
    pub(super) rejected: Table<Rejected>,
    pub(super) too_big: Table<TooBig>,
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            rejected: Table::new(MOST),
            too_big: Table::new(MOST),
        }
    }
}

impl Errors {
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>) {
        let (Some(icmp), Some(ip)) = (seen.headers.icmp(), &seen.headers.ip) else {
            return;
        };
        let mtu = mtu(icmp);
        let reason = reason(icmp);
        if mtu.is_none() && reason.is_none() {
            return;
        }
        let Some(quoted) = seen.headers.quoted() else {
            return;
        };
        let Some((client, server, port)) = connection(&quoted) else {
            return;
        };
        let who = Who {
            server,
            port,
            client,
        };
        if let Some(reason) = reason
            && let Some(rejected) = self
                .rejected
                .row(&who)
                .and_then(|row| self.rejected.get_mut(row))
        {
            rejected.packets.add(seen.number, seen.ns);
            rejected.by = Some(ip.source);
            rejected.reason = reason;
        }
        if let Some(mtu) = mtu
            && let Some(too_big) = self
                .too_big
                .row(&who)
                .and_then(|row| self.too_big.get_mut(row))
        {
            too_big.packets.add(seen.number, seen.ns);
            too_big.by = Some(ip.source);
            too_big.mtu = mtu;
        }
    }
}

/// Source, destination and destination port of a quoted TCP segment, of which only the first eight bytes may be there
/// (RFC 792).
fn connection(quoted: &Decoded<'_>) -> Option<(Address, Address, u16)> {
    const TCP: u8 = 6;
    let ip = quoted.ip.as_ref()?;
    if ip.protocol != TCP {
        return None;
    }
    let port = match quoted.tcp() {
        Some(tcp) => tcp.destination_port,
        None => u16::from_be_bytes(*quoted.payload.get(2..)?.first_chunk::<2>()?),
    };
    Some((ip.source, ip.destination, port))
}

/// What a rejection by administration or of a port says (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3.1).
fn reason(icmp: &Icmp) -> Option<&'static str> {
    Some(match (icmp.is_v6, icmp.kind, icmp.code) {
        (false, 3, 0) => "network unreachable",
        (false, 3, 1) | (true, 1, 3) => "host unreachable",
        (false, 3, 3) | (true, 1, 4) => "port unreachable",
        (false, 3, 9) => "network administratively prohibited",
        (false, 3, 10) => "host administratively prohibited",
        (false, 3, 13) | (true, 1, 1) => "communication administratively prohibited",
        (true, 1, 0) => "no route to destination",
        (true, 1, 5) => "source address failed policy",
        (true, 1, 6) => "route rejected",
        _ => return None,
    })
}

/// The MTU of "fragmentation needed" (RFC 1191) and "packet too big" (RFC 4443 section 3.2).
fn mtu(icmp: &Icmp) -> Option<u32> {
    match (icmp.is_v6, icmp.kind, icmp.code) {
        (false, 3, 4) => Some(icmp.rest & 0xffff),
        (true, 2, _) => Some(icmp.rest),
        _ => None,
    }
}
