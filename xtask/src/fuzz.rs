//! Fuzzing: the targets of `capture-fuzz` under libFuzzer, with the stable compiler. Inputs are kept in `target/fuzz`, those that
//! found a fault in `target/fuzz/faults`.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{command, packages, workspace};

/// What the compiler adds for libFuzzer to see where an input goes.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";

/// Most memory of a target, and of a single allocation, in MiB.
const MEMORY_MIB: u32 = 512;

/// libFuzzer is C++.
const COMPILER: &[packages::Tool] = &[packages::Tool {
    program: "g++",
    packages: &["g++"],
}];

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Target; all of them, one after the other, where none is named
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Afterwards put the smallest set of inputs that reaches as far into `fuzz/corpus`
    #[arg(long)]
    keep: bool,
}

/// `cargo xtask fuzz`.
pub(crate) fn fuzz(arguments: &Arguments) -> Result<()> {
    let directory = workspace::root().join("fuzz");
    let known = targets(&directory.join("corpus"))?;
    let chosen = match &arguments.target {
        None => known,
        Some(target) if known.contains(target) => vec![target.clone()],
        Some(target) => bail!("no target {target}; there are {}", known.join(", ")),
    };
    packages::ensure_tools(COMPILER)?;
    let target_dir = workspace::target_dir()?.join("fuzz");
    let fuzzer = build(&directory.join("libfuzzer"), &target_dir)?;
    for target in chosen {
        run(&fuzzer, &target, &target_dir, arguments)?;
    }
    Ok(())
}

/// Each has a directory of kept inputs.
fn targets(corpus: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(corpus).with_context(|| format!("no {}", corpus.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn build(directory: &Path, target_dir: &Path) -> Result<std::path::PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = command::cargo();
    // With a target named, build scripts are compiled without the flags.
    cargo.args(["build", "--release", "--target", &triple]);
    cargo.arg("--target-dir").arg(target_dir);
    cargo.current_dir(directory).env("RUSTFLAGS", COVERAGE);
    command::run(&mut cargo).context("cannot build the fuzz targets")?;
    Ok(target_dir.join(triple).join("release/capture-libfuzzer"))
}

fn run(fuzzer: &Path, target: &str, target_dir: &Path, arguments: &Arguments) -> Result<()> {
    let kept = workspace::root().join("fuzz/corpus").join(target);
    let found = target_dir.join("corpus").join(target);
    let faults = target_dir.join("faults");
    for directory in [&found, &faults] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    command::say(format_args!("fuzzing {target} for {} s", arguments.seconds));
    let mut command = fuzzer_command(fuzzer, target);
    command
        .env("CAPTURE_FUZZ_SEEDS", &found)
        .arg(format!("-max_total_time={}", arguments.seconds))
        .arg(format!("-artifact_prefix={}/{target}-", faults.display()))
        .args([
            "-print_final_stats=1",
            "-timeout=10",
            "-max_len=16384",
            "-use_value_profile=1",
        ])
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-malloc_limit_mb={}", MEMORY_MIB / 2))
        .args([&found, &kept]);
    command::run(&mut command)
        .with_context(|| format!("{target} has a fault; the input is in {}", faults.display()))?;
    if !arguments.keep {
        return Ok(());
    }
    let mut merge = fuzzer_command(fuzzer, target);
    merge
        .args(["-merge=1", "-max_len=2048"])
        .args([&kept, &found]);
    command::run(&mut merge).context("cannot keep inputs")
}

fn fuzzer_command(fuzzer: &Path, target: &str) -> Command {
    let mut command = Command::new(fuzzer);
    command.env("CAPTURE_FUZZ_TARGET", target);
    command
}
