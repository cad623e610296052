//! Installs the Rust toolchain of the kernel programs where none is complete, and the components of
//! the toolchain that runs xtask. What is there is found by `capture_build`.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use capture_build::toolchain::{OLDEST_RUST, Origin, TARGET, Toolchain, parse_minor};

use crate::{command, packages};

/// Compiler, cargo and prebuilt `core`, as packaged: for releases whose own Rust is too old Debian
/// has a newer one under the `-web` names.
const DEBIAN_SETS: &[[&str; 3]] = &[
    ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
    ["rustc", "cargo", "libstd-rust-dev-bpf"],
];

/// Makes `cargo clippy` of `toolchain` available.
pub(crate) fn ensure_clippy(toolchain: &Toolchain) -> Result<()> {
    if toolchain.has_clippy() {
        return Ok(());
    }
    match toolchain.origin() {
        Origin::Nightly => {
            command::say("adding clippy to the nightly toolchain");
            command::run(command::clean("rustup").args([
                "component",
                "add",
                "clippy",
                "--toolchain",
                "nightly",
            ]))
        }
        Origin::System => {
            let web = packages::candidate("rust-web-clippy")
                .is_some_and(|version| parse_minor(&version) == Some(toolchain.rust()));
            packages::install(&[if web {
                "rust-web-clippy"
            } else {
                "rust-clippy"
            }])
        }
    }
}

/// Installs a toolchain: Debian's where its packages are new enough, rustup's nightly otherwise.
pub(crate) fn install() -> Result<Toolchain> {
    // By old lists Debian's compiler looks too old, and nightly may be of an LLVM that has no package.
    packages::freshen();
    let debian = debian_set(packages::candidate);
    if let Some(set) = debian
        && packages::may_install()
    {
        packages::install(set)?;
        return Origin::System.installed().with_context(|| {
            format!(
                "{} are installed, yet /usr/bin/rustc has no core for {TARGET}",
                set.join(", ")
            )
        });
    }
    if command::find("rustup").is_some() {
        command::say("installing rustup's nightly toolchain with rust-src");
        command::run(command::clean("rustup").args(NIGHTLY))?;
        return Origin::Nightly
            .installed()
            .context("rustup installed nightly, yet it is too old or its rust-src is not there");
    }
    bail!(
        "no Rust toolchain for {TARGET}, and no way to install one; {}",
        by_hand(debian)
    )
}

/// Makes `cargo fmt` and `cargo clippy` of the toolchain that runs xtask available.
pub(crate) fn ensure_components() -> Result<()> {
    let lacks =
        |component: &str| !command::succeeds(command::cargo().args([component, "--version"]));
    let (fmt, clippy) = (lacks("fmt"), lacks("clippy"));
    if !fmt && !clippy {
        return Ok(());
    }
    if command::find("rustup").is_some() {
        command::say("adding rustfmt and clippy to the active toolchain");
        return command::run(Command::new("rustup").args([
            "component",
            "add",
            "rustfmt",
            "clippy",
        ]));
    }
    let web = debian_set(packages::candidate).is_some_and(|[rustc, ..]| rustc.ends_with("-web"));
    packages::install(if web {
        &["rustfmt-web", "rust-web-clippy"]
    } else {
        &["rustfmt", "rust-clippy"]
    })
}

/// What to type to get a toolchain.
pub(crate) fn by_hand(debian: Option<&[&str; 3]>) -> String {
    let rustup = format!("with rustup, run `rustup {}`", NIGHTLY.join(" "));
    match debian {
        Some(set) => format!("run `sudo apt-get install {}`; or, {rustup}", set.join(" ")),
        None => rustup,
    }
}

const NIGHTLY: &[&str] = &[
    "toolchain",
    "install",
    "nightly",
    "--profile",
    "minimal",
    "--component",
    "rust-src",
];

/// The first set whose packages all have a candidate, with a compiler that is new enough.
pub(crate) fn debian_set(
    candidate: impl Fn(&str) -> Option<String>,
) -> Option<&'static [&'static str; 3]> {
    DEBIAN_SETS.iter().find(|[rustc, rest @ ..]| {
        candidate(rustc)
            .and_then(|version| parse_minor(&version))
            .is_some_and(|version| version >= OLDEST_RUST)
            && rest.iter().all(|package| candidate(package).is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_web_packages_stand_in_for_an_old_release() {
        let bookworm = |package: &str| match package {
            "rustc" => Some("1.63.0+dfsg1-2".to_owned()),
            "cargo" => Some("0.66.0+ds1-1".to_owned()),
            "libstd-rust-dev-bpf" => None,
            _ => Some("1.96.0+dfsg1-1~deb12u2".to_owned()),
        };
        assert_eq!(debian_set(bookworm), Some(&DEBIAN_SETS[0]));
    }

    #[test]
    fn a_new_release_has_its_own_packages() {
        let sid = |package: &str| (!package.contains("web")).then(|| "1.97.0+dfsg1-1".to_owned());
        assert_eq!(debian_set(sid), Some(&DEBIAN_SETS[1]));
    }

    #[test]
    fn an_old_or_incomplete_set_is_none() {
        assert_eq!(debian_set(|_| Some("1.85.0+dfsg3-1".to_owned())), None);
        assert_eq!(debian_set(|_| None), None);
        let no_core =
            |package: &str| (!package.contains("bpf")).then(|| "1.96.0+dfsg1-1".to_owned());
        assert_eq!(debian_set(no_core), None);
    }
}
