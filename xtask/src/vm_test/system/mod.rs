//! A whole Debian with systemd: the package is installed, used, upgraded, killed, rebooted and purged there, by the
//! commands of the pages. [`image`] makes the disk once, [`payload`] what is tested there, [`boot`] runs it to its end;
//! the checks are the guest's own (`guest/system`).

mod boot;
mod image;
mod payload;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    machine::Ended,
    tools::Tools,
    verdict::{self, Check},
};
use crate::{command, package, workspace};

/// A release of Debian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Suite {
    /// Debian 12
    Bookworm,
    /// Debian 13
    Trixie,
}

impl Suite {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// The version of its C library.
    fn glibc(self) -> &'static str {
        match self {
            Self::Bookworm => "2.36",
            Self::Trixie => "2.41",
        }
    }
}

/// The package for a system: `given`, or one of this agent.
pub(super) fn package(suite: Suite, given: Option<&Path>, agent: &Path) -> Result<PathBuf> {
    match given {
        Some(path) => {
            ensure!(path.is_file(), "there is no package {}", path.display());
            Ok(path.to_owned())
        }
        None => {
            let directory = workspace::target_dir()?.join("vm-test/package");
            package::debian(agent, suite.glibc(), &directory)
        }
    }
}

fn directory(suite: Suite) -> Result<PathBuf> {
    Ok(workspace::target_dir()?.join("vm-test").join(suite.name()))
}

/// One system from its packages to the verdict.
pub(super) fn one(suite: Suite, tools: &Tools, package: &Path, keep: bool) -> Result<Vec<Check>> {
    let directory = directory(suite)?;
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let payload = payload::pack(&directory, package)?;
    let image = image::ensure(suite.name())?;
    command::say(format_args!("booting Debian's {}", suite.name()));
    let ended = boot::run(tools, &directory, &image, &payload)?;
    let checks = judge(&directory, ended)?;
    if checks.iter().all(Check::is_good) && !keep {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    } else {
        command::say(format_args!(
            "checks.log, console.log and all else: {}",
            directory.display()
        ));
    }
    Ok(checks)
}

/// The guest's checks.
fn judge(directory: &Path, ended: Ended) -> Result<Vec<Check>> {
    let path = directory.join(boot::CHECKS);
    let said = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(verdict::of_guest(&String::from_utf8_lossy(&said), ended))
}
