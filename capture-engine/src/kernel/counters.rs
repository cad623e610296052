//! What the kernel side counted, summed over the CPUs. Slots are counted on for ever; a task's
//! figures are those since a baseline that was read before the task was active.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Result, bail};
use aya::maps::{Map, MapData, PerCpuArray};
use capture_common::{
    BitSlicedCounter, HOOK_POINTS, InterfaceCounters, InterfaceRow, MAX_SLOTS, SlotCounters,
};

use super::{
    object::{Maps, maps},
    tables::SlotId,
};

/// The counters' maps.
pub(super) struct CounterMaps {
    slots: PerCpuArray<MapData, SlotCounters>,
    slots_fd: OwnedFd,
    interfaces: PerCpuArray<MapData, InterfaceRow>,
}

/// Figures of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotFigures {
    /// Frames that matched.
    pub(crate) matched: u64,
    /// Frames left out for their length.
    pub(crate) oversize_discarded: u64,
    /// Frames for which the ring had no room.
    pub(crate) ring_full: u64,
    /// Frames whose bytes could not be read.
    pub(crate) copy_failed: u64,
}

impl InterfaceFigures {
    /// What came since `baseline`.
    pub(crate) fn since(self, baseline: Self) -> Self {
        Self {
            seen: self.seen.wrapping_sub(baseline.seen),
            malformed: self.malformed.wrapping_sub(baseline.malformed),
        }
    }
}

impl SlotFigures {
    /// What came since `baseline`.
    pub(crate) fn since(self, baseline: Self) -> Self {
        Self {
            matched: self.matched.wrapping_sub(baseline.matched),
            oversize_discarded: self
                .oversize_discarded
                .wrapping_sub(baseline.oversize_discarded),
            ring_full: self.ring_full.wrapping_sub(baseline.ring_full),
            copy_failed: self.copy_failed.wrapping_sub(baseline.copy_failed),
        }
    }
}

/// Figures of one interface, all hook points together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InterfaceFigures {
    /// Frames that hooks saw.
    pub(crate) seen: u64,
    /// Frames too short to decide on.
    pub(crate) malformed: u64,
}

/// The reader's own look at what the kernel lost of each slot.
pub(crate) struct LossCounters {
    slots: PerCpuArray<MapData, SlotCounters>,
}

impl LossCounters {
    /// By slot, frames that matched and did not reach the ring since the programs were loaded;
    /// `None` where the kernel does not answer, or counted during each of the readings.
    pub(crate) fn read(&self) -> Option<[u64; MAX_SLOTS]> {
        let cpus = read_slots(&self.slots)
            .inspect_err(|error| log::warn!("cannot read the kernel's counters: {error:#}"))
            .ok()
            .filter(|cpus| cpus.iter().all(is_whole))?;
        let mut lost = [0; MAX_SLOTS];
        for counters in cpus {
            for (slot, lost) in lost.iter_mut().enumerate() {
                *lost += counters.ring_full.count(slot) + counters.copy_failed.count(slot);
            }
        }
        Some(lost)
    }
}

/// How often the counters are read anew where a program was in the middle of a step. Under traffic on
/// every CPU one in a few readings is; figures of a task that has ended are right in each.
const READINGS: usize = 16;

fn is_whole(counters: &SlotCounters) -> bool {
    let SlotCounters {
        matched,
        oversize_discarded,
        ring_full,
        copy_failed,
    } = counters;
    [matched, oversize_discarded, ring_full, copy_failed]
        .into_iter()
        .all(BitSlicedCounter::is_whole)
}

/// The slots' counters of each CPU, whole unless a program counted during each of [`READINGS`].
fn read_slots(map: &PerCpuArray<MapData, SlotCounters>) -> Result<Vec<SlotCounters>> {
    let mut cpus: Vec<SlotCounters> = map.get(&0, 0)?.iter().copied().collect();
    for _ in 0..READINGS {
        if cpus.iter().all(is_whole) {
            break;
        }
        let again = map.get(&0, 0)?;
        for (known, again) in cpus.iter_mut().zip(again.iter()) {
            if !is_whole(known) {
                *known = *again;
            }
        }
    }
    Ok(cpus)
}

impl CounterMaps {
    /// A second hold on the slots' counters.
    pub(super) fn losses(&self) -> Result<LossCounters> {
        let map = MapData::from_fd(self.slots_fd.try_clone()?)?;
        Ok(LossCounters {
            slots: Map::PerCpuArray(map).try_into()?,
        })
    }

    pub(super) fn take(from: &mut Maps) -> Result<Self> {
        let slots = from.take(maps::SLOT_COUNTERS)?;
        let Map::PerCpuArray(data) = &slots else {
            bail!("a table that should be a per-CPU array is something else");
        };
        Ok(Self {
            slots_fd: data.fd().as_fd().try_clone_to_owned()?,
            slots: slots.try_into()?,
            interfaces: from.take(maps::INTERFACE_COUNTERS)?.try_into()?,
        })
    }

    pub(super) fn slot(&self, slot: SlotId) -> Result<SlotFigures> {
        let mut sum = SlotFigures::default();
        for counters in read_slots(&self.slots)? {
            let SlotCounters {
                matched,
                oversize_discarded,
                ring_full,
                copy_failed,
            } = counters;
            sum.matched += matched.count(slot.index());
            sum.oversize_discarded += oversize_discarded.count(slot.index());
            sum.ring_full += ring_full.count(slot.index());
            sum.copy_failed += copy_failed.count(slot.index());
        }
        Ok(sum)
    }

    /// All hook points of an interface together.
    pub(super) fn interface(&self, row: u32) -> Result<InterfaceFigures> {
        let mut sum = InterfaceFigures::default();
        for InterfaceFigures { seen, malformed } in self.row(row)? {
            sum.seen += seen;
            sum.malformed += malformed;
        }
        Ok(sum)
    }

    /// Each hook point of an interface.
    pub(super) fn row(&self, row: u32) -> Result<[InterfaceFigures; HOOK_POINTS]> {
        let mut sums = [InterfaceFigures::default(); HOOK_POINTS];
        for cpu in self.interfaces.get(&row, 0)?.iter() {
            for (sum, InterfaceCounters { seen, malformed }) in sums.iter_mut().zip(cpu) {
                sum.seen += seen;
                sum.malformed += malformed;
            }
        }
        Ok(sums)
    }
}
