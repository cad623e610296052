//! Other files from given ones: bytes turned, replaced by extremes, moved, repeated, cut. Seeded, so that a failure can be
//! repeated.

/// Numbers that programs stumble over.
const EXTREMES: [u32; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x4000_0001,
    262_145,
];

/// Makes inputs.
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// Of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// A number below `bound`, which must not be 0 (xorshift64*).
    pub fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16;
        (number % bound as u64) as usize
    }

    /// Changes an input in one to eight places; `other` is one to take parts from.
    pub fn mutate(&mut self, input: &mut Vec<u8>, other: &[u8], most: usize) {
        for _ in 0..=self.below(8) {
            self.step(input, other);
        }
        input.truncate(most);
    }

    fn step(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        if input.is_empty() {
            input.extend_from_slice(other);
            return;
        }
        let at = self.below(input.len());
        match self.below(8) {
            0 | 1 => input[at] ^= 1 << self.below(8),
            2 => input[at] = self.below(256) as u8,
            3 => {
                let extreme = EXTREMES[self.below(EXTREMES.len())];
                let (little, big) = (extreme.to_le_bytes(), extreme.to_be_bytes());
                let width = [1, 2, 4][self.below(3)];
                let bytes = match self.below(2) {
                    0 => &little[..width],
                    _ => &big[4 - width..],
                };
                for (place, byte) in input[at..].iter_mut().zip(bytes) {
                    *place = *byte;
                }
            }
            4 => {
                let part = self.part(input);
                input.splice(at..at, part);
            }
            5 => {
                let part = self.part(other);
                input.splice(at..at, part);
            }
            6 => {
                let end = (at + 1 + self.below(64)).min(input.len());
                input.drain(at..end);
            }
            _ => {
                if self.below(8) == 0 {
                    input.truncate(at);
                } else {
                    let part = self.part(other);
                    for (place, byte) in input[at..].iter_mut().zip(part) {
                        *place = byte;
                    }
                }
            }
        }
    }

    fn part(&mut self, of: &[u8]) -> Vec<u8> {
        if of.is_empty() {
            return Vec::new();
        }
        let start = self.below(of.len());
        let longest = if self.below(4) == 0 { 4096 } else { 128 };
        let end = (start + 1 + self.below(longest)).min(of.len());
        of[start..end].to_vec()
    }
}
