//! The figures of a task at its end, from the engine for the output.

/// Figures of a task once it is detached and drained, for the statistics in the last file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalFigures {
    /// When the last hook was attached, nanoseconds since the Unix epoch.
    pub started_ns: u64,
    /// When the capture ended, nanoseconds since the Unix epoch.
    pub ended_ns: u64,
    /// Statistics of the interfaces, as far as there are.
    pub interfaces: Vec<InterfaceStats>,
    /// Packets that matched in the kernel.
    pub matched: u64,
    /// Packets longer than `max_bytes` under `oversize: discard`.
    pub oversize_discarded: u64,
    /// Packets for which the ring had no room.
    pub dropped_ring: u64,
    /// Packets whose bytes the kernel could not read.
    pub dropped_copy: u64,
}

/// Statistics of one interface, from the start of the task to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStats {
    /// Interface index.
    pub ifindex: u32,
    /// Packets that the hooks saw, matching or not (pcapng `isb_ifrecv`).
    pub seen: u64,
    /// Packets that the interface itself dropped (`isb_ifdrop`); `None` if unknown.
    pub dropped: Option<u64>,
}
