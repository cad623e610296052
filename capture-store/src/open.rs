//! Opens the database: file and directory with narrow modes and the right owner, the daemon's lock, connections,
//! tables.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{
            DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use capture_task::Cause;
use nix::unistd::{AccessFlags, eaccess};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{
    database::{Inner, Store},
    failure::Abort,
    limiter::Limiter,
    reserve::Reserve,
    schema,
};
use crate::{
    clock::Clock,
    error::{Error, Result},
    ownership::{give_to_owner, why_denied},
};

/// How to run a second daemon on this machine.
pub const OWN_PATHS: &str =
    "each daemon needs its own `paths.captures`, `paths.database` and `paths.socket`";

/// How long a call waits for other processes. They hold the lock for a transaction, a few milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What to do where there is no database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// Make one.
    Create,
    /// Say so.
    Refuse,
}

impl Store {
    /// Opens the database, and makes it where there is none: the file with mode 0600, its directory with
    /// 0700. An older one is brought to the newest version.
    ///
    /// # Errors
    /// The file cannot be opened, is no database of ours, or is of a newer version.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        open(path, clock, Missing::Create)
    }

    /// The same for a daemon, which has the database as long as the process lives, and alone: it takes every
    /// task that runs in there for its own. Commands may open it beside.
    ///
    /// # Errors
    /// As [`Self::open`]; another daemon has it.
    pub fn open_for_daemon(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let path = prepare(path, Missing::Create)
            .map_err(|error| failed(path, Missing::Create, &error))?;
        // Before anything of it is read, or brought to a newer version.
        let lock = lock(&path)?;
        connections(&path, clock, Missing::Create, Some(lock))
    }

    /// Opens the database for a command that has nothing to do where there is none.
    ///
    /// # Errors
    /// As [`Self::open`], and where there is no database.
    pub fn open_existing(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        open(path, clock, Missing::Refuse)
    }
}

fn open(path: &Path, clock: Arc<dyn Clock>, missing: Missing) -> Result<Store> {
    let path = prepare(path, missing).map_err(|error| failed(path, missing, &error))?;
    connections(&path, clock, missing, None)
}

/// Locks the database against other daemons. The lock is one of the file itself, so that no other path leads
/// around it, and by flock(2), which SQLite and with it the commands do not use. It goes with the process.
///
/// Closing the file ends the locks that SQLite holds on it in this process (fcntl(2)): it is opened before the
/// first connection, and closed after the last.
fn lock(path: &Path) -> Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    let file = opened.map_err(|error| failed(path, Missing::Create, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::conflict(format!(
            "another daemon has the database {}; {OWN_PATHS}",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::runtime(format!(
            "cannot lock the database {}: {}",
            path.display(),
            Cause(&error)
        ))),
    }
}

fn connections(
    path: &Path,
    clock: Arc<dyn Clock>,
    missing: Missing,
    lock: Option<File>,
) -> Result<Store> {
    let connections = || -> Result<_, Abort> {
        let mut writer = connect(path)?;
        schema::look(&writer)?;
        // Not before it is known to be ours.
        narrow(path).map_err(|error| Error::runtime(error.to_string()))?;
        use_wal(&writer)?;
        schema::migrate(&mut writer)?;
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        Ok((writer, reader))
    };
    let reserve = Reserve::of(path);
    let (writer, reader) = loop {
        match connections() {
            Ok(both) => break both,
            Err(abort) => match without_room(abort, &reserve) {
                // A write-ahead log needs some even for reading.
                None if reserve.give_up() => {}
                None => return Err(no_room(path, &reserve)),
                Some(error) => {
                    return Err(Error {
                        message: format!("{}: {error}", path.display()),
                        ..error
                    });
                }
            },
        }
    };
    if missing == Missing::Create {
        reserve.make();
    }
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let noted_head = Mutex::new((clock.elapsed(), 0));
    Ok(Store(Arc::new(Inner {
        clock,
        limiter: Limiter::default(),
        writer: Mutex::new(writer),
        reader: Mutex::new(reader),
        log: log.into(),
        reserve,
        late: Mutex::default(),
        is_failing: AtomicBool::new(false),
        noted_head,
        unreadable: Mutex::default(),
        _lock: lock,
    })))
}

/// What is wrong, unless it is that there is no space.
fn without_room(abort: Abort, reserve: &Reserve) -> Option<Error> {
    match abort {
        Abort::Refused(error) => Some(error),
        Abort::Sqlite(error) if reserve.is_lacking(&error) => None,
        abort => Some(abort.into()),
    }
}

fn no_room(path: &Path, reserve: &Reserve) -> Error {
    Error::runtime(format!(
        "{}: no space is left on {}, and what is kept for the database is used up; free a few MiB \
         there, and try again",
        path.display(),
        reserve.directory().display()
    ))
}

fn failed(path: &Path, missing: Missing, error: &io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!(
            "{shown}: there is no database; the daemon makes it at its first start"
        )),
        // Of the daemon.
        io::ErrorKind::PermissionDenied if missing == Missing::Create => Error::missing(format!(
            "{shown}: {}{}",
            Cause(error),
            why_denied(path, error)
        )),
        io::ErrorKind::PermissionDenied => Error::missing(format!(
            "{shown}: {}; run as root or as the user of the daemon",
            Cause(error)
        )),
        _ => Error::runtime(format!("{shown}: {}", Cause(error))),
    }
}

/// Makes the directory and the file where they are missing. The path that comes back has no links in it.
fn prepare(path: &Path, missing: Missing) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    if missing == Missing::Create && !directory.try_exists()? {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let directory = fs::canonicalize(directory)?;
    let path = directory.join(name);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => {
            // SQLite would only say that it cannot open the file.
            eaccess(&path, AccessFlags::R_OK | AccessFlags::W_OK)?;
            Ok(path)
        }
        Ok(_) => Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Create => {
            create(&directory, &path)?;
            Ok(path)
        }
        Err(error) => Err(error),
    }
}

/// Makes an empty file, unless somebody else does so at the same time.
fn create(directory: &Path, path: &Path) -> io::Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Ok(file) => {
            give_to_owner(&file, directory)?;
            file.sync_all()?;
            File::open(directory)?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes away what others may do with the files that are there. `O_PATH`, as closing any other descriptor of
/// them would end the locks that SQLite holds in this process (fcntl(2)).
fn narrow(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
            .open(name);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.mode() & 0o077 != 0 {
            let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
            fs::set_permissions(opened, Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Every commit is synced: what was answered is there after a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Without it INSERT OR REPLACE deletes lines of the audit log past its trigger.
    connection.pragma_update(None, "recursive_triggers", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Switches to a write-ahead log, in which readers and a writer do not wait for each other. That needs the
/// database for a moment alone, and SQLite does not always wait for it by itself.
fn use_wal(connection: &Connection) -> Result<(), Abort> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(Error::runtime(format!(
                    "its file system does not allow a write-ahead log, only {mode:?}; name a file on a local disk as `paths.database`"
                ))
                .into());
            }
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < until =>
            {
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
