//! Copies of a task's capture for others, beside its files: they go with them, and count for the disk budget.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use capture_store::TaskId;

use super::{Storage, id_of};

/// Extension of a copy in the making.
const BEGUN: &str = "new";

/// What a copy is without, and what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SharedCopy {
    /// The capture without payload.
    Headers,
    /// The capture without payload and addresses.
    Anonymous,
    /// What was found in that.
    AnonymousFindings,
}

impl SharedCopy {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Headers, Self::Anonymous, Self::AnonymousFindings];

    /// No name of a capture begins like this.
    fn name(self) -> &'static str {
        match self {
            Self::Headers => "shared-headers.pcapng",
            Self::Anonymous => "shared-anonymous.pcapng",
            Self::AnonymousFindings => "shared-anonymous.json",
        }
    }
}

impl Storage {
    /// Opens a copy, if there is one.
    pub fn open_copy(&self, id: &TaskId, copy: SharedCopy) -> io::Result<Option<File>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.copy_path(id, copy));
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Writes a copy, piece by piece up to an empty one. It is there once it is whole.
    ///
    /// # Errors
    /// A piece cannot be had or written, or the disk budget is used up. Nothing is left then.
    pub fn write_copy(
        &self,
        id: &TaskId,
        copy: SharedCopy,
        mut next: impl FnMut() -> io::Result<Vec<u8>>,
    ) -> io::Result<()> {
        let path = self.copy_path(id, copy);
        let new = path.with_extension(BEGUN);
        let mut taken = 0;
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&new)?;
            loop {
                let piece = next()?;
                if piece.is_empty() {
                    break;
                }
                let bytes = piece.len() as u64;
                let no_room = |error| io::Error::new(io::ErrorKind::StorageFull, error);
                self.space.take(bytes).map_err(no_room)?;
                taken += bytes;
                file.write_all(&piece)?;
            }
            file.sync_all()?;
            fs::rename(&new, &path)
        })();
        if written.is_err() {
            // It may not have been made.
            let _ = fs::remove_file(&new);
            self.space.give_back(taken);
        }
        written
    }

    /// Removes a copy, if there is one.
    pub fn remove_copy(&self, id: &TaskId, copy: SharedCopy) {
        self.remove_counted(&self.copy_path(id, copy));
    }

    /// Removes what is left of copies whose making broke off. None may be in the making.
    pub fn remove_begun_copies(&self, id: &TaskId) {
        for copy in SharedCopy::ALL {
            self.remove_counted(&self.copy_path(id, copy).with_extension(BEGUN));
        }
    }

    /// The directories in which copies are, whole or begun.
    pub fn with_copies(&self) -> io::Result<Vec<TaskId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(id_of) else {
                continue;
            };
            let is_there = |copy| {
                let path = self.copy_path(&id, copy);
                let begun = path.with_extension(BEGUN);
                [path, begun]
                    .iter()
                    .any(|path| path.symlink_metadata().is_ok())
            };
            if SharedCopy::ALL.into_iter().any(is_there) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Removes a file that counts for the budget, if it is there.
    fn remove_counted(&self, path: &Path) {
        let Ok(size) = fs::symlink_metadata(path).map(|there| there.len()) else {
            return;
        };
        match fs::remove_file(path) {
            Ok(()) => self.space.give_back(size),
            Err(error) => log::error!("cannot remove {}: {error}", path.display()),
        }
    }

    fn copy_path(&self, id: &TaskId, copy: SharedCopy) -> PathBuf {
        self.directory(id).join(copy.name())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_copy_is_whole_or_not_there_and_counts_for_the_budget() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let storage = Storage::open(directory.path(), 100, capture_file::KeepFree::default())
            .expect("a root");
        let id = TaskId::from_parts(1, 2);
        storage.prepare(&id).expect("a directory");
        let open = || {
            storage
                .open_copy(&id, SharedCopy::Headers)
                .expect("it is asked")
        };
        assert!(open().is_none());
        let write = |pieces: &[usize]| {
            let mut pieces = pieces.iter().map(|len| vec![7; *len]);
            storage.write_copy(&id, SharedCopy::Headers, || {
                Ok(pieces.next().unwrap_or_default())
            })
        };
        let error = write(&[60, 60]).expect_err("beyond the budget");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!((open().is_none(), storage.space().used()), (true, 0));
        write(&[60, 30]).expect("there is room");
        let mut bytes = Vec::new();
        open()
            .expect("a copy")
            .read_to_end(&mut bytes)
            .expect("it is read");
        assert_eq!((bytes.len(), storage.space().used()), (90, 90));
        let failed = storage.write_copy(&id, SharedCopy::Anonymous, || {
            Err(io::ErrorKind::Other.into())
        });
        failed.expect_err("no piece");
        // It goes by itself, or with the files of the task.
        storage.remove_copy(&id, SharedCopy::Headers);
        storage.remove_copy(&id, SharedCopy::Headers);
        assert_eq!((open().is_none(), storage.space().used()), (true, 0));
        write(&[90]).expect("there is room");
        storage.remove(&id).expect("it is removed");
        assert_eq!((open().is_none(), storage.space().used()), (true, 0));
    }
}
