//! `quota`: how many tasks may still be created today.

use capture_task::{printable, wait_text};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::Value;

use super::{
    args::{OutputForm, QuotaArgs},
    client::block_on,
    listing::json_line,
    print,
};
use crate::{
    error::{Error, Result},
    exit::Exit,
};

/// The quota as the daemon says it.
#[derive(Debug, Deserialize)]
pub(super) struct Quota {
    pub(super) account: String,
    edition: String,
    limit: Option<u32>,
    used: u32,
    remaining: Option<u32>,
    resets_at: String,
}

/// Executes `quota`.
pub(super) fn show(args: QuotaArgs) -> Result<Exit> {
    let QuotaArgs { form, socket } = args;
    let client = socket.client()?;
    let value: Value = block_on(async { Ok(client.get("/quota").await?) })?;
    if form.output == OutputForm::Json {
        print(&json_line(&value)?)?;
        return Ok(Exit::Ok);
    }
    let quota = serde_json::from_value(value).map_err(|error| {
        Error::runtime(format!(
            "the daemon's quota is not as this version knows it: {error}"
        ))
    })?;
    print(format!("{}\n", sentence(&quota, Timestamp::now())).as_bytes())?;
    Ok(Exit::Ok)
}

/// The whole of it.
fn sentence(quota: &Quota, now: Timestamp) -> String {
    let account = printable(&quota.account);
    format!("{account}: {}", use_text(quota, now))
}

/// `3 of 14 tasks of today used; the next day begins at 00:00 UTC, in 5 h`.
pub(super) fn use_text(quota: &Quota, now: Timestamp) -> String {
    let Quota {
        account: _,
        edition,
        limit,
        used,
        remaining,
        resets_at,
    } = quota;
    let edition = printable(edition);
    let Some(limit) = limit else {
        return format!("{used} tasks created today, no limit (edition {edition})");
    };
    if *limit == 0 {
        return format!("no tasks (edition {edition}); `quota.edition` names another");
    }
    let next = match resets_at.parse::<Timestamp>() {
        Ok(at) => {
            let wait = u64::try_from(at.duration_since(now).as_secs()).unwrap_or_default();
            let clock = at.to_zoned(TimeZone::UTC).strftime("%H:%M UTC");
            format!("at {clock}, in {}", wait_text(wait))
        }
        Err(_) => format!("at {}", printable(resets_at)),
    };
    let of = format!("{used} of {limit} tasks of today used (edition {edition})");
    match remaining {
        Some(0) => {
            format!("{of}; the next can be created {next}, or once `quota.tasks_per_day` is raised")
        }
        _ => format!("{of}; the next day begins {next}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_in_words() {
        let of = |limit: Option<u32>, used| {
            let quota = Quota {
                account: "alice".to_owned(),
                edition: "ultimate".to_owned(),
                limit,
                used,
                remaining: limit.map(|limit| limit.saturating_sub(used)),
                resets_at: "2026-03-02T00:00:00.000Z".to_owned(),
            };
            sentence(&quota, "2026-03-01T14:24:30Z".parse().expect("a time"))
        };
        assert_eq!(
            of(Some(14), 3),
            "alice: 3 of 14 tasks of today used (edition ultimate); the next day begins at 00:00 UTC, in 9 h 36 min"
        );
        assert_eq!(
            of(Some(14), 14),
            "alice: 14 of 14 tasks of today used (edition ultimate); the next can be created at 00:00 UTC, \
             in 9 h 36 min, or once `quota.tasks_per_day` is raised"
        );
        assert_eq!(
            of(None, 3),
            "alice: 3 tasks created today, no limit (edition ultimate)"
        );
        assert_eq!(
            of(Some(0), 0),
            "alice: no tasks (edition ultimate); `quota.edition` names another"
        );
    }
}
