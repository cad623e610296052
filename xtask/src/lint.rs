//! All checks that need no running: the layer rules, the documents, types of the console's scripts, manifests, dependencies, format, clippy for the
//! host and for the BPF target, and the Rust
//! documentation. Every check runs, also after one has failed.

use std::env::consts::ARCH;

use anyhow::{Context as _, Result, bail};

use crate::{
    browser, build, command, deny, documents, layers, manifests, setup, toolchain, workspace,
};

type Check = fn() -> Result<()>;

/// Every check, by its name.
const CHECKS: [(&str, Check); 10] = [
    ("layers", layers::check),
    ("documents", documents::check),
    ("console", browser::types),
    ("manifests", manifests::check),
    ("dependencies", deny::check),
    ("format", format),
    ("clippy", clippy),
    ("oldest-rust", manifests::oldest_rust),
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
            .args(["-D", "warnings"])
            .env(build::OBJECT_VARIABLE, build::object()?),
    )
}

fn kernel_clippy() -> Result<()> {
    let tools = setup::ensure()?;
    toolchain::ensure_clippy(&tools.toolchain)?;
    let target_dir = workspace::target_dir()?.join("bpf");
    let mut clippy = tools.cargo("clippy", workspace::root(), &target_dir, ARCH);
    command::run(clippy.args(["--lib", "--bins", "--", "-D", "warnings"]))
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
            .env("RUSTDOCFLAGS", "-D warnings")
            .env(build::OBJECT_VARIABLE, build::object()?),
    )
}
