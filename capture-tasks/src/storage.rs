//! The directory of captures: one subdirectory a task, named by its ID and private to the daemon's user. All paths
//! are built here from the root, an ID and fixed names, never from input of a client. `recovery` is what a start
//! does after the last daemon's end; `notes` holds what the database could not take; `copies` are for others.

mod copies;
mod notes;
mod recovery;

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use capture_file::{
    DiskBudget, EarlierFiles, KeepFree, open_failure, part_of, sha256, sync_directory,
};
use capture_store::{OWN_PATHS, TaskId, ownership::why_denied};
use capture_task::{
    Cause,
    plan::Format,
    task::{FileRecord, State, TaskRecord},
};

pub use self::{copies::SharedCopy, recovery::Leftover};
use crate::error::{Error, Result};

/// Before the name of a task's directory that is being removed.
const HIDDEN_PREFIX: &str = ".removed-";

/// What only one daemon may hold.
const LOCK_FILE: &str = ".lock";

/// What is written to find out whether anything can be.
const TEST_FILE: &str = ".test";

/// The stem of every capture file.
pub const STEM: &str = "capture";

/// The captures of a daemon.
#[derive(Debug)]
pub struct Storage {
    root: PathBuf,
    space: Arc<DiskBudget>,
    _lock: File,
}

impl Storage {
    /// Takes the root, which is made where it is not there, and which no other daemon may have.
    pub fn open(root: &Path, budget: u64, keep_free: KeepFree) -> Result<Self> {
        let failed = |what: &str, error: &io::Error| {
            Error::runtime(format!(
                "the directory of captures {}: {what}: {}{}",
                root.display(),
                open_failure(root, error),
                why_denied(root, error)
            ))
        };
        make_directories(root).map_err(|error| failed("cannot make it", &error))?;
        fs::set_permissions(root, Permissions::from_mode(0o700))
            .map_err(|error| failed("cannot make it private", &error))?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(root.join(LOCK_FILE))
            .map_err(|error| failed("cannot lock it", &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict(format!(
                    "another daemon keeps its captures in {}; {OWN_PATHS}",
                    root.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed("cannot lock it", &error)),
        }
        let used = size_below(root).map_err(|error| failed("cannot look into it", &error))?;
        Ok(Self {
            root: root.to_owned(),
            space: Arc::new(DiskBudget::new(root, budget, keep_free, used)),
            _lock: lock,
        })
    }

    /// The disk budget of all captures.
    pub fn space(&self) -> &Arc<DiskBudget> {
        &self.space
    }

    /// Whether a task has a directory here.
    pub fn has(&self, id: &TaskId) -> bool {
        self.directory(id).exists()
    }

    /// What to say where it has none, or no such file in it.
    pub fn missing(&self, id: &TaskId) -> String {
        format!(
            "its files are not in {}; they were removed, or `paths.captures` was another directory",
            self.directory(id).display()
        )
    }

    /// Writes a file and removes it, and so finds out whether a capture could be written now.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn test_write(&self) -> Result<()> {
        let path = self.root.join(TEST_FILE);
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(&path)?;
            // A block: less could find room where a capture does not.
            file.write_all(&[0; 4096])
        };
        let written = write();
        // Also where the disk was full in between.
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        written.and(removed).map_err(|error| {
            Error::runtime(format!(
                "nothing can be written to {}: {}",
                self.root.display(),
                open_failure(&path, &error)
            ))
        })
    }

    fn directory(&self, id: &TaskId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Makes the directory of a task that is about to start. What an earlier start that came to nothing
    /// left there goes.
    pub fn prepare(&self, id: &TaskId) -> Result<()> {
        self.remove(id)?;
        let directory = self.directory(id);
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .and_then(|()| sync_directory(&directory))
            .map_err(|error| {
                Error::runtime(format!(
                    "cannot make {}: {}",
                    directory.display(),
                    Cause(&error)
                ))
            })
    }

    /// The file, or the stem of the files, that a task writes.
    pub fn target(&self, id: &TaskId, format: Format) -> PathBuf {
        let extension = match format {
            Format::Pcapng => "pcapng",
            Format::Pcap => "pcap",
        };
        self.directory(id).join(format!("{STEM}.{extension}"))
    }

    /// Opens a file of a task for reading, also one that is still written. It may have had the other of its names when the
    /// record was made.
    pub fn open_file(&self, id: &TaskId, file: &FileRecord) -> io::Result<File> {
        let path = self.path(id, file)?;
        let path = match path.extension() {
            Some(extension) if extension == "part" => path.with_extension(""),
            _ => path,
        };
        let open = |path: &Path| {
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)
        };
        // It may get its final name between the two.
        let opened = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match open(&part_of(&path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => open(&path),
                other => other,
            },
            other => other,
        }?;
        if opened.metadata()?.is_file() {
            Ok(opened)
        } else {
            Err(io::Error::other("it is not a regular file"))
        }
    }

