//! What outlives the process: tasks and their files, tokens, what the quota counts, the audit log, in one
//! SQLite database. Every call is one transaction that is on disk when it returns; calls wait for the disk
//! and belong on a thread that may. Several processes may have the database open, the daemon and commands
//! such as `token create`.

mod audit;
mod create;
mod open;
mod quota;
mod rows;
mod schema;
mod tasks;
mod tokens;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior, types::Type};
use serde::{
    Deserialize, Serialize, Serializer,
    de::{IntoDeserializer as _, value},
};
use ulid::Ulid;

use self::open::Missing;
use self::tasks::RECORD_BYTES;
pub(super) use self::tasks::{FILE_BYTES, PAGE_BYTES};
pub use self::{
    audit::{Action, AuditFilter, AuditLine, Chain, Event, Outcome},
    quota::{Edition, Quota, QuotaRules},
    tasks::{
        Change, CreateLimits, Creation, Cursor, Deletion, IdempotencyKey, NewTask, Page, Refusal,
        StoredTask, TaskFilter, TaskUlid, Totals,
    },
    tokens::{NewToken, Secret, TokenInfo},
};
use super::{access::Account, clock::Clock};
use crate::{
    error::{Error, Result},
    task::rfc3339,
};

/// The store; clones are the same one.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    writer: Mutex<Connection>,
    /// Apart, so that a list does not wait for the disk as a change does.
    reader: Mutex<Connection>,
}

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

    /// Opens the database for a command that has nothing to do where there is none.
    ///
    /// # Errors
    /// As [`Self::open`], and where there is no database.
    pub fn open_existing(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        open::open(path, clock, Missing::Refuse)
    }

    /// Changes something, all or nothing. The time is that of the change: no later one shows an earlier.
    fn write<T, E: From<rusqlite::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>, Timestamp) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = lock(&self.0.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let answer = change(&transaction, self.0.clock.now())?;
        transaction.commit()?;
        Ok(answer)
    }

    /// Reads, all of one moment.
    fn read<T, E: From<rusqlite::Error>>(
        &self,
        read: impl FnOnce(&Transaction<'_>, Timestamp) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = lock(&self.0.reader);
        let transaction = connection.transaction()?;
        read(&transaction, self.0.clock.now())
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A transaction that a panic ended was rolled back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::runtime(format!("the database: {error}"))
    }
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
