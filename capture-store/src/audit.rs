//! The audit log: who did what to which object, when, from where, with what outcome. It is a hash chain: each line
//! carries the hash of the line before, so that changed, inserted and missing lines are found. Triggers in the
//! schema refuse all but appends.

use std::{str::FromStr, sync::PoisonError, time::Duration};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    audit_event::{Action, AuditEvent, Outcome, shortened},
    audit_line::{AuditLine, Hash, head, hex, read_line},
    database::{Need, Store},
    failure::Failure,
    tasks::TaskId,
    values::{millis, page_size},
};
use crate::{
    access::{Actor, Caller},
    error::Result,
};

/// Begins what is hashed; another number for another encoding.
const ENCODING: &[u8] = b"capture-agent audit 1";

/// Which lines to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Most lines; 1–1000, and 0 is 100.
    pub limit: u32,
    /// Only lines before this number.
    pub before: Option<i64>,
    /// Only this action, or those of a family: `task` is `task.create`, `task.stop` and so on.
    pub action: Option<String>,
    /// Only objects that begin so.
    pub object: Option<String>,
    /// Only lines whose `who` has this in it.
    pub who: Option<String>,
}

/// Some lines, and where the next ones begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// The lines.
    pub lines: Vec<AuditLine>,
    /// The number to go on from, where there may be more.
    pub next: Option<i64>,
}

/// How often the end of the log is noted in the daemon's log.
const HEAD_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Most lines that are looked at for a page: a filter that nothing passes does not hold up others.
const MOST_SEARCHED: i64 = 100_000;

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

/// A line that was noted down elsewhere: `NUMBER:HASH`, as the daemon logs it and `audit verify` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    seq: i64,
    hash: Hash,
}

impl FromStr for Anchor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (seq, hash) = text.split_once(':')?;
            let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
            let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            let mut bytes = [0; 32];
            for (place, byte) in bytes.iter_mut().enumerate().filter(|_| is_hash) {
                *byte = u8::from_str_radix(&hash[2 * place..2 * place + 2], 16).ok()?;
            }
            is_hash.then_some(Self { seq, hash: bytes })
        };
        read().ok_or(
            "write the number of a line, a colon, and its hash, as `audit verify` prints them",
        )
    }
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
    pub fn flush_audit(&self, all: bool) -> Result<(), Failure> {
        let summaries = self.0.limiter.take(all, self.0.clock.elapsed());
        if !summaries.is_empty() {
            self.write(Need::CanWait, |transaction, now| {
                for summary in &summaries {
                    append(transaction, now, &summary.caller, summary.event())?;
                }
                Ok(())
            })?;
        }
        self.log_head(all);
        Ok(())
    }

    /// Logs the last line's number and hash, now or where the last time was an hour ago: the daemon's log is another place, by
    /// which a log that was written anew is found out.
    fn log_head(&self, now: bool) {
        let elapsed = self.0.clock.elapsed();
        let mut noted = self
            .0
            .noted_head
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (at, last) = *noted;
        if !now && elapsed.saturating_sub(at) < HEAD_INTERVAL {
            return;
        }
        match self.read(|transaction, _| Ok(head(transaction)?)) {
            Ok((seq, hash)) if seq != last => {
                log::info!("the audit log ends with line {seq}:{}", hex(&hash));
                *noted = (elapsed, seq);
            }
            Ok(_) => {}
            Err(error) => log::warn!("the audit log cannot be read: {error}"),
        }
    }

    /// Checks every line, and logs that, unless a broken log takes no more lines.
    ///
    /// # Errors
    /// The database cannot be read, or a whole log not be written.
    pub fn audit_verify(&self, actor: &Actor) -> Result<Chain> {
        self.audit_verify_by(None, actor)
    }

    /// The same, and that the anchor's line is still the one that it was: a log that was written anew as a whole has another.
    ///
    /// # Errors
    /// As [`Self::audit_verify`].
    pub fn audit_verify_by(&self, anchor: Option<Anchor>, actor: &Actor) -> Result<Chain> {
        let chain = self.read(|transaction, _| Ok(verify(transaction, anchor)?))?;
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

    /// Lists lines, newest first, and logs that. A page may be empty and have a next one.
    pub fn audit_page(&self, filter: &AuditFilter, actor: &Actor) -> Result<AuditPage> {
        let page = self.read(|transaction, _| Ok(page(transaction, filter, MOST_SEARCHED)?))?;
        let event = AuditEvent::done(Action::AuditList, "audit log");
        self.audit(&actor.caller, event)?;
        Ok(page)
    }

    /// The same without a place to go on from.
    pub fn audit_list(&self, filter: &AuditFilter, actor: &Actor) -> Result<Vec<AuditLine>> {
        Ok(self.audit_page(filter, actor)?.lines)
    }

    /// What was done to a task and its files, oldest first, behind the line with this number. Uses of a share are one line,
    /// that of the first, which says how many there were. The log does not tell of it.
    pub fn history(&self, id: &TaskId, limit: u32, after: i64) -> Result<AuditPage> {
        let size = page_size(limit);
        self.read(|transaction, _| {
            let id = id.to_string();
            let mut lines = transaction
                .prepare_cached(HISTORY)?
                .query_map(params![id, after, size + 1], read_line)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let is_more = lines.len() > size as usize;
            lines.truncate(size as usize);
            let next = lines.last().map(|line| line.seq).filter(|_| is_more);
            for line in lines.iter_mut().filter(|line| is_use(line)) {
                let times: i64 = transaction
                    .prepare_cached(TIMES)?
                    .query_row([&line.object], |row| row.get(0))?;
                if times > 1 {
                    line.outcome = format!("done: {times} times");
                }
            }
            Ok(AuditPage { lines, next })
        })
    }
}

