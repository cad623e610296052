//! What outlives the process: tasks and their files, tokens, what the quota counts, the audit log, in one
//! SQLite database. Every call is one transaction that is on disk when it returns; calls wait for the disk
//! and belong on a thread that may. Several processes may have the database open, the daemon and commands
//! such as `token create`.
//!
//! On a full disk what cannot wait has a `reserve`, and what was done without a line in the audit log gets
//! it `late`.

mod audit;
mod create;
mod failure;
mod late;
mod limiter;
mod open;
mod quota;
mod reserve;
mod schema;
mod task_queries;
mod tasks;
mod tokens;

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use capture_task::task::rfc3339;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, types::Type};
use serde::{
    Deserialize, Serialize, Serializer,
    de::{IntoDeserializer as _, value},
};
use ulid::Ulid;

pub(super) use self::tasks::{FILE_BYTES, PAGE_BYTES};
pub use self::{
    audit::{Action, AuditEvent, AuditFilter, AuditLine, Chain, Outcome},
    failure::Failure,
    quota::{Edition, Quota, QuotaRules},
    tasks::{
        Change, CreateLimits, Creation, Cursor, Deletion, IdempotencyKey, Kept, Known, NewTask,
        Page, Refusal, StoredTask, TaskFilter, TaskId, TaskTotals,
    },
    tokens::{NewToken, Secret, TokenInfo},
};
use self::{
    failure::Abort, late::LateLine, limiter::Limiter, open::Missing, reserve::Reserve,
    tasks::RECORD_BYTES,
};
use super::{access::Account, clock::Clock};
use crate::error::{Error, Result};

/// The store; clones are the same one.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    limiter: Limiter,
    writer: Mutex<Connection>,
    /// Apart, so that a list does not wait for the disk as a change does.
    reader: Mutex<Connection>,
    /// The write-ahead log.
    log: PathBuf,
    reserve: Reserve,
    late: Mutex<VecDeque<LateLine>>,
    /// Whether the last change could not be written.
    is_failing: AtomicBool,
    /// The daemon's lock. The last field, as the connections must be closed before it is.
    _lock: Option<File>,
}

/// What a change may take on a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// What is there.
    CanWait,
    /// Also the reserve: it ends something, makes room, or tells of what is done.
    Urgent,
}

