//! Why an analysis came to no answer, in words that can be shown: nothing of a packet is in them.

use std::{io, os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

use capture_task::printable;

use super::Limits;

/// Most bytes that are read of what a child wrote on stderr, and most characters of it that are shown.
pub(super) const MAX_STDERR_BYTES: u64 = 4096;
const MAX_SHOWN: usize = 200;

/// Why there is no answer. The inspector is gone then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process could not be started, or its socket not be made.
    #[error("the inspector cannot be started: {0}")]
    Start(io::Error),
    /// It could not give something up that it must not have, and so has read nothing.
    #[error("the inspector cannot confine itself: {0}")]
    Unconfined(String),
    /// It asked for more memory than it may have.
    #[error("analysis ended: out of its {} MiB of memory", .0 >> 20)]
    Memory(u64),
    /// No answer in time.
    #[error("analysis ended: no answer within {} s", .0.as_secs())]
    Time(Duration),
    /// It used more processor time than it may.
    #[error("analysis ended: out of its {} s of processor time", .0.as_secs())]
    Processor(Duration),
    /// It made a system call that it has no use for: whatever it reads has taken control of it.
    #[error("analysis ended: the inspector made a system call that it may not make")]
    ForbiddenCall,
    /// No packet of any file can be read.
    #[error("{}", printable(.0))]
    Unreadable(String),
    /// It ended in another way.
    #[error("analysis ended: the inspector {0}")]
    Ended(String),
    /// What it said is no answer.
    #[error("analysis ended: the inspector gave no valid answer: {0}")]
    Answer(String),
}

impl Error {
    /// By how the child ended, and what it wrote on stderr.
    pub(super) fn ended(status: ExitStatus, stderr: &str, limits: &Limits) -> Self {
        // Of the standard library, where there is no memory.
        if stderr.contains("memory allocation of ") {
            return Self::Memory(limits.memory);
        }
        match (status.signal(), limits.processor) {
            (Some(libc::SIGSYS), _) => Self::ForbiddenCall,
            (Some(libc::SIGXCPU), Some(most)) => Self::Processor(most),
            _ => Self::Ended(words(status, stderr)),
        }
    }
}

fn words(status: ExitStatus, stderr: &str) -> String {
    let said: String = printable(stderr.trim()).chars().take(MAX_SHOWN).collect();
    let how = match (status.code(), status.signal()) {
        (_, Some(libc::SIGKILL)) => {
            "was killed, by the kernel if the machine is out of memory".to_owned()
        }
        (_, Some(signal)) => format!("was ended by signal {signal}"),
        (Some(code), _) => format!("ended with {code}"),
        (None, None) => "ended".to_owned(),
    };
    match said.is_empty() {
        true => how,
        false => format!("{how}: {said}"),
    }
}
