//! Which directory of a path is missing, for people who mistyped it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use capture_task::Cause;

/// The first directory of a path that is not there, or is something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingDirectory {
    /// Nothing has that name.
    NotThere(PathBuf),
    /// What has that name is no directory.
    NoDirectory(PathBuf),
}

impl MissingDirectory {
    /// Why `path` could not be opened or made, where a missing directory is the reason. Looks at the file system.
    pub fn of(path: &Path, cause: &io::Error) -> Option<Self> {
        use io::ErrorKind::{NotADirectory, NotFound};
        if !matches!(cause.kind(), NotFound | NotADirectory) {
            return None;
        }
        let above: Vec<_> = path.ancestors().skip(1).collect();
        let mut outermost_first = above.into_iter().rev().filter(|it| *it != Path::new(""));
        outermost_first.find_map(|directory| match directory.metadata() {
            Ok(found) if found.is_dir() => None,
            Ok(_) => Some(Self::NoDirectory(directory.to_owned())),
            Err(error) => (error.kind() == NotFound).then(|| Self::NotThere(directory.to_owned())),
        })
    }
}

impl fmt::Display for MissingDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere(path) => write!(f, "the directory {} does not exist", path.display()),
            Self::NoDirectory(path) => write!(f, "{} is not a directory", path.display()),
        }
    }
}

/// Why a file could not be opened or made: the directory that is missing, or else what the system says.
pub fn open_failure(path: &Path, cause: &io::Error) -> String {
    match MissingDirectory::of(path, cause) {
        Some(missing) => missing.to_string(),
        None => Cause(cause).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn the_first_part_that_is_missing_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        fs::write(root.join("file"), "").expect("a file");
        for (path, why) in [
            (
                "new/deeper/x",
                format!(
                    "the directory {} does not exist",
                    root.join("new").display()
                ),
            ),
            (
                "file/x",
                format!("{} is not a directory", root.join("file").display()),
            ),
            ("x", "No such file or directory".to_owned()),
        ] {
            let path = root.join(path);
            let cause = File::open(&path).expect_err("nothing is there");
            assert_eq!(open_failure(&path, &cause), why);
        }
    }
}
