//! The signals of a foreground capture: those that end it, and those that ask for something.

use capture_engine::signals::Requests;

use crate::{error::Result, signals::StopSignals};

/// The signals of a capture.
pub(super) struct Signals {
    pub(super) stop: StopSignals,
    pub(super) requests: Requests,
}

impl Signals {
    /// Listens to them. Needs the runtime.
    pub(super) fn install() -> Result<Self> {
        Ok(Self {
            stop: StopSignals::install()?,
            requests: Requests::install()?,
        })
    }
}
