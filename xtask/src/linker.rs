//! bpf-linker, which turns the kernel crate's bitcode into one ELF object with BTF. It is taken
//! from `PATH`, from the project's cache, or built into that cache against a packaged LLVM that
//! is not older than the compiler's; `setup` pairs it with a toolchain.

use std::{
    env, fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{command, packages, workspace};

const VERSION: &str = "0.13.0";

/// The LLVM majors for which this version of bpf-linker has a feature.
const LLVM: RangeInclusive<u32> = 21..=23;

/// A linker that works with the bitcode of a compiler with LLVM `llvm`, if one is there.
pub(crate) fn installed(llvm: u32) -> Option<PathBuf> {
    let in_path = command::find("bpf-linker")
        .filter(|linker| works(linker) && linked_llvm(linker).is_none_or(|linked| linked >= llvm));
    in_path.or_else(|| {
        let cache = workspace::cache_dir().ok()?;
        usable(llvm)
            .map(|llvm| cached(&cache, llvm))
            .find(|linker| works(linker))
    })
}

/// The LLVM to build the linker against for a compiler with LLVM `llvm`: one that is installed,
/// else one that could be.
pub(crate) fn choose_llvm(
    llvm: u32,
    is_installed: impl Fn(u32) -> bool,
    is_candidate: impl Fn(u32) -> bool,
) -> Option<u32> {
    usable(llvm)
        .find(|llvm| is_installed(*llvm))
        .or_else(|| usable(llvm).find(|llvm| is_candidate(*llvm)))
}

/// [`choose_llvm`] for this machine.
pub(crate) fn available_llvm(llvm: u32) -> Option<u32> {
    choose_llvm(
        llvm,
        |llvm| headers(llvm).exists(),
        |llvm| packages::candidate(&package(llvm)).is_some(),
    )
}

/// Builds a linker into the cache, for a compiler with LLVM `llvm`.
pub(crate) fn install(llvm: u32) -> Result<PathBuf> {
    let cache = workspace::cache_dir()?;
    let Some(llvm) = available_llvm(llvm) else {
        bail!(
            "no bpf-linker, and no LLVM package to build one with; {}",
            by_hand(llvm)
        );
    };
    if !headers(llvm).exists() {
        packages::install(&[&package(llvm)])?;
    }

    command::say(format_args!(
        "building bpf-linker {VERSION} with LLVM {llvm}, once, into {}",
        cache.display()
    ));
    let linker = cached(&cache, llvm);
    let directory = directory(&cache, llvm);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    // Its own cargo configuration is none of this workspace's.
    let mut cargo = command::clean(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&directory)
        .args([
            "install",
            "bpf-linker",
            "--version",
            VERSION,
            "--locked",
            "--force",
        ])
        .args([
            "--no-default-features",
            "--features",
            &format!("llvm-{llvm}"),
            "--root",
        ])
        .arg(&directory)
        .env("LLVM_PREFIX", prefix(llvm))
        .env("PATH", path_with(&prefix(llvm).join("bin"))?);
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        cargo.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    command::run(&mut cargo).context("cannot build bpf-linker")?;
    if !works(&linker) {
        bail!(
            "{} was built, yet does not run; delete it and try again",
            linker.display()
        );
    }
    Ok(linker)
}

/// What to do to get a linker for a compiler with LLVM `llvm`.
pub(crate) fn by_hand(llvm: u32) -> String {
    if usable(llvm).any(|llvm| headers(llvm).exists()) {
        return "run `cargo xtask setup`, which builds one".to_owned();
    }
    format!(
        "run `sudo apt-get install {}` and `cargo xtask setup`, or put a bpf-linker {VERSION} with \
         LLVM {llvm} or newer into PATH",
        package(llvm)
    )
}

/// The LLVM majors that can read the bitcode of `llvm`, the closest first.
fn usable(llvm: u32) -> impl Iterator<Item = u32> {
    LLVM.filter(move |candidate| *candidate >= llvm)
}

fn works(linker: &Path) -> bool {
    command::output(Command::new(linker).arg("--version"))
        .is_ok_and(|version| is_compatible(&version))
}

/// The LLVM major that `linker` loads, or `None` where it has LLVM within itself.
fn linked_llvm(linker: &Path) -> Option<u32> {
    parse_linked(&command::output(Command::new("ldd").arg(linker)).ok()?)
}

/// The major of `libLLVM.so.22.1` or `libLLVM-22.so.1` in the output of ldd.
fn parse_linked(libraries: &str) -> Option<u32> {
    let (_, version) = libraries.split_once("libLLVM")?;
    let version = version
        .trim_start_matches(".so")
        .trim_start_matches(['.', '-']);
    version
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// Whether `bpf-linker --version` tells of a release with the command line of [`VERSION`].
fn is_compatible(version: &str) -> bool {
    let release = VERSION
        .rsplit_once('.')
        .map_or(VERSION, |(release, _)| release);
    version
        .strip_prefix("bpf-linker ")
        .and_then(|version| version.strip_prefix(release))
        .is_some_and(|patch| patch.starts_with('.'))
}

fn directory(cache: &Path, llvm: u32) -> PathBuf {
    cache.join(format!("bpf-linker-{VERSION}-llvm-{llvm}"))
}

fn cached(cache: &Path, llvm: u32) -> PathBuf {
    directory(cache, llvm).join("bin/bpf-linker")
}

fn package(llvm: u32) -> String {
    format!("llvm-{llvm}-dev")
}

fn prefix(llvm: u32) -> PathBuf {
    format!("/usr/lib/llvm-{llvm}").into()
}

fn headers(llvm: u32) -> PathBuf {
    prefix(llvm).join("include/llvm-c/Core.h")
}

fn path_with(first: &Path) -> Result<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(first.to_owned()).chain(env::split_paths(&path)))
        .context("PATH cannot be extended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_llvm_is_chosen() {
        assert_eq!(choose_llvm(22, |_| false, |_| true), Some(22));
        assert_eq!(choose_llvm(20, |_| false, |_| true), Some(21));
    }

    #[test]
    fn an_installed_llvm_is_preferred() {
        assert_eq!(choose_llvm(21, |llvm| llvm == 23, |_| true), Some(23));
    }

    #[test]
    fn an_older_llvm_is_never_chosen() {
        assert_eq!(choose_llvm(23, |llvm| llvm < 23, |llvm| llvm < 23), None);
        assert_eq!(choose_llvm(24, |_| true, |_| true), None);
    }

    #[test]
    fn the_linked_llvm_is_read_from_ldd() {
        let debian = "\tlibLLVM.so.22.1 => /usr/lib/llvm-22/lib/libLLVM.so.22.1 (0x00007f)";
        assert_eq!(parse_linked(debian), Some(22));
        assert_eq!(
            parse_linked("\tlibLLVM-21.so.1 => /usr/lib/libLLVM-21.so.1"),
            Some(21)
        );
        assert_eq!(
            parse_linked("\tlibc.so.6 => /lib/libc.so.6 (0x00007f)"),
            None
        );
    }

    #[test]
    fn patch_releases_are_compatible() {
        assert!(is_compatible("bpf-linker 0.13.0"));
        assert!(is_compatible("bpf-linker 0.13.2"));
        assert!(!is_compatible("bpf-linker 0.14.0"));
        assert!(!is_compatible("bpf-linker 0.1.3"));
        assert!(!is_compatible("0.13.0"));
    }
}
