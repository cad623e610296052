//! Builds the benchmarks in release mode around the kernel object, and runs them as root. What they
//! measure is in `capture-agent/src/kernel/bench.rs`.

use std::path::{PathBuf, absolute};

use anyhow::{Context as _, Result};

use crate::{build, command, run, workspace};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Nanoseconds a packet of the loaded programs, above an empty one
    Kernel {
        /// Fewer and shorter repetitions
        #[arg(long)]
        quick: bool,
        /// Also write the figures as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

/// `cargo xtask bench`.
pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    let What::Kernel { quick, json } = &arguments.what;
    let mut benchmark = run::as_root(&kernel()?);
    if *quick {
        benchmark.arg("--quick");
    }
    if let Some(json) = json {
        benchmark.arg("--json").arg(absolute(json)?);
    }
    command::run(&mut benchmark)
}

/// Builds the benchmark of the kernel programs and returns its path.
fn kernel() -> Result<PathBuf> {
    let object = build::object()?;
    let mut cargo = command::cargo();
    cargo.args(["build", "--release", "--package", "capture-agent"]);
    cargo.args(["--features", "bench", "--bin", "bench-kernel"]);
    command::run(cargo.env(build::OBJECT_VARIABLE, object))
        .context("cannot build the benchmark")?;
    Ok(workspace::target_dir()?.join("release/bench-kernel"))
}
