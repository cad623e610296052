//! What can be wrong with headers, as a set in one word.

/// Something that a header claims and that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Problem {
    /// The frame ends within a header, although it was captured whole.
    ShortHeader,
    /// More tags, labels, extension headers or tunnels than are followed.
    TooDeep,
    /// The version of an IP header is neither that of its EtherType nor 4 or 6.
    IpVersion,
    /// An IP header length below the least.
    IpHeaderLength,
    /// An IP length that is shorter than its headers or longer than the frame.
    IpLength,
    /// A TCP data offset below 5 or beyond the segment.
    TcpHeaderLength,
    /// A TCP option whose length cannot be.
    TcpOption,
    /// A UDP length below 8 or beyond the datagram.
    UdpLength,
}

/// A set of problems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Problems(u8);

impl Problems {
    /// Notes one.
    #[inline]
    pub(crate) fn add(&mut self, problem: Problem) {
        self.0 |= 1 << problem as u8;
    }

    /// Whether it is in the set.
    #[inline]
    pub fn contains(self, problem: Problem) -> bool {
        self.0 & (1 << problem as u8) != 0
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
