//! How many of something come in a second, and when they are remarkably many.

/// Seconds after a remarkable one that belong to it: what was sent in it is answered, or sent again, in these.
const AFTER: u64 = 3;

/// A count for each second, of which only a few numbers are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    first: u64,
    second: u64,
    now: u64,
    /// All of them before this second.
    before: u64,
    peak: u64,
    /// Until when they are remarkably many.
    high_until: u64,
    /// How many came in a second before the first remarkable one.
    baseline: Option<f64>,
}

impl Rate {
    /// Counts one. `floor` is how many a second are remarkable; whether they are now.
    #[inline]
    pub(super) fn add(&mut self, ns: u64, floor: u64) -> bool {
        let second = ns / 1_000_000_000;
        if self.first == 0 {
            (self.first, self.second) = (second, second);
        }
        // A step backwards counts for the second that it interrupts.
        if second > self.second {
            self.before += self.now;
            (self.second, self.now) = (second, 0);
        }
        self.now += 1;
        self.peak = self.peak.max(self.now);
        if self.now >= floor {
            self.high_until = self.second + AFTER;
            if self.baseline.is_none() {
                let seconds = (self.second - self.first).max(1);
                self.baseline = Some(self.before as f64 / seconds as f64);
            }
        }
        self.is_high(ns)
    }

    /// Whether they are remarkably many at this time.
    #[inline]
    pub(super) fn is_high(&self, ns: u64) -> bool {
        ns / 1_000_000_000 <= self.high_until
    }

    /// Most in a second.
    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    /// How many came in a second before they were remarkably many; 0 where there was nothing before.
    pub(super) fn baseline(&self) -> f64 {
        self.baseline.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_is_what_was_before() {
        let mut rate = Rate::default();
        for second in 100..110 {
            for part in 0..20 {
                assert!(!rate.add(second * 1_000_000_000 + part, 200));
            }
        }
        assert_eq!((rate.peak(), rate.baseline()), (20, 0.0));
        for second in 110..113 {
            for part in 0..300 {
                let is_high = rate.add(second * 1_000_000_000 + part, 200);
                assert_eq!(is_high, second > 110 || part >= 199);
            }
        }
        assert_eq!((rate.peak(), rate.baseline()), (300, 20.0));
        assert!(rate.is_high(115_000_000_000) && !rate.is_high(116_000_000_000));
    }
}
