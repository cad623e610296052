//! A packet as those see it who look at many: streams, conversations, the course of time.

use capture_common::Direction;
use capture_packet::decode::Decoded;

/// A packet of a capture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed<'p, 'a> {
    /// Its number in the capture, from 1.
    pub(crate) number: u64,
    /// Packets of the capture before it.
    pub(crate) position: u64,
    /// Nanoseconds since 1970, that of the packet before it where the file has none.
    pub(crate) ns: u64,
    /// Whether the capturing host received or sent it.
    pub(crate) direction: Option<Direction>,
    /// Its headers.
    pub(crate) headers: &'p Decoded<'a>,
}
