//! The packets that pass a display filter: a bit for each, found out in slices of time.

use std::{
    ops::{ControlFlow, Range},
    time::Instant,
};

use capture_packet::filter::Filter;

use super::capture::{Capture, Scope};

/// Packets between two looks at the clock.
const PACKETS_A_LOOK: u32 = 16;

/// Packets of a word, and words of a block, for which it is known how many passed before.
const WORD: u64 = 64;
const BLOCK: usize = 16;

/// What a filter lets pass of a capture so far.
pub(super) struct Passing {
    pub(super) text: String,
    pub(super) scope: Scope,
    filter: Filter,
    /// Of the packets that were looked at, from the first one of the scope on.
    words: Vec<u64>,
    /// How many passed before each block.
    before: Vec<u64>,
    pub(super) searched: u64,
    pub(super) matched: u64,
}

impl Passing {
    pub(super) fn new(text: String, scope: Scope, filter: Filter) -> Self {
        Self {
            text,
            scope,
            filter,
            words: Vec::new(),
            before: Vec::new(),
            searched: 0,
            matched: 0,
        }
    }

    /// Whether it has looked at all packets that are there.
    pub(super) fn is_done(&self, capture: &Capture) -> bool {
        let extent = capture.extent(self.scope);
        self.searched >= extent.end - extent.start
    }

    /// Looks at more packets, until so many have passed, there are no more, or there is no time.
    pub(super) fn search(&mut self, capture: &Capture, enough: u64, deadline: Instant) {
        let Range { start, end } = capture.extent(self.scope);
        let from = start + self.searched;
        let mut to_look = PACKETS_A_LOOK;
        if self.matched >= enough {
            return;
        }
        let _ = capture.each(self.scope, from..end, |shown| {
            // One that cannot be read any more passes no filter.
            self.push_up_to(shown.position - start);
            self.push(self.filter.matches(&shown.frame));
            to_look -= 1;
            if to_look == 0 {
                to_look = PACKETS_A_LOOK;
                if Instant::now() >= deadline || self.matched >= enough {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
    }

    fn push_up_to(&mut self, position: u64) {
        while self.searched < position {
            self.push(false);
        }
    }

    fn push(&mut self, passes: bool) {
        if self.searched.is_multiple_of(WORD) {
            if self.words.len().is_multiple_of(BLOCK) {
                self.before.push(self.matched);
            }
            self.words.push(0);
        }
        if passes && let Some(word) = self.words.last_mut() {
            *word |= 1 << (self.searched % WORD);
            self.matched += 1;
        }
        self.searched += 1;
    }

    /// How many pass before a packet, counted from the first one of the scope.
    pub(super) fn rank(&self, position: u64) -> u64 {
        let position = position.min(self.searched);
        let word = (position / WORD) as usize;
        let block = word / BLOCK;
        let Some(before) = self.before.get(block) else {
            return self.matched;
        };
        let words = self.words.get(block * BLOCK..word).unwrap_or_default();
        let ones: u64 = words.iter().map(|word| u64::from(word.count_ones())).sum();
        let last = self.words.get(word).copied().unwrap_or(0);
        let below = last & ((1 << (position % WORD)) - 1);
        before + ones + u64::from(below.count_ones())
    }

    /// The packets that pass, counted from the first one of the scope, from the `rank`th on.
    pub(super) fn starting_at(&self, rank: u64) -> impl Iterator<Item = u64> {
        let block = self.before.partition_point(|before| *before <= rank);
        let block = block.saturating_sub(1);
        let skipped = rank - self.before.get(block).copied().unwrap_or(0).min(rank);
        let words = self.words.iter().enumerate().skip(block * BLOCK);
        let ones = words.flat_map(|(place, word)| {
            let bits = (0..WORD).filter(move |bit| word & (1 << bit) != 0);
            bits.map(move |bit| place as u64 * WORD + bit)
        });
        ones.skip(usize::try_from(skipped).unwrap_or(usize::MAX))
    }
}
