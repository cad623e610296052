//! The tables: keys and values of the maps that hold the tasks, and of the one that remembers
//! fragmented datagrams.
//!
//! A `u64` mask has one bit for each slot. "Local" is the task's `ip`/`ports` endpoint, "peer" its
//! `peer_ip`/`peer_ports` endpoint; a packet is tried both ways round.

use crate::{ADDRESS_CELLS, Direction, MAX_INTERFACES};

/// The one entry of the control table, read for every packet of an interface with tasks: what is known of every
/// task, a bit each. A change for one task touches its own bit in each mask and no other; the last three fields
/// are of all tasks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Tasks that match at all. Set last when a task is added, cleared first when it is removed.
    pub active: u64,
    /// Tasks whose criterion is absent, and so holds for every packet.
    pub wildcard: WildcardMasks,
    /// Tasks by [`ProtocolClass`].
    pub protocols: [u64; 4],
    /// Tasks that have an IPv4 prefix, in any role: for them the longest-prefix table is asked.
    pub prefixes_v4: u64,
    /// Tasks that have an IPv6 prefix.
    pub prefixes_v6: u64,
    /// Tasks that also take ICMP errors about their packets.
    pub icmp_errors: u64,
    /// Tasks that leave out a frame longer than their `max_bytes`; the others cut it.
    pub discard_oversize: u64,
    /// Tasks that have a `max_bytes`; the others keep whole frames.
    pub limited: u64,
    /// Their `max_bytes`, turned on its side: word `n` has bit `n` of each.
    pub max_bytes: [u64; MAX_BYTES_BITS],
    /// Monotonic nanoseconds from which on some active task may be over; `u64::MAX` for none.
    pub first_deadline_ns: u64,
    /// Raised each time a slot is given to another task; records repeat it.
    pub generation: u32,
    /// What all tasks keep of a frame, `u32::MAX` for the whole; 0 where that differs, and `max_bytes` tells.
    pub kept_by_all: u32,
}

/// Bits of a `max_bytes`.
pub const MAX_BYTES_BITS: usize = u16::BITS as usize;

/// Tasks for which one criterion was not given.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WildcardMasks {
    /// Tasks without `ip`.
    pub local_address: u64,
    /// Tasks without `peer_ip`.
    pub peer_address: u64,
    /// Tasks without `ports`.
    pub local_port: u64,
    /// Tasks without `peer_ports`.
    pub peer_port: u64,
}

/// What `protocol` distinguishes. A frame that is none of the three is taken only by `all`.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolClass {
    /// Any other frame, non-IP frames included.
    Other = 0,
    /// TCP over IPv4 or IPv6.
    Tcp = 1,
    /// UDP over IPv4 or IPv6.
    Udp = 2,
    /// ICMP over IPv4, ICMPv6 over IPv6.
    Icmp = 3,
}

/// One attached interface. The table has [`MAX_INTERFACES`] cells, and an
/// interface is in that of [`interface_cell`], unless another one was there before: then it is in
/// the table of the displaced.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Tasks that capture on this interface, by [`HookPoint`].
    pub slots: [u64; HOOK_POINTS],
    /// Index of the interface; 0 where the cell is free. Written last and cleared first: who reads it
    /// after the rest knows whose the rest was.
    pub ifindex: u32,
    /// Row of this interface in the counters table, below [`MAX_INTERFACES`].
    pub row: u32,
    /// [`LinkLayer`] as a number.
    pub link: u32,
    /// Not 0 where an interface that belongs into this cell is in the table of the displaced.
    pub displaced: u32,
}

/// The cell of an interface.
#[inline(always)]
pub const fn interface_cell(ifindex: u32) -> u32 {
    const { assert!(MAX_INTERFACES.is_power_of_two()) };
    ifindex & (MAX_INTERFACES as u32 - 1)
}

/// Where a program hangs on an interface.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookPoint {
    /// tc, frames received.
    TcIngress = 0,
    /// tc, frames sent.
    TcEgress = 1,
    /// XDP, native or generic; frames received.
    Xdp = 2,
}

/// How many [`HookPoint`]s there are.
pub const HOOK_POINTS: usize = 3;

