//! The packets that a finding cites: few enough to be read, and enough to see how it began and ended.

use serde::Serialize;

use crate::packet_id::PacketId;

/// Packets that are kept from the start.
const FIRST: usize = 12;

/// Packets that are kept of the end.
const LAST: usize = 4;

/// Most packets that a finding cites.
pub const MOST_CITED: usize = FIRST + LAST;

/// Times and numbers of the packets of one thing, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Of most things there is none, and the tables of what there may be are long.
    kept: Option<Box<Kept>>,
    count: u64,
    since_ns: u64,
    until_ns: u64,
}

/// Numbers of packets, 0 in empty places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    first: [u64; FIRST],
    last: [u64; LAST],
}

impl Evidence {
    /// Evidence of one packet.
    pub fn of(number: u64, timestamp_ns: u64) -> Self {
        let mut evidence = Self::default();
        evidence.add(number, timestamp_ns);
        evidence
    }

    /// Adds a packet.
    #[inline]
    pub fn add(&mut self, number: u64, timestamp_ns: u64) {
        if self.count == 0 {
            self.since_ns = timestamp_ns;
            self.until_ns = timestamp_ns;
        }
        let kept = self.kept.get_or_insert_default();
        match kept.first.get_mut(self.count as usize) {
            Some(place) => *place = number,
            None => kept.last[(self.count as usize - FIRST) % LAST] = number,
        }
        self.since_ns = self.since_ns.min(timestamp_ns);
        self.until_ns = self.until_ns.max(timestamp_ns);
        self.count += 1;
    }

    /// Adds what another has; of its packets those that it still knows.
    pub fn merge(&mut self, other: &Self) {
        // With those that are there twice: they fill places.
        let mut unknown = other.count;
        let (since, until) = (other.since_ns, other.until_ns);
        for number in other.kept() {
            self.add(number, since);
            unknown -= 1;
        }
        if other.count > 0 {
            self.until_ns = self.until_ns.max(until);
            self.count += unknown;
        }
    }

    /// How many there were.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there was none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The time of the earliest, nanoseconds since the Unix epoch.
    pub fn since_ns(&self) -> u64 {
        self.since_ns
    }

    /// The time of the latest.
    pub fn until_ns(&self) -> u64 {
        self.until_ns
    }

    /// The packets that are cited, in the order of files and numbers, each once.
    pub fn cited(&self) -> impl Iterator<Item = PacketId> + use<> {
        self.packets().into_iter().map(PacketId::unpacked)
    }

    /// The numbers that are cited as they came in, in ascending order, each once.
    pub fn packets(&self) -> Vec<u64> {
        let mut packets: Vec<_> = self.kept().collect();
        packets.sort_unstable();
        packets.dedup();
        packets
    }
}

impl Evidence {
    fn kept(&self) -> impl Iterator<Item = u64> {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let kept = self.kept.iter().flat_map(move |kept| {
            let first = &kept.first[..count.min(FIRST)];
            let last = &kept.last[..count.saturating_sub(FIRST).min(LAST)];
            first.iter().chain(last).copied()
        });
        // Merged evidence counts packets that it does not know.
        kept.filter(|number| *number != 0)
    }
}

impl Serialize for Evidence {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.cited())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_cited() {
        let mut evidence = Evidence::default();
        assert!(evidence.packets().is_empty());
        for number in 1..=100 {
            evidence.add(number, number * 10);
        }
        let packets = evidence.packets();
        assert_eq!(packets.len(), MOST_CITED);
        assert_eq!(packets[..FIRST], (1..=12).collect::<Vec<_>>());
        assert_eq!(packets[FIRST..], [97, 98, 99, 100]);
        assert_eq!(
            (evidence.count(), evidence.since_ns(), evidence.until_ns()),
            (100, 10, 1000)
        );
    }

    #[test]
    fn a_packet_that_was_added_twice_leaves_no_hole() {
        let mut one = Evidence::default();
        for number in 1..=10 {
            one.add(number, number);
            one.add(number, number);
        }
        let mut all = Evidence::default();
        all.merge(&one);
        assert_eq!(all.count(), 20);
        assert!(!all.packets().contains(&0), "{:?}", all.packets());
    }

    #[test]
    fn merged_evidence_counts_all() {
        let mut one = Evidence::of(5, 50);
        let mut other = Evidence::default();
        for number in 100..200 {
            other.add(number, number);
        }
        one.merge(&other);
        assert_eq!(one.count(), 101);
        assert_eq!((one.since_ns(), one.until_ns()), (50, 199));
        assert_eq!(one.packets().len(), MOST_CITED);
    }

    #[test]
    fn a_packet_that_counts_twice_is_cited_once() {
        let mut twice = Evidence::of(5, 50);
        twice.add(5, 60);
        let mut one = Evidence::of(9, 90);
        one.merge(&twice);
        one.merge(&Evidence::of(7, 70));
        assert_eq!(one.count(), 4);
        assert_eq!(one.packets(), [5, 7, 9]);
    }
}
