//! The audit log: who did what to which object, when, from where, with what outcome. It is a hash chain: each line
//! carries the hash of the line before, so that changed, inserted and missing lines are found. Triggers in the
//! schema refuse all but appends.

use jiff::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    audit_event::{Action, AuditEvent, Outcome, shortened},
    database::{Need, Store},
    failure::Failure,
    values::{self, millis, page_size, time},
};
use crate::{
    access::{Actor, Caller},
    error::Result,
};

/// Begins what is hashed; another number for another encoding.
const ENCODING: &[u8] = b"capture-agent audit 1";

/// SHA-256.
type Hash = [u8; 32];

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditLine {
    /// Number, from 1, without gaps.
    pub seq: i64,
    /// When.
    #[serde(serialize_with = "values::as_rfc3339")]
    pub at: Timestamp,
    /// Who: `uid 1000`, `token NAME ID`, `daemon`, `unknown`.
    pub who: String,
    /// From where: `socket pid 123`, `tcp ADDRESS:PORT`, `command`, `internal`.
    pub from: String,
    /// `task.create` and so on.
    pub action: String,
    /// To what.
    pub object: String,
    /// `done`, `done: N more times`, `refused: WHY`, `failed: WHY`.
    pub outcome: String,
    /// Hash of the line before, in lower-case hexadecimal; zeros before the first.
    #[serde(serialize_with = "as_hex")]
    pub previous: [u8; 32],
    /// Hash of this line.
    #[serde(serialize_with = "as_hex")]
    pub hash: [u8; 32],
}

/// Which lines to list, newest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter {
    /// Most lines; 1–1000, and 0 is 100.
    pub limit: u32,
    /// Only lines before this number.
    pub before: Option<i64>,
}

/// What [`Store::audit_verify`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chain {
    /// Every line is as it was written, and none is missing. Whoever notes down number and hash elsewhere
    /// can tell later whether the whole log was written anew.
    Verified {
        /// How many lines.
        lines: i64,
        /// The hash of the last one, in lower-case hexadecimal.
        head: String,
    },
    /// The first line that is not as it was written.
    BrokenAt {
        /// Its number.
        seq: i64,
        /// What is wrong.
        why: String,
    },
}

impl Store {
    /// Writes a line, or counts it where there are too many of its kind.
    ///
    /// # Errors
    /// The database cannot be written. What should have been logged must then not be done.
    pub fn audit(&self, caller: &Caller, event: AuditEvent<'_>) -> Result<(), Failure> {
        if !self.admits(caller, event) {
            return Ok(());
        }
        // Anybody can be refused.
        let need = match event.outcome {
            Outcome::Refused(_) => Need::CanWait,
            Outcome::Done | Outcome::DoneAgain(_) | Outcome::Failed(_) => Need::Urgent,
        };
        self.write(need, |transaction, now| {
            Ok(append(transaction, now, caller, event)?)
        })
    }

    /// Whether something has a line of its own; else it is counted.
    pub(super) fn admits(&self, caller: &Caller, event: AuditEvent<'_>) -> bool {
        let now = self.0.clock.elapsed();
        self.0.limiter.admits(caller, event, now)
    }

    /// Writes the counts of what had no line of its own; to be called now and then, and with `all` at the end. On an error they
    /// are lost.
    pub(crate) fn flush_audit(&self, all: bool) -> Result<(), Failure> {
        let summaries = self.0.limiter.take(all, self.0.clock.elapsed());
        if summaries.is_empty() {
            return Ok(());
        }
        self.write(Need::CanWait, |transaction, now| {
            for summary in &summaries {
                append(transaction, now, &summary.caller, summary.event())?;
            }
            Ok(())
        })
    }

    /// Checks every line, and logs that, unless a broken log takes no more lines.
    ///
    /// # Errors
    /// The database cannot be read, or a whole log not be written.
    pub fn audit_verify(&self, actor: &Actor) -> Result<Chain> {
        let chain = self.read(|transaction, _| Ok(verify(transaction)?))?;
        let found = match &chain {
            Chain::Verified { .. } => None,
            Chain::BrokenAt { seq, why } => Some(format!("line {seq}: {why}")),
        };
        let event = AuditEvent {
            action: Action::AuditVerify,
            object: "audit log",
            outcome: found.as_deref().map_or(Outcome::Done, Outcome::Failed),
        };
        match self.audit(&actor.caller, event) {
            // Whoever broke the chain may also have broken the way to write to it.
            Err(error) if found.is_some() => {
                log::warn!("what was found could not be added to the log: {error}");
            }
            written => written?,
        }
        Ok(chain)
    }

