//! Builds the kernel programs for the BPF target, then the agent that embeds their object. `run`
//! and `test` start from the agent this makes, `lint` shares how the kernel crate is compiled.

use std::{
    env::consts::ARCH,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{command, setup, workspace};

/// The variable by which `capture-engine/build.rs` learns of the object, and compiles none itself.
pub(crate) const OBJECT_VARIABLE: &str = "CAPTURE_EBPF_OBJECT";

/// The variable by which the end-to-end tests learn of the agent.
pub(crate) const AGENT_VARIABLE: &str = "CAPTURE_AGENT_BIN";

/// Arguments of `cargo xtask build`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Optimise the agent within each crate; the kernel programs always are optimised
    #[arg(long, conflicts_with = "dist")]
    release: bool,
    /// Optimise the agent across crates and strip it, as it is installed
    #[arg(long)]
    dist: bool,
}

/// How the agent is compiled: a profile of cargo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Not optimised.
    Dev,
    /// Optimised within each crate: the agent under test.
    Release,
    /// Optimised across crates and stripped: what is installed and measured.
    Dist,
}

impl Profile {
    /// Its name for cargo.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }

    /// Where its programs are.
    pub(crate) fn directory(self) -> Result<PathBuf> {
        let name = match self {
            Self::Dev => "debug",
            other => other.name(),
        };
        Ok(workspace::target_dir()?.join(name))
    }
}

/// `cargo xtask build`: prints the path of the agent.
pub(crate) fn build(arguments: &Arguments) -> Result<()> {
    let profile = match arguments {
        Arguments { dist: true, .. } => Profile::Dist,
        Arguments { release: true, .. } => Profile::Release,
        Arguments { .. } => Profile::Dev,
    };
    let agent = agent(&object()?, profile)?;
    println!("{}", agent.display());
    Ok(())
}

/// Builds the kernel programs and returns the path of their object.
pub(crate) fn object() -> Result<PathBuf> {
    object_for(ARCH)
}

/// The same for kernels of another architecture.
pub(crate) fn object_for(architecture: &str) -> Result<PathBuf> {
    let tools = setup::ensure()?;
    let name = match architecture {
        ARCH => "bpf".to_owned(),
        other => format!("bpf-{other}"),
    };
    let target_dir = workspace::target_dir()?.join(name);
    command::run(&mut tools.cargo_build(workspace::root(), &target_dir, architecture))
        .context("cannot build the kernel programs")?;
    let object = capture_build::object(&target_dir);
    if !object.is_file() {
        bail!(
            "cargo built the kernel programs, yet {} is not there",
            object.display()
        );
    }
    Ok(object)
}

/// Builds the agent around the kernel object and returns its path.
pub(crate) fn agent(object: &Path, profile: Profile) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args([
        "build",
        "--package",
        "capture-agent",
        "--bin",
        "capture-agent",
        "--profile",
        profile.name(),
    ]);
    // A flag would change the shape of the target directory; the command line outranks that.
    command::run(cargo.env(OBJECT_VARIABLE, object)).context("cannot build the agent")?;
    Ok(profile.directory()?.join("capture-agent"))
}

/// Builds the program that makes and sends the frames of `vm-test`, and returns its path.
pub(crate) fn frames() -> Result<PathBuf> {
    let mut cargo = command::cargo();
    command::run(cargo.args(["build", "--package", "capture-tests", "--bin", "frames"]))
        .context("cannot build the program that sends frames")?;
    Ok(Profile::Dev.directory()?.join("frames"))
}
