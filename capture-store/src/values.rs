//! Values in the database: how times, numbers and words of the API are stored and read back.

use std::fmt;

use capture_task::task::rfc3339;
use jiff::Timestamp;
use rusqlite::{Transaction, types::Type};
use serde::{
    Deserialize, Serialize, Serializer,
    de::{IntoDeserializer as _, value},
};
use ulid::Ulid;

use crate::{
    access::Account,
    error::{Error, Result},
    failure::Abort,
};

/// A number of bytes or packets as SQLite has it, which knows no more than 63 bits.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A time as it is stored.
pub(super) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A stored time.
pub(super) fn time(millis: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(unreadable)
}

/// A word of the API, which is how it is stored.
pub(super) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    let quoted = serde_json::to_string(value).map_err(unwritable)?;
    Ok(quoted.trim_matches('"').to_owned())
}

/// A stored word.
pub(super) fn from_word<'a, T: Deserialize<'a>>(word: &'a str) -> rusqlite::Result<T> {
    T::deserialize(word.into_deserializer()).map_err(|error: value::Error| unreadable(error))
}

/// A stored account.
pub(super) fn account(name: &str) -> rusqlite::Result<Account> {
    Account::new(name).ok_or_else(|| unreadable(fmt::Error))
}

/// An ID is ahead of the one before it in its millisecond by a random number of so many bits.
const STEP_BITS: u32 = 48;

/// A new ID of this moment for a row of `table`, above those of its rows that were made in the same millisecond: the
/// order of IDs is the order in which they were made.
pub(super) fn new_ulid(
    transaction: &Transaction<'_>,
    table: &'static str,
    now: Timestamp,
) -> Result<Ulid, Abort> {
    let millis = u64::try_from(millis(now)).unwrap_or(0);
    let (first, last) = (
        Ulid::from_parts(millis, 0),
        Ulid::from_parts(millis, u128::MAX),
    );
    let newest: Option<String> = transaction.query_row(
        &format!("SELECT max(id) FROM {table} WHERE id BETWEEN ? AND ?"),
        [first.to_string(), last.to_string()],
        |row| row.get(0),
    )?;
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::runtime(format!("the kernel gives no random bytes: {error}")))?;
    let random = u128::from_ne_bytes(random);
    let random = match newest {
        // Not the very next one: that may have been the ID of a row that is gone, and must not come back.
        Some(newest) => {
            let newest = Ulid::from_string(&newest).map_err(unreadable)?;
            newest.random() + 1 + (random >> (u128::BITS - STEP_BITS))
        }
        // The highest bit is left free, so that there are IDs above it.
        None => random >> 49,
    };
    if random >> Ulid::RAND_BITS != 0 {
        return Err(unreadable(fmt::Error).into());
    }
    Ok(Ulid::from_parts(millis, random))
}

/// How many rows of a list to give.
pub(super) fn page_size(limit: u32) -> u32 {
    match limit {
        0 => 100,
        limit => limit.min(1000),
    }
}

/// What is stored is not what this program stores.
pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

/// What shall be stored cannot be written down.
pub(super) fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

pub(super) fn as_rfc3339<S: Serializer>(
    time: &Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

pub(super) fn as_optional_rfc3339<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}
