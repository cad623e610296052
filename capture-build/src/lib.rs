//! Compiles the kernel programs, the crate `capture-ebpf`, for the BPF target. [`find`] looks for a
//! Rust toolchain and a linker on this machine; [`KernelTools::cargo`] is the cargo that compiles
//! with them. Nothing is installed and nothing is fetched: that is the business of `cargo xtask`.
//!
//! There are two users: the build script of `capture-engine`, so that a plain `cargo build` makes a
//! working agent, and `xtask`. The crate has no dependencies, because every build waits for it.

pub mod command;
pub mod linker;
pub mod remap;
pub mod toolchain;

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

pub use command::cargo_home;
pub use toolchain::{TARGET, Toolchain};

/// The package of the kernel programs.
const PACKAGE: &str = "capture-ebpf";

/// Its binary target, which is the object with all programs.
const OBJECT: &str = "capture-programs";

/// All that the kernel programs are compiled with.
pub struct KernelTools {
    /// Compiler, cargo and `core`.
    pub toolchain: Toolchain,
    /// A linker that reads the bitcode of that compiler.
    pub linker: PathBuf,
}

/// The first toolchain that has a linker. The error has the toolchains that only lack one, the
/// preferred first.
///
/// # Errors
/// Where there is no toolchain, or none with a linker.
pub fn find() -> Result<KernelTools, Vec<Toolchain>> {
    let mut incomplete = Vec::new();
    for toolchain in toolchain::installed() {
        match linker::installed(toolchain.llvm()) {
            Some(linker) => return Ok(KernelTools { toolchain, linker }),
            None => incomplete.push(toolchain),
        }
    }
    Err(incomplete)
}

impl KernelTools {
    /// `cargo SUBCOMMAND` for the kernel programs in `directory`, a directory of their package or
    /// workspace, with all flags that their object needs. `architecture` is that of the host whose
    /// kernel will run them, as in `CARGO_CFG_TARGET_ARCH`.
    pub fn cargo(
        &self,
        subcommand: &str,
        directory: &Path,
        target_dir: &Path,
        architecture: &str,
    ) -> Command {
        let mut linker = OsString::from("-Clinker=");
        linker.push(&self.linker);
        let mut flags = vec![
            // aya-ebpf chooses the layout of the host's registers by it.
            OsString::from(format!("--cfg=bpf_target_arch=\"{architecture}\"")),
            linker,
            "-Clink-arg=--btf".into(),
            "-Cdebuginfo=2".into(),
            "-Cpanic=abort".into(),
        ];
        // The types and lines of the object name source files.
        let mut prefixes = remap::prefixes(workspace(directory));
        prefixes.extend(self.toolchain.library().map(remap::library));
        flags.extend(remap::flags(&prefixes));
        let mut cargo = self.toolchain.cargo(subcommand);
        cargo
            .current_dir(directory)
            .args(["--package", PACKAGE, "--release"])
            .arg("--target-dir")
            .arg(target_dir)
            // A `build-dir` in a configuration file would be the outer cargo's, which holds its lock.
            .env("CARGO_BUILD_BUILD_DIR", target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")))
            // One unit, and whole: the linker optimises across crates, on bitcode.
            .env("CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_DEBUG", "none")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_PANIC", "abort")
            // The loader needs the types (BTF), and the verifier's messages name the lines.
            .env("CARGO_PROFILE_RELEASE_STRIP", "none");
        cargo
    }

    /// `cargo build` of the object, which [`object`] then finds in `target_dir`.
    pub fn cargo_build(&self, directory: &Path, target_dir: &Path, architecture: &str) -> Command {
        let mut cargo = self.cargo("build", directory, target_dir, architecture);
        cargo.args(["--bin", OBJECT]);
        cargo
    }
}

/// The workspace of the package in `directory`, where it is in one.
fn workspace(directory: &Path) -> &Path {
    let above = directory.parent();
    above
        .filter(|above| above.join("Cargo.toml").is_file())
        .unwrap_or(directory)
}

/// The path of the object that [`KernelTools::cargo_build`] left in `target_dir`.
pub fn object(target_dir: &Path) -> PathBuf {
    target_dir.join(TARGET).join("release").join(OBJECT)
}

/// Directories that change when a tool that [`find`] looks for is installed; those of them that
/// exist. All are small enough to be searched for changes at each build.
pub fn places() -> Vec<PathBuf> {
    let mut places = toolchain::places();
    places.extend(linker::places());
    places.retain(|place| place.is_dir());
    places
}