impl HookPoint {
    /// All of them.
    pub const ALL: [Self; HOOK_POINTS] = [Self::TcIngress, Self::TcEgress, Self::Xdp];

    /// The way of the frames that it sees.
    #[inline(always)]
    pub fn direction(self) -> Direction {
        match self {
            Self::TcIngress | Self::Xdp => Direction::Ingress,
            Self::TcEgress => Direction::Egress,
        }
    }
}

/// What a frame of an interface begins with.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLayer {
    /// A 14-byte Ethernet header.
    Ethernet = 0,
    /// The IP header itself: tun, WireGuard, IP tunnels.
    None = 1,
}

/// Tasks that have an address (or a prefix that contains it) as an endpoint.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressMasks {
    /// As `ip`.
    pub local: u64,
    /// As `peer_ip`.
    pub peer: u64,
}

/// An address as its bytes on the wire, read as two words of the host; IPv4 has the lower half of the
/// first word, and the rest is 0.
pub type Address = [u64; 2];

/// One cell of an address table, in which almost every address is found, or known not to be there, by
/// one look: [`address_cell`] says which cell.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressCell {
    /// Tasks of the address.
    pub masks: AddressMasks,
    /// The address; any at all where no task has one in this cell, as the masks are then 0.
    pub address: Address,
    /// Not 0 where several addresses fell into this cell: the exact table knows them apart.
    pub shared: u64,
}

/// The cell of an address: the highest bits of a sum of products (multiply-shift hashing).
#[inline(always)]
pub const fn address_cell(address: &Address) -> u32 {
    const { assert!(ADDRESS_CELLS.is_power_of_two()) };
    let sum = address[0]
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(address[1].wrapping_mul(0xc2b2_ae3d_27d4_eb4f));
    (sum >> (u64::BITS - ADDRESS_CELLS.trailing_zeros())) as u32
}

/// Tasks that have a port as an endpoint; the table has one entry for each port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortMasks {
    /// In `ports`.
    pub local: u64,
    /// In `peer_ports`.
    pub peer: u64,
}

/// Address part of a key of the IPv4 longest-prefix table: the address in network byte order, then
/// four zero bytes, which keep the value behind it aligned (`trie_lookup_elem` in
/// kernel/bpf/lpm_trie.c). Prefix lengths are 0–32, and 64 for a lookup.
pub type PrefixAddressV4 = [u8; 8];

/// Address part of a key of the IPv6 longest-prefix table, network byte order.
pub type PrefixAddressV6 = [u8; 16];

/// When a task matches.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Monotonic nanoseconds from which on the task matches: fragments of a datagram whose first
    /// one came before belong to whoever had the slot then.
    pub started_ns: u64,
    /// Monotonic nanoseconds from which on the task no longer matches; `u64::MAX` for none.
    pub deadline_ns: u64,
}

/// One fragmented datagram at one hook point (RFC 791 section 3.2, RFC 8200 section 4.5).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentKey {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Identification, as its bytes on the wire; IPv4 has 16 bits.
    pub identification: u32,
    /// Interface that saw it: elsewhere the tasks are others.
    pub ifindex: u32,
    /// IPv4: the protocol. IPv6: 0, as only the identification counts there.
    pub protocol: u8,
    /// 4 or 6.
    pub version: u8,
    /// [`HookPoint`] that saw it.
    pub hook: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

/// Which tasks took the first fragment of a datagram.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentVerdict {
    /// The tasks.
    pub slots: u64,
    /// Monotonic nanoseconds when the first fragment was seen.
    pub timestamp_ns: u64,
}

const _: () = {
    assert!(size_of::<Control>() == 256);
    assert!(size_of::<Interface>() == 40);
    assert!(size_of::<AddressMasks>() == 16);
    assert!(size_of::<AddressCell>() == 40);
    assert!(size_of::<PortMasks>() == 16);
    assert!(size_of::<Slot>() == 16);
    assert!(size_of::<FragmentKey>() == 48);
    assert!(size_of::<FragmentVerdict>() == 16);
};

#[cfg(feature = "user")]
crate::pod!(
    Control,
    Interface,
    AddressMasks,
    AddressCell,
    PortMasks,
    Slot,
    FragmentKey,
    FragmentVerdict
);
