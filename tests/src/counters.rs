//! The figures of a capture wherever it says them: in the JSON summary, in the closing table, and in the
//! last statistics of a pcapng file. Each is read on its own, so that a test can hold one against
//! the others, and all against the packets.

use std::path::Path;

use serde_json::Value;

use crate::pcapng::{self, STATISTICS};

/// What became of the packets that matched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Matched in the kernel.
    pub matched: u64,
    /// Written.
    pub captured: u64,
    /// Longer than asked for.
    pub oversize_discarded: u64,
    /// After a limit was reached.
    pub over_limit: u64,
    /// Lost: no room in the ring.
    pub ring: u64,
    /// Lost: no free buffer.
    pub queue: u64,
    /// Lost: not written.
    pub write: u64,
    /// Lost: not readable in the kernel.
    pub copy: u64,
}

impl Figures {
    /// Those of a task's record; `None` where one of them is missing.
    pub fn of_record(record: &Value) -> Option<Self> {
        let counters = &record["counters"];
        let dropped = &counters["dropped"];
        Some(Self {
            matched: counters["matched"].as_u64()?,
            captured: counters["captured"].as_u64()?,
            oversize_discarded: counters["oversize_discarded"].as_u64()?,
            over_limit: counters["over_limit"].as_u64()?,
            ring: dropped["ring"].as_u64()?,
            queue: dropped["queue"].as_u64()?,
            write: dropped["write"].as_u64()?,
            copy: dropped["copy"].as_u64()?,
        })
    }

    /// Those of the closing table of one task, where standard error has one. Panics where its losses by
    /// stage are not as many as it says in all.
    pub fn of_table(stderr: &str) -> Option<Self> {
        let row = |label: &str| {
            let line = stderr.lines().find_map(|line| line.strip_prefix(label))?;
            line.starts_with(' ').then(|| line.trim())
        };
        let lost = row("lost")?;
        let stage = |words: &str| {
            let at = lost.find(words)?;
            leading(lost[..at].rsplit(['(', ';']).next()?)
        };
        let this = Self {
            matched: leading(row("matched")?)?,
            captured: leading(row("captured")?)?,
            oversize_discarded: row("too long").and_then(leading).unwrap_or(0),
            over_limit: row("over limit").and_then(leading).unwrap_or(0),
            ring: stage(" ring full").unwrap_or(0),
            queue: stage(" output too slow").unwrap_or(0),
            write: stage(" write failed").unwrap_or(0),
            copy: stage(" frame not readable").unwrap_or(0),
        };
        assert_eq!(leading(lost), Some(this.lost()), "{lost}");
        Some(this)
    }

    /// Those that a pcapng file ends with; `None` where it ends without, as after a failed write.
    pub fn of_file(path: &Path) -> Option<Self> {
        let blocks = pcapng::blocks(path);
        let last = blocks.last().filter(|block| block.kind == STATISTICS)?;
        // opt_comment.
        Self::of_comment(&last.text(1)?)
    }

    /// Those of the comment of a file's last statistics, `task: matched=… captured=…`; `None` where one of them
    /// is missing.
    pub fn of_comment(comment: &str) -> Option<Self> {
        let figure = |name: &str| {
            let mut words = comment.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        Some(Self {
            matched: figure("matched")?,
            captured: figure("captured")?,
            oversize_discarded: figure("oversize_discarded")?,
            over_limit: figure("over_limit")?,
            ring: figure("dropped.ring")?,
            queue: figure("dropped.queue")?,
            write: figure("dropped.write")?,
            copy: figure("dropped.copy")?,
        })
    }

    /// All losses together.
    pub fn lost(&self) -> u64 {
        self.ring + self.queue + self.write + self.copy
    }

    /// What `matched` must be.
    pub fn accounted(&self) -> u64 {
        self.captured + self.oversize_discarded + self.over_limit + self.lost()
    }
}

/// The number that a text begins with, digits in groups of three.
fn leading(text: &str) -> Option<u64> {
    let digits: String = text
        .trim()
        .chars()
        .take_while(|char| char.is_ascii_digit() || *char == ',')
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}
