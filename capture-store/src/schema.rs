//! The schema, one migration step a version; `user_version` counts the steps that were done. New steps go to the
//! end of the list, and a released one never changes.
//!
//! Times are milliseconds since the epoch, UTC. Words and JSON are those of the API.

use rusqlite::{Connection, TransactionBehavior};

use super::failure::Abort;
use crate::error::Error;

/// `application_id` of our databases, "capt" in ASCII.
const APPLICATION_ID: i32 = 0x6361_7074;

/// Step n makes version n + 1 out of version n.
const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
];

/// The version that this program works with.
pub(super) fn newest() -> u32 {
    STEPS.len() as u32
}

/// What a file is before anything is changed in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing is in it yet.
    Empty,
    /// A database of ours, of this version.
    Ours(u32),
}

/// Looks, and refuses what is not ours or not ours to read.
pub(super) fn look(connection: &Connection) -> Result<Found, Abort> {
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, tables) {
        (0, 0, 0) => Ok(Found::Empty),
        (APPLICATION_ID, 1.., _) => {
            let newest = newest();
            u32::try_from(version)
                .ok()
                .filter(|version| *version <= newest)
                .map(Found::Ours)
                .ok_or_else(|| {
                    Error::runtime(format!(
                        "the database is of version {version}, this capture-agent knows versions up to {newest}; run the newer one that made it"
                    ))
                    .into()
                })
        }
        _ => Err(Error::runtime(
            "it is an SQLite database of another program; name another file as `paths.database`",
        )
        .into()),
    }
}

/// Brings a database to the newest version, all steps or none.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Abort> {
    migrate_by(STEPS, connection)
}

pub(super) fn migrate_by(steps: &[&str], connection: &mut Connection) -> Result<(), Abort> {
    let newest = steps.len() as u32;
    if look(connection)? == Found::Ours(newest) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Somebody else may have done it meanwhile.
    let done = match look(&transaction)? {
        Found::Empty => 0,
        Found::Ours(version) => version,
    };
    for step in steps.iter().skip(done as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", newest)?;
    transaction.commit()?;
    Ok(())
}
