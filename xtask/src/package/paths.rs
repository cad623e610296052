//! No path of the machine that builds is in an agent.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use super::files::read;
use crate::workspace;

/// Fails if the agent names a directory of this machine that it was built from.
pub(super) fn check(agent: &Path, target_dir: &Path) -> Result<()> {
    let variables = ["HOME", "CARGO_HOME", "RUSTUP_HOME"].map(env::var_os);
    let variables = variables.into_iter().flatten().map(PathBuf::from);
    let directories: Vec<_> = variables
        .chain([workspace::root().to_owned(), target_dir.to_owned()])
        .collect();
    let found = found(&read(agent)?, &directories);
    ensure!(
        found.is_empty(),
        "paths of this machine are in {}: {}",
        agent.display(),
        found.join(", ")
    );
    Ok(())
}

/// The paths in `bytes` that begin with one of these directories.
fn found(bytes: &[u8], directories: &[PathBuf]) -> Vec<String> {
    let mut found = Vec::new();
    for directory in directories {
        let start = format!("{}/", directory.display().to_string().trim_end_matches('/'));
        // A home that is the root of all is in every path.
        if start == "/" {
            continue;
        }
        let places = bytes.windows(start.len()).enumerate();
        let places = places.filter(|(_, window)| *window == start.as_bytes());
        found.extend(places.map(|(at, _)| {
            let path = bytes[at..].iter().take(120);
            let path: Vec<u8> = path.copied().take_while(u8::is_ascii_graphic).collect();
            String::from_utf8_lossy(&path).into_owned()
        }));
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_by_their_directory() {
        let bytes = b"\0/home/alice/clone/src/a.rs\0/home/alicex /usr/src/a.rs\0";
        let directories = ["/home/alice", "/"].map(PathBuf::from);
        assert_eq!(found(bytes, &directories), ["/home/alice/clone/src/a.rs"]);
        assert!(found(b"/usr/src/a.rs", &directories).is_empty());
    }
}
