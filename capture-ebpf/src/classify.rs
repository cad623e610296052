//! All tasks at once by bit vectors (Lakshman and Stiliadis, 1998): every lookup gives the mask of
//! the tasks that its value is good for, and their intersection is the verdict. The cost does not
//! grow with the number of tasks.

use capture_common::{Address, AddressMasks, Control, PortMasks, ProtocolClass, WildcardMasks};

use crate::parse::{Headers, Network};

/// Where the masks come from: maps in the kernel, plain collections in host tests. Only bits of
/// `wanted` need to be right.
pub trait Tables {
    /// Tasks that have an IPv4 address as an endpoint, prefixes included.
    fn address_v4(&self, address: &Address, wanted: u64) -> AddressMasks;
    /// Tasks that have an IPv6 address as an endpoint, prefixes included.
    fn address_v6(&self, address: &Address, wanted: u64) -> AddressMasks;
    /// Tasks that have a port as an endpoint.
    fn port(&self, port: u16) -> PortMasks;
}

/// Tasks still in question, by the way round in which they could match.
#[derive(Clone, Copy)]
struct Ways {
    /// The source is the task's `ip` endpoint, the destination its peer.
    forward: u64,
    /// The other way round.
    backward: u64,
}

/// The tasks that take every frame: where there are no others, nobody needs to read its headers.
#[inline(always)]
pub fn unfiltered(control: &Control) -> u64 {
    let WildcardMasks {
        local_address,
        peer_address,
        local_port,
        peer_port,
    } = control.wildcard;
    // Only `all` takes frames that are of no protocol.
    control.protocols[ProtocolClass::Other as usize]
        & (local_address & peer_address & local_port & peer_port)
}

/// The tasks among `candidates` that the packet matches.
///
/// `candidates` are the active tasks on the interface and direction of the packet.
#[inline(always)]
pub fn classify<T: Tables>(
    tables: &T,
    control: &Control,
    candidates: u64,
    headers: &Headers,
) -> u64 {
    // The mask and the black box keep a bound in the program that the verifier can see.
    let class = core::hint::black_box(headers.class as usize) & 3;
    let wanted = candidates & control.protocols[class];
    // A port is one look into an array, an address at least two: ports first leaves most packets
    // without the second.
    let ways = by_ports(tables, control, wanted, headers);
    by_addresses(tables, control, ways, headers)
}

/// The tasks among `candidates` whose addresses are the packet's, whatever else they ask for.
#[inline(always)]
pub fn have_addresses<T: Tables>(
    tables: &T,
    control: &Control,
    candidates: u64,
    headers: &Headers,
) -> u64 {
    let ways = Ways {
        forward: candidates,
        backward: candidates,
    };
    by_addresses(tables, control, ways, headers)
}

#[inline(always)]
fn by_ports<T: Tables>(tables: &T, control: &Control, wanted: u64, headers: &Headers) -> Ways {
    let (local, peer) = (control.wildcard.local_port, control.wildcard.peer_port);
    if wanted & !(local & peer) == 0 {
        // No candidate asks for a port.
        return Ways {
            forward: wanted,
            backward: wanted,
        };
    }
    let (source, destination) = match headers.ports {
        Some((source, destination)) => (tables.port(source), tables.port(destination)),
        None => Default::default(),
    };
    Ways {
        forward: wanted & (source.local | local) & (destination.peer | peer),
        backward: wanted & (destination.local | local) & (source.peer | peer),
    }
}

#[inline(always)]
fn by_addresses<T: Tables>(tables: &T, control: &Control, ways: Ways, headers: &Headers) -> u64 {
    let Ways { forward, backward } = ways;
    let (local, peer) = (
        control.wildcard.local_address,
        control.wildcard.peer_address,
    );
    let wanted = forward | backward;
    if wanted & !(local & peer) == 0 {
        // No candidate asks for an address.
        return wanted;
    }
    let (source, destination) = match headers.network {
        Network::None => Default::default(),
        Network::V4 | Network::Arp => (
            tables.address_v4(&headers.source, wanted),
            tables.address_v4(&headers.destination, wanted),
        ),
        Network::V6 => (
            tables.address_v6(&headers.source, wanted),
            tables.address_v6(&headers.destination, wanted),
        ),
    };
    (forward & (source.local | local) & (destination.peer | peer))
        | (backward & (destination.local | local) & (source.peer | peer))
}
