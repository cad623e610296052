//! The store by what it promises. The judge of what is on disk is SQLite itself, by a connection of the tests'
//! own.

mod audit;
mod backup;
mod create;
mod findings;
mod full_disk;
mod notes;
mod processes;
mod quota;
mod rows;
mod schema;
mod shares;
mod tokens;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use capture_task::task::{FileRecord, FindingCounts, TaskRecord, TaskSpec};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{database::lock, values::from_word, *};
use crate::{
    access::Actor,
    clock::{Clock, FakeClock},
    edition::{Edition, QuotaRules},
    error::{Error, Result},
};

/// A store in a directory of its own, and its clock.
struct Lab {
    store: Store,
    clock: Arc<FakeClock>,
    directory: TempDir,
}

impl Lab {
    /// At noon, in UTC.
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = FakeClock::at("2026-11-25T12:00:00Z");
        let store = open(&directory.path().join("state.db"), &clock);
        // What these tests ask does not depend on the disk, and they should not wait for it.
        let set = lock(&store.0.writer).pragma_update(None, "synchronous", "OFF");
        set.expect("it is set");
        Self {
            store,
            clock,
            directory,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state.db")
    }

    /// The database past the store.
    fn raw(&self) -> Connection {
        Connection::open(self.path()).expect("the database opens")
    }

    /// A new task under the default limits.
    fn create(&self) -> TaskRecord {
        new_record(self.store.create(&task("a"), &limits(), &Actor::daemon()))
    }

    /// The log, oldest first, as `who action object outcome`.
    fn log(&self) -> Vec<String> {
        let raw = self.raw();
        let mut statement = raw
            .prepare("SELECT who || ' ' || action || ' ' || object || ' ' || outcome FROM audit")
            .expect("the table is there");
        let lines = statement.query_map([], |row| row.get(0)).expect("it runs");
        lines.collect::<rusqlite::Result<_>>().expect("it is read")
    }
}

fn open(path: &Path, clock: &Arc<FakeClock>) -> Store {
    Store::open(path, Arc::<FakeClock>::clone(clock)).expect("the store opens")
}

fn task(name: &str) -> NewTask {
    NewTask {
        name: name.to_owned(),
        spec: TaskSpec {
            name: Some(name.to_owned()),
            interfaces: vec!["lo".to_owned()],
            ..TaskSpec::default()
        },
        summary: "on lo".to_owned(),
        start_at: None,
        max_file_bytes: 1 << 20,
        key: None,
    }
}

/// Those of the default configuration.
fn limits() -> CreateLimits {
    CreateLimits {
        quota: QuotaRules::default(),
        disk_budget: 10 << 30,
        used_bytes: 0,
        evicts: false,
        full_disk: None,
    }
}

fn new_record(created: Result<Creation, Refusal>) -> TaskRecord {
    match created {
        Ok(Creation::New(record)) => record,
        other => panic!("not created: {other:?}"),
    }
}

fn ulid(record: &TaskRecord) -> TaskId {
    record.id.parse().expect("a ULID")
}

fn file(index: u64, size: u64) -> FileRecord {
    FileRecord {
        index,
        name: format!("capture_{index:05}.pcapng"),
        size,
        packets: 7,
        complete: true,
        sha256: Some("ab".repeat(32)),
    }
}

/// The end of a task, with files of these sizes.
fn ended(at: Timestamp, sizes: &[u64]) -> Change {
    Change::Ended(TaskEnd {
        at,
        reason: capture_task::task::StopReason::Duration,
        error: None,
        counters: capture_task::task::Counters::default(),
        verdict: Some("complete".to_owned()),
        files: (0..)
            .zip(sizes)
            .map(|(index, size)| file(index, *size))
            .collect(),
        expires_at: at + jiff::SignedDuration::from_hours(168),
    })
}

fn stored(lab: &Lab, record: &TaskRecord) -> StoredTask {
    let task = lab.store.task(&ulid(record)).expect("it is read");
    task.expect("it is there")
}

fn update(lab: &Lab, record: &TaskRecord, change: Change) -> Result<()> {
    Ok(lab.store.update(&ulid(record), &change)?)
}

fn started(lab: &Lab) -> Change {
    Change::Started {
        at: lab.clock.now(),
    }
}
