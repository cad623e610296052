//! Pairs a Rust toolchain for the BPF target with a bpf-linker that can read its output, and sets
//! up what is lacking, once. `build` and `lint` start here; a second run finds all in place and
//! says nothing.

use anyhow::{Result, bail};
use capture_build::{KernelTools, linker::installed};

use crate::{command, linker, packages, toolchain};

/// Arguments of `cargo xtask setup`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Install nothing: say what is there, and fail if something is lacking
    #[arg(long)]
    check: bool,
}

/// `cargo xtask setup`.
pub(crate) fn setup(arguments: &Arguments) -> Result<()> {
    let KernelTools { toolchain, linker } = if arguments.check { check() } else { ensure() }?;
    println!("compiler: {toolchain}");
    println!("linker: {}", linker.display());
    Ok(())
}

/// The tools for the kernel programs; what is lacking is installed.
pub(crate) fn ensure() -> Result<KernelTools> {
    let toolchains = match capture_build::find() {
        Ok(tools) => return Ok(tools),
        Err(toolchains) => toolchains,
    };
    let linkable = toolchains
        .into_iter()
        .find(|found| linker::available_llvm(found.llvm()).is_some());
    let toolchain = match linkable {
        Some(toolchain) => toolchain,
        None => toolchain::install()?,
    };
    let linker = match installed(toolchain.llvm()) {
        Some(linker) => linker,
        None => linker::install(toolchain.llvm())?,
    };
    command::say(format_args!("kernel programs are built with {toolchain}"));
    Ok(KernelTools { toolchain, linker })
}

fn check() -> Result<KernelTools> {
    capture_build::find().or_else(|toolchains| match toolchains.first() {
        Some(found) => bail!(
            "{found} is there, but no bpf-linker; {}",
            linker::by_hand(found.llvm())
        ),
        None => bail!(
            "no Rust toolchain for {}; {}",
            capture_build::TARGET,
            toolchain::by_hand(toolchain::debian_set(packages::candidate))
        ),
    })
}
