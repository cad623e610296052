//! Shares: links by which somebody without a token sees a task for a while. A secret of 256 random bits is shown once, of
//! which only the SHA-256 is kept. Shares go with their task, and so does the key of its pseudonyms.

use capture_task::plan::Keyword;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{
    audit,
    audit_event::{Action, AuditEvent},
    database::{Need, Store},
    failure::{Abort, Failure},
    tasks::TaskId,
    tokens::{Secret, is_same},
    values::{from_word, millis, new_ulid, time, unreadable, word},
};
use crate::{
    access::{Actor, Caller, Origin, Who},
    error::{Error, Result},
};

/// Begins every secret of a share.
const PREFIX: &str = "shr_";

/// Most shares of a task that are in force.
pub const MAX_SHARES: u64 = 100;

/// Most bytes of a note.
pub const MAX_NOTE_BYTES: usize = 1024;

/// Bytes of a key of pseudonyms.
const KEY_LEN: usize = 32;

/// How much of the packets a share shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedPackets {
    /// None.
    None,
    /// Their headers.
    Headers,
    /// All of them.
    Whole,
}

impl Keyword for SharedPackets {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("headers", Self::Headers),
        ("whole", Self::Whole),
    ];
}

/// A share that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewShare {
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it shows findings.
    pub findings: bool,
    /// What it shows of packets.
    pub packets: SharedPackets,
    /// Whether pseudonyms take the place of addresses.
    pub anonymise: bool,
    /// What it is for, at most [`MAX_NOTE_BYTES`].
    pub note: Option<String>,
}

/// A share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// ULID, which is no secret.
    pub id: Ulid,
    /// The task that it shows.
    pub task: TaskId,
    /// Who made it: `uid 1000`, `token NAME ID`.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// What it shows, and until when.
    pub terms: NewShare,
    /// How often it was used.
    pub uses: u64,
}

impl Share {
    /// Whoever uses it, for the audit log.
    pub fn caller(&self, from: Origin) -> Caller {
        Caller {
            who: Who::Share { id: self.id },
            from,
        }
    }
}

/// What came of a wish for a share.
#[derive(Debug)]
pub enum Shared {
    /// It is there, with its secret.
    Made(Share, Secret),
    /// The task has [`MAX_SHARES`] of them.
    TooMany,
    /// There is no such task.
    NoTask,
}

impl Store {
    /// Makes a share of a task. It is one line in the audit log.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn share_create(
        &self,
        task: &TaskId,
        new: &NewShare,
        actor: &Actor,
    ) -> Result<Shared, Failure> {
        let secret = Secret::random(PREFIX).map_err(Failure::Refused)?;
        let made = self.write(Need::CanWait, |transaction, now| {
            let id = new_ulid(transaction, "shares", now)?;
            let made = insert(transaction, now, id, task, new, &secret, actor)?;
            if matches!(made, Inserted::Made(_)) {
                let object = object_of(&id, task);
                let event = AuditEvent::done(Action::ShareCreate, &object);
                audit::append(transaction, now, &actor.caller, event)?;
            }
            Ok(made)
        })?;
        Ok(match made {
            Inserted::Made(share) => Shared::Made(*share, secret),
            Inserted::TooMany => Shared::TooMany,
            Inserted::NoTask => Shared::NoTask,
        })
    }

    /// The shares of a task that are in force, oldest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn shares(&self, task: &TaskId) -> Result<Vec<Share>> {
        self.read(|transaction, now| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM {FROM} WHERE tasks.id = ? AND shares.expires_at > ? ORDER BY shares.id"
            ))?;
            let rows = statement.query_map(params![task.to_string(), millis(now)], read_share)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The task of a share in force.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn share_task(&self, id: &Ulid) -> Result<Option<TaskId>> {
        self.read(|transaction, now| {
            let share = transaction
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM {FROM} WHERE shares.id = ? AND shares.expires_at > ?"
                ))?
                .query_row(params![id.to_string(), millis(now)], read_share)
                .optional()?;
            Ok(share.map(|share| share.task))
        })
    }

    /// Takes a share back; `None` where there is none in force.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn share_revoke(&self, id: &Ulid, actor: &Actor) -> Result<Option<Share>, Failure> {
        self.write(Need::Urgent, |transaction, now| {
            let share = transaction
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM {FROM} WHERE shares.id = ? AND shares.expires_at > ?"
                ))?
                .query_row(params![id.to_string(), millis(now)], read_share)
                .optional()?;
            if let Some(share) = &share {
                transaction
                    .prepare_cached("DELETE FROM shares WHERE id = ?")?
                    .execute([id.to_string()])?;
                let object = object_of(id, &share.task);
                let event = AuditEvent::done(Action::ShareRevoke, &object);
                audit::append(transaction, now, &actor.caller, event)?;
            }
            Ok(share)
        })
    }

    /// Forgets shares whose time is over. Gives the tasks that they were of.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn shares_expire(&self) -> Result<Vec<TaskId>, Failure> {
        let due = |transaction: &Transaction<'_>, now: Timestamp| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT DISTINCT tasks.id FROM {FROM} WHERE shares.expires_at <= ?"
            ))?;
            let rows = statement.query_map([millis(now)], |row| {
                Ulid::from_string(&row.get::<_, String>(0)?).map_err(unreadable)
            })?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        };
        // Nearly always there is nothing to write.
        let tasks = self.read(due).map_err(Failure::Broken)?;
        if tasks.is_empty() {
            return Ok(tasks);
        }
        self.write(Need::Urgent, |transaction, now| {
            let tasks = due(transaction, now)?;
            transaction
                .prepare_cached("DELETE FROM shares WHERE expires_at <= ?")?
                .execute([millis(now)])?;
            Ok(tasks)
        })
    }

    /// The share of this secret, if one in force has it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn share_verify(&self, secret: &str) -> Result<Option<Share>> {
        let hash = Secret::hash(secret);
        self.read(|transaction, now| {
            // Found by a part of the hash, and compared in whole without telling by time how much is the same.
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {COLUMNS}, shares.hash FROM {FROM} WHERE substr(shares.hash, 1, 4) = ? AND shares.expires_at > ?"
            ))?;
            let mut rows = statement.query(params![&hash[..4], millis(now)])?;
            let mut found = None;
            while let Some(row) = rows.next()? {
                if is_same(&row.get("hash")?, &hash) {
                    found = Some(read_share(row)?);
                }
            }
            Ok(found)
        })
    }

    /// Whether the share of this ID is in force still.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn share_is_in_force(&self, id: Ulid) -> Result<bool> {
        self.read(|transaction, now| {
            let is_there = transaction
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM shares WHERE id = ? AND expires_at > ?)",
                )?
                .query_row(params![id.to_string(), millis(now)], |row| row.get(0))?;
            Ok(is_there)
        })
    }

    /// Notes that a share is used for something, which is counted and in the audit log. `false` if it is not in force any
    /// more: nothing may be shown then.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn share_used(&self, share: &Share, what: &str, from: Origin) -> Result<bool, Failure> {
        let object = format!("{}: {what}", object_of(&share.id, &share.task));
        let caller = share.caller(from);
        let event = AuditEvent::done(Action::ShareUse, &object);
        let has_line = self.admits(&caller, event);
        self.write(Need::CanWait, |transaction, now| {
            let counted = transaction
                .prepare_cached(
                    "UPDATE shares SET uses = uses + 1 WHERE id = ? AND expires_at > ?",
                )?
                .execute(params![share.id.to_string(), millis(now)])?;
            if counted > 0 && has_line {
                audit::append(transaction, now, &caller, event)?;
            }
            Ok(counted > 0)
        })
    }

    /// The key of the pseudonyms of a task, made where there is none; `None` if the task is gone.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn pseudonym_key(&self, task: &TaskId) -> Result<Option<[u8; KEY_LEN]>, Failure> {
        let mut new = [0; KEY_LEN];
        getrandom::fill(&mut new).map_err(|error| {
            let detail = format!("the kernel gives no random bytes: {error}");
            Failure::Broken(Error::runtime(detail))
        })?;
        self.write(Need::CanWait, |transaction, _| {
            transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO pseudonym_keys SELECT seq, ? FROM tasks WHERE id = ?",
                )?
                .execute(params![new, task.to_string()])?;
            let key = transaction
                .prepare_cached(
                    "SELECT key FROM pseudonym_keys WHERE task = (SELECT seq FROM tasks WHERE id = ?)",
                )?
                .query_row([task.to_string()], |row| row.get(0))
                .optional()?;
            Ok(key)
        })
    }
}

