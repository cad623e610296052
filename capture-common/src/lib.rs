//! The wire contract: every type and number that the kernel programs and the agent both know.
//!
//! The kernel programs (`capture-ebpf`) fill [`RecordHeader`]s and [`SlotCounters`] and read the
//! tables; the engine (`capture-engine`) fills the tables and reads the records. All types are
//! `repr(C)` without implicit padding; the layout is asserted at compile time. Integers are in
//! host byte order unless a field says otherwise.
#![no_std]

/// Says of types of plain old data that they are such.
#[cfg(feature = "user")]
macro_rules! pod {
    ($($name:ident),* $(,)?) => {$(
        // SAFETY: `repr(C)` integers without padding, valid for every bit pattern.
        unsafe impl aya::Pod for $name {}
    )*};
}
#[cfg(feature = "user")]
use pod;

mod counters;
mod record;
mod ring;
mod tables;

pub use counters::{BitSlicedCounter, COUNTER_BITS, InterfaceCounters, InterfaceRow, SlotCounters};
pub use record::{Direction, RECORD_HEADER_LEN, RecordHeader, VlanTag};
pub use ring::{CHUNK_LEN, NEXT_CHUNK, RECORD_ALIGN, RingEnds};
pub use tables::{
    Address, AddressCell, AddressMasks, Control, FragmentKey, FragmentVerdict, HOOK_POINTS,
    HookPoint, Interface, LinkLayer, MAX_BYTES_BITS, PortMasks, PrefixAddressV4, PrefixAddressV6,
    ProtocolClass, Slot, WildcardMasks, address_cell, interface_cell,
};

/// Most tasks that match at the same time: a task owns one bit of a 64-bit mask.
pub const MAX_SLOTS: usize = 64;

/// Most bytes that the kernel side keeps of one frame, as tcpdump's `MAXIMUM_SNAPLEN`.
///
/// Larger than any GSO super-frame without BIG TCP (65,535 bytes of IP and the link header).
pub const MAX_CAPTURE_LEN: usize = 262_144;

/// Most interfaces that one engine has attached at the same time; bounds the interface tables.
pub const MAX_INTERFACES: usize = 4096;

/// Tags looked through in one frame, the one that a NIC stripped not counted.
pub const MAX_VLAN_TAGS: usize = 4;

/// IPv6 extension headers looked through in one frame.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// Datagrams whose first fragment's verdict is remembered at the same time.
pub const MAX_FRAGMENTED_DATAGRAMS: usize = 16_384;

/// How long the verdict on a first fragment holds for the later ones, in nanoseconds; Linux gives up
/// on an IPv4 datagram after the same time (`net.ipv4.ipfrag_time`, 30 s), and on one of IPv6 after 60 s.
pub const FRAGMENT_LIFETIME_NS: u64 = 30_000_000_000;

/// Most addresses and prefixes of one endpoint of a task.
pub const MAX_ENDPOINT_ADDRESSES: usize = 64;

/// Addresses in each exact table: as many as all tasks together can ask for.
pub const MAX_ADDRESSES: usize = 2 * MAX_SLOTS * MAX_ENDPOINT_ADDRESSES;

/// Prefixes in each longest-prefix table. Twice as many as all tasks can ask for: kernels before 6.13 refuse to replace
/// an element of a full one (`trie_update_elem` in kernel/bpf/lpm_trie.c).
pub const MAX_PREFIXES: usize = 2 * MAX_ADDRESSES;

/// Cells of each address table: many more than there are addresses mostly, so that hardly two share one.
pub const ADDRESS_CELLS: usize = 16_384;

/// CPUs in the definitions of the maps that have values for each. The agent creates them for as many as there are.
pub const MAX_CPUS: usize = 1024;
