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
    edition::{Edition, QuotaRules},
    error::{Error, Result},
};

/// An account's quota on the day that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Quota {
    /// Whose.
    #[schema(value_type = String)]
    pub account: Account,
    /// What was bought.
    pub edition: Edition,
    /// Tasks a day; null is no limit.
    #[schema(required = true)]
    pub limit: Option<u32>,
    /// Tasks created today; those deleted since count, those refused do not.
    pub used: u32,
    /// Tasks that may still be created today; null is no limit.
    #[schema(required = true)]
    pub remaining: Option<u32>,
    /// When the next day begins.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "values::as_rfc3339")]
    pub resets_at: Timestamp,
}

impl Quota {
    /// Whether another task may be created.
    pub fn is_used_up(&self) -> bool {
        self.remaining == Some(0)
    }
}

/// What all accounts have used of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// Tasks a day and account; none is no limit.
    pub limit: Option<u32>,
    /// Accounts that created tasks today, and how many.
    pub used: Vec<(String, u32)>,
    /// When the next day begins.
    pub resets_at: Timestamp,
}

/// Most accounts that are told of.
const MAX_ACCOUNTS: u32 = 1000;

impl Store {
    /// What all accounts have used today, those that used most first.
    pub fn quota_use(&self, rules: &QuotaRules) -> Result<QuotaUse> {
        self.read(|transaction, now| {
            let day = Day::of(now, &rules.timezone)?;
            let mut statement = transaction.prepare_cached(
                "SELECT account, count(*) AS used FROM creations WHERE at >= ? AND at < ? \
                 GROUP BY account ORDER BY used DESC, account LIMIT ?",
            )?;
            let bounds = params![millis(day.start), millis(day.end), MAX_ACCOUNTS];
            let used = statement.query_map(bounds, |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(QuotaUse {
                limit: rules.limit(),
                used: used.collect::<rusqlite::Result<_>>()?,
                resets_at: day.end,
            })
        })
    }

    /// An account's quota now.
    pub fn quota(&self, account: &Account, rules: &QuotaRules) -> Result<Quota> {
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
