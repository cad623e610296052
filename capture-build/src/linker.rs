//! bpf-linker, which turns the kernel crate's bitcode into one ELF object with BTF. It is taken
//! from `PATH`, or from the project's cache, into which `cargo xtask setup` builds it.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
};

use crate::command::{self, absolute};

/// The release that the kernel programs are linked with.
pub const VERSION: &str = "0.13.0";

/// The LLVM majors for which this version of bpf-linker has a feature.
const LLVM: RangeInclusive<u32> = 21..=23;

/// A linker that works with the bitcode of a compiler with LLVM `llvm`, if one is there.
pub fn installed(llvm: u32) -> Option<PathBuf> {
    let in_path = command::find("bpf-linker")
        .filter(|linker| works(linker) && linked_llvm(linker).is_none_or(|linked| linked >= llvm));
    in_path.or_else(|| {
        let cache = cache_dir()?;
        usable(llvm)
            .map(|llvm| cached(&cache, llvm))
            .find(|linker| works(linker))
    })
}

/// The LLVM majors that can read the bitcode of `llvm`, the closest first.
pub fn usable(llvm: u32) -> impl Iterator<Item = u32> {
    LLVM.filter(move |candidate| *candidate >= llvm)
}

/// Whether `linker` runs, and has the command line of [`VERSION`].
pub fn works(linker: &Path) -> bool {
    command::output(Command::new(linker).arg("--version"))
        .is_ok_and(|version| is_compatible(&version))
}

/// Where tools are kept that are built once: `$XDG_CACHE_HOME/capture-agent`.
pub fn cache_dir() -> Option<PathBuf> {
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("capture-agent"))
}

/// The directory in `cache` that a linker with LLVM `llvm` is installed to.
pub fn directory(cache: &Path, llvm: u32) -> PathBuf {
    cache.join(format!("bpf-linker-{VERSION}-llvm-{llvm}"))
}

/// The linker in that directory.
pub fn cached(cache: &Path, llvm: u32) -> PathBuf {
    directory(cache, llvm).join("bin/bpf-linker")
}

/// Directories that change when a linker is installed: cargo's, and the cache.
pub(crate) fn places() -> Vec<PathBuf> {
    let bin = command::cargo_home().map(|cargo| cargo.join("bin"));
    bin.into_iter().chain(cache_dir()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

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
