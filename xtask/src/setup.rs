//! Pairs a Rust toolchain for the BPF target with a bpf-linker that can read its output, and sets
//! up what is lacking, once. `build` and `lint` start here; a second run finds all in place and
//! says nothing.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{
    command, linker, packages,
    toolchain::{self, Toolchain},
};

/// Arguments of `cargo xtask setup`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Install nothing: say what is there, and fail if something is lacking
    #[arg(long)]
    check: bool,
}

/// All that the kernel programs are built with.
pub(crate) struct KernelTools {
    pub(crate) toolchain: Toolchain,
    pub(crate) linker: PathBuf,
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
    let (complete, toolchains) = find();
    if let Some(tools) = complete {
        return Ok(tools);
    }
    let linkable = toolchains
        .into_iter()
        .find(|found| linker::available_llvm(found.llvm()).is_some());
    let toolchain = match linkable {
        Some(toolchain) => toolchain,
        None => toolchain::install()?,
    };
    let linker = match linker::installed(toolchain.llvm()) {
        Some(linker) => linker,
        None => linker::install(toolchain.llvm())?,
    };
    command::say(format_args!("kernel programs are built with {toolchain}"));
    Ok(KernelTools { toolchain, linker })
}

fn check() -> Result<KernelTools> {
    match find() {
        (Some(tools), _) => Ok(tools),
        (None, toolchains) => match toolchains.first() {
            Some(found) => {
                bail!(
                    "{found} is there, but no bpf-linker; {}",
                    linker::by_hand(found.llvm())
                )
            }
            None => bail!(
                "no Rust toolchain for {}; {}",
                toolchain::TARGET,
                toolchain::by_hand(toolchain::debian_set(packages::candidate))
            ),
        },
    }
}

/// The first toolchain with its linker; where there is none, the toolchains that lack only that.
fn find() -> (Option<KernelTools>, Vec<Toolchain>) {
    let mut incomplete = Vec::new();
    for toolchain in toolchain::installed() {
        match linker::installed(toolchain.llvm()) {
            Some(linker) => return (Some(KernelTools { toolchain, linker }), Vec::new()),
            None => incomplete.push(toolchain),
        }
    }
    (None, incomplete)
}
