//! What analyses said of tasks that have ended. It goes with the task.

use capture_task::task::FindingCounts;
use rusqlite::{OptionalExtension as _, params};
use ulid::Ulid;

use super::{
    database::{Need, Store},
    failure::Failure,
    tasks::TaskId,
    values::{millis, unreadable, unwritable},
};
use crate::error::Result;

/// What came of an analysis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Analyzed {
    /// The report, JSON.
    Report(String),
    /// Why there is none.
    Failed(String),
}

impl Store {
    /// Keeps what came of the analysis of a task, in the place of an earlier one. `false` if the task is gone.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn put_findings(&self, id: &TaskId, analyzed: &Analyzed) -> Result<bool, Failure> {
        let (report, error) = match analyzed {
            Analyzed::Report(report) => (Some(report), None),
            Analyzed::Failed(error) => (None, Some(error)),
        };
        let counts = report.and_then(|report| FindingCounts::of_report(report));
        self.write(Need::CanWait, |transaction, now| {
            let counts = counts.map(|counts| serde_json::to_string(&counts));
            let counts = counts.transpose().map_err(unwritable)?;
            transaction
                .prepare_cached("UPDATE tasks SET findings = ? WHERE id = ?")?
                .execute(params![counts, id.to_string()])?;
            let kept = transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO findings SELECT seq, ?, ?, ? FROM tasks WHERE id = ?",
                )?
                .execute(params![millis(now), report, error, id.to_string()])?;
            Ok(kept > 0)
        })
    }

    /// What came of the analysis of a task, if there was one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn findings(&self, id: &TaskId) -> Result<Option<Analyzed>> {
        self.read(|transaction, _| {
            let found = transaction
                .prepare_cached(
                    "SELECT report, error FROM findings WHERE task = (SELECT seq FROM tasks WHERE id = ?)",
                )?
                .query_row([id.to_string()], |row| {
                    let report: Option<String> = row.get(0)?;
                    Ok(match report {
                        Some(report) => Analyzed::Report(report),
                        None => Analyzed::Failed(row.get(1)?),
                    })
                })
                .optional()?;
            Ok(found)
        })
    }

    /// Tasks that have ended with files and were not analyzed, and whose files are there, the newest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn unanalyzed(&self, most: usize) -> Result<Vec<TaskId>> {
        self.read(|transaction, _| {
            let mut statement = transaction.prepare_cached(
                "SELECT id FROM tasks WHERE state IN ('completed', 'failed') \
                 AND files_removed_at IS NULL AND seq IN (SELECT task FROM files) \
                 AND seq NOT IN (SELECT task FROM findings) \
                 ORDER BY seq DESC LIMIT ?",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = statement.query_map([most], |row| {
                Ulid::from_string(&row.get::<_, String>(0)?).map_err(unreadable)
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
