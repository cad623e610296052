//! A packet's record, whichever format it is of, before it is lent.

use capture_common::Direction;

/// Longest packet that is believed: libpcap (MAXIMUM_SNAPLEN) and Wireshark (WTAP_MAX_PACKET_SIZE_STANDARD)
/// take a longer one for a damaged file.
pub(super) const MAX_PACKET_LEN: u32 = 262_144;

/// A packet, and where its parts are, counted from the beginning of its record.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketRecord {
    pub(super) timestamp_ns: Option<u64>,
    pub(super) interface: u32,
    pub(super) direction: Option<Direction>,
    pub(super) original_len: u32,
    pub(super) lost_before: u64,
    pub(super) data_at: usize,
    pub(super) data_len: usize,
    pub(super) options_at: usize,
    pub(super) options_len: usize,
}
