//! Names for the directories of the machine that builds: compilers write paths of source files into what they make, and
//! two builds at different places are to be equal.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::command::cargo_home;

/// A directory, and what it is called in what is built from it.
pub type Prefix = (PathBuf, &'static str);

/// The workspace at `root`, and cargo's home with the sources of all dependencies.
pub fn prefixes(root: &Path) -> Vec<Prefix> {
    let home = cargo_home().map(|home| (home, "/usr/src/cargo"));
    // Of several that fit, the last counts: a workspace may be in cargo's home.
    let given = home
        .into_iter()
        .chain([(root.to_owned(), "/usr/src/capture-agent")]);
    given.flat_map(both).collect()
}

/// A directory that is reached by a symlink has two names, and the working directory of a compiler is the other one.
fn both((path, name): Prefix) -> impl Iterator<Item = Prefix> {
    let real = path.canonicalize().ok().filter(|real| *real != path);
    real.into_iter().chain([path]).map(move |path| (path, name))
}

/// The sources of Rust's library.
pub(crate) fn library(directory: PathBuf) -> Prefix {
    (directory, "/usr/src/rustc/library")
}

/// Flags of rustc.
pub fn flags(prefixes: &[Prefix]) -> impl Iterator<Item = OsString> {
    prefixes
        .iter()
        .map(|(from, to)| flag("--remap-path-prefix=", from, to))
}

/// Flags of C compilers.
pub fn c_flags(prefixes: &[Prefix]) -> impl Iterator<Item = OsString> {
    prefixes
        .iter()
        .map(|(from, to)| flag("-ffile-prefix-map=", from, to))
}

fn flag(option: &str, from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from(option);
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_behind_a_symlink_has_both_names() {
        let place = std::env::temp_dir().join(format!("capture-build-{}", std::process::id()));
        let (real, link) = (place.join("real"), place.join("link"));
        std::fs::create_dir_all(&real).expect("a directory");
        std::os::unix::fs::symlink(&real, &link).expect("a symlink");
        let prefixes = prefixes(&link);
        let real = real.canonicalize().expect("a path");
        std::fs::remove_dir_all(&place).expect("removed");
        for path in [real, link] {
            assert!(
                prefixes.contains(&(path, "/usr/src/capture-agent")),
                "{prefixes:?}"
            );
        }
    }

    #[test]
    fn the_workspace_counts_where_it_is_in_the_home_of_cargo() {
        let root = Path::new("/home/alice/.cargo/git/checkouts/agent");
        let prefixes = prefixes(root);
        let last = flags(&prefixes).last().expect("a flag");
        assert_eq!(
            last.to_str(),
            Some(
                "--remap-path-prefix=/home/alice/.cargo/git/checkouts/agent=/usr/src/capture-agent"
            )
        );
    }
}
