//! Segments that were seen a moment ago, to know those that the network delivers twice: a sender gives each packet an IP
//! identification of its own, resends too (RFC 6864), so that two that are equal in everything were sent once.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use capture_common::Direction;
use rustc_hash::FxBuildHasher;

use super::Segment;

/// Segments that are remembered: sets of four, of which the oldest gives way, each a cache line.
const SETS: usize = 2048;
const WAYS: usize = 4;

/// Hashes with the direction in the lowest bit, and times; the newest first.
type Set = [(u64, u64); WAYS];

/// The latest segments of all connections.
#[derive(Debug)]
pub(crate) struct Fingerprints {
    sets: Box<[Set]>,
}

/// The same segment, seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// How long ago.
    pub(crate) age_ns: u64,
    /// Whether it goes into the host now and came out of it then: loopback.
    pub(crate) turned: bool,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self {
            sets: vec![[(0, 0); WAYS]; SETS].into_boxed_slice(),
        }
    }
}

impl Fingerprints {
    /// Whether a segment was seen before, which is remembered.
    #[inline]
    pub(crate) fn seen(&mut self, segment: &Segment<'_>) -> Option<Before> {
        if segment.ip_id.is_none() && segment.tcp.timestamps.is_none() {
            return None;
        }
        let tcp = segment.tcp;
        let both = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let ports = both(u32::from(tcp.source_port), u32::from(tcp.destination_port));
        let mut hasher = FxBuildHasher.build_hasher();
        hasher.write_u64(both(tcp.sequence, tcp.acknowledgement));
        hasher.write_u64(ports << 16 | u64::from(segment.ip_id.unwrap_or(0)));
        hasher.write_u64(both(
            tcp.timestamps.map_or(0, |(value, _)| value),
            segment.len,
        ));
        hasher.write_u64(u64::from(tcp.flags.0) << 16 | u64::from(tcp.window));
        segment.addresses.hash(&mut hasher);
        let into = segment.direction == Some(Direction::Ingress);
        let hash = hasher.finish() & !1;
        let set = &mut self.sets[(hash >> 20) as usize % SETS];
        let before = set
            .iter()
            .find(|(known, _)| known & !1 == hash && hash != 0)
            .copied();
        set.copy_within(..WAYS - 1, 1);
        set[0] = (hash | u64::from(into), segment.ns);
        before.map(|(known, ns)| Before {
            age_ns: segment.ns.saturating_sub(ns),
            turned: into && known & 1 == 0 && segment.direction.is_some(),
        })
    }
}
