//! What sets of tasks ask of a frame that they matched, without a walk over the tasks: their
//! `max_bytes` are kept by bits (see [`Control::max_bytes`]), and the steps are one a bit.

use capture_common::{Control, MAX_BYTES_BITS};

/// The largest `max_bytes` among `slots`, `u32::MAX` where one of them keeps whole frames.
#[inline(always)]
pub fn most_kept(control: &Control, slots: u64) -> u32 {
    if control.kept_by_all != 0 {
        return control.kept_by_all;
    }
    if slots & !control.limited != 0 {
        return u32::MAX;
    }
    // From the highest bit on, those that have it leave the others behind.
    let mut largest = slots;
    let mut most = 0;
    for bit in (0..MAX_BYTES_BITS).rev() {
        let having = largest & control.max_bytes[bit];
        if having != 0 {
            largest = having;
            most |= 1 << bit;
        }
    }
    most
}

/// Those of `slots` for which a frame of `len` bytes is too long and is left out.
#[inline(always)]
pub fn oversize(control: &Control, slots: u64, len: u32) -> u64 {
    let asking = slots & control.discard_oversize & control.limited;
    if len >> MAX_BYTES_BITS != 0 {
        return asking;
    }
    // From the highest bit on: the same as the length so far, and already less.
    let mut same = asking;
    let mut less = 0;
    for bit in (0..MAX_BYTES_BITS).rev() {
        let word = control.max_bytes[bit];
        // All ones where the length has the bit: a branch would have the verifier follow every length.
        let ones = u64::from(len >> bit & 1).wrapping_neg();
        less |= same & !word & ones;
        same &= word ^ !ones;
    }
    less
}

#[cfg(test)]
mod tests {
    use capture_common::MAX_SLOTS;
    use proptest::prelude::*;

    use super::*;

    /// A task: its `max_bytes`, and whether it leaves longer frames out.
    type Task = (Option<u16>, bool);

    fn control(tasks: &[Task]) -> Control {
        let mut control = Control::default();
        for (slot, (max_bytes, discards)) in tasks.iter().enumerate() {
            control.discard_oversize |= u64::from(*discards) << slot;
            control.limited |= u64::from(max_bytes.is_some()) << slot;
            for (place, word) in control.max_bytes.iter_mut().enumerate() {
                *word |= u64::from(max_bytes.unwrap_or(0) >> place & 1) << slot;
            }
        }
        control
    }

    fn task() -> impl Strategy<Value = Task> {
        let max_bytes = prop_oneof![Just(64_u16), Just(128), 1..=u16::MAX, Just(u16::MAX)];
        (prop::option::weighted(0.9, max_bytes), any::<bool>())
    }

    proptest! {
        #[test]
        fn as_a_walk_over_the_tasks_says(
            tasks in prop::collection::vec(task(), MAX_SLOTS),
            slots in prop_oneof![Just(u64::MAX), any::<u64>(), (0..64).prop_map(|slot| 1_u64 << slot)],
            len in prop_oneof![1_u32..2000, 65_000_u32..70_000, Just(128)],
        ) {
            let control = control(&tasks);
            let chosen = || tasks.iter().enumerate().filter(|(slot, _)| slots >> slot & 1 != 0);
            let most = chosen().map(|(_, (max, _))| max.map_or(u32::MAX, u32::from)).max();
            prop_assert_eq!(most_kept(&control, slots), most.unwrap_or(0));
            let alike = Control { kept_by_all: 128, ..control };
            prop_assert_eq!(most_kept(&alike, slots), 128);
            let too_long = chosen()
                .filter(|(_, (max, discards))| *discards && max.is_some_and(|max| len > max.into()))
                .fold(0, |mask, (slot, _)| mask | 1_u64 << slot);
            prop_assert_eq!(oversize(&control, slots, len), too_long);
        }
    }
}
