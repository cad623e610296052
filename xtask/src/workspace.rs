//! Where things are: the workspace, its target directory, the cache of tools that outlives it.
//! Every other module asks here instead of building paths by hand.

use std::{
    env,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;

/// The directory of the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        // Cargo sets the variable when it runs xtask; the constant is for a binary started by hand.
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = PathBuf::from(manifest);
        manifest.parent().unwrap_or(&manifest).to_owned()
    });
    &ROOT
}

/// Cargo's target directory of the workspace, whatever variable or configuration sets it.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let directory = metadata(&["--no-deps"])?["target_directory"].take();
    let directory = directory
        .as_str()
        .context("`cargo metadata` names no target directory")?;
    Ok(directory.into())
}

/// The packages of the workspace, as `cargo metadata` describes them.
pub(crate) fn packages() -> Result<Vec<Value>> {
    match metadata(&["--no-deps"])?["packages"].take() {
        Value::Array(packages) => Ok(packages),
        _ => bail!("`cargo metadata` names no packages"),
    }
}

fn metadata(arguments: &[&str]) -> Result<Value> {
    let mut cargo = command::cargo();
    cargo.args(["metadata", "--format-version=1"]);
    let metadata = command::output(cargo.args(arguments))?;
    serde_json::from_str(&metadata).context("cannot read the answer of `cargo metadata`")
}

/// Where tools are kept that are built once: `$XDG_CACHE_HOME/capture-agent`.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    capture_build::linker::cache_dir()
        .context("no place for built tools; set HOME or XDG_CACHE_HOME to an absolute path")
}
