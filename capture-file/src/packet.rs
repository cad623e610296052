//! What the demultiplexer gives an output: packets, and the interfaces that they come from.

use capture_common::{Direction, VlanTag};

/// A packet on its way from the drain to a task's output.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Nanoseconds since the Unix epoch, UTC; never less than the packet's before it.
    pub timestamp_ns: u64,
    /// Interface index in its network namespace, a key of the [`InterfaceInfo`]s known to the sink.
    pub ifindex: u32,
    /// Ingress or egress.
    pub direction: Direction,
    /// Bytes that the hook saw, the tag in metadata not included.
    pub original_len: u32,
    /// Tag in metadata, to be put back behind the source address (`protocol` 0: none).
    pub vlan: VlanTag,
    /// The frame's first bytes; may be longer than the task's `max_bytes`, and is cut by the sink.
    pub data: &'a [u8],
}

/// What a capture file says of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Interface index.
    pub ifindex: u32,
    /// Name.
    pub name: String,
    /// LINKTYPE_ value (tcpdump.org/linktypes.html): 1 Ethernet, 101 raw IP.
    pub link_type: u16,
}
