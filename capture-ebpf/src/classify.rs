//! All tasks at once by bit vectors (Lakshman and Stiliadis, 1998): every lookup gives the mask of
//! the tasks that its value is good for, and their intersection is the verdict. The cost does not
//! grow with the number of tasks.

use capture_common::{AddressMasks, Control, PortMasks};

use crate::parse::{Headers, Network};

/// Where the masks come from: maps in the kernel, plain collections in host tests.
pub trait Tables {
    /// Tasks that have an IPv4 address as an endpoint, prefixes included.
    fn address_v4(&self, address: [u8; 4]) -> AddressMasks;
    /// Tasks that have an IPv6 address as an endpoint, prefixes included.
    fn address_v6(&self, address: &[u8; 16]) -> AddressMasks;
    /// Tasks that have a port as an endpoint.
    fn port(&self, port: u16) -> PortMasks;
}

/// One endpoint of the packet, in both roles.
#[derive(Clone, Copy)]
struct Masks {
    local: u64,
    peer: u64,
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
    let candidates = candidates & control.protocols[class];
    if candidates == 0 {
        return 0;
    }
    let wildcard = &control.wildcard;
    let (source, destination) =
        if candidates & !(wildcard.local_address & wildcard.peer_address) == 0 {
            // No candidate asks for an address.
            (AddressMasks::default(), AddressMasks::default())
        } else {
            addresses(tables, headers)
        };
    let (source_port, destination_port) = match headers.ports {
        Some((source, destination))
            if candidates & !(wildcard.local_port & wildcard.peer_port) != 0 =>
        {
            (tables.port(source), tables.port(destination))
        }
        _ => (PortMasks::default(), PortMasks::default()),
    };
    let source = Masks {
        local: (source.local | wildcard.local_address) & (source_port.local | wildcard.local_port),
        peer: (source.peer | wildcard.peer_address) & (source_port.peer | wildcard.peer_port),
    };
    let destination = Masks {
        local: (destination.local | wildcard.local_address)
            & (destination_port.local | wildcard.local_port),
        peer: (destination.peer | wildcard.peer_address)
            & (destination_port.peer | wildcard.peer_port),
    };
    candidates & ((source.local & destination.peer) | (destination.local & source.peer))
}

#[inline(always)]
fn addresses<T: Tables>(tables: &T, headers: &Headers) -> (AddressMasks, AddressMasks) {
    match headers.network {
        Network::None => (AddressMasks::default(), AddressMasks::default()),
        Network::V4 | Network::Arp => (
            tables.address_v4(first_four(&headers.source)),
            tables.address_v4(first_four(&headers.destination)),
        ),
        Network::V6 => (
            tables.address_v6(&headers.source),
            tables.address_v6(&headers.destination),
        ),
    }
}

#[inline(always)]
fn first_four(address: &[u8; 16]) -> [u8; 4] {
    [address[0], address[1], address[2], address[3]]
}
