//! Where the answer goes to. A file gets it as a whole or not at all, and only what is a regular file is replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use capture_task::Cause;

use crate::error::{Error, Result};

/// Refuses to write over what is read.
pub(super) fn refuse_input<'a>(
    path: &Path,
    inputs: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<()> {
    let which = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    let Some(output) = which(path) else {
        return Ok(());
    };
    let mut inputs = inputs.into_iter();
    match inputs.any(|input| which(input) == Some(output)) {
        true => Err(Error::usage(format!(
            "--write: {} is what is to be analyzed; name another file",
            path.display()
        ))),
        false => Ok(()),
    }
}

/// Writes the answer to a file. A link is followed.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: io::Error| {
        let (name, why) = (path.display(), Cause(&error));
        Error::runtime(format!("cannot write {name}: {why}"))
    };
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            let file = OpenOptions::new().write(true).open(path);
            file.and_then(|mut file| file.write_all(bytes))
                .map_err(failed)
        }
        Ok(_) => {
            let target = fs::canonicalize(path).map_err(failed)?;
            replace(&target, bytes).map_err(failed)
        }
        Err(_) => replace(path, bytes).map_err(failed),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = private(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        fs::rename(&part, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// As captures: an answer names hosts.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_through_links() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "something longer than what comes").expect("it is written");
        symlink(&file, &link).expect("a link");
        write(&link, b"answer").expect("it is written");
        assert_eq!(fs::read(&file).expect("it is read"), b"answer");
        assert!(link.is_symlink());
        assert_eq!(
            fs::read_dir(directory.path()).expect("a directory").count(),
            2
        );
        write(Path::new("/dev/null"), b"answer").expect("a device takes it");
        assert!(write(directory.path(), b"answer").is_err());
        assert!(write(&directory.path().join("none/file"), b"answer").is_err());
    }

    #[test]
    fn what_is_analyzed_is_not_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "a capture").expect("it is written");
        symlink(&file, &link).expect("a link");
        let error = refuse_input(&link, [&file]).expect_err("it is the same");
        assert!(error.message.contains("--write"), "{error}");
        refuse_input(&directory.path().join("new"), [&file]).expect("it is another");
    }
}
