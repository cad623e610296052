//! Builds the kernel programs for the BPF target, then the agent that embeds their object. `run`
//! and `test` start from the agent this makes, `lint` shares how the kernel crate is compiled.

use std::{env::consts::ARCH, path::PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::{command, setup, workspace};

/// The variable by which `capture-engine/build.rs` learns of the object, and compiles none itself.
pub(crate) const OBJECT_VARIABLE: &str = "CAPTURE_EBPF_OBJECT";

/// Arguments of `cargo xtask build`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Optimise the agent; the kernel programs always are
    #[arg(long)]
    release: bool,
}

/// `cargo xtask build`: prints the path of the agent.
pub(crate) fn build(arguments: &Arguments) -> Result<()> {
    let agent = agent(&object()?, arguments.release)?;
    println!("{}", agent.display());
    Ok(())
}

/// Builds the kernel programs and returns the path of their object.
pub(crate) fn object() -> Result<PathBuf> {
    let tools = setup::ensure()?;
    let target_dir = workspace::target_dir()?.join("bpf");
    command::run(&mut tools.cargo_build(workspace::root(), &target_dir, ARCH))
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
pub(crate) fn agent(object: &std::path::Path, release: bool) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args([
        "build",
        "--package",
        "capture-agent",
        "--bin",
        "capture-agent",
    ]);
    if release {
        cargo.arg("--release");
    }
    // A flag would change the shape of the target directory; the command line outranks that.
    command::run(cargo.env(OBJECT_VARIABLE, object)).context("cannot build the agent")?;
    let profile = if release { "release" } else { "debug" };
    Ok(workspace::target_dir()?.join(profile).join("capture-agent"))
}

/// Builds the program that makes and sends the frames of `vm-test`, and returns its path.
pub(crate) fn frames() -> Result<PathBuf> {
    let mut cargo = command::cargo();
    command::run(cargo.args(["build", "--package", "capture-tests", "--bin", "frames"]))
        .context("cannot build the program that sends frames")?;
    Ok(workspace::target_dir()?.join("debug/frames"))
}
