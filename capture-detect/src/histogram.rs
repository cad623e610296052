//! Durations as a histogram of half octaves, from 16 µs to 23 s, with a relative error of a fifth at most. The least and the
//! greatest are exact. [`Samples`] are the 49 bytes of them that each connection has; a [`Histogram`] sums them up.

/// Half octaves.
const BUCKETS: usize = 41;

/// The first bucket holds what is shorter, in microseconds.
const FIRST_US: u64 = 16;

/// How long something took, of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Samples {
    min_us: u32,
    max_us: u32,
    buckets: [u8; BUCKETS],
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            min_us: u32::MAX,
            max_us: 0,
            buckets: [0; BUCKETS],
        }
    }
}

impl Samples {
    /// Adds a duration.
    #[inline]
    pub fn add(&mut self, ns: u64) {
        let us = u32::try_from(ns / 1000).unwrap_or(u32::MAX);
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
        let place = &mut self.buckets[bucket(us)];
        *place += 1;
        if *place == u8::MAX {
            // Shares stay what they are, and what is rare stays there.
            for count in &mut self.buckets {
                *count = count.div_ceil(2);
            }
        }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.min_us == u32::MAX && self.max_us == 0
    }

    /// The shortest, in nanoseconds; 0 of none.
    #[inline]
    pub fn min_ns(&self) -> u64 {
        match self.is_empty() {
            true => 0,
            false => u64::from(self.min_us) * 1000,
        }
    }

    /// Adds all of another, shares kept.
    pub fn merge(&mut self, other: &Self) {
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
        let sums: [u16; BUCKETS] = std::array::from_fn(|index| {
            u16::from(self.buckets[index]) + u16::from(other.buckets[index])
        });
        let is_full = sums.iter().any(|sum| *sum >= u8::MAX.into());
        // At most twice 254 of each.
        let half = |sum: u16| if is_full { sum.div_ceil(2) } else { sum };
        self.buckets = sums.map(|sum| half(sum) as u8);
    }

    /// As a histogram.
    pub fn histogram(&self) -> Histogram {
        Histogram {
            min_us: self.min_us,
            max_us: self.max_us,
            buckets: self.buckets.map(u32::from),
        }
    }
}

/// How long something took, many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    min_us: u32,
    max_us: u32,
    buckets: [u32; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Samples::default().histogram()
    }
}

impl Histogram {
    /// Adds a duration.
    pub fn add(&mut self, ns: u64) {
        let us = u32::try_from(ns / 1000).unwrap_or(u32::MAX);
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
        let place = &mut self.buckets[bucket(us)];
        *place = place.saturating_add(1);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
        for (sum, more) in self.buckets.iter_mut().zip(other.buckets) {
            *sum = sum.saturating_add(more);
        }
    }

    /// How many there are; fewer than were added where there were very many.
    pub fn count(&self) -> u64 {
        self.buckets.iter().copied().map(u64::from).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.min_us == u32::MAX && self.max_us == 0
    }

    /// The shortest, in nanoseconds; 0 of none.
    #[inline]
    pub fn min_ns(&self) -> u64 {
        match self.is_empty() {
            true => 0,
            false => u64::from(self.min_us) * 1000,
        }
    }

    /// The longest.
    pub fn max_ns(&self) -> u64 {
        u64::from(self.max_us) * 1000
    }

    /// The duration that this share of all does not exceed, within a fifth; 0 of none.
    pub fn quantile_ns(&self, share: f64) -> u64 {
        let count = self.count();
        let rank = ((count as f64 * share).ceil() as u64).clamp(1, count.max(1));
        let mut below = 0;
        for (index, here) in self.buckets.iter().enumerate() {
            below += u64::from(*here);
            if below >= rank {
                let (from, to) = (edge(index), edge(index + 1));
                let us = ((from + to) / 2).clamp(u64::from(self.min_us), u64::from(self.max_us));
                return us * 1000;
            }
        }
        0
    }
}

/// Two buckets an octave: the position of the highest bit, and the bit below it.
#[inline]
fn bucket(us: u32) -> usize {
    let scaled = u64::from(us) * 2 / FIRST_US;
    if scaled < 2 {
        return 0;
    }
    let octave = scaled.ilog2() as usize;
    let upper_half = (scaled >> (octave - 1)) & 1;
    ((octave - 1) * 2 + upper_half as usize + 1).min(BUCKETS - 1)
}

/// Where a bucket begins, in microseconds.
fn edge(index: usize) -> u64 {
    match index.checked_sub(1) {
        None => 0,
        Some(half) => (FIRST_US << (half / 2)) * (2 + half as u64 % 2) / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_where_their_edges_are() {
        for index in 0..BUCKETS {
            let from = edge(index);
            assert_eq!(bucket(from as u32), index, "{from} µs");
            if from > 0 {
                assert_eq!(bucket(from as u32 - 1), index - 1, "{from} µs");
            }
        }
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_near() {
        let mut all = Histogram::default();
        assert_eq!((all.min_ns(), all.quantile_ns(0.5)), (0, 0));
        for ms in 1..=1000 {
            all.add(ms * 1_000_000);
        }
        for (share, ms) in [(0.5, 500.0), (0.95, 950.0)] {
            let found = all.quantile_ns(share) as f64 / 1e6;
            assert!((found / ms - 1.0).abs() < 0.25, "{found} instead of {ms}");
        }
        assert_eq!((all.min_ns(), all.max_ns()), (1_000_000, 1_000_000_000));
    }

    #[test]
    fn very_many_of_a_connection_lose_nothing_but_their_number() {
        let mut samples = Samples::default();
        for _ in 0..200_000 {
            samples.add(1_000_000);
        }
        samples.add(5_000_000_000);
        let mut all = samples.histogram();
        all.merge(&samples.histogram());
        assert_eq!(all.quantile_ns(0.5), 1_000_000);
        assert_eq!(all.max_ns(), 5_000_000_000);
    }
}
