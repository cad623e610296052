//! Builds the benchmarks and the agent as it is installed, around the kernel object, and runs them as root. What they
//! measure is in `capture-engine/src/kernel/bench.rs` and in `bench/`.

use std::{
    path::{Path, PathBuf, absolute},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{build, build::Profile, command, packages, run, workspace};

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
    /// The analysis of a file against tshark, tcpdump and others; `--help` says more
    #[command(disable_help_flag = true)]
    Analyze {
        /// Options of the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// How long somebody waits who looks at the packets of a large file; `--help` says more
    #[command(disable_help_flag = true)]
    View {
        /// Options of the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Whole captures against tcpdump, dumpcap and others; `--help` says more
    #[command(disable_help_flag = true)]
    Capture {
        /// Options of the benchmark
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// The daemon at the highest rate, without and with the live analysis of its task
    #[command(disable_help_flag = true)]
    Live {
        /// Options of `bench capture`: --quick, --rounds, --seconds, --json
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// The daemon while nobody, one and 200 look at its task
    #[command(disable_help_flag = true)]
    Viewers {
        /// Options of `bench capture`: --quick, --rounds, --seconds, --json
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// How soon the agent, tcpdump and dumpcap capture, and what memory they have then
    #[command(disable_help_flag = true)]
    Start {
        /// Options of `bench capture`: --quick, --rounds, --json
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
        What::Analyze { options } => analyze(options),
        What::View { options } => view(options),
        What::Capture { options } => capture(options),
        What::Live { options } => part("live", options),
        What::Viewers { options } => part("viewers", options),
        What::Start { options } => part("start", options),
    }
}

/// Builds the agent and the benchmark of whole captures, gets the other tools, and runs it.
fn capture(options: &[String]) -> Result<()> {
    packages::ensure_tools(packages::BENCH_TOOLS)?;
    ensure_extras(packages::BENCH_EXTRAS);
    against(run::as_root, "bench-capture", options)
}

/// The same for a benchmark of its own in the same program.
fn part(which: &str, options: &[String]) -> Result<()> {
    packages::ensure_tools(packages::BENCH_TOOLS)?;
    let options = [&[format!("--part={which}")], options].concat();
    against(run::as_root, "bench-capture", &options)
}

/// The same for the analysis of files, which needs no root.
fn analyze(options: &[String]) -> Result<()> {
    ensure_extras(packages::ANALYZE_TOOLS);
    against(|program| Command::new(program), "bench-analyze", options)
}

/// The view of packets, which is in the benchmark itself.
fn view(options: &[String]) -> Result<()> {
    command::run(&mut cargo_build()).context("cannot build the benchmark")?;
    let mut benchmark = Command::new(Profile::Dist.directory()?.join("bench-view"));
    let directory = workspace::target_dir()?.join("bench");
    benchmark.arg("--directory").arg(directory);
    command::run(benchmark.args(options))
}

/// The benchmark says what it is without.
fn ensure_extras(tools: &[packages::Tool]) {
    for tool in tools {
        if let Err(error) = packages::ensure_tools(std::slice::from_ref(tool)) {
            command::report(&error);
        }
    }
}

/// Builds the agent and a benchmark that measures it, and runs the benchmark.
fn against(program: impl Fn(&Path) -> Command, name: &str, options: &[String]) -> Result<()> {
    let agent = build::agent(&build::object()?, Profile::Dist)?;
    command::run(&mut cargo_build()).context("cannot build the benchmark")?;
    let mut benchmark = program(&Profile::Dist.directory()?.join(name));
    benchmark.arg("--agent").arg(agent);
    let directory = workspace::target_dir()?.join("bench");
    benchmark.arg("--directory").arg(directory);
    command::run(benchmark.args(options))
}

/// Builds the benchmark of the kernel programs and returns its path.
fn kernel() -> Result<PathBuf> {
    let object = build::object()?;
    let mut cargo = cargo_build();
    cargo.args(["--features", "kernel", "--bin", "bench-kernel"]);
    command::run(cargo.env(build::OBJECT_VARIABLE, object))
        .context("cannot build the benchmark")?;
    Ok(Profile::Dist.directory()?.join("bench-kernel"))
}

/// Compiles the benchmarks, of the profile of the agent that they measure.
fn cargo_build() -> Command {
    let mut cargo = command::cargo();
    let profile = Profile::Dist.name();
    cargo.args(["build", "--profile", profile, "--package", "capture-bench"]);
    cargo
}