    /// Lists lines, newest first, and logs that.
    pub fn audit_list(&self, filter: AuditFilter, actor: &Actor) -> Result<Vec<AuditLine>> {
        let lines = self.read(|transaction, _| Ok(list(transaction, filter)?))?;
        let event = AuditEvent::done(Action::AuditList, "audit log");
        self.audit(&actor.caller, event)?;
        Ok(lines)
    }
}

/// Writes a line as part of what it is about.
pub(super) fn append(
    transaction: &Transaction<'_>,
    now: Timestamp,
    caller: &Caller,
    event: AuditEvent<'_>,
) -> rusqlite::Result<()> {
    let AuditEvent {
        action,
        object,
        outcome,
    } = event;
    append_text(transaction, now, caller, action, object, outcome.text())
}

/// The same with the text of what came of it.
pub(super) fn append_text(
    transaction: &Transaction<'_>,
    now: Timestamp,
    caller: &Caller,
    action: Action,
    object: &str,
    outcome: String,
) -> rusqlite::Result<()> {
    let (last, previous) = head(transaction)?;
    let mut line = AuditLine {
        seq: last + 1,
        at: now,
        who: caller.who.to_string(),
        from: caller.from.to_string(),
        action: action.as_str().to_owned(),
        object: shortened(object),
        outcome,
        previous,
        hash: [0; 32],
    };
    line.hash = digest(&line);
    transaction
        .prepare_cached("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            line.seq,
            millis(line.at),
            line.who,
            line.from,
            line.action,
            line.object,
            line.outcome,
            line.previous,
            line.hash
        ])?;
    Ok(())
}

/// Number and hash of the last line.
fn head(connection: &Connection) -> rusqlite::Result<(i64, Hash)> {
    connection
        .prepare_cached("SELECT seq, hash FROM audit_head")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Hash of a line: all of it but the hash itself, each text with its length before it.
fn digest(line: &AuditLine) -> Hash {
    let AuditLine {
        seq,
        at,
        who,
        from,
        action,
        object,
        outcome,
        previous,
        hash: _,
    } = line;
    let mut hasher = Sha256::new();
    hasher.update(ENCODING);
    hasher.update(seq.to_be_bytes());
    hasher.update(millis(*at).to_be_bytes());
    for text in [who, from, action, object, outcome] {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    }
    hasher.update(previous);
    hasher.finalize().into()
}

fn verify(connection: &Connection) -> rusqlite::Result<Chain> {
    let broken = |seq, why: &str| {
        Ok(Chain::BrokenAt {
            seq,
            why: why.to_owned(),
        })
    };
    let mut statement = connection.prepare("SELECT * FROM audit ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let (mut last, mut hash) = (0, [0; 32]);
    while let Some(row) = rows.next()? {
        // What cannot even be read was not written by us.
        let Ok(line) = read_line(row) else {
            return broken(last + 1, "the line cannot be read");
        };
        if line.seq != last + 1 {
            return broken(last + 1, "the line is missing");
        }
        if line.previous != hash {
            return broken(line.seq, "the line does not follow the one before it");
        }
        if line.hash != digest(&line) {
            return broken(line.seq, "the line was changed");
        }
        (last, hash) = (line.seq, line.hash);
    }
    if (last, hash) != head(connection)? {
        return broken(last + 1, "lines at the end are missing");
    }
    Ok(Chain::Verified {
        lines: last,
        head: hex(&hash),
    })
}

fn list(connection: &Connection, filter: AuditFilter) -> rusqlite::Result<Vec<AuditLine>> {
    connection
        .prepare_cached("SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?")?
        .query_map(
            params![filter.before.unwrap_or(i64::MAX), page_size(filter.limit)],
            read_line,
        )?
        .collect()
}

fn read_line(row: &Row<'_>) -> rusqlite::Result<AuditLine> {
    Ok(AuditLine {
        seq: row.get(0)?,
        at: time(row.get(1)?)?,
        who: row.get(2)?,
        from: row.get(3)?,
        action: row.get(4)?,
        object: row.get(5)?,
        outcome: row.get(6)?,
        previous: row.get(7)?,
        hash: row.get(8)?,
    })
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn as_hex<S: serde::Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(hash))
}
