//! Where things are: the workspace, its target directory, the cache of tools that outlives it.
//! Every other module asks here instead of building paths by hand.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;
pub(crate) use crate::root::root;

/// A path for people: below the root of the workspace.
pub(crate) fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.display().to_string()
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
