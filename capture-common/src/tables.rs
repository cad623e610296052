//! The tables: keys and values of the maps that hold the tasks, and of the counters.
//!
//! A `u64` mask has one bit for each slot. "Local" is the task's `ip`/`ports` endpoint, "peer" its
//! `peer_ip`/`peer_ports` endpoint; a packet is tried both ways round.

use crate::Direction;

/// Some task has an IPv4 prefix: the longest-prefix table must be looked at.
pub const CONTROL_FLAG_PREFIXES_V4: u32 = 1;
/// Some task has an IPv6 prefix.
pub const CONTROL_FLAG_PREFIXES_V6: u32 = 2;

/// The one entry of the control table, read first for every packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Tasks that match at all. Set last when a task is added, cleared first when it is removed.
    pub active: u64,
    /// Tasks whose criterion is absent, and so holds for every packet.
    pub wildcard: WildcardMasks,
    /// Tasks by [`ProtocolClass`].
    pub protocols: [u64; 4],
    /// Which tables have entries at all (`CONTROL_FLAG_*`).
    pub flags: u32,
    /// Raised each time a slot is given to another task; records repeat it.
    pub generation: u32,
}

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

/// One attached interface, keyed by its index (`u32`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Tasks that capture on this interface, by [`HookPoint`].
    pub slots: [u64; HOOK_POINTS],
    /// Row of this interface in the counters table, below [`MAX_INTERFACES`](crate::MAX_INTERFACES).
    pub row: u32,
    /// [`LinkLayer`] as a number.
    pub link: u32,
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

/// What the kernel needs of a task once it has matched.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Monotonic nanoseconds from which on the task matches: fragments of a datagram whose first
    /// one came before belong to whoever had the slot then.
    pub started_ns: u64,
    /// Monotonic nanoseconds from which on the task no longer matches; `u64::MAX` for none.
    pub deadline_ns: u64,
    /// Most bytes kept of a frame; `u32::MAX` for the whole frame.
    pub max_bytes: u32,
    /// 1 where a longer frame is left out (`oversize: discard`), 0 where it is cut.
    pub discard_oversize: u32,
}

/// What became of the frames that a slot matched; one for each CPU, set to zero for a new task.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCounters {
    /// Frames that matched, whatever became of them.
    pub matched: u64,
    /// Their original lengths in bytes, tags in metadata included.
    pub matched_bytes: u64,
    /// Frames left out because they are longer than `max_bytes` (`oversize: discard`).
    pub oversize_discarded: u64,
    /// Frames for which the ring had no room.
    pub ring_full: u64,
    /// Frames whose bytes could not be read.
    pub copy_failed: u64,
}

/// What one hook point of one interface saw; one for each CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Frames that the hook saw.
    pub seen: u64,
    /// Frames too short, or with too many headers, to decide on a criterion.
    pub malformed: u64,
}

/// One fragmented datagram at one hook point (RFC 791 section 3.2, RFC 8200 section 4.5).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentKey {
    /// Source address, network byte order; IPv4 in the first four bytes, the rest 0.
    pub source: [u8; 16],
    /// Destination address, likewise.
    pub destination: [u8; 16],
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
    pub reserved: u8,
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
    assert!(size_of::<Control>() == 80);
    assert!(size_of::<Interface>() == 32);
    assert!(size_of::<AddressMasks>() == 16);
    assert!(size_of::<PortMasks>() == 16);
    assert!(size_of::<Slot>() == 24);
    assert!(size_of::<SlotCounters>() == 40);
    assert!(size_of::<InterfaceCounters>() == 16);
    assert!(size_of::<FragmentKey>() == 44);
    assert!(size_of::<FragmentVerdict>() == 16);
};

#[cfg(feature = "user")]
mod pod {
    use super::*;

    macro_rules! pod {
        ($($name:ident),* $(,)?) => {$(
            // SAFETY: `repr(C)` integers without padding, valid for every bit pattern.
            unsafe impl aya::Pod for $name {}
        )*};
    }

    pod!(
        Control,
        Interface,
        AddressMasks,
        PortMasks,
        Slot,
        SlotCounters,
        InterfaceCounters,
        FragmentKey,
        FragmentVerdict,
    );
}