/// How often a change is tried again after room was made for it.
const TRIES: usize = 8;

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, and makes it where there is none: the file with mode 0600, its directory with
    /// 0700. An older one is brought to the newest version.
    ///
    /// # Errors
    /// The file cannot be opened, is no database of ours, or is of a newer version.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        open::open(path, clock, Missing::Create)
    }

    /// The same for a daemon, which has the database as long as the process lives, and alone: it takes every
    /// task that runs in there for its own. Commands may open it beside.
    ///
    /// # Errors
    /// As [`Self::open`]; another daemon has it.
    pub fn open_for_daemon(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        open::open_for_daemon(path, clock)
    }

    /// Opens the database for a command that has nothing to do where there is none.
    ///
    /// # Errors
    /// As [`Self::open`], and where there is no database.
    pub fn open_existing(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        open::open(path, clock, Missing::Refuse)
    }

    /// Changes something, all or nothing. The time is that of the change: no later one shows an earlier.
    fn write<T>(
        &self,
        need: Need,
        change: impl Fn(&Transaction<'_>, Timestamp) -> Result<T, Abort>,
    ) -> Result<T, Failure> {
        let reserve = &self.0.reserve;
        if need == Need::CanWait && reserve.is_low() {
            reserve.make();
            if reserve.is_low() {
                return Err(Failure::no_space(reserve.directory()));
            }
        }
        self.attempt(need, change)
    }

    fn attempt<T>(
        &self,
        need: Need,
        change: impl Fn(&Transaction<'_>, Timestamp) -> Result<T, Abort>,
    ) -> Result<T, Failure> {
        let mut connection = lock(&self.0.writer);
        let mut tries = 0;
        let error = loop {
            match transact(&mut connection, self.0.clock.now(), &change) {
                Ok(answer) => {
                    if self.0.is_failing.swap(false, Ordering::Relaxed) {
                        log::info!("the database can be written again");
                    }
                    return Ok(answer);
                }
                Err(Abort::Refused(error)) => return Err(Failure::Refused(error)),
                Err(Abort::Sqlite(error)) => {
                    tries += 1;
                    let helps = need == Need::Urgent && tries < TRIES;
                    if !(helps && self.0.make_room(&connection, &error)) {
                        break error;
                    }
                }
            }
        };
        drop(connection);
        Err(self.0.failed(error))
    }

    /// Whether changes can be written, as of the last one, and what can wait need not.
    pub fn is_writable(&self) -> bool {
        !self.0.is_failing.load(Ordering::Relaxed) && !self.0.reserve.is_low()
    }

    /// Makes the reserve whole where there is room, writes what waits, and finds out whether a database
    /// that could not be written can be now. To be called now and then.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn catch_up(&self) -> Result<(), Failure> {
        self.replenish();
        self.write_late()?;
        if self.0.is_failing.load(Ordering::Relaxed) {
            // Written again, what is there already: a change, and not one that may take the reserve.
            let version = schema::newest();
            self.attempt(Need::CanWait, |transaction, _| {
                Ok(transaction.pragma_update(None, "user_version", version)?)
            })?;
        }
        Ok(())
    }

    /// Makes the reserve whole, where there is room.
    pub fn replenish(&self) {
        if !self.0.reserve.is_whole() {
            self.0.reserve.make();
        }
    }

    /// Reads, all of one moment.
    fn read<T>(
        &self,
        read: impl FnOnce(&Transaction<'_>, Timestamp) -> Result<T, Abort>,
    ) -> Result<T> {
        let read = || {
            let mut connection = lock(&self.0.reader);
            let transaction = connection.transaction()?;
            read(&transaction, self.0.clock.now())
        };
        read().map_err(Error::from)
    }
}

impl Inner {
    /// Makes room for a change that failed, where it failed for that.
    fn make_room(&self, connection: &Connection, error: &rusqlite::Error) -> bool {
        // In this order: a checkpoint may need room in the database itself.
        self.reserve.is_lacking(error) && (self.reserve.give_up() | self.empty_log(connection))
    }

    /// Gives the room of the write-ahead log back, where what is in it can go into the database.
    fn empty_log(&self, connection: &Connection) -> bool {
        let size = || fs::metadata(&self.log).map_or(0, |log| log.len());
        let before = size();
        let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = emptied {
            log::debug!("{}: {error}", self.log.display());
        }
        size() < before
    }

    fn failed(&self, error: rusqlite::Error) -> Failure {
        let is_full = self.reserve.is_lacking(&error);
        let code = error.sqlite_error_code();
        let failure = if is_full {
            Failure::no_space(self.reserve.directory())
        } else {
            Failure::Broken(Abort::Sqlite(error).into())
        };
        // What a constraint refuses is our fault and not the disk's.
        let is_failing = code.is_some_and(|code| code != ErrorCode::ConstraintViolation);
        if is_failing && !self.is_failing.swap(true, Ordering::Relaxed) {
            log::error!("the database cannot be written: {failure}");
        }
        failure
    }
}

fn transact<T>(
    connection: &mut Connection,
    now: Timestamp,
    change: impl Fn(&Transaction<'_>, Timestamp) -> Result<T, Abort>,
) -> Result<T, Abort> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let answer = change(&transaction, now)?;
    transaction.commit()?;
    Ok(answer)
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A transaction that a panic ended was rolled back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of bytes or packets as SQLite has it, which knows no more than 63 bits.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time as it is stored.
fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A stored time.
fn time(millis: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(unreadable)
}

/// A word of the API, which is how it is stored.
fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    let quoted = serde_json::to_string(value).map_err(unwritable)?;
    Ok(quoted.trim_matches('"').to_owned())
}

/// A stored word.
fn from_word<'a, T: Deserialize<'a>>(word: &'a str) -> rusqlite::Result<T> {
    T::deserialize(word.into_deserializer()).map_err(|error: value::Error| unreadable(error))
}

/// A stored account.
fn account(name: &str) -> rusqlite::Result<Account> {
    Account::new(name).ok_or_else(|| unreadable(fmt::Error))
}

/// A new ID of this moment.
fn new_ulid(now: Timestamp) -> Result<Ulid> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::runtime(format!("the kernel gives no random bytes: {error}")))?;
    let millis = u64::try_from(millis(now)).unwrap_or(0);
    Ok(Ulid::from_parts(millis, u128::from_ne_bytes(random)))
}

/// How many rows of a list to give.
fn page_size(limit: u32) -> u32 {
    match limit {
        0 => 100,
        limit => limit.min(1000),
    }
}

/// What is stored is not what this program stores.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

/// What shall be stored cannot be written down.
fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn as_rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

fn as_optional_rfc3339<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}
