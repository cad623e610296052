//! The architectures that packages are made for.

use std::env::consts::ARCH;

use anyhow::{Context as _, Result};

/// An architecture, in the words of those who name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Also that of RPM.
    pub(super) rust: &'static str,
    /// Also that of OCI.
    pub(super) debian: &'static str,
}

pub(super) const TARGETS: [Target; 2] = [
    Target {
        rust: "x86_64",
        debian: "amd64",
    },
    Target {
        rust: "aarch64",
        debian: "arm64",
    },
];

impl Target {
    pub(super) fn host() -> Result<Self> {
        let host = TARGETS.into_iter().find(|target| target.is_host());
        host.with_context(|| format!("there are no packages for {ARCH}"))
    }

    pub(super) fn is_host(self) -> bool {
        self.rust == ARCH
    }

    pub(super) fn triple(self) -> String {
        format!("{}-unknown-linux-gnu", self.rust)
    }
}