/// A share in the audit log, where it is of the history of its task.
fn object_of(id: &Ulid, task: &TaskId) -> String {
    format!("{task} share {id}")
}

const COLUMNS: &str = "shares.id, tasks.id AS task_id, shares.who, shares.created_at, shares.expires_at, shares.findings, shares.packets, shares.anonymise, shares.note, shares.uses";
const FROM: &str = "shares JOIN tasks ON tasks.seq = shares.task";

enum Inserted {
    Made(Box<Share>),
    TooMany,
    NoTask,
}

fn insert(
    transaction: &Transaction<'_>,
    now: Timestamp,
    id: Ulid,
    task: &TaskId,
    new: &NewShare,
    secret: &Secret,
    actor: &Actor,
) -> Result<Inserted, Abort> {
    let row: Option<i64> = transaction
        .prepare_cached("SELECT seq FROM tasks WHERE id = ?")?
        .query_row([task.to_string()], |row| row.get(0))
        .optional()?;
    let Some(row) = row else {
        return Ok(Inserted::NoTask);
    };
    let others: i64 = transaction
        .prepare_cached("SELECT count(*) FROM shares WHERE task = ? AND expires_at > ?")?
        .query_row([row, millis(now)], |row| row.get(0))?;
    if others.unsigned_abs() >= MAX_SHARES {
        return Ok(Inserted::TooMany);
    }
    let NewShare {
        expires_at,
        findings,
        packets,
        anonymise,
        note,
    } = new;
    let who = actor.caller.who.to_string();
    transaction
        .prepare_cached("INSERT INTO shares VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)")?
        .execute(params![
            id.to_string(),
            row,
            who,
            Secret::hash(secret.reveal()),
            millis(now),
            millis(*expires_at),
            findings,
            word(packets)?,
            anonymise,
            note,
        ])?;
    // As it will be read.
    let share = Share {
        id,
        task: *task,
        created_by: who,
        created_at: time(millis(now))?,
        terms: NewShare {
            expires_at: time(millis(*expires_at))?,
            ..new.clone()
        },
        uses: 0,
    };
    Ok(Inserted::Made(Box::new(share)))
}

fn read_share(row: &Row<'_>) -> rusqlite::Result<Share> {
    let ulid = |name| Ulid::from_string(&row.get::<_, String>(name)?).map_err(unreadable);
    Ok(Share {
        id: ulid("id")?,
        task: ulid("task_id")?,
        created_by: row.get("who")?,
        created_at: time(row.get("created_at")?)?,
        terms: NewShare {
            expires_at: time(row.get("expires_at")?)?,
            findings: row.get("findings")?,
            packets: from_word(&row.get::<_, String>("packets")?)?,
            anonymise: row.get("anonymise")?,
            note: row.get("note")?,
        },
        uses: row.get::<_, i64>("uses")?.unsigned_abs(),
    })
}
