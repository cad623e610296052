//! Where a download goes: a file that grows as `NAME.part`, gets its name when it is whole, and leaves
//! nothing where it is not; under a name that the daemon proposes, where that is harmless. Links are followed,
//! and nothing but a regular file is replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use capture_file as output;
use capture_file::{part_of, replacement_path};
use http::{HeaderMap, header};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
};

use crate::cli::error::{Error, Result};

/// Longest name of a file, `.part` behind it.
const LONGEST: usize = 250;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    /// The name that was asked for, which may be a link.
    name: PathBuf,
    /// Where the name leads.
    target: PathBuf,
    force: bool,
    is_done: bool,
}

impl Part {
    /// Begins a file. What is there stays, unless `force` says otherwise.
    pub(super) fn create(name: PathBuf, force: bool) -> Result<Self> {
        let (target, is_there) = replacement_path(&name)?;
        if !force && is_there {
            return Err(exists(&name));
        }
        let path = part_of(&target);
        if force {
            remove(&path).map_err(|error| failed(&path, &error))?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists if force => Error::conflict(format!(
                "{} is there, and is no regular file; name another file",
                path.display()
            )),
            io::ErrorKind::AlreadyExists => Error::conflict(format!(
                "{} is there: another download, or what a killed one left; --force begins anew",
                path.display()
            )),
            _ => failed(&path, &error),
        })?;
        Ok(Self {
            file,
            path,
            name,
            target,
            force,
            is_done: false,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| failed(&self.path, &error))
    }

    /// Gives it its name.
    pub(super) fn finish(mut self) -> Result<PathBuf> {
        let renamed = self.file.sync_all().and_then(|()| {
            if self.force {
                return output::rename(&self.path, &self.target);
            }
            rename_to_new(&self.path, &self.target)
        });
        match renamed {
            Ok(()) => {
                self.is_done = true;
                Ok(self.name.clone())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !self.force => {
                Err(exists(&self.name))
            }
            Err(error) => Err(failed(&self.name, &error)),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Renames, unless something has the name.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        // Not every file system has it; the look comes as late as can be.
        Err(Errno::EINVAL | Errno::ENOSYS) if to.symlink_metadata().is_err() => {
            fs::rename(from, to)
        }
        Err(Errno::EINVAL | Errno::ENOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        renamed => renamed.map_err(io::Error::from),
    }
}

/// Removes what a killed download left, and nothing that is not a regular file.
fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_file() => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn exists(path: &Path) -> Error {
    Error::conflict(format!(
        "{} is there already; --force replaces it, -o names another file",
        path.display()
    ))
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::runtime(format!("{}: {error}", path.display()))
}

/// The name that an answer proposes (RFC 6266), where it is one in the present directory that hides
/// nothing; else the one given.
pub(super) fn name_of(headers: &HeaderMap, otherwise: String) -> String {
    let value = headers.get(header::CONTENT_DISPOSITION);
    let proposed = value.and_then(|value| proposed(value.to_str().ok()?));
    proposed
        .filter(|name| is_harmless(name))
        .unwrap_or(otherwise)
}

fn proposed(value: &str) -> Option<String> {
    let mut plain = None;
    for part in value.split(';').map(str::trim) {
        if let Some(encoded) = part.strip_prefix("filename*=UTF-8''") {
            return decoded(encoded);
        }
        let quoted = part.strip_prefix("filename=\"");
        plain = quoted.and_then(|name| name.strip_suffix('"')).or(plain);
    }
    plain.map(str::to_owned)
}

/// Text of RFC 8187.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn is_harmless(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
        && !name.starts_with(['.', '-', ' '])
        && name
            .chars()
            .all(|char| char.is_alphanumeric() || "-_.+@ ".contains(char))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::cli::error::ErrorKind;

    #[test]
    fn only_harmless_names_are_taken() {
        for (value, name) in [
            (
                "attachment; filename=\"web-1 eth0.pcapng\"",
                "web-1 eth0.pcapng",
            ),
            (
                "attachment; filename=\"Z_rich.pcapng\"; filename*=UTF-8''Z%C3%BCrich.pcapng",
                "Zürich.pcapng",
            ),
            ("attachment; filename=\"../../etc/passwd\"", "otherwise"),
            ("attachment; filename=\"/etc/passwd\"", "otherwise"),
            ("attachment; filename*=UTF-8''%2e%2e%2fx", "otherwise"),
            ("attachment; filename*=UTF-8''a%0Ab", "otherwise"),
            ("attachment; filename*=UTF-8''%zz", "otherwise"),
            ("attachment; filename=\".bashrc\"", "otherwise"),
            ("attachment; filename=\"-rf\"", "otherwise"),
            ("attachment; filename=\"\"", "otherwise"),
            ("attachment", "otherwise"),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(value).expect("a header");
            headers.insert(header::CONTENT_DISPOSITION, value);
            assert_eq!(name_of(&headers, "otherwise".to_owned()), name);
        }
        assert_eq!(
            name_of(&HeaderMap::new(), "otherwise".to_owned()),
            "otherwise"
        );
    }

    #[test]
    fn what_is_there_stays_and_what_fails_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("a.pcapng");
        let names = || {
            let entries = fs::read_dir(directory.path()).expect("entries");
            let names = entries.map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        let mut part = Part::create(target.clone(), false).expect("a part");
        part.write(b"one").expect("written");
        let other = Part::create(target.clone(), false).expect_err("two at once");
        assert_eq!(other.kind, ErrorKind::Conflict);
        assert_eq!(names(), ["a.pcapng.part"]);
        // Somebody else has the name meanwhile.
        fs::write(&target, "other").expect("written");
        assert_eq!(part.finish().expect_err("taken").kind, ErrorKind::Conflict);
        assert_eq!(names(), ["a.pcapng"]);
        let refused = Part::create(target.clone(), false).expect_err("taken");
        assert_eq!(refused.kind, ErrorKind::Conflict);
        fs::write(directory.path().join("a.pcapng.part"), "left").expect("written");
        let mut part = Part::create(target.clone(), true).expect("a part");
        part.write(b"two").expect("written");
        assert_eq!(fs::read(&target).expect("still there"), b"other");
        part.finish().expect("finished");
        assert_eq!(fs::read(&target).expect("there"), b"two");
        assert_eq!(names(), ["a.pcapng"]);
    }
}
