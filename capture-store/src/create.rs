//! Creates tasks. Key, quota, disk budget, row and audit line are one transaction, so that concurrent requests
//! cannot exceed quota or budget.

use capture_task::task::{Counters, State, TaskRecord, TaskSpec, rfc3339};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    audit::append,
    audit_event::{Action, AuditEvent, Outcome},
    database::{Need, Store},
    failure::{Abort, Failure},
    quota::{self, quota},
    tasks::{CreateLimits, Creation, IdempotencyKey, NewTask, Refusal},
    values::{millis, new_ulid, unreadable, unwritable, whole},
};
use crate::{
    access::{Account, Actor},
    error::Error,
};

/// How long a key is known.
const KEY_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

impl Store {
    /// Creates a task, or says why not, which is in the audit log too. Whether the actor may is for the caller to know.
    pub fn create(
        &self,
        new: &NewTask,
        limits: &CreateLimits,
        actor: &Actor,
    ) -> Result<Creation, Refusal> {
        // A refusal is an answer too: its audit line is to be kept.
        self.write(Need::CanWait, |transaction, now| {
            let answer = create(transaction, now, new, limits, actor)?;
            let event = |object, outcome| AuditEvent {
                action: Action::TaskCreate,
                object,
                outcome,
            };
            match &answer {
                Ok(Creation::New(record)) => {
                    let object = format!("{} for {} {}", record.id, actor.account, new.summary);
                    append(
                        transaction,
                        now,
                        &actor.caller,
                        event(&object, Outcome::Done),
                    )?;
                }
                // Nothing was done.
                Ok(Creation::Repeated(_)) => {}
                Err(refusal) => {
                    let event = event(&new.name, Outcome::Refused(refusal.code()));
                    if self.admits(&actor.caller, event) {
                        append(transaction, now, &actor.caller, event)?;
                    }
                }
            }
            Ok(answer)
        })?
    }

    /// Why [`Self::create`] would refuse a task of this size by quota or disk budget now. Nothing is noted of it.
    pub fn refusal(
        &self,
        max_file_bytes: u64,
        limits: &CreateLimits,
        account: &Account,
    ) -> Result<Option<Refusal>, Error> {
        self.read(|transaction, now| beyond(transaction, now, max_file_bytes, limits, account))
    }

    /// What is left of the disk budget for a new task now, in bytes.
    pub fn budget_left(&self, limits: &CreateLimits) -> Result<u64, Error> {
        self.read(|transaction, _| Ok(budget_left(transaction, limits)?.0))
    }

    /// The first answer to this very request with this key, for one that is not valid any more.
    pub fn first_answer(
        &self,
        key: &IdempotencyKey,
        spec: &TaskSpec,
        start_at: Option<Timestamp>,
        account: &Account,
    ) -> Result<Option<TaskRecord>, Failure> {
        self.write(Need::CanWait, |transaction, now| {
            let request = fingerprint(spec, start_at)?;
            let first = recall(transaction, now, account, key)?;
            match first.filter(|first| first.request == request) {
                Some(first) if !is_gone(transaction, &first.answer)? => Ok(Some(first.answer)),
                _ => Ok(None),
            }
        })
    }
}

impl Refusal {
    /// The word for it in the audit log.
    fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "edition",
            Self::Quota { .. } => "quota",
            Self::Budget { .. } => "disk budget",
            Self::FullDisk(_) => "disk full",
            Self::KeyReused => "idempotency key reused",
            Self::KeyOfRemoved(_) => "idempotency key of a removed task",
            Self::Broken(_) => "not stored",
        }
    }
}

/// Creates a task, or says why that is refused. A refusal is committed, an abort is not.
fn create(
    transaction: &Transaction<'_>,
    now: Timestamp,
    new: &NewTask,
    limits: &CreateLimits,
    actor: &Actor,
) -> Result<Result<Creation, Refusal>, Abort> {
    let request = fingerprint(&new.spec, new.start_at)?;
    if let Some(key) = &new.key
        && let Some(first) = recall(transaction, now, &actor.account, key)?
    {
        return Ok(if first.request != request {
            Err(Refusal::KeyReused)
        } else if is_gone(transaction, &first.answer)? {
            Err(Refusal::KeyOfRemoved(first.answer.id))
        } else {
            Ok(Creation::Repeated(first.answer))
        });
    }
    let beyond = beyond(transaction, now, new.max_file_bytes, limits, &actor.account)?;
    if let Some(refusal) = beyond {
        return Ok(Err(refusal));
    }

    let record = TaskRecord {
        id: new_ulid(transaction, "tasks", now)?.to_string(),
        name: new.name.clone(),
        spec: new.spec.clone(),
        state: State::Pending,
        stop_reason: None,
        error: None,
        created_at: rfc3339(now),
        start_at: new.start_at.map(rfc3339),
        started_at: None,
        ended_at: None,
        expires_at: None,
        counters: Counters::default(),
        verdict: None,
        interruptions: Vec::new(),
        files: Vec::new(),
        created_by: Some(actor.caller.who.short()),
        account: Some(actor.account.as_str().to_owned()),
        findings: None,
    };
    insert(transaction, now, new, &record, &actor.account)?;
    quota::count(transaction, now, &actor.account)?;
    if let Some(key) = &new.key {
        remember(transaction, now, &actor.account, key, &request, &record)?;
    }
    Ok(Ok(Creation::New(record)))
}

