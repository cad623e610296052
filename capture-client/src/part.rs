//! Where a download goes: a file that grows as `NAME.part` and gets its name when it is whole. What broke off stays, to be
//! gone on with. Links are followed, and nothing but a regular file is replaced.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use capture_file as output;
use capture_file::{open_failure, part_of};
use capture_task::{Cause, error::ErrorKind, task::FileRecord};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
};

use crate::{
    digest::{Digest, Fetched},
    error::{Error, Result},
};

/// A file that is being written.
#[derive(Debug)]
pub struct Part {
    file: File,
    path: PathBuf,
    /// The name that was asked for, which may be a link.
    name: PathBuf,
    /// Where the name leads.
    target: PathBuf,
    len: u64,
    /// Whether it replaces what has the name.
    replaces: bool,
    /// Whether what came can be gone on with.
    can_resume: bool,
    is_done: bool,
}

impl Part {
    /// Begins a file, or goes on with what another download left of it. `place` is where the name leads, and whether a
    /// file is there (`capture_file::replacement_path`), which stays, unless `replaces`.
    pub fn create(
        name: PathBuf,
        place: (PathBuf, bool),
        replaces: bool,
        resumes: bool,
        can_resume: bool,
    ) -> Result<Self> {
        let (target, is_there) = place;
        if !replaces && is_there {
            return Err(exists(&name));
        }
        let path = part_of(&target);
        let left = match path.symlink_metadata() {
            Ok(found) if found.is_file() => {
                let file = open(&path, OpenOptions::new().read(true).write(true))?;
                lock(&file, &path)?;
                Some(file)
            }
            Ok(_) => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "{} is there, and is no regular file; name another file",
                        path.display()
                    ),
                ));
            }
            Err(_) => None,
        };
        let file = match left {
            Some(file) if resumes => file,
            Some(_) if !replaces => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    format!(
                        "{} is there, of a download that broke off; --resume goes on with it, --force begins anew",
                        path.display()
                    ),
                ));
            }
            left => {
                if left.is_some() {
                    fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
                }
                let mut options = OpenOptions::new();
                let file = open(&path, options.read(true).write(true).create_new(true))?;
                lock(&file, &path)?;
                file
            }
        };
        let len = file
            .metadata()
            .map_err(|error| failed(&path, &error))?
            .len();
        Ok(Self {
            file,
            path,
            name,
            target,
            len,
            replaces,
            can_resume,
            is_done: false,
        })
    }

    /// Where it is until it is whole.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are here.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Whether it stays where it does not become whole.
    pub fn keeps(&self) -> bool {
        self.can_resume && self.len > 0
    }

    /// The digest of what is here.
    pub fn digest(&mut self) -> Result<Digest> {
        Digest::of(&mut self.file).map_err(|error| failed(&self.path, &error))
    }

    /// The last bytes of what is here.
    pub fn end(&self, bytes: u64) -> Result<Vec<u8>> {
        let mut end = vec![0; usize::try_from(bytes).unwrap_or_default()];
        let read = self.file.read_exact_at(&mut end, self.len - bytes);
        read.map_err(|error| failed(&self.path, &error))?;
        Ok(end)
    }

    /// Forgets what is here.
    pub fn restart(&mut self) -> Result<()> {
        self.len = 0;
        let cut = self.file.set_len(0);
        cut.map_err(|error| failed(&self.path, &error))
    }

    /// Adds to the end.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all_at(bytes, self.len);
        written.map_err(|error| failed(&self.path, &error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives it its name.
    pub fn finish(mut self) -> Result<()> {
        // Whatever comes of it, it is whole.
        self.can_resume = false;
        let renamed = self.file.sync_all().and_then(|()| {
            if self.replaces {
                return output::rename(&self.path, &self.target);
            }
            rename_to_new(&self.path, &self.target)
        });
        match renamed {
            Ok(()) => {
                self.is_done = true;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !self.replaces => {
                Err(exists(&self.name))
            }
            Err(error) => Err(failed(&self.name, &error)),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_done && !self.keeps() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let file = options
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    file.map_err(|error| failed(path, &error))
}

/// Takes a part for this process, until it ends.
fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Conflict,
            format!("{} is being written by another download", path.display()),
        )),
        // Not every file system has locks.
        Err(TryLockError::Error(_)) => Ok(()),
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

fn exists(path: &Path) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "{} is there already; --force replaces it, -w names another file",
            path.display()
        ),
    )
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::new(
        ErrorKind::Runtime,
        format!("{}: {}", path.display(), open_failure(path, error)),
    )
}

