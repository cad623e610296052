//! The wire contract: every type and number that the kernel programs and the agent both know.
//!
//! The kernel programs (`capture-ebpf`) fill [`RecordHeader`]s and [`SlotCounters`] and read the
//! tables; the agent (`capture-agent`) fills the tables and reads the records. All types are
//! `repr(C)` without implicit padding; the layout is asserted at compile time. Integers are in
//! host byte order unless a field says otherwise.
#![no_std]

mod record;
mod tables;

pub use record::{Direction, RECORD_HEADER_LEN, RecordHeader, VlanTag};
pub use tables::{
    AddressMasks, CONTROL_FLAG_PREFIXES_V4, CONTROL_FLAG_PREFIXES_V6, Control, FragmentKey,
    FragmentVerdict, HOOK_POINTS, HookPoint, Interface, InterfaceCounters, LinkLayer, PortMasks,
    PrefixAddressV4, PrefixAddressV6, ProtocolClass, Slot, SlotCounters, WildcardMasks,
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
/// on a datagram after the same time (`net.ipv4.ipfrag_time`, 30 s).
pub const FRAGMENT_LIFETIME_NS: u64 = 30_000_000_000;

/// Prefixes in each longest-prefix table: two for each task, with room to change them under way.
pub const MAX_PREFIXES: usize = 1024;

/// Addresses in each exact table.
pub const MAX_ADDRESSES: usize = 1024;

/// Most CPUs that can have a ring.
pub const MAX_CPUS: usize = 1024;
