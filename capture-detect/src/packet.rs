//! What goes in: a captured packet and what the capture says of it. Whoever reads files or taps a running task makes
//! these; nothing below here does I/O.

use capture_common::Direction;

/// One packet of a capture, in the order of the file.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Its number, counted from 1 in its file, as Wireshark counts. Of a capture in several files
    /// [`PacketId::packed`](crate::PacketId::packed).
    pub number: u64,
    /// Nanoseconds since the Unix epoch, UTC. Captures may hold steps backwards.
    pub timestamp_ns: u64,
    /// The interface, a key of those given to `Analyzer::interface`.
    pub interface: u32,
    /// Whether the capturing host received or sent it, where the file says so (pcapng `epb_flags`).
    pub direction: Option<Direction>,
    /// Length on the wire in bytes; more than `data` holds where the capture cut the frame.
    pub original_len: u32,
    /// Packets that the capture lost between the previous packet and this one (pcapng `epb_dropcount`).
    pub lost_before: u64,
    /// The bytes of the frame that were kept.
    pub data: &'a [u8],
}

/// An interface that packets were captured on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name, where the file has one.
    pub name: Option<String>,
    /// How its frames begin, a LINKTYPE_ number (tcpdump.org/linktypes.html).
    pub link_type: u16,
    /// Most bytes kept of a frame; 0 where there is no limit.
    pub snap_len: u32,
    /// The capture filter, where the file has one.
    pub filter: Option<String>,
}

/// Packets that a capture lost itself, as its statistics say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Lost between the hook and the file (pcapng `isb_osdrop`, and what the filter accepted less what was delivered).
    pub capture: u64,
    /// Dropped by the interface before the hook (pcapng `isb_ifdrop`).
    pub interface: u64,
}
