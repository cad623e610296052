//! What the commands write: results to stdout, lines and errors to stderr.

use std::io::{self, Write as _};

use capture_task::{Cause, printable};
use capture_tasks::log_queue;
use log::Level;

use super::{exit::Exit, journal};
use crate::error::{Error, Result};

/// Writes a result to stdout. A reader that went away is no failure.
pub(crate) fn print(text: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::runtime(format!(
            "writing to standard output: {}",
            Cause(&error)
        ))),
        _ => Ok(()),
    }
}

/// Writes one line to stderr. There is nowhere to say that this failed.
pub(crate) fn say(line: &str) {
    log_queue::write(format!("{line}\n").as_bytes());
}

/// Writes an error to stderr, each line with its priority for the journal, and gives the exit code that
/// goes with it.
pub(crate) fn report_error(error: Error) -> Exit {
    let priority = match journal::is_behind(io::stderr()) {
        true => journal::priority(Level::Error),
        false => "",
    };
    for line in error.message.lines() {
        // Names of files and interfaces are of whoever made them.
        let line = printable(line);
        say(&format!("{priority}capture-agent: {line}"));
    }
    error.kind.into()
}
