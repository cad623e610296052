//! Queries about tasks: read, list, change the state, remove.

use capture_task::{
    interruption::Interruption,
    printable,
    task::{Counters, FileRecord, State, TaskRecord, rfc3339},
    tolerant::known_part,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use ulid::Ulid;

use super::{
    audit::append,
    audit_event::{Action, AuditEvent, Outcome},
    database::{Need, Store},
    failure::{Abort, Failure},
    glob::Glob,
    tasks::{
        Change, Cursor, Deletion, FILE_BYTES, KeptFiles, Overlay, PAGE_BYTES, Page, Pause,
        RECORD_BYTES, RetainedTask, StoredTask, TaskEnd, TaskFilter, TaskId, TaskTotals,
    },
    values::{account, from_word, millis, page_size, time, unreadable, unwritable, whole, word},
};
use crate::{
    access::{Account, Actor},
    error::{Error, Result},
};

impl Store {
    /// A task.
    pub fn task(&self, id: &TaskId) -> Result<Option<StoredTask>> {
        let tasks = self.select("WHERE id = ?", [id.to_string()])?;
        Ok(tasks.into_iter().next())
    }

    /// A page of tasks, newest first; the filter is applied to what the overlay makes of them. A page of a search may be
    /// empty and have a next one.
    pub fn tasks(&self, filter: &TaskFilter, overlay: &Overlay) -> Result<Page> {
        let size = page_size(filter.limit) as usize;
        let states: rusqlite::Result<Vec<_>> = filter.states.iter().map(word).collect();
        let states = states.map_err(Abort::from)?;
        let list = |ids: &mut dyn Iterator<Item = &TaskId>| list(ids).map_err(Abort::from);
        let before = filter.cursor.map_or(i64::MAX, |Cursor(seq)| seq);
        let bounds = Bounds {
            bytes: PAGE_BYTES,
            // One more than asked for tells whether there is another page.
            tasks: size + 1,
            name: NameTest::of(filter),
        };
        let since = filter.since.map_or(i64::MIN, millis);
        let id = filter.id.as_deref().unwrap_or_default();
        let account = filter.account.as_ref().map(Account::as_str);
        let selected = match states.as_slice() {
            [] => self.select_up_to(
                &bounds,
                &format!("WHERE id NOT IN (SELECT value FROM json_each(?)) {LISTED}"),
                params![
                    list(&mut overlay.removed.iter())?,
                    before,
                    since,
                    id,
                    id,
                    id,
                    account
                ],
            ),
            [state] if overlay.ended.is_empty() && overlay.removed.is_empty() => self.select_up_to(
                &bounds,
                &format!("WHERE state = ? {LISTED}"),
                params![state, before, since, id, id, id, account],
            ),
            states => {
                let is_so = |id: &&TaskId| {
                    let (state, _) = overlay.ended[*id];
                    filter.states.contains(&state)
                };
                let ended = overlay.ended.keys();
                self.select_up_to(
                    &bounds,
                    &format!(
                        "WHERE (state IN (SELECT value FROM json_each(?)) AND id NOT IN (SELECT value FROM json_each(?)) \
                         OR id IN (SELECT value FROM json_each(?))) \
                         AND id NOT IN (SELECT value FROM json_each(?)) {LISTED}"
                    ),
                    params![
                        json(&states).map_err(Abort::from)?,
                        list(&mut ended.clone())?,
                        list(&mut ended.filter(is_so))?,
                        list(&mut overlay.removed.iter())?,
                        before,
                        since,
                        id,
                        id,
                        id,
                        account
                    ],
                )
            }
        }?;
        let Selected { mut tasks, cut } = selected;
        let is_full = tasks.len() > size;
        tasks.truncate(size);
        Ok(Page {
            next_cursor: match tasks.last() {
                Some(last) if is_full => Some(last.cursor),
                _ => cut,
            },
            tasks,
        })
    }

    /// The tasks that wait, in the order in which they were created.
    pub fn pending(&self) -> Result<Vec<StoredTask>> {
        self.select("WHERE state = 'pending' ORDER BY seq", [])
    }

    /// The tasks that are `running` or `stopping`, in the order in which they were created.
    pub fn unfinished(&self) -> Result<Vec<StoredTask>> {
        self.select("WHERE state IN ('running', 'stopping') ORDER BY seq", [])
    }

    /// The tasks that have ended and whose files are not removed yet, those first that are to go first.
    pub fn kept(&self) -> Result<Vec<RetainedTask>> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, ended_at, expires_at, held_bytes > 0 FROM tasks WHERE expires_at IS NOT NULL AND files_removed_at IS NULL ORDER BY expires_at",
            )?;
            let rows = statement.query_map([], |row| {
                let ended_at: Option<i64> = row.get(1)?;
                Ok(RetainedTask {
                    id: Ulid::from_string(&row.get::<_, String>(0)?).map_err(unreadable)?,
                    ended_at: ended_at.map(time).transpose()?,
                    expires_at: time(row.get(2)?)?,
                    has_files: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The files of tasks that have ended, which are there still.
    pub fn kept_files(&self) -> Result<KeptFiles> {
        self.read(|transaction, _| {
            let kept = transaction
                .prepare_cached(
                    "SELECT count(DISTINCT tasks.seq), count(*), min(tasks.expires_at) FROM tasks \
                     JOIN files ON files.task = tasks.seq WHERE files_removed_at IS NULL AND held_bytes > 0",
                )?
                .query_row([], |row| {
                    let oldest: Option<i64> = row.get(2)?;
                    Ok(KeptFiles {
                        tasks: row.get::<_, i64>(0)?.unsigned_abs(),
                        files: row.get::<_, i64>(1)?.unsigned_abs(),
                        next_expiry: oldest.map(time).transpose()?,
                    })
                })?;
            Ok(kept)
        })
    }

    /// Gives tasks another time when their files are to go, where they are not gone yet.
    ///
    /// # Errors
    /// The database cannot be written; then nothing has changed.
    pub fn move_expiry(&self, tasks: &[(TaskId, Timestamp)]) -> Result<(), Failure> {
        self.write(Need::CanWait, |transaction, _| {
            let mut statement = transaction.prepare_cached(
                "UPDATE tasks SET expires_at = ? WHERE id = ? AND files_removed_at IS NULL",
            )?;
            for (id, at) in tasks {
                statement.execute(params![millis(*at), id.to_string()])?;
            }
            Ok(())
        })
    }

    /// All tasks together, under the overlay.
    pub fn totals(&self, overlay: &Overlay) -> Result<TaskTotals> {
        self.read(|transaction, _| {
            let mut totals = TaskTotals::default();
            let mut statement = transaction.prepare_cached(
                "SELECT state, count(*), sum(held_bytes) FROM tasks \
                 WHERE id NOT IN (SELECT value FROM json_each(?)) GROUP BY state",
            )?;
            let others = list(overlay.ended.keys().chain(&overlay.removed))?;
            let mut rows = statement.query([others])?;
            while let Some(row) = rows.next()? {
                // As `read_task` has it.
                let state = from_word(&row.get::<_, String>(0)?).unwrap_or(State::Failed);
                let count = row.get::<_, i64>(1)?.unsigned_abs();
                let held = row.get::<_, i64>(2)?.unsigned_abs();
                totals.add(state, count, held);
            }
            for (state, bytes) in overlay.ended.values() {
                totals.add(*state, 1, *bytes);
            }
            Ok(totals)
        })
    }

    /// Takes a task a step on.
    ///
    /// # Errors
    /// There is no such task, or its state does not allow the step; then nothing has changed.
    pub fn update(&self, id: &TaskId, change: &Change) -> Result<(), Failure> {
        self.write(Need::Urgent, |transaction, _| {
            let found: Option<(i64, String)> = transaction
                .prepare_cached("SELECT seq, state FROM tasks WHERE id = ?")?
                .query_row([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (seq, state) =
                found.ok_or_else(|| Error::not_found(format!("there is no task {id}")))?;
            if !is_allowed(from_word(&state)?, change) {
                return Err(Error::conflict(format!(
                    "task {id} is {state}, and cannot become what was asked for"
                ))
                .into());
            }
            Ok(apply(transaction, seq, change)?)
        })
    }

    /// Removes a task's record. What was created counts for the quota all the same, and its bytes are
    /// free again.
    pub fn delete(&self, id: &TaskId, actor: &Actor) -> Result<Deletion, Failure> {
        self.remove(id, actor, false)
    }

    /// The same of a task that has ended, though its row may not say so yet.
    pub fn delete_ended(&self, id: &TaskId, actor: &Actor) -> Result<Deletion, Failure> {
        self.remove(id, actor, true)
    }

    fn remove(&self, id: &TaskId, actor: &Actor, has_ended: bool) -> Result<Deletion, Failure> {
        self.write(Need::Urgent, |transaction, now| {
            let state: Option<String> = transaction
                .prepare_cached("SELECT state FROM tasks WHERE id = ?")?
                .query_row([id.to_string()], |row| row.get(0))
                .optional()?;
            let state: Option<State> = state.map(|state| from_word(&state)).transpose()?;
            let (deletion, outcome) = match state {
                None => (Deletion::NotFound, Outcome::Refused("not found")),
                Some(State::Running | State::Stopping) if !has_ended => {
                    (Deletion::Unfinished, Outcome::Refused("not ended"))
                }
                Some(_) => {
                    transaction
                        .prepare_cached("DELETE FROM tasks WHERE id = ?")?
                        .execute([id.to_string()])?;
                    (Deletion::Deleted, Outcome::Done)
                }
            };
            let event = AuditEvent {
                action: Action::TaskDelete,
                object: &id.to_string(),
                outcome,
            };
            if self.admits(&actor.caller, event) {
                append(transaction, now, &actor.caller, event)?;
            }
            Ok(deletion)
        })
    }

    /// All tasks of a selection.
    fn select(&self, which: &str, parameters: impl Params) -> Result<Vec<StoredTask>> {
        let bounds = Bounds {
            bytes: usize::MAX,
            tasks: usize::MAX,
            name: None,
        };
        Ok(self.select_up_to(&bounds, which, parameters)?.tasks)
    }

    /// Tasks of a selection within bounds. The rest is not read.
    fn select_up_to(
        &self,
        bounds: &Bounds,
        which: &str,
        parameters: impl Params,
    ) -> Result<Selected> {
        self.read(|transaction, _| {
            let mut statement =
                transaction.prepare_cached(&format!("SELECT * FROM tasks {which}"))?;
            let mut rows = statement.query(parameters)?;
            let (mut tasks, mut bytes) = (Vec::new(), 0);
            let (mut searched, mut last) = (0, None);
            while let Some(row) = rows.next()? {
                if bytes >= bounds.bytes || searched >= MOST_SEARCHED {
                    return Ok(Selected { tasks, cut: last });
                }
                if tasks.len() >= bounds.tasks {
                    break;
                }
                last = Some(Cursor(row.get("seq")?));
                if let Some(test) = &bounds.name {
                    searched += 1;
                    let name = row.get_ref("name")?.as_str().unwrap_or_default();
                    if !test.holds(name) {
                        continue;
                    }
                }
                let mut task = match read_task(row) {
                    Ok(task) => task,
                    // Such a row is of no use, and hides none of the others.
                    Err(error) if is_conversion(&error) => {
                        self.0.note_unreadable(row.get("seq")?, &error);
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                task.record.files = read_files(transaction, task.cursor.0)?;
                let spec = row.get_ref("spec")?.as_str().map_or(0, str::len);
                bytes += RECORD_BYTES + spec + task.record.files.len() * FILE_BYTES;
                tasks.push(task);
            }
            Ok(Selected { tasks, cut: None })
        })
    }
}

/// What every listing asks for: before a cursor, since a time, with a beginning or end of the ID, newest first.
const LISTED: &str = "AND seq < ? AND created_at >= ? AND (? = '' OR id LIKE ? || '%' OR id LIKE '%' || ?) AND account = ifnull(?, account) ORDER BY seq DESC";

/// What is asked of names.
struct NameTest {
    /// Has this in it, in lower case.
    part: Option<String>,
    pattern: Option<Glob>,
}

impl NameTest {
    fn of(filter: &TaskFilter) -> Option<Self> {
        let test = Self {
            part: filter.search.as_ref().map(|part| part.to_lowercase()),
            pattern: filter.name.clone(),
        };
        (test.part.is_some() || test.pattern.is_some()).then_some(test)
    }

    fn holds(&self, name: &str) -> bool {
        let has_part = |part: &String| name.to_lowercase().contains(part);
        self.part.as_ref().is_none_or(has_part)
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| pattern.matches(name))
    }
}

/// Most tasks that are looked at for a page of a search.
const MOST_SEARCHED: usize = 50_000;

/// How much of a selection is read.
struct Bounds {
    /// Bytes of the tasks, after the first one.
    bytes: usize,
    tasks: usize,
    name: Option<NameTest>,
}

/// Tasks of a selection.
struct Selected {
    tasks: Vec<StoredTask>,
    /// The last one that was looked at, where bytes or the search ended before the selection did.
    cut: Option<Cursor>,
}

/// Whether a value is not what this program stores, which is no fault of the disk.
fn is_conversion(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}

/// IDs for `json_each`.
fn list<'a>(ids: impl IntoIterator<Item = &'a TaskId>) -> rusqlite::Result<String> {
    let ids: Vec<_> = ids.into_iter().map(ToString::to_string).collect();
    json(&ids)
}

/// Whether a state allows a step.
fn is_allowed(state: State, change: &Change) -> bool {
    match change {
        Change::Started { .. } => state == State::Pending,
        Change::Stopping => state == State::Running,
        Change::Interrupted(_) | Change::TakenUp { .. } => {
            matches!(state, State::Running | State::Stopping)
        }
        Change::Ended(_) => {
            matches!(state, State::Pending | State::Running | State::Stopping)
        }
        Change::FilesRemoved { .. } => matches!(state, State::Completed | State::Failed),
    }
}

fn apply(connection: &Connection, seq: i64, change: &Change) -> rusqlite::Result<()> {
    let run = |sql, parameters: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql)?.execute(parameters)
    };
    match change {
        Change::Started { at } => {
            run(
                "UPDATE tasks SET state = 'running', started_at = ? WHERE seq = ?",
                params![millis(*at), seq],
            )?;
        }
        Change::Stopping => {
            run(
                "UPDATE tasks SET state = 'stopping' WHERE seq = ?",
                params![seq],
            )?;
        }
        Change::Interrupted(Pause {
            at,
            cause,
            counters,
            files,
        }) => {
            let mut interruptions = read_interruptions(connection, seq)?;
            // One that is open goes on: the task was not taken up before this daemon ended.
            if interruptions.last().is_none_or(|last| last.until.is_some()) {
                interruptions.push(Interruption {
                    from: rfc3339(*at),
                    until: None,
                    cause: *cause,
                });
            }
            run(
                "UPDATE tasks SET state = 'running', counters = ?, interruptions = ? WHERE seq = ?",
                params![json(counters)?, json(&interruptions)?, seq],
            )?;
            write_files(connection, seq, files)?;
        }
        Change::TakenUp { at } => {
            let mut interruptions = read_interruptions(connection, seq)?;
            if let Some(last) = interruptions.last_mut() {
                last.until = Some(rfc3339(*at));
            }
            run(
                "UPDATE tasks SET interruptions = ? WHERE seq = ?",
                params![json(&interruptions)?, seq],
            )?;
        }
        Change::Ended(end) => {
            let TaskEnd {
                at,
                reason,
                error,
                counters,
                verdict,
                files,
                expires_at,
            } = end;
            run(
                "UPDATE tasks SET state = ?, stop_reason = ?, error = ?, ended_at = ?, expires_at = ?, counters = ?, verdict = ?, held_bytes = ? WHERE seq = ?",
                params![
                    word(&reason.final_state())?,
                    word(reason)?,
                    error,
                    millis(*at),
                    millis(*expires_at),
                    json(counters)?,
                    verdict,
                    whole(end.bytes()),
                    seq
                ],
            )?;
            write_files(connection, seq, files)?;
        }
        Change::FilesRemoved { at } => {
            run(
                "UPDATE tasks SET files_removed_at = ?, held_bytes = 0 WHERE seq = ?",
                params![millis(*at), seq],
            )?;
        }
    }
    Ok(())
}

fn read_interruptions(connection: &Connection, seq: i64) -> rusqlite::Result<Vec<Interruption>> {
    let text: String = connection
        .prepare_cached("SELECT interruptions FROM tasks WHERE seq = ?")?
        .query_row([seq], |row| row.get(0))?;
    serde_json::from_str(&text).map_err(unreadable)
}

fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(unwritable)
}

/// Puts these files in the place of those that the task had.
fn write_files(connection: &Connection, seq: i64, files: &[FileRecord]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM files WHERE task = ?")?
        .execute([seq])?;
    let mut statement =
        connection.prepare_cached("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)")?;
    for file in files {
        let FileRecord {
            index,
            name,
            size,
            packets,
            complete,
            sha256,
        } = file;
        statement.execute(params![
            seq,
            whole(*index),
            name,
            whole(*size),
            whole(*packets),
            complete,
            sha256
        ])?;
    }
    Ok(())
}

fn read_files(connection: &Connection, seq: i64) -> rusqlite::Result<Vec<FileRecord>> {
    connection
        .prepare_cached("SELECT * FROM files WHERE task = ? ORDER BY number")?
        .query_map([seq], |row| {
            let number = |name| row.get::<_, i64>(name).map(i64::unsigned_abs);
            Ok(FileRecord {
                index: number("number")?,
                name: row.get("name")?,
                size: number("size")?,
                packets: number("packets")?,
                complete: row.get("complete")?,
                sha256: row.get("sha256")?,
            })
        })?
        .collect()
}

/// A task without its files, which are in a table of their own. What this version cannot read is left out and named.
fn read_task(row: &Row<'_>) -> rusqlite::Result<StoredTask> {
    let text = |name| row.get::<_, String>(name);
    let moment = |name| row.get::<_, Option<i64>>(name)?.map(time).transpose();
    let id = text("id")?;
    let start_at = moment("start_at")?;
    let expires_at = moment("expires_at")?;
    let account = account(&text("account")?)?;
    let mut unread = Vec::new();
    let spec = text("spec")?;
    let value = serde_json::from_str(&spec).unwrap_or_default();
    let (spec, unknown) = known_part(&value);
    unread.extend(unknown.into_iter().map(|member| match member.as_str() {
        "" => "spec".to_owned(),
        member => format!("spec.{}", printable(member)),
    }));
    let state = text("state")?;
    let state = from_word(&state).unwrap_or_else(|_| {
        unread.push("state".to_owned());
        State::Failed
    });
    let stop_reason: Option<String> = row.get("stop_reason")?;
    let stop_reason = stop_reason.as_deref().map(from_word).transpose()?;
    let counters = serde_json::from_str(&text("counters")?).unwrap_or_else(|_| {
        unread.push("counters".to_owned());
        Counters::default()
    });
    let interruptions = serde_json::from_str(&text("interruptions")?).unwrap_or_else(|_| {
        unread.push("interruptions".to_owned());
        Vec::new()
    });
    let findings: Option<String> = row.get("findings")?;
    let unread = (!unread.is_empty()).then(|| {
        format!(
            "this version cannot read all of the task's record, which a later one may have written: {}",
            unread.join(", ")
        )
    });
    let error: Option<String> = row.get("error")?;
    Ok(StoredTask {
        cursor: Cursor(row.get("seq")?),
        id: Ulid::from_string(&id).map_err(unreadable)?,
        start_at,
        expires_at,
        files_removed_at: moment("files_removed_at")?,
        held_bytes: row.get::<_, i64>("held_bytes")?.unsigned_abs(),
        record: TaskRecord {
            id,
            name: text("name")?,
            spec,
            state,
            stop_reason,
            error: error.or_else(|| unread.clone()),
            created_at: rfc3339(time(row.get("created_at")?)?),
            start_at: start_at.map(rfc3339),
            started_at: moment("started_at")?.map(rfc3339),
            ended_at: moment("ended_at")?.map(rfc3339),
            expires_at: expires_at.map(rfc3339),
            counters,
            verdict: row.get("verdict")?,
            interruptions,
            files: Vec::new(),
            created_by: row.get("created_by")?,
            account: Some(account.as_str().to_owned()),
            findings: findings.and_then(|findings| serde_json::from_str(&findings).ok()),
        },
        account,
        unread,
    })
}
