//! The figures of an engine since its start, of all tasks together and by interface: what metrics show.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use capture_common::{Direction, HookPoint};
use capture_task::task::{Counters, Dropped};

use super::handle::TaskHandle;
use crate::{
    kernel::InterfaceTraffic,
    volume::{DirectionKey, Volume},
};

/// Everything at one moment. All but `ring_used` grow. Interfaces that the host does not have any more are one after
/// some minutes, so that their sum grows too.
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
    pub(super) fn counters(&self) -> Counters {
        let past = self.lock();
        let leaving = past.leaving.values().copied();
        leaving.fold(past.ended, std::ops::Add::add)
    }

    fn lock(&self) -> MutexGuard<'_, PastTasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds up by name: an interface that was deleted and made again is the same to people.
pub(super) fn by_name(
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
    use super::*;
    use crate::{
        kernel::REMOVED,
        volume::{LocalStats, SharedStats},
    };

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
            &stats.of_interfaces(|_| true, REMOVED),
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
