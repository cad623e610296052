//! How many different things there were, in 128 bytes, by linear counting (Whang 1990). Within a tenth up to some 4,000.

const BITS: usize = 1024;

/// Different things, as their hashes.
#[derive(Clone, Copy, Debug)]
pub struct Distinct {
    words: [u64; BITS / 64],
}

impl Default for Distinct {
    fn default() -> Self {
        Self {
            words: [0; BITS / 64],
        }
    }
}

impl Distinct {
    /// Adds a thing; false where it was there, or one that looks like it.
    #[inline]
    pub fn add(&mut self, hash: u64) -> bool {
        // The upper bits of Fx hashes are the better ones.
        let place = (hash >> 54) as usize % BITS;
        let (word, bit) = (place / 64, 1 << (place % 64));
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    /// For how many [`Self::add`] was true.
    pub fn added(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// About how many there were.
    pub fn count(&self) -> u64 {
        let empty = (BITS as f64 - f64::from(self.added())).max(0.5);
        (BITS as f64 * (BITS as f64 / empty).ln()).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capture_packet::app::dns::hash;

    #[test]
    fn the_count_is_near() {
        for count in [0, 1, 10, 100, 1000, 3000] {
            let mut distinct = Distinct::default();
            for thing in 0..count {
                for _ in 0..3 {
                    distinct.add(hash(format!("name-{thing}").as_bytes()));
                }
            }
            let found = distinct.count() as f64;
            let error = (found - f64::from(count)).abs();
            assert!(
                error <= f64::from(count) * 0.1 + 0.5,
                "{found} instead of {count}"
            );
        }
    }
}
