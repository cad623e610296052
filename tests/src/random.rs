//! Reproducible randomness: a small generator with a seed that a failing test prints.

/// SplitMix64 (Steele, Lea and Flood, 2014): plenty for picking frames.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The seed from the environment variable `CAPTURE_TEST_SEED`, else this one; printed, so that
    /// a failure can be run again.
    pub fn from_env(default: u64) -> Self {
        let seed = std::env::var("CAPTURE_TEST_SEED").map_or(default, |text| {
            text.parse()
                .unwrap_or_else(|_| panic!("CAPTURE_TEST_SEED={text} is not a number"))
        });
        println!("seed: CAPTURE_TEST_SEED={seed}");
        Self(seed)
    }

    /// With a seed of its own, for a part of a test.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
