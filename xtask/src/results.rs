//! Reads libtest's lines as they stream by and adds them up. `test` runs every test binary through here, so
//! that one line can sum up a whole run. Which tests may be skipped is in `skips`.

use std::{
    fmt,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::command;

/// Begins the reason of an ignored test that another test runs as a process of its own, or a person by hand: it
/// checks nothing by itself.
const HELPER: &str = "run by ";

/// A test that was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) test: String,
    pub(crate) reason: String,
}

impl Skip {
    /// The test of a line `TEST: REASON`.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (test, reason) = line.split_once(": ")?;
        Some(Self {
            test: test.trim().to_owned(),
            reason: reason.trim().to_owned(),
        })
    }

    /// The test of libtest's line `test TEST ... ignored, REASON`, unless it is a helper of another.
    fn of_ignored(line: &str) -> Option<Self> {
        let (start, reason) = line.split_once(" ... ignored")?;
        // Output without a line end may come before it.
        let (_, test) = start.rsplit_once("test ")?;
        let reason = reason.trim_start_matches(',').trim();
        if reason.starts_with(HELPER) {
            return None;
        }
        let reason = if reason.is_empty() { "ignored" } else { reason };
        Some(Self {
            test: test.to_owned(),
            reason: reason.to_owned(),
        })
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { test, reason } = self;
        write!(f, "{test}: {reason}")
    }
}

/// Begins a line by which a runner says which test failed and why.
const WHY: &str = "failed: ";

/// Lines of failed tests that are kept, and characters of one.
const MOST_FAILURES: usize = 50;
const MOST_WHY: usize = 1000;

/// How many tests ended how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: Vec<Skip>,
    /// Those that failed, and why where their runner says so in a line.
    failures: Vec<String>,
}

