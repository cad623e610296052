//! Counting for any set of tasks in one step, see [`BitSlicedCounter`].

use core::ptr;

use capture_common::{BitSlicedCounter, COUNTER_BITS};

/// Adds one to the count of each slot in `slots`.
#[inline(always)]
pub fn add(counter: &mut BitSlicedCounter, slots: u64) {
    let step = counter.begun.wrapping_add(1);
    // Volatile, for the order: a reader knows by it whether its copy is whole.
    // SAFETY: fields of a reference.
    unsafe { ptr::write_volatile(&raw mut counter.begun, step) };
    let mut carry = slots;
    for place in 0..COUNTER_BITS {
        let word = &raw mut counter.bits[place];
        // SAFETY: an element of a reference's array.
        let before = unsafe { ptr::read_volatile(word) };
        // SAFETY: as above.
        unsafe { ptr::write_volatile(word, before ^ carry) };
        carry &= before;
        if carry == 0 {
            break;
        }
    }
    // SAFETY: as for the begin.
    unsafe { ptr::write_volatile(&raw mut counter.ended, step) };
}

#[cfg(test)]
mod tests {
    use capture_common::MAX_SLOTS;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_slot_is_counted_alone(steps in prop::collection::vec(any::<u64>(), 0..300)) {
            let mut counter = BitSlicedCounter::default();
            let mut counts = [0; MAX_SLOTS];
            for slots in steps {
                add(&mut counter, slots);
                for (slot, count) in counts.iter_mut().enumerate() {
                    *count += slots >> slot & 1;
                }
                prop_assert!(counter.is_whole());
            }
            for (slot, count) in counts.into_iter().enumerate() {
                prop_assert_eq!(counter.count(slot), count);
            }
        }
    }
}
