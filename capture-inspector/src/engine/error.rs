//! Why an engine was not started, or came to no end.

use std::{io, time::Duration};

/// Why there are no findings of an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not installed.
    #[error(
        "there is no program `{program}` on PATH; install the package {package}, or analyze without `--engine`"
    )]
    Missing {
        /// Its name.
        program: &'static str,
        /// What has it, in Debian.
        package: &'static str,
    },
    /// It could reach more than it may.
    #[error("{program} cannot be confined, and so is not started: {why}")]
    Unconfined {
        /// Its name.
        program: &'static str,
        /// What is missing.
        why: String,
    },
    /// The scratch directory, or a copy in it.
    #[error("files for engines: {0}")]
    Scratch(io::Error),
    /// The file of rules.
    #[error("the file of rules: {0}")]
    Rules(io::Error),
    /// It could not be started.
    #[error("{program} cannot be started: {error}")]
    Start {
        /// Its name.
        program: &'static str,
        /// Why.
        error: io::Error,
    },
    /// It took too long.
    #[error("{program} did not end within {} s", .after.as_secs())]
    Time {
        /// Its name.
        program: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// It ended otherwise than well, or what it said makes no sense.
    #[error("{program} {how}")]
    Ended {
        /// Its name.
        program: &'static str,
        /// In words that can be shown.
        how: String,
    },
}
