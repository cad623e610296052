//! Packets and bytes by interface, as the reader takes them off the rings: what it and the engine share. The reader
//! counts in a [`LocalStats`] of its own, and never waits for whoever reads the totals.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError, TryLockError},
};

use capture_common::Direction;

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Bytes that were kept of them.
    pub bytes: u64,
}

/// What the reader took off the rings, by interface. The reader adds up what it takes in a [`LocalStats`] of its own,
/// and never waits for the lock.
#[derive(Debug, Default)]
pub(crate) struct SharedStats(Mutex<BTreeMap<(u32, DirectionKey), Volume>>);

/// [`Direction`] as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DirectionKey {
    /// [`Direction::Ingress`].
    In,
    /// [`Direction::Egress`].
    Out,
}

/// What the reader took since it last told.
#[derive(Debug, Default)]
pub(crate) struct LocalStats {
    /// By interface, each direction for itself.
    volumes: Vec<(u32, [Volume; 2])>,
    /// Where each interface is among them.
    places: HashMap<u32, usize>,
    /// The place of the last packet, where the next one likely belongs.
    last: usize,
}

impl From<Direction> for DirectionKey {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Ingress => Self::In,
            Direction::Egress => Self::Out,
        }
    }
}

impl SharedStats {
    /// The totals by interface and direction, of those interfaces that `is_known` knows. The others are one from
    /// then on, with the index `rest`.
    pub(crate) fn of_interfaces(
        &self,
        is_known: impl Fn(u32) -> bool,
        rest: u32,
    ) -> BTreeMap<(u32, DirectionKey), Volume> {
        let mut volumes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others = BTreeMap::new();
        volumes.retain(|(ifindex, way), volume| {
            let stays = *ifindex == rest || is_known(*ifindex);
            if !stays {
                add(&mut others, (rest, *way), *volume);
            }
            stays
        });
        for (key, volume) in others {
            add(&mut volumes, key, volume);
        }
        volumes.clone()
    }
}

fn add(volumes: &mut BTreeMap<(u32, DirectionKey), Volume>, key: (u32, DirectionKey), new: Volume) {
    let volume = volumes.entry(key).or_default();
    volume.packets += new.packets;
    volume.bytes += new.bytes;
}

impl LocalStats {
    /// Counts a packet.
    pub(crate) fn add(&mut self, ifindex: u32, direction: Direction, bytes: usize) {
        if self
            .volumes
            .get(self.last)
            .is_none_or(|(there, _)| *there != ifindex)
        {
            self.last = *self.places.entry(ifindex).or_insert_with(|| {
                self.volumes.push((ifindex, Default::default()));
                self.volumes.len() - 1
            });
        }
        if let Some((_, volumes)) = self.volumes.get_mut(self.last) {
            let volume = &mut volumes[DirectionKey::from(direction) as usize];
            volume.packets += 1;
            volume.bytes += bytes as u64;
        }
    }

    /// Tells what was counted; where somebody is reading the totals, the next call does.
    pub(crate) fn merge_into(&mut self, stats: &SharedStats) {
        if self.volumes.is_empty() {
            return;
        }
        let mut stats = match stats.0.try_lock() {
            Ok(stats) => stats,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.places.clear();
        for (ifindex, volumes) in self.volumes.drain(..) {
            for (way, new) in [DirectionKey::In, DirectionKey::Out]
                .into_iter()
                .zip(volumes)
            {
                if new.packets > 0 {
                    add(&mut stats, (ifindex, way), new);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Packets that come from another interface each cost the reader the same for two interfaces and for
    /// thousands: at most a few times as much, where a walk over all would be hundreds of times dearer.
    #[test]
    fn many_interfaces_cost_the_reader_no_more_than_a_few() {
        let cost = |interfaces: u32| {
            let mut batch = LocalStats::default();
            // What is made room for once is not what a packet costs.
            for ifindex in 0..interfaces {
                batch.add(ifindex, Direction::Ingress, 1);
            }
            let before = capture_tests::cpus::thread_cpu_time();
            for packet in 0..20_000 {
                batch.add(packet % interfaces, Direction::Egress, 1);
            }
            capture_tests::cpus::thread_cpu_time() - before
        };
        cost(2);
        let (few, many) = (cost(2), cost(10_000));
        assert!(
            many < 20 * few + Duration::from_millis(5),
            "{few:?}, {many:?}"
        );
    }

    #[test]
    fn what_interfaces_had_that_are_not_known_any_more_is_kept_together() {
        let stats = SharedStats::default();
        let mut batch = LocalStats::default();
        let total = |known: u32| {
            let volumes = stats.of_interfaces(|ifindex| ifindex <= known, 0);
            let packets = volumes.values().map(|volume| volume.packets);
            (volumes.len(), packets.sum::<u64>())
        };
        for known in (1..=5).rev() {
            batch.add(known, Direction::Ingress, 100);
            batch.merge_into(&stats);
        }
        assert_eq!(total(5), (5, 5));
        assert_eq!(total(3), (4, 5));
        assert_eq!(total(1), (2, 5));
        assert_eq!(total(1), (2, 5));
    }

    #[test]
    fn the_reader_does_not_wait_for_whoever_reads_the_totals() {
        let stats = SharedStats::default();
        let mut batch = LocalStats::default();
        batch.add(1, Direction::Ingress, 100);
        let reading = stats.0.lock().expect("nobody panics");
        let came_back = std::thread::scope(|scope| {
            let reader = scope.spawn(|| batch.merge_into(&stats));
            let end = std::time::Instant::now() + Duration::from_secs(5);
            while !reader.is_finished() && std::time::Instant::now() < end {
                std::thread::yield_now();
            }
            let came_back = reader.is_finished();
            drop(reading);
            came_back
        });
        assert!(came_back);
        // The next hand-over has it all.
        batch.add(1, Direction::Ingress, 10);
        batch.merge_into(&stats);
        let stats = stats.0.lock().expect("nobody panics");
        let volume = Volume {
            packets: 2,
            bytes: 110,
        };
        assert_eq!(stats.get(&(1, DirectionKey::In)), Some(&volume));
    }
}
