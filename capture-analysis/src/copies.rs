//! Packets that were captured on several interfaces: each counts once. A copy has the same addresses, IP identification,
//! transport and payload, and comes within milliseconds on another interface.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use crate::{decode::Decoded, packet::Packet, rules::capture::DUPLICATE_WINDOW};

/// Packets that are remembered, a power of two.
const PLACES: usize = 4096;

/// What was seen last, by a hash of what copies have in common.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    /// None before the first packet: most captures are of one interface.
    places: Vec<(u64, u64, u32)>,
    /// With a seed: nobody can make packets that are taken for copies of others.
    hasher: RandomState,
}

impl Copies {
    /// Whether this was just seen on another interface.
    pub(crate) fn is_copy(&mut self, packet: &Packet<'_>, headers: &Decoded<'_>) -> bool {
        let Some(ip) = &headers.ip else { return false };
        let mut hasher = self.hasher.build_hasher();
        // Time to live, checksums and the link layer differ where a host forwards.
        let start = usize::from(ip.offset) + usize::from(ip.header_len);
        hasher.write_u32(ip.identification.unwrap_or(0));
        hasher.write_u8(ip.protocol);
        hasher.write_u32(ip.total_len);
        std::hash::Hash::hash(&(ip.source, ip.destination), &mut hasher);
        let carried = headers.frame.get(start..).unwrap_or_default();
        hasher.write(&carried[..carried.len().min(64)]);
        let hash = hasher.finish();

        if self.places.is_empty() {
            self.places = vec![(0, 0, u32::MAX); PLACES];
        }
        let place = &mut self.places[hash as usize % PLACES];
        let (known, ns, interface) = *place;
        let age = packet.timestamp_ns.saturating_sub(ns);
        if known == hash && interface != packet.interface && age <= DUPLICATE_WINDOW.ns() {
            return true;
        }
        *place = (hash, packet.timestamp_ns, packet.interface);
        false
    }
}
