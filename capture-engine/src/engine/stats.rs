//! The figures of an engine since its start, of all tasks together and by interface: what metrics show.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

use capture_common::{Direction, HookPoint};
use capture_task::task::{Counters, Dropped};

use super::{Engine, State, TaskHandle};
use crate::kernel::InterfaceTraffic;

/// Everything at one moment. All but `ring_used` grow, as long as an interface is remembered: of those that are gone the
/// engine keeps some hundred.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineStats {
    /// Packets that tasks lost, those that have ended included.
    pub dropped: Dropped,
    /// What passed interfaces, where tasks were or are, each direction for itself.
    pub interfaces: Vec<InterfaceTotals>,
    /// The part of the fullest ring that is in use, 0–1.
    pub ring_used: f64,
}

/// One direction of the interfaces that bear, or bore, one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceTotals {
    /// Name.
    pub name: String,
    /// As the host sees it.
    pub direction: Direction,
    /// Frames that hooks saw.
    pub seen: u64,
    /// Those that were too short, or had too many headers, to decide on a criterion.
    pub malformed: u64,
    /// Those that reached the agent for some task, each once.
    pub captured: Volume,
}

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
enum DirectionKey {
    In,
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
                    let volume = stats.entry((ifindex, way)).or_default();
                    volume.packets += new.packets;
                    volume.bytes += new.bytes;
                }
            }
        }
    }
}

impl Engine {
    /// The figures since the start.
    pub fn totals(&self) -> EngineStats {
        let (traffic, dropped, ring_used) = {
            let state = self.shared.lock();
            let traffic = state.kernel.traffic();
            let counters = state.counters(&self.shared.past);
            (traffic, counters.dropped, state.kernel.ring_used())
        };
        let mut stats = self
            .shared
            .stats
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Interfaces that nobody remembers are not remembered here.
        stats.retain(|(ifindex, _), _| traffic.contains_key(ifindex));
        EngineStats {
            dropped,
            interfaces: by_name(&traffic, &stats),
            ring_used,
        }
    }

    /// The figures of all tasks together since the start, those that have ended included.
    pub fn sum(&self) -> Counters {
        self.shared.lock().counters(&self.shared.past)
    }
}

impl State {
    /// The figures of all tasks together, those that have ended included. Under the lock of the state a task is
    /// among those that run or in the past, and not in both.
    fn counters(&self, past: &Past) -> Counters {
        let running = self.tasks.values().map(|task| task.counters(&self.kernel));
        running.fold(past.counters(), std::ops::Add::add)
    }
}

/// The figures of the tasks that were taken off. A task that is being closed has a share in this, and in nothing
/// else of the engine.
#[derive(Debug, Default)]
pub(super) struct Past(Mutex<PastTasks>);

#[derive(Debug, Default)]
struct PastTasks {
    /// Those that are being closed, with their figures as they were when that began.
    leaving: BTreeMap<TaskHandle, Counters>,
    /// The sum of those that are closed.
    ended: Counters,
}

impl Past {
    /// A task is being taken off.
    pub(super) fn begin(&self, id: TaskHandle, counters: Counters) {
        self.lock().leaving.insert(id, counters);
    }

    /// A task has ended with these final figures, or with those that were known when it began to.
    pub(super) fn end(&self, id: TaskHandle, counters: Option<Counters>) {
        let mut past = self.lock();
        let known = past.leaving.remove(&id).unwrap_or_default();
        past.ended = past.ended + counters.unwrap_or(known);
    }

    /// All of them together.
    fn counters(&self) -> Counters {
        let past = self.lock();
        let leaving = past.leaving.values().copied();
        leaving.fold(past.ended, std::ops::Add::add)
    }

    fn lock(&self) -> MutexGuard<'_, PastTasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds up by name: an interface that was deleted and made again is the same to people.
fn by_name(
    traffic: &BTreeMap<u32, InterfaceTraffic>,
    stats: &BTreeMap<(u32, DirectionKey), Volume>,
) -> Vec<InterfaceTotals> {
    let mut totals: BTreeMap<(&str, DirectionKey), InterfaceTotals> = BTreeMap::new();
    for (ifindex, InterfaceTraffic { name, figures }) in traffic {
        for direction in [Direction::Ingress, Direction::Egress] {
            let way = DirectionKey::from(direction);
            let total = totals
                .entry((name, way))
                .or_insert_with(|| InterfaceTotals {
                    name: name.clone(),
                    direction,
                    seen: 0,
                    malformed: 0,
                    captured: Volume::default(),
                });
            for point in HookPoint::ALL
                .into_iter()
                .filter(|point| point.direction() == direction)
            {
                total.seen += figures[point as usize].seen;
                total.malformed += figures[point as usize].malformed;
            }
            if let Some(volume) = stats.get(&(*ifindex, way)) {
                total.captured.packets += volume.packets;
                total.captured.bytes += volume.bytes;
            }
        }
    }
    totals.into_values().collect()
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

    #[test]
    fn what_the_reader_takes_is_added_up() {
        let stats = SharedStats::default();
        let mut batch = LocalStats::default();
        for ifindex in [1, 2, 1] {
            batch.add(ifindex, Direction::Ingress, 100);
            batch.add(ifindex, Direction::Egress, 10);
        }
        batch.merge_into(&stats);
        batch.add(1, Direction::Ingress, 1);
        batch.merge_into(&stats);
        let traffic = [1, 2].map(|ifindex| {
            let name = "same".to_owned();
            let figures = Default::default();
            (ifindex, InterfaceTraffic { name, figures })
        });
        let totals = by_name(
            &BTreeMap::from(traffic),
            &stats.0.lock().expect("nobody panics"),
        );
        let volumes: Vec<_> = totals.iter().map(|total| total.captured).collect();
        let [packets, bytes] = [[4, 3], [301, 30]];
        assert_eq!(
            volumes,
            [0, 1].map(|way| Volume {
                packets: packets[way],
                bytes: bytes[way],
            })
        );
    }
}
