//! Nanosecond pcap in host byte order (draft-ietf-opsawg-pcap, magic 0xa1b23c4d): a header, and
//! records of 16 bytes before each packet. It knows one link type, no interfaces and no statistics.

use super::frame::{OutputFrame, word};

/// Bytes of the file header.
pub(super) const HEADER_LEN: usize = 24;

const RECORD_HEADER_LEN: usize = 16;
const NANOS: u64 = 1_000_000_000;

/// The encoder; all that it holds is the file header.
pub(crate) struct Pcap {
    header: [u8; HEADER_LEN],
}

impl Pcap {
    pub(super) fn new(snap_len: u32, link_type: u16) -> Self {
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&0xa1b2_3c4d_u32.to_ne_bytes());
        header[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        header[6..8].copy_from_slice(&4_u16.to_ne_bytes());
        header[16..20].copy_from_slice(&snap_len.to_ne_bytes());
        header[20..].copy_from_slice(&u32::from(link_type).to_ne_bytes());
        Self { header }
    }

    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }
}

pub(super) fn record_len(frame: &OutputFrame<'_>) -> usize {
    RECORD_HEADER_LEN + frame.captured_len() as usize
}

pub(super) fn record(frame: &OutputFrame<'_>, out: &mut Vec<u8>) {
    // The format's seconds end in February 2106.
    let seconds = u32::try_from(frame.timestamp_ns / NANOS).unwrap_or(u32::MAX);
    let nanos = (frame.timestamp_ns % NANOS) as u32;
    let mut header = [0; RECORD_HEADER_LEN];
    header[..4].copy_from_slice(&seconds.to_ne_bytes());
    header[4..8].copy_from_slice(&nanos.to_ne_bytes());
    header[8..12].copy_from_slice(&frame.captured_len().to_ne_bytes());
    header[12..].copy_from_slice(&frame.original_len.to_ne_bytes());
    out.extend_from_slice(&header);
    frame.append_to(out);
}

/// Length of the record at the front, and the bytes kept of its packet.
pub(super) fn first_record(data: &[u8]) -> Option<(usize, Option<u32>)> {
    let kept = word(data, 8)?;
    Some((RECORD_HEADER_LEN + kept as usize, Some(kept)))
}
