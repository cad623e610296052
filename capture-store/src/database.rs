//! The open database: transactions that read or change it, and what is done when the disk is full.
//! [`open`](super::open) makes it.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    fs::{self, File},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::{
    audit_event::LateLine,
    failure::{Abort, Failure},
    journal,
    limiter::Limiter,
    reserve::Reserve,
    schema,
};
use crate::{
    clock::Clock,
    error::{Error, Result},
};

/// The store; clones are the same one. Every call fails if the database cannot be read or written; `# Errors`
/// say what else may be.
#[derive(Clone)]
pub struct Store(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limiter: Limiter,
    pub(super) writer: Mutex<Connection>,
    /// Apart, so that a list does not wait for the disk as a change does.
    pub(super) reader: Mutex<Connection>,
    /// The write-ahead log.
    pub(super) log: PathBuf,
    pub(super) reserve: Reserve,
    pub(super) late: Mutex<VecDeque<LateLine>>,
    /// Whether the last change could not be written.
    pub(super) is_failing: AtomicBool,
    /// When the audit log's end was last logged, and the number of that line.
    pub(super) noted_head: Mutex<(Duration, i64)>,
    /// Rows of tasks that cannot be read at all, each of which the log names once.
    pub(super) unreadable: Mutex<BTreeSet<i64>>,
    /// The daemon's lock. The last field, as the connections must be closed before it is.
    pub(super) _lock: Option<File>,
}

/// What a change may take on a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// What is there.
    CanWait,
    /// Also the reserve: it ends something, makes room, or tells of what is done.
    Urgent,
}

/// How often a change is tried again after room was made for it.
const MAX_TRIES: usize = 8;

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Changes something, all or nothing. The time is that of the change: no later one shows an earlier.
    pub(super) fn write<T>(
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
                    let helps = need == Need::Urgent && tries < MAX_TRIES;
                    if !(helps && self.0.make_room(&connection, &error)) {
                        break error;
                    }
                }
            }
        };
        drop(connection);
        Err(self.0.failed(error))
    }

    /// The clock by which things here begin and end.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Whether changes can be written, as of the last one, and what can wait need not. [`Self::test_write`] is one.
    pub fn is_writable(&self) -> bool {
        !self.0.is_failing.load(Ordering::Relaxed) && !self.0.reserve.is_low()
    }

    /// Makes the reserve whole where there is room, writes what waits, and finds out whether a database
    /// that could not be written can be now. To be called now and then.
    pub fn catch_up(&self) -> Result<(), Failure> {
        self.replenish();
        self.write_late()?;
        if self.0.is_failing.load(Ordering::Relaxed) {
            self.test_write()?;
        }
        Ok(())
    }

    /// Writes what is there already, and so finds out whether changes can be written now.
    pub fn test_write(&self) -> Result<(), Failure> {
        let version = schema::newest();
        // A change like any other, and not one that may take the reserve.
        self.attempt(Need::CanWait, |transaction, _| {
            Ok(transaction.pragma_update(None, "user_version", version)?)
        })
    }

    /// Makes the reserve whole, where there is room.
    pub fn replenish(&self) {
        if !self.0.reserve.is_whole() {
            self.0.reserve.make();
        }
    }

    /// Reads, all of one moment.
    pub(super) fn read<T>(
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
    /// Says once that the row of a task is left out.
    pub(super) fn note_unreadable(&self, row: i64, error: &rusqlite::Error) {
        let known = self.unreadable.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if known.insert(row) {
            log::error!("row {row} of the tasks cannot be read, and the task is left out: {error}");
        }
    }

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
    let mark = journal::mark(&transaction);
    let answer = change(&transaction, now)?;
    transaction.commit()?;
    if let Some(mark) = mark {
        journal::write_since(connection, mark);
    }
    Ok(answer)
}

pub(super) fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A transaction that a panic ended was rolled back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
