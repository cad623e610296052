//! What is counted of one direction of data.

/// Why a segment was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Three duplicate acknowledgements, or SACK blocks beyond it (RFC 5681, 6675).
    Fast,
    /// The retransmission timer (RFC 6298).
    Timeout,
    /// What else was lost, after the retransmission timer.
    AfterTimeout,
    /// A tail-loss probe (RFC 8985).
    Probe,
    /// Nothing that was captured tells.
    Unknown,
}

/// What a segment is to its direction of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An acknowledgement, or anything else without sequence numbers of its own.
    Control,
    /// Data for the first time, SYN and FIN included.
    Data,
    /// Sent again by its sender.
    Resent(Cause),
    /// Arrived after what was sent later.
    Reordered,
    /// Doubled by the network.
    Duplicate,
    /// Asks whether the other end is still there.
    KeepAlive,
    /// Asks whether the closed window is open again.
    WindowProbe,
    /// The same packet on its way out and in of one host.
    Copy,
}

/// Those counts of one direction of data that ordinary connections have too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub segments: u32,
    pub zero_window: u32,
    pub window_full: u32,
    pub keep_alives: u32,
    pub resets: u32,
}

/// Counts of one direction of data. Resends, losses and spurious ones are segments, where a frame of an offload is several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Segments with data, each once.
    pub segments: u32,
    /// Segments that were sent again.
    pub retransmissions: u32,
    /// Those of them that are SYNs.
    pub resent_syns: u32,
    /// Those of them sent by fast retransmit or SACK recovery.
    pub fast: u32,
    /// How often the retransmission timer expired.
    pub timeouts: u32,
    /// Tail-loss probes that were resends.
    pub probes: u32,
    /// Resends that were not needed.
    pub spurious: u32,
    /// Losses, runs of them counted once.
    pub episodes: u32,
    /// Packets that arrived after what was sent later.
    pub reordered: u32,
    /// Packets doubled by the network.
    pub network_duplicates: u32,
    /// Segments lost before they came past the capture.
    pub lost_before: u32,
    /// Acknowledged data that the capture never saw.
    pub missed: u32,
    /// Announcements of a closed window.
    pub zero_window: u32,
    /// Segments that fill the window of the other end.
    pub window_full: u32,
    /// Keep-alives.
    pub keep_alives: u32,
    /// Resets.
    pub resets: u32,
    /// Small writes that waited for a delayed acknowledgement.
    pub delayed_writes: u32,
}

impl Figures {
    /// Adds those of another.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.segments, other.segments),
            (&mut self.retransmissions, other.retransmissions),
            (&mut self.resent_syns, other.resent_syns),
            (&mut self.fast, other.fast),
            (&mut self.timeouts, other.timeouts),
            (&mut self.probes, other.probes),
            (&mut self.spurious, other.spurious),
            (&mut self.episodes, other.episodes),
            (&mut self.reordered, other.reordered),
            (&mut self.network_duplicates, other.network_duplicates),
            (&mut self.lost_before, other.lost_before),
            (&mut self.missed, other.missed),
            (&mut self.zero_window, other.zero_window),
            (&mut self.window_full, other.window_full),
            (&mut self.keep_alives, other.keep_alives),
            (&mut self.resets, other.resets),
            (&mut self.delayed_writes, other.delayed_writes),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }
}
