//! Faults of a command about several tasks: what fails for one keeps none of the others from it.

use capture_task::printable;

use super::super::report_error;
use crate::{
    error::{Error, ErrorKind, Result},
    exit::Exit,
};

/// What went wrong with some of several tasks.
pub(super) struct Faults {
    of_several: bool,
    /// The exit code of the worst of them.
    pub(super) worst: Exit,
}

impl Faults {
    pub(super) fn new(tasks: usize) -> Self {
        Self {
            of_several: tasks > 1,
            worst: Exit::Ok,
        }
    }

    /// Says what went wrong with one; a daemon that is not there is an error about all.
    pub(super) fn note(&mut self, meant: &str, mut error: Error) -> Result<()> {
        if error.kind == ErrorKind::Unreachable {
            return Err(error);
        }
        if self.of_several {
            error.message = format!("{}: {}", printable(meant), error.message);
        }
        self.worst = self.worst.max(report_error(error));
        Ok(())
    }
}
