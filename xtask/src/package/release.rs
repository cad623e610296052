//! What is packed: version, time and architecture of a release, and where its packages go.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::target::Target;
use crate::{command, workspace};

/// By which tools that make archives learn of the time to use.
pub(super) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// What is packed, and where to.
pub(super) struct Release {
    pub(super) version: String,
    /// Seconds since 1970.
    pub(super) epoch: u64,
    pub(super) target: Target,
    /// Where the packages go.
    pub(super) directory: PathBuf,
}

impl Release {
    pub(super) fn new(target: Target, directory: &Path) -> Result<Self> {
        let packages = workspace::packages()?;
        let version = packages
            .iter()
            .find(|package| package["name"] == "capture-agent")
            .and_then(|package| package["version"].as_str())
            .context("the workspace has no capture-agent")?;
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Self {
            version: version.to_owned(),
            epoch: epoch()?,
            target,
            directory: directory.to_owned(),
        })
    }

    pub(super) fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch)
    }

    /// A directory for what is not kept.
    pub(super) fn work(&self, name: &str) -> PathBuf {
        self.directory
            .join("work")
            .join(self.target.debian)
            .join(name)
    }

    /// Runs a tool with the time of the release, without its progress.
    pub(super) fn run(&self, tool: &mut Command) -> Result<()> {
        tool.env(EPOCH, self.epoch.to_string())
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command::output(tool).map(drop)
    }

    /// The newest entry of Debian's changelog is about this version.
    pub(super) fn check_changelog(&self, log: &str) -> Result<()> {
        let start = format!("capture-agent ({}-", self.version);
        ensure!(
            log.starts_with(&start),
            "deploy/debian/changelog has no entry for {} on top",
            self.version
        );
        Ok(())
    }
}

/// The time of the release: that of the commit, unless [`EPOCH`] says otherwise.
pub(super) fn epoch() -> Result<u64> {
    let (text, source) = match env::var(EPOCH) {
        Ok(text) => (text, EPOCH),
        Err(_) => {
            let mut git = Command::new("git");
            git.args(["log", "-1", "--format=%ct"])
                .current_dir(workspace::root());
            let text = command::output(&mut git)
                .with_context(|| format!("no time for the packages; set {EPOCH}"))?;
            (text, "git")
        }
    };
    match text.trim().parse() {
        Ok(epoch) => Ok(epoch),
        Err(_) => bail!("{source} says {text:?}, which is no time in seconds since 1970"),
    }
}
