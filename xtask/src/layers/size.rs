//! The size of a crate without its tests. One that grows beyond the limit has become more than one thing.

use std::fs;

use anyhow::{Context as _, Result};

use super::source::Crate;
use crate::workspace;

/// Most lines of a crate.
const MOST: usize = 12_000;

impl Crate {
    /// One sentence where this crate is too large.
    pub(super) fn size(&self, name: &str) -> Result<Option<String>> {
        let mut sum = 0;
        for file in &self.files {
            let text = fs::read_to_string(file).with_context(|| workspace::shown(file))?;
            sum += lines(&text);
        }
        Ok((sum > MOST).then(|| {
            format!("{name} has {sum} lines without its tests, and {MOST} are the limit; move what is a thing of its own")
        }))
    }
}

/// Lines of a formatted file without modules that are compiled for tests alone.
fn lines(text: &str) -> usize {
    let mut sum = 0;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_module = |line: &&str| line.starts_with("mod ") && line.ends_with('{');
        if line == "#[cfg(test)]" && lines.next_if(is_module).is_some() {
            // The only line of it that begins with a brace is its last.
            lines.find(|line| *line == "}");
        } else {
            sum += 1;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_tests_do_not_count() {
        let text = "fn a() {\n}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n";
        assert_eq!(lines(text), 3);
        // A file of tests is not read; what declares it, and one item for tests, are.
        assert_eq!(lines("#[cfg(test)]\nmod tests;\nfn a() {}\n"), 3);
        assert_eq!(lines("#[cfg(test)]\nfn a() {\n}\n"), 3);
    }
}