    /// The path of a file by its record. Names in records are ours, and this is where one that is not
    /// would be found out.
    fn path(&self, id: &TaskId, file: &FileRecord) -> io::Result<PathBuf> {
        let name = Path::new(&file.name);
        let is_name = name.file_name() == Some(name.as_os_str()) && file.name.starts_with(STEM);
        if is_name {
            Ok(self.directory(id).join(name))
        } else {
            Err(io::Error::other("the name of the file is not one of ours"))
        }
    }

    /// The files of a task that is taken up again, behind which it goes on; none of one that begins.
    ///
    /// # Errors
    /// The name of one is not ours.
    pub fn earlier_files(&self, id: &TaskId, record: &TaskRecord) -> io::Result<EarlierFiles> {
        if record.state == State::Pending {
            return Ok(EarlierFiles::default());
        }
        let files = record.files.iter().map(|file| {
            let path = self.path(id, file)?;
            Ok(FileRecord {
                name: path.to_string_lossy().into_owned(),
                ..file.clone()
            })
        });
        Ok(EarlierFiles {
            files: files.collect::<io::Result<_>>()?,
            unfinished: record.interruptions.len() as u64,
        })
    }

    /// SHA-256 of a file that is not written any more.
    pub fn digest(&self, id: &TaskId, file: &FileRecord) -> io::Result<String> {
        sha256(&self.path(id, file)?)
    }

    /// Puts a task's record beside each of its finished files as `FILE.json`, with that file alone in it. What is found in
    /// the files comes later, and is not.
    pub fn write_sidecars(&self, id: &TaskId, record: &TaskRecord) -> io::Result<()> {
        let mut record = TaskRecord {
            findings: None,
            ..record.clone()
        };
        let files = std::mem::take(&mut record.files);
        let mut last = None;
        for file in files {
            let path = self.path(id, &file)?;
            record.files = vec![file];
            let mut text = serde_json::to_vec_pretty(&record)?;
            text.push(b'\n');
            let sidecar = with_suffix(&path, ".json");
            let new = with_suffix(&path, ".json.new");
            let before = fs::metadata(&sidecar).map_or(0, |there| there.len());
            write_new(&new, &text)?;
            fs::rename(&new, &sidecar)?;
            self.space.add(text.len() as u64);
            self.space.give_back(before);
            last = Some(sidecar);
        }
        last.map_or(Ok(()), |sidecar| sync_directory(&sidecar))
    }

