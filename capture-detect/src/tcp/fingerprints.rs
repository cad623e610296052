//! Segments that were seen a moment ago, to know those that the network delivers twice: a sender gives each packet an IP
//! identification of its own, resends too (RFC 6864), so that two that are equal in everything were sent once.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};

use capture_common::Direction;
use foldhash::fast::RandomState;

use super::{Segment, identification::ip_id};
use crate::{
    decode::{Decoded, Ip, Tcp},
    prefetch::prefetch,
};

/// Segments that are remembered: sets of four, of which the oldest gives way, each a cache line.
const SETS: usize = 2048;
const WAYS: usize = 4;

/// Hashes with the direction in the lowest bit, and times; the newest first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set([(u64, u64); WAYS]);

/// The latest segments of all connections.
#[derive(Clone, Debug)]
pub struct Fingerprints {
    sets: Box<[Set]>,
    /// With a seed: a hash that packets could be made for would have them taken for copies.
    hasher: RandomState,
}

/// The same segment, seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// How long ago.
    pub age_ns: u64,
    /// Whether it goes into the host now and came out of it then: loopback.
    pub turned: bool,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self {
            sets: vec![Set::default(); SETS].into_boxed_slice(),
            hasher: RandomState::default(),
        }
    }
}

impl Fingerprints {
    /// The hash of a segment by all that it says, whose place will be asked for; 0 where nothing tells two apart.
    #[inline]
    pub fn look_ahead(&self, headers: &Decoded<'_>, ip: &Ip, tcp: &Tcp) -> u64 {
        let ip_id = ip_id(ip);
        if ip_id.is_none() && tcp.timestamps.is_none() {
            return 0;
        }
        let both = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let ports = both(u32::from(tcp.source_port), u32::from(tcp.destination_port));
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64(both(tcp.sequence, tcp.acknowledgement));
        hasher.write_u64(ports << 16 | u64::from(ip_id.unwrap_or(0)));
        hasher.write_u64(both(
            tcp.timestamps.map_or(0, |(value, _)| value),
            headers.payload_len,
        ));
        hasher.write_u64(u64::from(tcp.flags.0) << 16 | u64::from(tcp.window));
        (ip.source, ip.destination).hash(&mut hasher);
        let hash = hasher.finish() & !1;
        prefetch(&self.sets[(hash >> 20) as usize % SETS]);
        hash
    }

    /// Whether a segment of this hash was seen before, which is remembered.
    #[inline]
    pub fn seen(&mut self, hash: u64, segment: &Segment<'_>) -> Option<Before> {
        if hash == 0 {
            return None;
        }
        let into = segment.direction == Some(Direction::Ingress);
        let Set(set) = &mut self.sets[(hash >> 20) as usize % SETS];
        let before = set.iter().find(|(known, _)| known & !1 == hash).copied();
        set.copy_within(..WAYS - 1, 1);
        set[0] = (hash | u64::from(into), segment.ns);
        before.map(|(known, ns)| Before {
            age_ns: segment.ns.saturating_sub(ns),
            turned: into && known & 1 == 0 && segment.direction.is_some(),
        })
    }
}
