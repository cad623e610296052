//! What is known of a packet beside its bytes: where it stands in a file, and when it was captured.

/// A packet of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Number in the file, from 1.
    pub number: u64,
    /// Nanoseconds since 1970, and the two spans that follow from it; `None` where the file has no time.
    pub time: Option<Time>,
    /// LINKTYPE_ number.
    pub link_type: u16,
    /// Length on the wire.
    pub wire_len: u32,
    /// Number of the interface, from 0.
    pub interface: u32,
    /// Name of the interface.
    pub interface_name: Option<&'a str>,
    /// The captured bytes.
    pub data: &'a [u8],
}

/// When a packet was captured, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Since 1970.
    pub epoch: i128,
    /// Since the first packet of the file.
    pub relative: i128,
    /// Since the packet before it in the file.
    pub delta: i128,
}

/// Keeps the times that a packet's is measured from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    first_and_last: Option<(i128, i128)>,
}

impl Clock {
    /// A clock in the middle of a file, whose first packet with a time has this one, and the last before here that.
    pub fn since(first_ns: Option<u64>, last_ns: Option<u64>) -> Self {
        let times = first_ns.zip(last_ns);
        let first_and_last = times.map(|(first, last)| (first.into(), last.into()));
        Self { first_and_last }
    }

    /// The time of the next packet of a file.
    pub fn next(&mut self, timestamp_ns: Option<u64>) -> Option<Time> {
        let epoch = i128::from(timestamp_ns?);
        let (first, last) = self.first_and_last.unwrap_or((epoch, epoch));
        self.first_and_last = Some((first, epoch));
        Some(Time {
            epoch,
            relative: epoch - first,
            delta: epoch - last,
        })
    }
}
