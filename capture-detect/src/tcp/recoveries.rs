//! What is open after losses: the holes in a direction of data, and the resends that may turn out to have been unnecessary.
//! One table for all connections, as whoever sends packets could otherwise leave holes in each of them.

use super::{holes::Holes, recovery_id::RecoveryId, resend::Resends};
use crate::lru::Lru;

/// Directions of data that are remembered, each with 5 KiB at most.
const MOST: usize = 4096;

/// Of one direction of data.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    pub(super) holes: Holes,
    pub resends: Resends,
}

/// Of all directions of data, those that had trouble last.
#[derive(Clone, Debug)]
pub struct Recoveries {
    entries: Lru<u64, Recovery>,
    named: u64,
    forgotten: u64,
}

impl Default for Recoveries {
    fn default() -> Self {
        Self {
            entries: Lru::new(MOST),
            named: 0,
            forgotten: 0,
        }
    }
}

impl Recoveries {
    /// What is open of a direction, which may have been forgotten and is then empty.
    pub fn of(&mut self, id: &mut RecoveryId) -> &mut Recovery {
        if id.0 == 0 {
            self.named += 1;
            id.0 = self.named;
        }
        let forgotten = &mut self.forgotten;
        let place = self
            .entries
            .get_or_insert(&id.0, Recovery::default, |_, old| {
                *forgotten += u64::from(!old.holes.is_empty());
            });
        self.entries.get_mut(place)
    }

    /// How many directions had holes that had to be forgotten.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_in_sum() {
        let mut recoveries = Recoveries::default();
        let mut first = RecoveryId::default();
        let open = |recovery: &mut Recovery| recovery.holes.open(1, 2, Default::default());
        open(recoveries.of(&mut first));
        assert!(!recoveries.of(&mut first).holes.is_empty());
        for _ in 0..2 * MOST {
            open(recoveries.of(&mut RecoveryId::default()));
        }
        assert_eq!(recoveries.entries.len(), MOST);
        assert_eq!(recoveries.forgotten(), MOST as u64 + 1);
        assert!(recoveries.of(&mut first).holes.is_empty());
    }
}
