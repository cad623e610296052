//! The program of the daemon, as its log, its API and its metrics name it.

use jiff::Timestamp;

/// The program of this daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// Version of the release.
    pub(crate) version: &'static str,
    /// The commit that it was built from, or nothing.
    pub(crate) commit: &'static str,
    /// When the daemon started.
    pub(crate) started_at: Timestamp,
}

impl About {
    /// A daemon that starts now.
    pub(crate) fn now(commit: &'static str) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit,
            started_at: Timestamp::now(),
        }
    }

    /// As people read it.
    pub(crate) fn text(&self) -> String {
        match self.commit {
            "" => format!("version {}", self.version),
            commit => format!("version {} (commit {commit})", self.version),
        }
    }
}
