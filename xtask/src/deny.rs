//! Licences, sources and duplicates of all dependencies, by cargo-deny and `deny.toml`. The program is
//! taken from `PATH`, from the project's cache, or built into that cache once.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{command, workspace};

const VERSION: &str = "0.20.2";

/// Its lints of entries in `deny.toml` that nothing needs.
const STALE: [&str; 3] = [
    "unmatched-skip",
    "unnecessary-skip",
    "license-not-encountered",
];

/// Fails where a dependency is not as `deny.toml` asks. Advisories are looked at where cargo-deny has
/// fetched their database before: to fetch it is no business of a lint.
pub(crate) fn check() -> Result<()> {
    let deny = match installed()? {
        Some(deny) => deny,
        None => install()?,
    };
    let deny = || {
        let mut command = Command::new(&deny);
        command.current_dir(workspace::root());
        command
    };
    let mut policy = deny();
    policy.args(["check", "bans", "licenses", "sources"]);
    // An exception that has become unnecessary goes.
    for lint in STALE {
        policy.args(["--deny", lint]);
    }
    command::run(&mut policy)?;
    if has_advisories() {
        command::run(deny().args(["--offline", "check", "advisories"]))?;
    } else {
        command::say("advisories are skipped: `cargo deny fetch db` makes them possible");
    }
    Ok(())
}

/// The program in `PATH`, or else in the cache.
fn installed() -> Result<Option<PathBuf>> {
    let works = |deny: &PathBuf| {
        command::output(Command::new(deny).arg("--version"))
            .is_ok_and(|version| is_compatible(&version))
    };
    let in_path = command::find("cargo-deny").filter(works);
    Ok(match in_path {
        Some(deny) => Some(deny),
        None => Some(program(&directory()?)).filter(works),
    })
}

/// Builds the program into the cache.
fn install() -> Result<PathBuf> {
    let directory = directory()?;
    command::say(format_args!(
        "building cargo-deny {VERSION}, once, into {}",
        directory.display()
    ));
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    // Its own cargo configuration is none of this workspace's.
    let mut cargo = command::clean(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&directory)
        .args(["install", "cargo-deny", "--version", VERSION])
        .args(["--locked", "--force", "--root"])
        .arg(&directory);
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        cargo.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    command::run(&mut cargo).context("cannot build cargo-deny")?;
    let deny = program(&directory);
    if !deny.is_file() {
        bail!("cargo-deny was built, yet {} is not there", deny.display());
    }
    Ok(deny)
}

fn directory() -> Result<PathBuf> {
    Ok(workspace::cache_dir()?.join(format!("cargo-deny-{VERSION}")))
}

fn program(directory: &Path) -> PathBuf {
    directory.join("bin/cargo-deny")
}

/// Whether cargo-deny has a copy of the advisory database, where it keeps it by default.
fn has_advisories() -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
        .and_then(|home| home.join("advisory-dbs").read_dir().ok())
        .is_some_and(|databases| databases.flatten().any(|one| one.path().is_dir()))
}

/// Whether `cargo-deny --version` tells of a release that reads the same `deny.toml`.
fn is_compatible(version: &str) -> bool {
    let release = VERSION
        .rsplit_once('.')
        .map_or(VERSION, |(release, _)| release);
    version
        .strip_prefix("cargo-deny ")
        .and_then(|version| version.strip_prefix(release))
        .is_some_and(|patch| patch.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_releases_are_compatible() {
        assert!(is_compatible("cargo-deny 0.20.2"));
        assert!(is_compatible("cargo-deny 0.20.0"));
        assert!(!is_compatible("cargo-deny 0.2.2"));
        assert!(!is_compatible("cargo-deny 0.21.0"));
    }
}
