//! The Rust toolchain of the kernel programs: one that has, or can build, `core` for the BPF
//! target. Rustup's nightly with `rust-src` is one, Debian's packaged compiler with its BPF
//! libraries the other.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::command::{self, absolute};

/// The target of the kernel programs; all hosts supported so far are little-endian.
pub const TARGET: &str = "bpfel-unknown-none";

/// The workspace's `rust-version`, major and minor.
pub const OLDEST_RUST: (u32, u32) = (1, 95);

/// Where the system's toolchain keeps the libraries of its targets.
const SYSTEM_LIBRARIES: &str = "/usr/lib/rustlib";

/// Where a toolchain comes from, which decides how `core` comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Rustup's nightly; `core` is built from `rust-src`.
    Nightly,
    /// `/usr/bin`; `core` is prebuilt, and unstable features need `RUSTC_BOOTSTRAP`.
    System,
}

/// A toolchain that is installed and complete.
pub struct Toolchain {
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
    /// Where it comes from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Major and minor version of the compiler.
    pub fn rust(&self) -> (u32, u32) {
        self.version.rust
    }

    /// Major version of the compiler's LLVM; the linker's must not be older.
    pub fn llvm(&self) -> u32 {
        self.version.llvm
    }

    /// The sources of `core`, where it is compiled from them.
    pub(crate) fn library(&self) -> Option<PathBuf> {
        match self.origin {
            Origin::Nightly => Some(self.bin.parent()?.join("lib/rustlib/src/rust/library")),
            Origin::System => None,
        }
    }

    /// Whether it has `cargo clippy`.
    pub fn has_clippy(&self) -> bool {
        self.bin.join("cargo-clippy").exists()
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
            .args([subcommand, "--target", TARGET])
            .env("CARGO", self.bin.join("cargo"))
            .env("RUSTC", self.bin.join("rustc"));
        match self.origin {
            Origin::Nightly => cargo.args(["-Z", "build-std=core"]),
            Origin::System => cargo.env("RUSTC_BOOTSTRAP", "1"),
        };
        cargo
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    pub fn installed(self) -> Option<Toolchain> {
        let bin = match self {
            Self::Nightly => {
                let mut rustup = command::clean("rustup");
                // To look is not to install.
                rustup.env("RUSTUP_AUTO_INSTALL", "0");
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

/// Directories that change when one of the toolchains is installed.
pub(crate) fn places() -> Vec<PathBuf> {
    let rustup =
        absolute("RUSTUP_HOME").or_else(|| absolute("HOME").map(|home| home.join(".rustup")));
    // One small file for each toolchain; the toolchains themselves are too large to be watched.
    let hashes = rustup.map(|rustup| rustup.join("update-hashes"));
    hashes
        .into_iter()
        .chain([SYSTEM_LIBRARIES.into()])
        .collect()
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
pub fn parse_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '+', '-', '~']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_rust_is_that_of_the_workspace() {
        assert_eq!(
            parse_minor(env!("CARGO_PKG_RUST_VERSION")),
            Some(OLDEST_RUST)
        );
    }

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
}
