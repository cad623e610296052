//! Tasks that an account has created today, and how many are left. Days are those of a time zone, and not always 24
//! hours long.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rusqlite::{Connection, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    database::Store,
    failure::Abort,
    values::{self, millis},
};
use crate::{
    access::Account,
    config::{Edition, QuotaRules},
    error::{Error, Result},
};

/// An account's quota on the day that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Quota {
    /// Whose.
    #[schema(value_type = String)]
    pub(crate) account: Account,
    /// What was bought.
    pub(crate) edition: Edition,
    /// Tasks a day; null is no limit.
    #[schema(required = true)]
    pub(crate) limit: Option<u32>,
    /// Tasks created today; those deleted since count, those refused do not.
    pub(crate) used: u32,
    /// Tasks that may still be created today; null is no limit.
    #[schema(required = true)]
    pub(crate) remaining: Option<u32>,
    /// When the next day begins.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "values::as_rfc3339")]
    pub(crate) resets_at: Timestamp,
}

impl Quota {
    /// Whether another task may be created.
    pub(crate) fn is_used_up(&self) -> bool {
        self.remaining == Some(0)
    }
}

impl Store {
    /// An account's quota now.
    pub(crate) fn quota(&self, account: &Account, rules: &QuotaRules) -> Result<Quota> {
        self.read(|transaction, now| quota(transaction, now, account, rules))
    }
}

/// Creations are kept for so long: longer than any day, wherever it is.
const CREATIONS_KEPT_FOR: SignedDuration = SignedDuration::from_hours(72);

/// The quota at this moment.
pub(super) fn quota(
    connection: &Connection,
    now: Timestamp,
    account: &Account,
    rules: &QuotaRules,
) -> Result<Quota, Abort> {
    let day = Day::of(now, &rules.timezone)?;
    let used: u32 = connection
        .prepare_cached("SELECT count(*) FROM creations WHERE account = ? AND at >= ? AND at < ?")?
        .query_row(
            params![account.as_str(), millis(day.start), millis(day.end)],
            |row| row.get(0),
        )?;
    let limit = rules.limit();
    Ok(Quota {
        account: account.clone(),
        edition: rules.edition,
        limit,
        used,
        remaining: limit.map(|limit| limit.saturating_sub(used)),
        resets_at: day.end,
    })
}

/// Counts a creation, and forgets those of days that are long over.
pub(super) fn count(
    connection: &Connection,
    now: Timestamp,
    account: &Account,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO creations (account, at) VALUES (?, ?)")?
        .execute(params![account.as_str(), millis(now)])?;
    connection
        .prepare_cached("DELETE FROM creations WHERE account = ? AND at < ?")?
        .execute(params![account.as_str(), millis(now - CREATIONS_KEPT_FOR)])?;
    Ok(())
}

/// From one midnight to the next, or to the first moment of a day that has no midnight.
struct Day {
    start: Timestamp,
    end: Timestamp,
}

impl Day {
    fn of(now: Timestamp, timezone: &TimeZone) -> Result<Self> {
        let failed = |error| Error::runtime(format!("the day of {now}: {error}"));
        let here = now.to_zoned(timezone.clone());
        let start = here.start_of_day().map_err(failed)?;
        let end = here
            .tomorrow()
            .and_then(|tomorrow| tomorrow.start_of_day())
            .map_err(failed)?;
        Ok(Self {
            start: start.timestamp(),
            end: end.timestamp(),
        })
    }
}
