//! An agent that runs on older systems than this one: linked by zig against the C library of 2018. The tools come from
//! PyPI into the cache, in pinned versions, and the standard library of another architecture by rustup.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use capture_build::remap::{self, Prefix};

use super::{
    glibc::{self, OLDEST},
    paths,
    target::{TARGETS, Target},
};
use crate::{
    build, command,
    packages::{self, Tool},
    workspace,
};

const ZIGBUILD: &str = "0.24.1";
const ZIG: &str = "0.17.1";

const PYTHON: &[Tool] = &[Tool {
    program: "python3",
    packages: &["python3"],
}];

/// Whether the compiler has the standard library; rustup is asked for one that it has not.
fn has_library(target: Target) -> bool {
    let triple = target.triple();
    let is_there = || {
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.current_dir(workspace::root());
        command::output(rustc.args(["--print", "target-libdir", "--target", &triple]))
            .is_ok_and(|directory| Path::new(&directory).is_dir())
    };
    if is_there() || command::find("rustup").is_none() {
        return is_there();
    }
    command::say(format_args!("adding the standard library for {triple}"));
    // A download that hangs is no reason to wait for ever.
    let mut rustup = Command::new("timeout");
    rustup.args(["300", "rustup", "target", "add", &triple]);
    command::succeeds(rustup.current_dir(workspace::root())) && is_there()
}

/// That the standard library is lacking, and how each kind of compiler gets it.
fn lacking(target: Target) -> String {
    let (triple, debian) = (target.triple(), target.debian);
    format!(
        "the compiler has no standard library for {triple}; `rustup target add {triple}` adds it to rustup's, and to Debian's \
         `dpkg --add-architecture {debian} && apt-get update && apt-get install libstd-rust-dev:{debian}` \
         (libstd-rust-web-dev:{debian} to rustc-web)"
    )
}

/// The agents of both architectures, or of one. The other one is left out, which is said, where its standard library
/// cannot be had.
pub(super) fn agents(only: Option<&str>, target_dir: &Path) -> Result<Vec<(Target, PathBuf)>> {
    let mut agents = Vec::new();
    for target in TARGETS {
        if only.is_some_and(|only| only != target.rust) {
            continue;
        }
        if !has_library(target) {
            let lacking = lacking(target);
            if target.is_host() {
                bail!(lacking);
            }
            command::say(format_args!("no packages for {}: {lacking}", target.debian));
            continue;
        }
        let agent = agent(target, target_dir)?;
        glibc::check(&agent)?;
        paths::check(&agent, target_dir)?;
        agents.push((target, agent));
    }
    Ok(agents)
}

/// Builds the agent, with the kernel programs for its architecture.
fn agent(target: Target, target_dir: &Path) -> Result<PathBuf> {
    let programs = zigbuild()?;
    let object = build::object_for(target.rust)?;
    let triple = target.triple();
    let mut path = OsString::from(&programs);
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let prefixes = prefixes(target_dir);
    let mut cargo = Command::new(programs.join("cargo-zigbuild"));
    cargo
        .current_dir(workspace::root())
        .args(["zigbuild", "--locked", "--package", "capture-agent"])
        .args(["--bin", "capture-agent", "--profile", "dist", "--target"])
        .arg(format!("{triple}.{OLDEST}"))
        .arg("--target-dir")
        .arg(target_dir)
        .env("PATH", path)
        .env("RUSTFLAGS", spaced(remap::flags(&prefixes)))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CFLAGS", spaced(remap::c_flags(&prefixes)))
        .env(build::OBJECT_VARIABLE, object);
    command::run(&mut cargo).with_context(|| format!("cannot build the agent for {triple}"))?;
    Ok(target_dir.join(triple).join("dist/capture-agent"))
}

/// What paths of this machine are called in the program.
fn prefixes(target_dir: &Path) -> Vec<Prefix> {
    let mut prefixes = remap::prefixes(workspace::root());
    prefixes.push((target_dir.to_owned(), "/usr/src/capture-agent/target"));
    prefixes
}

fn spaced(flags: impl Iterator<Item = OsString>) -> OsString {
    flags.collect::<Vec<_>>().join(OsStr::new(" "))
}

/// The directory of cargo-zigbuild and zig, which are installed once.
fn zigbuild() -> Result<PathBuf> {
    let environment = workspace::cache_dir()?.join(format!("zigbuild-{ZIGBUILD}-zig-{ZIG}"));
    let programs = environment.join("bin");
    if command::succeeds(Command::new(programs.join("cargo-zigbuild")).arg("--version")) {
        return Ok(programs);
    }
    packages::ensure_tools(PYTHON)?;
    command::say(format_args!(
        "installing cargo-zigbuild {ZIGBUILD} and zig {ZIG}, once, into {}",
        environment.display()
    ));
    let mut python = Command::new("python3");
    python.args(["-m", "venv", "--clear"]).arg(&environment);
    command::run(&mut python)
        .context("cannot make a Python environment; Debian has it in python3-venv")?;
    let mut pip = Command::new(programs.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"])
        .arg(format!("cargo-zigbuild=={ZIGBUILD}"))
        .arg(format!("ziglang=={ZIG}"));
    command::run(&mut pip).context("cannot install cargo-zigbuild")?;
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_lacking_is_told_with_what_to_type() {
        let [_, arm] = TARGETS;
        let told = lacking(arm);
        for words in [
            "`rustup target add aarch64-unknown-linux-gnu`",
            "dpkg --add-architecture arm64",
            "libstd-rust-dev:arm64",
        ] {
            assert!(told.contains(words), "{told}");
        }
    }
}