/// The finished file, where it is here under its name.
pub fn here_already(file: &FileRecord, path: &Path) -> Result<Option<Fetched>> {
    let Some(sha256) = &file.sha256 else {
        return Ok(None);
    };
    match path.metadata() {
        Ok(there) if there.is_file() && there.len() == file.size => {}
        _ => return Ok(None),
    }
    let found = output::sha256(path).map_err(|error| {
        Error::new(
            ErrorKind::Runtime,
            format!("reading {}: {}", path.display(), Cause(&error)),
        )
    })?;
    Ok((found == *sha256).then_some(Fetched {
        size: file.size,
        sha256: found,
    }))
}

/// Makes what came of a growing file the beginning of a download.
pub fn take_up(path: &Path, is_growing: bool) -> Result<()> {
    let part = part_of(path);
    let partial = match (is_growing, path.file_stem(), path.extension()) {
        (true, ..) => path.to_owned(),
        (false, Some(stem), Some(suffix)) => {
            let (stem, suffix) = (stem.to_string_lossy(), suffix.to_string_lossy());
            path.with_file_name(format!("{stem}.partial.{suffix}"))
        }
        _ => return Ok(()),
    };
    let is_file = partial
        .symlink_metadata()
        .is_ok_and(|there| there.is_file());
    if !is_file || part.symlink_metadata().is_ok() {
        return Ok(());
    }
    fs::rename(&partial, &part).map_err(|error| {
        Error::new(
            ErrorKind::Runtime,
            format!("{}: {}", partial.display(), Cause(&error)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("entries");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_there_stays_and_what_is_whole_has_its_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("a.pcapng");
        let names = || names(directory.path());
        let create = |replaces| {
            Part::create(
                target.clone(),
                (target.clone(), target.exists()),
                replaces,
                false,
                true,
            )
        };
        let mut part = create(false).expect("a part");
        part.write(b"one").expect("written");
        for replaces in [false, true] {
            let other = create(replaces).expect_err("two at once");
            assert_eq!(other.kind(), ErrorKind::Conflict);
            assert!(other.to_string().contains("by another download"), "{other}");
        }
        assert_eq!(names(), ["a.pcapng.part"]);
        // Somebody else has the name meanwhile.
        fs::write(&target, "other").expect("written");
        assert_eq!(
            part.finish().expect_err("taken").kind(),
            ErrorKind::Conflict
        );
        assert_eq!(names(), ["a.pcapng"]);
        assert_eq!(
            create(false).expect_err("taken").kind(),
            ErrorKind::Conflict
        );
        fs::write(directory.path().join("a.pcapng.part"), "left").expect("written");
        let mut part = create(true).expect("a part");
        part.write(b"two").expect("written");
        assert_eq!(fs::read(&target).expect("still there"), b"other");
        part.finish().expect("finished");
        assert_eq!(fs::read(&target).expect("there"), b"two");
        assert_eq!(names(), ["a.pcapng"]);
    }

    #[test]
    fn what_broke_off_is_gone_on_with_where_that_is_asked_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("a.pcapng");
        let create = |resumes, can_resume| {
            Part::create(
                target.clone(),
                (target.clone(), target.exists()),
                false,
                resumes,
                can_resume,
            )
        };
        // Nothing came.
        drop(create(false, true).expect("a part"));
        assert_eq!(names(directory.path()), [""; 0]);
        let mut part = create(false, true).expect("a part");
        part.write(b"12345").expect("written");
        drop(part);
        assert_eq!(names(directory.path()), ["a.pcapng.part"]);
        let refused = create(false, true).expect_err("it is not asked for");
        assert!(refused.to_string().contains("--resume"), "{refused}");
        let mut part = create(true, true).expect("a part");
        assert_eq!(
            (part.size(), part.end(2).expect("bytes")),
            (5, b"45".to_vec())
        );
        part.write(b"67").expect("written");
        let digest = part.digest().expect("a digest").finish();
        assert_eq!(digest.size, 7);
        part.finish().expect("finished");
        assert_eq!(fs::read(&target).expect("there"), b"1234567");
        // What cannot be gone on with is not left.
        fs::remove_file(&target).expect("it is there");
        let mut part = create(false, false).expect("a part");
        part.write(b"12345").expect("written");
        drop(part);
        assert_eq!(names(directory.path()), [""; 0]);
    }
}
