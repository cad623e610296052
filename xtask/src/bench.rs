//! Builds the benchmarks in release mode around the kernel object, and runs them as root. What they
//! measure is in `capture-engine/src/kernel/bench.rs` and in `bench/`.

use std::path::{PathBuf, absolute};

use anyhow::{Context as _, Result};

use crate::{build, command, packages, run, workspace};

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
    /// Whole captures against tcpdump, dumpcap and others; `--help` says more
    #[command(disable_help_flag = true)]
    Capture {
        /// Options of the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

/// `cargo xtask bench`.
pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        What::Kernel { quick, json } => {
            let mut benchmark = run::as_root(&kernel()?);
            if *quick {
                benchmark.arg("--quick");
            }
            if let Some(json) = json {
                benchmark.arg("--json").arg(absolute(json)?);
            }
            command::run(&mut benchmark)
        }
        What::Capture { options } => capture(options),
    }
}

/// Builds the agent and the benchmark of whole captures, gets the other tools, and runs it.
fn capture(options: &[String]) -> Result<()> {
    packages::ensure_tools(packages::BENCH_TOOLS)?;
    for tool in packages::BENCH_EXTRAS {
        // The benchmark says what it is without.
        if let Err(error) = packages::ensure_tools(std::slice::from_ref(tool)) {
            command::report(&error);
        }
    }
    let agent = build::agent(&build::object()?, true)?;
    let mut cargo = command::cargo();
    cargo.args(["build", "--release", "--package", "capture-bench"]);
    command::run(&mut cargo).context("cannot build the benchmark")?;
    let target = workspace::target_dir()?;
    let mut benchmark = run::as_root(&target.join("release/bench-capture"));
    benchmark.arg("--agent").arg(agent);
    benchmark.arg("--directory").arg(target.join("bench"));
    command::run(benchmark.args(options))
}

/// Builds the benchmark of the kernel programs and returns its path.
fn kernel() -> Result<PathBuf> {
    let object = build::object()?;
    let mut cargo = command::cargo();
    cargo.args(["build", "--release", "--package", "capture-bench"]);
    cargo.args(["--features", "kernel", "--bin", "bench-kernel"]);
    command::run(cargo.env(build::OBJECT_VARIABLE, object))
        .context("cannot build the benchmark")?;
    Ok(workspace::target_dir()?.join("release/bench-kernel"))
}
