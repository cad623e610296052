//! Where things are: the workspace, its target directory, the cache of tools that outlives it.
//! Every other module asks here instead of building paths by hand.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::command;
pub(crate) use crate::root::root;

/// A path for people: below the root of the workspace.
pub(crate) fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.display().to_string()
}

/// Cargo's target directory of the workspace, whatever variable or configuration sets it.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata =
        command::output(command::cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cannot read the answer of `cargo metadata`")?;
    let directory = metadata["target_directory"]
        .as_str()
        .context("`cargo metadata` names no target directory")?;
    Ok(directory.into())
}

/// Where tools are kept that are built once: `$XDG_CACHE_HOME/capture-agent`.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("capture-agent"))
        .context("no place for built tools; set HOME or XDG_CACHE_HOME to an absolute path")
}