    /// Begins the removal of a task's files: they are out of the way, and come back by
    /// [`Storage::restore`] as long as [`Storage::purge`] has not run.
    pub fn hide(&self, id: &TaskId) -> Result<()> {
        let directory = self.directory(id);
        match fs::rename(&directory, self.hidden(id)) {
            Ok(()) => sync_directory(&directory).map_err(|error| remove_error(&directory, &error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(remove_error(&directory, &error)),
        }
    }

    /// Takes [`Storage::hide`] back.
    pub fn restore(&self, id: &TaskId) -> io::Result<()> {
        match fs::rename(self.hidden(id), self.directory(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Removes what [`Storage::hide`] has put aside.
    pub fn purge(&self, id: &TaskId) -> Result<()> {
        let hidden = self.hidden(id);
        let size = match size_below(&hidden) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            size => size.map_err(|error| remove_error(&hidden, &error))?,
        };
        fs::remove_dir_all(&hidden).map_err(|error| remove_error(&hidden, &error))?;
        self.space.give_back(size);
        Ok(())
    }

    /// Removes the directory of a task, if there is one.
    pub fn remove(&self, id: &TaskId) -> Result<()> {
        self.hide(id)?;
        self.purge(id)
    }

    /// Removes a task's directory if nothing is in it.
    pub fn remove_if_empty(&self, id: &TaskId) {
        // One that is not empty stays, which is what is asked for.
        let _ = fs::remove_dir(self.directory(id));
    }

    fn hidden(&self, id: &TaskId) -> PathBuf {
        self.root.join(format!("{HIDDEN_PREFIX}{id}"))
    }
}

/// The ID that a directory is named after, exactly as we write it.
fn id_of(name: &str) -> Option<TaskId> {
    let id = TaskId::from_string(name).ok()?;
    (id.to_string() == name).then_some(id)
}

fn remove_error(path: &Path, error: &io::Error) -> Error {
    Error::runtime(format!(
        "cannot remove {}: {}",
        path.display(),
        Cause(error)
    ))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn write_new(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.write_all(data)?;
    file.sync_all()
}

/// Makes a directory with those above it, all private.
fn make_directories(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Bytes of all files in a directory and the directories in it; links are not followed.
pub fn size_below(directory: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            // Removed under our eyes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        size += if metadata.is_dir() {
            size_below(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileRecord {
        FileRecord {
            index: 0,
            name: name.to_owned(),
            size: 0,
            packets: 0,
            complete: true,
            sha256: None,
        }
    }

    #[test]
    fn only_our_own_files_are_opened() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().join("captures");
        let storage = Storage::open(&root, 1 << 20, KeepFree::default()).expect("a root");
        let id = TaskId::from_parts(1, 2);
        storage.prepare(&id).expect("a directory");
        let path = storage.target(&id, Format::Pcap);
        fs::write(part_of(&path), "growing").expect("a file");
        storage
            .open_file(&id, &file("capture.pcap"))
            .expect("it grows");
        fs::rename(part_of(&path), &path).expect("it is finished");
        storage
            .open_file(&id, &file("capture.pcap"))
            .expect("it is there");
        storage
            .open_file(&id, &file("capture.pcap.part"))
            .expect("it has another name by now");
        for name in [
            "../capture.pcap",
            "capture.pcap/",
            "/etc/passwd",
            "",
            ".",
            "..",
            "other",
        ] {
            storage.open_file(&id, &file(name)).expect_err(name);
        }
        // Whoever could write there could do so anyway; but nothing is followed out of the root.
        std::os::unix::fs::symlink("/etc/passwd", path.with_extension("x")).expect("a link");
        storage
            .open_file(&id, &file("capture.x"))
            .expect_err("a link");
        fs::create_dir(path.with_extension("y")).expect("a directory");
        storage
            .open_file(&id, &file("capture.y"))
            .expect_err("a directory");
    }

    #[test]
    fn a_task_goes_on_behind_its_own_files_only() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let storage = Storage::open(directory.path(), 1 << 20, KeepFree::Bytes(0)).expect("a root");
        let id = TaskId::from_parts(1, 2);
        let earlier = |state: &str, name: &str| {
            let record = serde_json::from_value(serde_json::json!({
                "id": id.to_string(), "name": "x", "spec": {}, "state": state, "stop_reason": null,
                "error": null, "created_at": "", "started_at": null, "ended_at": null, "expires_at": null,
                "counters": capture_task::task::Counters::default(), "verdict": null, "files": [file(name)],
            }));
            storage.earlier_files(&id, &record.expect("a record"))
        };
        let found = earlier("running", "capture.pcapng").expect("it is ours");
        let path = storage.directory(&id).join("capture.pcapng");
        assert_eq!(found.files[0].name, path.to_string_lossy());
        assert!(earlier("pending", "capture.pcapng").is_ok_and(|none| none.files.is_empty()));
        for name in ["../capture.pcapng", "/etc/passwd", "other"] {
            earlier("running", name).expect_err(name);
        }
    }

    #[test]
    fn what_is_hidden_comes_back_or_goes_and_gives_its_room_back() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let storage =
            Storage::open(directory.path(), 1 << 20, KeepFree::default()).expect("a root");
        let id = TaskId::from_parts(1, 2);
        storage.prepare(&id).expect("a directory");
        let path = storage.target(&id, Format::Pcapng);
        fs::write(&path, [0; 100]).expect("a file");
        storage.space().add(100);
        storage.hide(&id).expect("it is hidden");
        assert!(!path.exists());
        storage.restore(&id).expect("it is back");
        assert!(path.exists());
        storage.remove(&id).expect("it is removed");
        assert_eq!((path.exists(), storage.space().used()), (false, 0));
        storage.remove(&id).expect("again");
        assert!(
            fs::read_dir(directory.path()).expect("the root").count() == 1,
            "the lock"
        );
    }
}
