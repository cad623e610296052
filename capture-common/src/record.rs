//! The record: what one matched frame is on its way through a ring, a header and then the bytes.

/// Bytes of a [`RecordHeader`] in the ring, before the frame.
pub const RECORD_HEADER_LEN: usize = size_of::<RecordHeader>();

/// What the kernel says about a frame; `captured_len` bytes of the frame follow it in the ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// Nanoseconds on the monotonic clock (`bpf_ktime_get_ns`) when the hook saw the frame.
    pub timestamp_ns: u64,
    /// Bit `n` is set where the task in slot `n` matched.
    pub slots: u64,
    /// Interface index in the network namespace of the hook.
    pub ifindex: u32,
    /// [`Control::generation`](crate::Control::generation) when the frame was matched.
    pub generation: u32,
    /// Bytes of the frame that the hook saw, without a tag in metadata.
    pub original_len: u32,
    /// Bytes of the frame that follow this header, at most `original_len`.
    pub captured_len: u32,
    /// The 802.1Q tag that was stripped into metadata; no tag where its protocol is 0.
    pub vlan: VlanTag,
    /// [`Direction`] as a number.
    pub direction: u8,
    /// Zero.
    pub reserved: [u8; 3],
}

/// A VLAN tag that the NIC or the stack keeps beside the frame and not in it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTag {
    /// Tag protocol identifier (0x8100 or 0x88a8), host byte order; 0 means that there is no tag.
    pub protocol: u16,
    /// Tag control information (priority, DEI, VLAN identifier), host byte order.
    pub control: u16,
}

/// The way of a frame as the host sees it.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Received by the interface.
    Ingress = 0,
    /// Sent by the interface.
    Egress = 1,
}

impl RecordHeader {
    /// Reads a header off the front of a ring record, and gives the frame's bytes behind it.
    ///
    /// `None` where the record is shorter than its own header says, which only a kernel object of
    /// another version could cause.
    #[inline]
    pub fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = record.split_at_checked(RECORD_HEADER_LEN)?;
        // SAFETY: `head` has exactly the size of Self, which is plain old data for which every bit
        // pattern is valid; the read is unaligned.
        let header: Self = unsafe { head.as_ptr().cast::<Self>().read_unaligned() };
        let frame = rest.get(..header.captured_len as usize)?;
        Some((header, frame))
    }

    /// The direction, where the number is one.
    #[inline]
    pub fn direction(&self) -> Option<Direction> {
        match self.direction {
            0 => Some(Direction::Ingress),
            1 => Some(Direction::Egress),
            _ => None,
        }
    }
}

const _: () = {
    use core::mem::offset_of;
    assert!(RECORD_HEADER_LEN == 40);
    assert!(offset_of!(RecordHeader, slots) == 8);
    assert!(offset_of!(RecordHeader, ifindex) == 16);
    assert!(offset_of!(RecordHeader, generation) == 20);
    assert!(offset_of!(RecordHeader, original_len) == 24);
    assert!(offset_of!(RecordHeader, captured_len) == 28);
    assert!(offset_of!(RecordHeader, vlan) == 32);
    assert!(offset_of!(RecordHeader, direction) == 36);
};