/// The lines about a task. Objects are its ID, and behind a character before `0`, such as `/`, what it is of the task.
const HISTORY: &str = "SELECT * FROM audit AS line
    WHERE object >= ?1 AND object < ?1 || '0' AND seq > ?2
    AND NOT (action = 'share.use' AND EXISTS (
        SELECT 1 FROM audit WHERE object = line.object AND action = 'share.use' AND seq < line.seq
    ))
    ORDER BY seq LIMIT ?3";

/// How often a share was used for something, by lines of `Outcome::Done` and `Outcome::DoneAgain`.
const TIMES: &str =
    "SELECT sum(CASE outcome WHEN 'done' THEN 1 ELSE CAST(substr(outcome, 7) AS INTEGER) END)
    FROM audit WHERE object = ? AND action = 'share.use'";

fn is_use(line: &AuditLine) -> bool {
    line.action == Action::ShareUse.as_str()
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

fn verify(connection: &Connection, anchor: Option<Anchor>) -> rusqlite::Result<Chain> {
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
        if anchor.is_some_and(|anchor| anchor.seq == line.seq && anchor.hash != line.hash) {
            return broken(line.seq, "the line is not the one that was noted down");
        }
        (last, hash) = (line.seq, line.hash);
    }
    if anchor.is_some_and(|anchor| anchor.seq > last) {
        return broken(
            last + 1,
            "lines up to the one that was noted down are missing",
        );
    }
    if (last, hash) != head(connection)? {
        return broken(last + 1, "lines at the end are missing");
    }
    Ok(Chain::Verified {
        lines: last,
        head: hex(&hash),
    })
}

/// Looks at no more than so many lines.
pub(super) fn page(
    connection: &Connection,
    filter: &AuditFilter,
    most: i64,
) -> rusqlite::Result<AuditPage> {
    let AuditFilter {
        limit,
        before,
        action,
        object,
        who,
    } = filter;
    let size = page_size(*limit);
    let (last, _) = head(connection)?;
    let before = before.unwrap_or(i64::MAX).min(last.saturating_add(1));
    let least = before.saturating_sub(most);
    let mut lines = connection
        .prepare_cached(
            "SELECT * FROM audit WHERE seq < ?1 AND seq >= ?2 \
             AND (?3 IS NULL OR action = ?3 OR substr(action, 1, length(?3) + 1) = ?3 || '.') \
             AND (?4 IS NULL OR substr(object, 1, length(?4)) = ?4) \
             AND (?5 IS NULL OR instr(who, ?5) > 0) \
             ORDER BY seq DESC LIMIT ?6",
        )?
        .query_map(
            params![before, least, action, object, who, size + 1],
            read_line,
        )?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let is_full = lines.len() > size as usize;
    lines.truncate(size as usize);
    let next = match lines.last() {
        Some(line) if is_full => Some(line.seq),
        _ => Some(least).filter(|least| *least > 1),
    };
    Ok(AuditPage { lines, next })
}
