//! All checks that need no running: the layer rules, the documents, format, clippy for the host and for the BPF target, and the
//! documentation. Every check runs, also after one has failed.

use anyhow::{Context as _, Result, bail};

use crate::{build, command, documents, layers, setup, toolchain, workspace};

type Check = fn() -> Result<()>;

/// Every check, by its name.
const CHECKS: [(&str, Check); 6] = [
    ("layers", layers::check),
    ("documents", documents::check),
    ("format", format),
    ("clippy", clippy),
    ("kernel-clippy", kernel_clippy),
    ("documentation", documentation),
];

/// Arguments of `cargo xtask lint`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only these checks
    #[arg(value_name = "CHECK", value_parser = CHECKS.map(|(name, _)| name))]
    only: Vec<String>,
}

/// `cargo xtask lint`.
pub(crate) fn lint(arguments: &Arguments) -> Result<()> {
    toolchain::ensure_components()?;
    let mut failed = Vec::new();
    let wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|one| one == name);
    for (name, check) in CHECKS.into_iter().filter(|(name, _)| wanted(name)) {
        command::say(format_args!("checking {name}"));
        if let Err(error) = check() {
            command::report(&error);
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("lint failed: {}", failed.join(", "));
    }
    command::say("lint passed");
    Ok(())
}

fn format() -> Result<()> {
    command::run(command::cargo().args(["fmt", "--all", "--check"]))
        .context("`cargo fmt --all` puts it right")
}

fn clippy() -> Result<()> {
    command::run(
        command::cargo()
            .args(["clippy", "--workspace", "--all-targets"])
            .args(["--features", "capture-bench/kernel", "--"])
            .args(["-D", "warnings"]),
    )
}

fn kernel_clippy() -> Result<()> {
    let tools = setup::ensure()?;
    tools.toolchain.ensure_clippy()?;
    command::run(
        build::kernel_cargo(&tools, "clippy", &workspace::target_dir()?.join("bpf")).args([
            "--release",
            "--lib",
            "--bins",
            "--",
            "-D",
            "warnings",
        ]),
    )
}

fn documentation() -> Result<()> {
    command::run(
        command::cargo()
            .args([
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
            ])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}