/// What a task is beyond, of quota, disk and disk budget.
fn beyond(
    connection: &Connection,
    now: Timestamp,
    max_file_bytes: u64,
    limits: &CreateLimits,
    account: &Account,
) -> Result<Option<Refusal>, Abort> {
    match over_quota(connection, now, limits, account)? {
        Some(refusal) => Ok(Some(refusal)),
        None => match &limits.full_disk {
            Some(why) => Ok(Some(Refusal::FullDisk(why.clone()))),
            None => Ok(over_budget(connection, max_file_bytes, limits)?),
        },
    }
}

fn over_quota(
    connection: &Connection,
    now: Timestamp,
    limits: &CreateLimits,
    account: &Account,
) -> Result<Option<Refusal>, Abort> {
    let edition = limits.quota.edition;
    if !limits.quota.may_capture() {
        return Ok(Some(Refusal::NotAllowed(edition)));
    }
    let quota = quota(connection, now, account, &limits.quota)?;
    let Some(limit) = quota.limit.filter(|_| quota.is_used_up()) else {
        return Ok(None);
    };
    let left = quota.resets_at.duration_since(now).as_millis();
    Ok(Some(Refusal::Quota {
        retry_after: u64::try_from(left).unwrap_or(0).div_ceil(1000),
        used: quota.used,
        limit,
        edition,
    }))
}

/// A task must fit into what is left now. What others may still write is not set aside for them: most tasks
/// end long before their limit, and the writers keep to the budget anyway.
fn over_budget(
    connection: &Connection,
    needed: u64,
    limits: &CreateLimits,
) -> rusqlite::Result<Option<Refusal>> {
    let (available, budget) = budget_left(connection, limits)?;
    Ok((needed > available).then_some(Refusal::Budget {
        needed,
        available,
        budget,
    }))
}

/// What is left of the budget now, or could be, and the budget.
fn budget_left(connection: &Connection, limits: &CreateLimits) -> rusqlite::Result<(u64, u64)> {
    let stored: i64 = connection
        .prepare_cached(
            "SELECT ifnull(sum(held_bytes), 0) FROM tasks WHERE held_bytes > 0 AND state IN ('completed', 'failed')",
        )?
        .query_row([], |row| row.get(0))?;
    // SQLite counts to 63 bits.
    let budget = limits.disk_budget.min(i64::MAX.unsigned_abs());
    let (stored, used) = (stored.unsigned_abs(), limits.used_bytes);
    let taken = match limits.evicts {
        true => used.saturating_sub(stored),
        false => used.max(stored),
    };
    let available = budget.saturating_sub(taken);
    Ok((available, budget))
}

fn insert(
    connection: &Connection,
    now: Timestamp,
    new: &NewTask,
    record: &TaskRecord,
    account: &Account,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO tasks (id, account, name, spec, state, created_at, start_at, held_bytes, counters, created_by) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            record.id,
            account.as_str(),
            record.name,
            serde_json::to_string(&record.spec).map_err(unwritable)?,
            millis(now),
            new.start_at.map(millis),
            whole(new.max_file_bytes),
            serde_json::to_string(&record.counters).map_err(unwritable)?,
            record.created_by,
        ])?;
    Ok(())
}

/// SHA-256 of all that the client asked for.
fn fingerprint(spec: &TaskSpec, start_at: Option<Timestamp>) -> rusqlite::Result<[u8; 32]> {
    let request = json!({ "spec": spec, "start_at": start_at.map(|at| at.to_string()) });
    let text = serde_json::to_string(&request).map_err(unwritable)?;
    Ok(Sha256::digest(text).into())
}

/// A request that a key was used for.
struct First {
    request: [u8; 32],
    answer: TaskRecord,
}

/// Whether the task of a first answer was removed since.
fn is_gone(connection: &Connection, answer: &TaskRecord) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM tasks WHERE id = ?)")?
        .query_row([&answer.id], |row| row.get(0))
}

/// Forgets keys that are too old, then looks this one up.
fn recall(
    connection: &Connection,
    now: Timestamp,
    account: &Account,
    key: &IdempotencyKey,
) -> rusqlite::Result<Option<First>> {
    connection
        .prepare_cached("DELETE FROM idempotency_keys WHERE at <= ?")?
        .execute([millis(now - KEY_LIFETIME)])?;
    connection
        .prepare_cached(
            "SELECT request, answer FROM idempotency_keys WHERE account = ? AND key = ?",
        )?
        .query_row([account.as_str(), key.as_str()], |row| {
            let answer: String = row.get(1)?;
            Ok(First {
                request: row.get(0)?,
                answer: serde_json::from_str(&answer).map_err(unreadable)?,
            })
        })
        .optional()
}

fn remember(
    connection: &Connection,
    now: Timestamp,
    account: &Account,
    key: &IdempotencyKey,
    request: &[u8; 32],
    answer: &TaskRecord,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO idempotency_keys (account, key, at, request, answer) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            account.as_str(),
            key.as_str(),
            millis(now),
            request,
            serde_json::to_string(answer).map_err(unwritable)?,
        ])?;
    Ok(())
}
