//! Lines of the daemon's log for lines of the audit log: who did or was refused what, once that is stored. What the
//! daemon logs with more figures itself is left out.

use capture_task::plan::quote;
use log::Level;
use rusqlite::{Connection, Transaction, params};

use super::{
    audit_event::Action,
    audit_line::{self, AuditLine},
};

/// Most lines for one change.
const MOST: i64 = 100;

/// What the daemon logs itself where it was done.
const TOLD_WHERE_DONE: [Action; 2] = [Action::TaskCreate, Action::TaskDelete];

/// The last line before a change, where anybody reads the log.
pub(super) fn mark(transaction: &Transaction<'_>) -> Option<i64> {
    let metadata = log::Metadata::builder()
        .level(Level::Info)
        .target(module_path!())
        .build();
    let is_read = log::logger().enabled(&metadata);
    is_read
        .then(|| audit_line::head(transaction).ok())?
        .map(|(seq, _)| seq)
}

/// Logs the lines that a change has added.
pub(super) fn write_since(connection: &Connection, mark: i64) {
    match added(connection, mark) {
        Ok(lines) => {
            for (line, name) in lines {
                write(&line, name.as_deref());
            }
        }
        Err(error) => log::warn!("the audit log cannot be read: {error}"),
    }
}

/// Lines behind a mark, each with the name of the task that it is about.
fn added(connection: &Connection, mark: i64) -> rusqlite::Result<Vec<(AuditLine, Option<String>)>> {
    let mut statement = connection.prepare_cached(
        // Objects that are of a task begin with its ID.
        "SELECT audit.*, tasks.name FROM audit LEFT JOIN tasks ON tasks.id = substr(audit.object, 1, 26) \
         WHERE audit.seq > ? ORDER BY audit.seq LIMIT ?",
    )?;
    let lines = statement.query_map(params![mark, MOST], |row| {
        Ok((audit_line::read_line(row)?, row.get("name")?))
    })?;
    lines.collect()
}

fn write(line: &AuditLine, name: Option<&str>) {
    let AuditLine {
        who,
        from,
        action,
        object,
        outcome,
        ..
    } = line;
    let is_among = |told: &[Action]| told.iter().any(|told| told.as_str() == action);
    if is_among(&[Action::ConfigReload]) || (outcome == "done" && is_among(&TOLD_WHERE_DONE)) {
        return;
    }
    let level = match outcome.starts_with("failed") {
        true => Level::Warn,
        false => Level::Info,
    };
    let shown = name.map_or_else(String::new, |name| format!(" {}", quote(name)));
    log::log!(
        level,
        event = action.as_str(), object = object.as_str(), name, who = who.as_str(), from = from.as_str(),
        outcome = outcome.as_str();
        "{action} {object}{shown} by {who}, {from}: {outcome}"
    );
}
