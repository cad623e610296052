//! The Rust toolchain of the kernel programs: one that has, or can build, `core` for the BPF
//! target. Rustup's nightly with `rust-src` is one, Debian's packaged compiler with its BPF
//! libraries the other; `build` and `lint` run their cargo through it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{command, packages};

/// The target of the kernel programs; all hosts supported so far are little-endian.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// The workspace's `rust-version`, major and minor.
const OLDEST_RUST: (u32, u32) = (1, 95);

/// Compiler, cargo and prebuilt `core`, as packaged: for releases whose own Rust is too old Debian
/// has a newer one under the `-web` names.
const DEBIAN_SETS: &[[&str; 3]] = &[
    ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
    ["rustc", "cargo", "libstd-rust-dev-bpf"],
];

/// Where a toolchain comes from, which decides how `core` comes about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Rustup's nightly; `core` is built from `rust-src`.
    Nightly,
    /// `/usr/bin`; `core` is prebuilt, and unstable features need `RUSTC_BOOTSTRAP`.
    System,
}

/// A toolchain that is installed and complete.
pub(crate) struct Toolchain {
    origin: Origin,
    /// The directory of its rustc and cargo; a proxy in `PATH` may stand for another toolchain.
    bin: PathBuf,
    version: Version,
}

/// What `rustc -vV` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    /// Major and minor of the compiler.
    rust: (u32, u32),
    /// Major of its LLVM.
    llvm: u32,
}

impl Toolchain {
    /// Major version of the compiler's LLVM; the linker's must not be older.
    pub(crate) fn llvm(&self) -> u32 {
        self.version.llvm
    }

    /// `cargo SUBCOMMAND` for the BPF target, free of the outer cargo's environment.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        // Cargo would take the cargo-clippy in its own home, another toolchain's, first.
        let program = if subcommand == "clippy" {
            "cargo-clippy"
        } else {
            "cargo"
        };
        let mut cargo = command::clean(self.bin.join(program));
        cargo
            .current_dir(crate::workspace::root())
            .args([subcommand, "--target", TARGET])
            .env("CARGO", self.bin.join("cargo"))
            .env("RUSTC", self.bin.join("rustc"));
        match self.origin {
            Origin::Nightly => cargo.args(["-Z", "build-std=core"]),
            Origin::System => cargo.env("RUSTC_BOOTSTRAP", "1"),
        };
        cargo
    }

    /// Makes `cargo clippy` of this toolchain available.
    pub(crate) fn ensure_clippy(&self) -> Result<()> {
        if self.bin.join("cargo-clippy").exists() {
            return Ok(());
        }
        match self.origin {
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
                    .is_some_and(|version| parse_minor(&version) == Some(self.version.rust));
                packages::install(&[if web {
                    "rust-web-clippy"
                } else {
                    "rust-clippy"
                }])
            }
        }
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (major, minor) = self.version.rust;
        let origin = match self.origin {
            Origin::Nightly => "rustup's nightly",
            Origin::System => "the system's rustc",
        };
        write!(
            f,
            "{origin} {major}.{minor} with LLVM {}",
            self.version.llvm
        )
    }
}

impl Origin {
    /// The toolchain of this origin, if it is there, new enough, and has `core` for BPF.
    fn installed(self) -> Option<Toolchain> {
        let bin = match self {
            Self::Nightly => {
                let mut rustup = command::clean("rustup");
                rustup.args(["run", "nightly", "rustc", "--print", "sysroot"]);
                Path::new(&command::output(&mut rustup).ok()?).join("bin")
            }
            Self::System => "/usr/bin".into(),
        };
        let ask = |arguments: &[&str]| {
            command::output(command::clean(bin.join("rustc")).args(arguments)).ok()
        };
        let version = Version::parse(&ask(&["-vV"])?)?;
        let has_core = match self {
            // `rustup component list` says what the manifest holds, not what is on disk.
            Self::Nightly => bin
                .join("../lib/rustlib/src/rust/library/core/Cargo.toml")
                .is_file(),
            Self::System => {
                let libraries = ask(&["--print", "target-libdir", "--target", TARGET])?;
                Path::new(&libraries).read_dir().is_ok_and(|entries| {
                    entries
                        .flatten()
                        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
                })
            }
        };
        (version.rust >= OLDEST_RUST && has_core).then_some(Toolchain {
            origin: self,
            bin,
            version,
        })
    }
}

/// The complete toolchains on this machine, the preferred first.
pub(crate) fn installed() -> Vec<Toolchain> {
    [Origin::Nightly, Origin::System]
        .into_iter()
        .filter_map(Origin::installed)
        .collect()
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

impl Version {
    fn parse(verbose: &str) -> Option<Self> {
        let field = |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name));
        let llvm = field("LLVM version: ")?.split('.').next()?.parse().ok()?;
        Some(Self {
            rust: parse_minor(field("release: ")?)?,
            llvm,
        })
    }
}

/// Major and minor of a version such as `1.96.0-nightly` or `1.96.0+dfsg1-1~deb12u2`.
fn parse_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '+', '-', '~']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_rustc() {
        let verbose = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\n\
                       release: 1.96.0-nightly\nLLVM version: 22.1.8\n";
        assert_eq!(
            Version::parse(verbose),
            Some(Version {
                rust: (1, 96),
                llvm: 22
            })
        );
        assert_eq!(Version::parse("release: 1.96.0\n"), None);
    }

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
