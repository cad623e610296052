//! The counters, which only the programs write. Those of the slots are turned on their side, so that a
//! packet costs the same whether one task takes it or all do.

use crate::{HOOK_POINTS, MAX_SLOTS};

/// Bits of a slot's count in a [`BitSlicedCounter`].
pub const COUNTER_BITS: usize = u64::BITS as usize;

/// A count for each slot, as bits: word `n` has bit `n` of the count of every slot. Adding one to any
/// set of slots is a binary counter's step for all at once, two words on average.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitSlicedCounter {
    /// Steps that have ended. It stands before the words and `begun` behind them: who copies from front
    /// to back, as the kernel does, has a whole copy where the two are equal. That is so on machines which keep
    /// stores in order and loads in order (x86).
    pub ended: u64,
    /// The bits.
    pub bits: [u64; COUNTER_BITS],
    /// Steps that have begun.
    pub begun: u64,
}

impl Default for BitSlicedCounter {
    fn default() -> Self {
        Self {
            ended: 0,
            bits: [0; COUNTER_BITS],
            begun: 0,
        }
    }
}

impl BitSlicedCounter {
    /// Whether the copy was not taken in the middle of a step, see [`BitSlicedCounter::ended`]. A slot that no longer matches
    /// has its final count in any copy.
    pub fn is_whole(&self) -> bool {
        self.ended == self.begun
    }

    /// The count of a slot.
    pub fn count(&self, slot: usize) -> u64 {
        debug_assert!(slot < MAX_SLOTS);
        let bits = self.bits.iter().zip(0..);
        bits.fold(0, |count, (word, place)| {
            count | (word >> slot & 1) << place
        })
    }
}

/// What became of the frames that tasks matched; one for each CPU. Slots are counted on for ever.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotCounters {
    /// Frames that matched, whatever became of them.
    pub matched: BitSlicedCounter,
    /// Frames left out because they are longer than `max_bytes` (`oversize: discard`).
    pub oversize_discarded: BitSlicedCounter,
    /// Frames for which the ring had no room.
    pub ring_full: BitSlicedCounter,
    /// Frames whose bytes could not be read.
    pub copy_failed: BitSlicedCounter,
}

/// What the hook points of one interface saw; one for each CPU.
pub type InterfaceRow = [InterfaceCounters; HOOK_POINTS];

/// What one hook point of one interface saw.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Frames that the hook saw.
    pub seen: u64,
    /// Frames too short, or with too many headers, to decide on a criterion.
    pub malformed: u64,
}

const _: () = {
    assert!(size_of::<BitSlicedCounter>() == 8 * (COUNTER_BITS + 2));
    assert!(size_of::<SlotCounters>() == 4 * size_of::<BitSlicedCounter>());
    assert!(size_of::<InterfaceCounters>() == 16);
};

#[cfg(feature = "user")]
crate::pod!(SlotCounters, InterfaceCounters);