impl Tally {
    /// Whether something was tested, and nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Runs `command`, passes its output on line by line, and adds its results. One that fails
    /// without a failed test, by a crash or a compile error, counts as one failure.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", command::line(command)))?;
        let failed_before = self.failed;
        if let Some(stdout) = child.stdout.take() {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                std::io::stdout().write_all(&line)?;
                self.add_line(&String::from_utf8_lossy(&line));
                line.clear();
            }
        }
        let status = child.wait()?;
        if !status.success() && self.failed == failed_before {
            command::say(format_args!(
                "`{}` ended without a result ({status}), which counts as one failure",
                command::line(command)
            ));
            self.failed += 1;
        }
        Ok(())
    }

    /// The tests that failed, a line each, for the end of a long log.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Keeps the test of libtest's line `test TEST ... FAILED`, and what a line `failed: TEST · WHY` says of it.
    fn add_failure(&mut self, line: &str) {
        if let Some((start, "FAILED")) = line.trim_end().split_once(" ... ") {
            // Output without a line end may come before it.
            if let Some((_, test)) = start.rsplit_once("test ")
                && self.failures.len() < MOST_FAILURES
            {
                self.failures.push(test.to_owned());
            }
        } else if let Some(why) = line.strip_prefix(WHY) {
            let why: String = why.trim_end().chars().take(MOST_WHY).collect();
            let test = why.split(" · ").next();
            let named = self
                .failures
                .iter_mut()
                .find(|known| Some(known.as_str()) == test);
            if let Some(known) = named {
                *known = why;
            }
        }
    }

    /// Takes the tests that noted that they were skipped, which libtest counts as passed.
    pub(crate) fn add_skips(&mut self, skips: Vec<Skip>) {
        self.passed = self.passed.saturating_sub(skips.len() as u64);
        self.skipped.extend(skips);
    }

    /// Adds `line` if it is a binary's result, such as
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; …`, or tells of an ignored
    /// test, as in `test module::name ... ignored, why`.
    fn add_line(&mut self, line: &str) {
        let line = without_colour(line);
        self.skipped.extend(Skip::of_ignored(&line));
        self.add_failure(&line);
        // A test that prints without a line end pushes the result behind its own words.
        let Some((_, result)) = line.split_once("test result: ") else {
            return;
        };
        let Some((_, counts)) = result.split_once(". ") else {
            return;
        };
        for count in counts.split(';') {
            let Some((number, what)) = count.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            failures: _,
        } = self;
        write!(f, "{passed} passed, {failed} failed")?;
        if !skipped.is_empty() {
            write!(f, ", {} skipped", skipped.len())?;
        }
        Ok(())
    }
}

/// `line` without the escape sequences that set colours (`ESC [ … m`).
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut parts = line.split("\x1b[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.add_line(line));
        tally
    }

    #[test]
    fn result_lines_add_up() {
        let tally = tally(&[
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; \
             finished in 0.00s",
            "test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; \
             finished in 1.20s",
        ]);
        assert_eq!(
            tally,
            Tally {
                passed: 7,
                failed: 2,
                ..Tally::default()
            }
        );
        assert_eq!(tally.to_string(), "7 passed, 2 failed");
    }

    #[test]
    fn failures_are_kept_with_their_reasons() {
        let tally = tally(&[
            "test a::b ... ok\n",
            "42test a::c ... \u{1b}[31mFAILED\u{1b}[m\n",
            "test browser::d ... FAILED\n",
            "failed: browser::d · 372 px of content in 360 px\n",
            "failed: to open something\n",
        ]);
        let wanted = ["a::c", "browser::d · 372 px of content in 360 px"];
        assert_eq!(tally.failures(), wanted);
        let many = "test a ... FAILED";
        let tally = self::tally(&[many; MOST_FAILURES + 1]);
        assert_eq!(tally.failures().len(), MOST_FAILURES);
    }

    #[test]
    fn skipped_tests_are_not_passed() {
        let mut tally = tally(&[
            "test a::b ... ignored, run by c",
            "test a::d ... ignored, takes an hour",
            "test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out",
        ]);
        assert_eq!(tally.to_string(), "3 passed, 0 failed, 1 skipped");
        tally.add_skips(vec![Skip {
            test: "a::e".to_owned(),
            reason: "no /dev/fuse".to_owned(),
        }]);
        assert_eq!(tally.to_string(), "2 passed, 0 failed, 2 skipped");
    }

    #[test]
    fn ignored_tests_are_skipped_and_helpers_are_none() {
        let skip = |line| Skip::of_ignored(line).map(|skip| skip.to_string());
        assert_eq!(
            skip("test a::b ... ignored, takes an hour").as_deref(),
            Some("a::b: takes an hour")
        );
        assert_eq!(
            skip("12test a::b ... ignored").as_deref(),
            Some("a::b: ignored")
        );
        assert_eq!(skip("test a::b ... ignored, run by a::c"), None);
        assert_eq!(skip("test a::b ... ok"), None);
        assert_eq!(skip("test result: ok. 1 passed; 1 ignored"), None);
    }

    #[test]
    fn colours_do_not_hide_a_result() {
        let tally = tally(&["test result: \x1b[32mok\x1b[m. 1 passed; 0 failed; 0 ignored"]);
        assert_eq!(
            tally,
            Tally {
                passed: 1,
                ..Tally::default()
            }
        );
        assert_eq!(tally.to_string(), "1 passed, 0 failed");
    }

    #[test]
    fn a_test_that_prints_is_no_result() {
        assert_eq!(
            tally(&["3 passed; 0 failed", "a test result: none"]),
            Tally::default()
        );
    }

    #[test]
    fn nothing_run_is_not_good() {
        assert!(!Tally::default().is_good());
        assert!(
            Tally {
                passed: 1,
                ..Tally::default()
            }
            .is_good()
        );
        assert!(
            !Tally {
                passed: 1,
                failed: 1,
                ..Tally::default()
            }
            .is_good()
        );
    }

    #[test]
    fn a_crash_is_a_failure() {
        let mut tally = Tally::default();
        tally
            .run(Command::new("sh").args(["-c", "exit 101"]))
            .expect("sh starts");
        assert_eq!(
            tally,
            Tally {
                failed: 1,
                ..Tally::default()
            }
        );
    }
}
