//! The input of an output: packets and interfaces.

use capture_common::{Direction, VlanTag};

/// A packet for the output of a task.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Nanoseconds since the Unix epoch, UTC; never less than the packet's before it.
    pub timestamp_ns: u64,
    /// Interface index in its network namespace, as in [`InterfaceInfo`].
    pub ifindex: u32,
    /// Ingress or egress.
    pub direction: Direction,
    /// Bytes that the hook saw, the tag in metadata not included.
    pub original_len: u32,
    /// 802.1Q tag in metadata, which belongs behind the source address (`protocol` 0: none).
    pub vlan: VlanTag,
    /// The frame's first bytes; may be longer than the task's `max_bytes`, and is cut by the output.
    pub data: &'a [u8],
}

/// What an output knows of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Interface index.
    pub ifindex: u32,
    /// Name.
    pub name: String,
    /// LINKTYPE_ value (tcpdump.org/linktypes.html): 1 Ethernet, 101 raw IP.
    pub link_type: u16,
}
