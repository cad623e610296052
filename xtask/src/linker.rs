//! Builds bpf-linker into the project's cache, against a packaged LLVM that is not older than the
//! compiler's. A linker that is there is found by `capture_build`; `setup` pairs it with a toolchain.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use capture_build::linker::{VERSION, cached, directory, usable, works};

use crate::{command, packages, workspace};

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
}
