//! Tests that a machine cannot run. Such a test is neither passed nor failed: [`or_skip!`](crate::or_skip) notes it
//! with the reason, `cargo xtask test` counts and prints what was noted, and CI allows only what `.ci/skips` lists.

use std::{
    fmt::Display,
    fs::OpenOptions,
    io::{self, Write as _},
    thread,
};

/// The variable that names the file of notes, a line `TEST: REASON` each. Set by `cargo xtask test`.
const FILE: &str = "CAPTURE_TEST_SKIPS";

/// The value of a [`Result`]; where it is an error, that is what this machine lacks, and the test ends here as
/// skipped. For tests that give nothing back, on their own thread.
#[macro_export]
macro_rules! or_skip {
    ($needed:expr) => {
        match $needed {
            Ok(value) => value,
            Err(missing) => {
                $crate::skips::note(&missing);
                return;
            }
        }
    };
}

/// Notes that the test of this thread was skipped; [`or_skip!`](crate::or_skip) also ends it.
pub fn note(reason: &dyn Display) {
    // The test harness names its threads so.
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("{test}: {reason}\n");
    let Some(file) = std::env::var_os(FILE) else {
        // Not by a macro, whose output the harness keeps to itself where a test passes.
        let _ = write!(io::stderr(), "skipped: {line}");
        return;
    };
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
