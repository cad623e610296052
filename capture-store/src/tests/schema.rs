//! Databases of every version, of none, of newer ones, and of other programs.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use capture_task::{interruption::InterruptionCause, task::Counters};

use super::{
    super::schema::{migrate_by, newest},
    *,
};
use crate::{access::Account, clock::SystemClock, error::ErrorKind};

/// A stored database of a version, made by the program of its time with [`keep_a_database`].
fn stored(version: u32) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.join(format!("tests/fixtures/state-v{version}.db"))
}

fn try_open(path: &Path) -> Result<Store> {
    Store::open(path, Arc::new(SystemClock))
}

fn user_version(path: &Path) -> u32 {
    Connection::open(path)
        .and_then(|raw| raw.pragma_query_value(None, "user_version", |row| row.get(0)))
        .expect("the version is read")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o7777
}

/// Tables, columns and indices as SQLite has them.
fn layout(path: &Path) -> Vec<String> {
    let raw = Connection::open(path).expect("it opens");
    let mut statement = raw
        .prepare(
            "SELECT type || ' ' || name || ' ' || ifnull(sql, '') FROM sqlite_schema ORDER BY 1",
        )
        .expect("every database has it");
    let rows = statement.query_map([], |row| row.get(0)).expect("it runs");
    rows.collect::<rusqlite::Result<_>>().expect("it is read")
}

/// Fills a database with one of everything, for [`every_version_is_read`].
fn fill(lab: &Lab) {
    let actor = Actor::daemon();
    let keyed = NewTask {
        key: IdempotencyKey::new("key-1"),
        start_at: "2026-11-25T13:00:00Z".parse().ok(),
        ..task("waiting")
    };
    new_record(lab.store.create(&keyed, &limits(), &actor));
    let running = new_record(lab.store.create(&task("running"), &limits(), &actor));
    let finished = new_record(lab.store.create(&task("finished"), &limits(), &actor));
    let at = lab.clock.now();
    let update = |record, change| {
        lab.store
            .update(&ulid(record), &change)
            .expect("it changes")
    };
    update(&running, Change::Started { at });
    let pause = Pause {
        at,
        cause: InterruptionCause::Shutdown,
        counters: Counters::default(),
        files: vec![file(0, 100)],
    };
    update(&running, Change::Interrupted(pause));
    update(&finished, Change::Started { at });
    update(&finished, Change::Stopping);
    update(&finished, ended(at, &[1000, 500]));
    let analyzed = Analyzed::Report("{}".to_owned());
    let kept = lab.store.put_findings(&ulid(&finished), &analyzed);
    assert!(kept.expect("it is kept"));
    let noted = lab
        .store
        .put_note(&ulid(&finished), 2, true, Some("why"), &actor);
    noted.expect("it is kept");
    let share = NewShare {
        // Longer than anything that the tests do.
        expires_at: "2999-01-01T00:00:00Z".parse().expect("a time"),
        findings: true,
        packets: SharedPackets::Headers,
        anonymise: true,
        note: Some("for the vendor".to_owned()),
    };
    let shared = lab.store.share_create(&ulid(&finished), &share, &actor);
    assert!(matches!(shared, Ok(Shared::Made(..))));
    let key = lab.store.pseudonym_key(&ulid(&finished));
    assert!(key.expect("it is kept").is_some());
    let token = NewToken {
        name: "ci".to_owned(),
        role: access::Role::Operator,
        account: None,
        expires_at: None,
    };
    lab.store.token_create(&token, &actor).expect("a token");
    // Those of one moment stand in no order.
    lab.clock.advance(jiff::SignedDuration::from_secs(1));
    lab.store
        .token_create(
            &NewToken {
                name: "old".to_owned(),
                ..token
            },
            &actor,
        )
        .expect("a token");
    lab.store
        .token_revoke("old", &actor)
        .expect("it is revoked");
}

/// Writes the stored database of this version. Run once for each, when its step is ready:
/// `cargo test -p capture-store --lib -- --ignored keep_a_database`.
#[test]
#[ignore = "run by hand, writes the fixture of the newest version"]
fn keep_a_database() {
    let path = stored(newest());
    assert!(!path.exists(), "{} is never changed", path.display());
    let lab = Lab::new();
    fill(&lab);
    let into = path.to_str().expect("UTF-8");
    lab.raw()
        .execute("VACUUM INTO ?", [into])
        .expect("it is written");
}

#[test]
fn every_version_is_read() {
    for version in 1..=newest() {
        let lab = Lab::new();
        let path = lab.directory.path().join("old.db");
        fs::copy(stored(version), &path).expect("its fixture is there");
        assert_eq!(user_version(&path), version);
        let store = open(&path, &lab.clock);
        assert_eq!(user_version(&path), newest());
        assert_eq!(layout(&path), layout(&lab.path()), "as if made anew");

        let page = store
            .tasks(&TaskFilter::default(), &Overlay::default())
            .expect("tasks");
        let names: Vec<_> = page
            .tasks
            .iter()
            .map(|task| task.record.name.as_str())
            .collect();
        assert_eq!(names, ["finished", "running", "waiting"]);
        assert_eq!(page.tasks[0].record.files, [file(0, 1000), file(1, 500)]);
        assert_eq!(page.tasks[0].held_bytes, 1500);
        // Since version 2.
        let findings = store.findings(&page.tasks[0].id).expect("it is read");
        assert_eq!(findings.is_some(), version >= 2);
        let counts = page.tasks[0].record.findings;
        assert_eq!(counts, findings.map(|_| FindingCounts::default()));
        for task in &page.tasks {
            assert_eq!(task.record.created_by.as_deref(), Some("daemon"));
        }
        let notes = store.notes(&page.tasks[0].id).expect("they are read");
        assert_eq!(notes.len(), usize::from(version >= 3));
        let shares = store.shares(&page.tasks[0].id).expect("they are read");
        assert_eq!(shares.len(), usize::from(version >= 5));
        let running = store.unfinished().expect("tasks")[0].record.clone();
        assert_eq!(running.name, "running");
        assert_eq!(running.interruptions.len(), usize::from(version >= 6));
        assert_eq!(store.pending().expect("tasks")[0].record.name, "waiting");
        let quota = store
            .quota(&Account::local(), &limits().quota)
            .expect("a quota");
        assert_eq!(quota.used, 3);
        let actor = Actor::daemon();
        let tokens = store.token_list(&actor).expect("tokens");
        let revoked: Vec<_> = tokens
            .iter()
            .map(|token| token.revoked_at.is_some())
            .collect();
        assert_eq!(revoked, [false, true]);
        let chain = store.audit_verify(&actor).expect("a log");
        let lines = 7 + i64::from(version >= 3) + i64::from(version >= 5);
        assert!(
            matches!(chain, Chain::Verified { lines: there, .. } if there == lines),
            "{chain:?}"
        );
        // And it goes on.
        new_record(store.create(&task("a"), &limits(), &actor));
    }
}

/// What the fourth step finds out of what is there: counts, and creators.
#[test]
fn an_old_database_says_who_created_and_what_was_found() {
    let lab = Lab::new();
    let path = lab.directory.path().join("old.db");
    fs::copy(stored(2), &path).expect("its fixture is there");
    let raw = Connection::open(&path).expect("it opens");
    let report =
        r#"{"findings": [{"severity": "warn"}, {"severity": "high"}, {"severity": "warn"}]}"#;
    let changed = raw.execute("UPDATE findings SET report = ?", [report]);
    assert_eq!(changed.expect("it is changed"), 1);
    raw.execute_batch(
        "DROP TRIGGER audit_keeps_lines; \
         UPDATE audit SET who = 'token ci token 01M8M6C895FQX5GRB2J74VXTR7' WHERE seq = 1; \
         CREATE TRIGGER audit_keeps_lines BEFORE UPDATE ON audit \
         BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;",
    )
    .expect("it is changed");
    drop(raw);
    let store = open(&path, &lab.clock);
    let page = store.tasks(&TaskFilter::default(), &Overlay::default());
    let tasks = page.expect("tasks").tasks;
    let counts = FindingCounts {
        high: 1,
        warn: 2,
        info: 0,
    };
    assert_eq!(tasks[0].record.findings, Some(counts));
    let who: Vec<_> = tasks
        .iter()
        .map(|task| task.record.created_by.as_deref())
        .collect();
    assert_eq!(
        who,
        [Some("daemon"), Some("daemon"), Some("token ci token")]
    );
}

/// A report that is none keeps nobody from starting.
#[test]
fn a_report_that_is_none_is_not_counted() {
    let lab = Lab::new();
    let path = lab.directory.path().join("old.db");
    fs::copy(stored(2), &path).expect("its fixture is there");
    let raw = Connection::open(&path).expect("it opens");
    raw.execute("UPDATE findings SET report = '{'", [])
        .expect("it is changed");
    drop(raw);
    let store = open(&path, &lab.clock);
    let page = store.tasks(&TaskFilter::default(), &Overlay::default());
    assert_eq!(page.expect("tasks").tasks[0].record.findings, None);
}

/// Steps that are not there yet: the next one is taken, and one that fails leaves all as it was.
#[test]
fn a_step_is_taken_whole_or_not_at_all() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state.db");
    fs::copy(stored(1), &path).expect("its fixture is there");
    let before = layout(&path);
    let first = "CREATE TABLE this_is_not_run";
    let second = "ALTER TABLE tasks ADD COLUMN priority INTEGER NOT NULL DEFAULT 3";
    let mut raw = Connection::open(&path).expect("it opens");

    let third = "DROP TABLE tokens; SELECT nothing";
    migrate_by(&[first, second, third], &mut raw).expect_err("the third step is wrong");
    assert_eq!(user_version(&path), 1);
    assert_eq!(layout(&path), before);

    migrate_by(&[first, second], &mut raw).expect("they are right");
    assert_eq!(user_version(&path), 2);
    let priorities: i64 = raw
        .query_row("SELECT sum(priority) FROM tasks", [], |row| row.get(0))
        .expect("it is read");
    assert_eq!(priorities, 9);
}

#[test]
fn a_command_makes_no_database() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in ["state.db", "a/state.db"] {
        let path = directory.path().join(name);
        let error = Store::open_existing(&path, Arc::new(SystemClock)).expect_err(name);
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(error.message.contains(name), "{error}");
    }
    assert_eq!(
        fs::read_dir(directory.path()).expect("it is read").count(),
        0
    );
    let path = directory.path().join("state.db");
    try_open(&path).expect("it is made");
    Store::open_existing(&path, Arc::new(SystemClock)).expect("it is there now");
}

#[test]
fn a_new_database_is_for_its_owner_only() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a/b/state.db");
    let store = try_open(&path).expect("it is made");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_file_name("state.db-wal")), 0o600);
    assert_eq!(mode(&path.with_file_name("state.db-shm")), 0o600);
    assert_eq!(mode(&directory.path().join("a")), 0o700);
    assert_eq!(mode(&directory.path().join("a/b")), 0o700);
    drop(store);

    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("it is ours");
    try_open(&path).expect("it opens again");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn what_was_begun_and_is_empty_becomes_a_database() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state.db");
    // As after a crash between the file and the tables.
    fs::write(&path, "").expect("it is written");
    try_open(&path).expect("it is made");
    assert_eq!(user_version(&path), newest());
}

#[test]
fn what_is_newer_is_refused_and_left_alone() {
    let lab = Lab::new();
    lab.create();
    let raw = lab.raw();
    raw.pragma_update(None, "user_version", newest() + 1)
        .expect("it is written");
    let Lab {
        store, directory, ..
    } = lab;
    drop((raw, store));
    let path = directory.path().join("state.db");
    let before = fs::read(&path).expect("it is read");
    let error = try_open(&path).expect_err("it is newer");
    assert!(
        error.message.ends_with(&format!(
            "state.db: the database is of version {}, this capture-agent knows versions up to {}; run the newer one that made it",
            newest() + 1,
            newest()
        )),
        "{error}"
    );
    assert_eq!(fs::read(&path).expect("it is read"), before);
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let refused = |name: &str, why: &str| {
        let path = directory.path().join(name);
        let before = fs::read(&path).ok();
        let error = try_open(&path).expect_err(name);
        assert!(error.message.contains(why), "{error}");
        assert!(error.message.contains(name), "{error}");
        assert_eq!(fs::read(&path).ok(), before, "{name}");
    };

    let other = Connection::open(directory.path().join("other.db")).expect("it opens");
    other
        .execute_batch("CREATE TABLE t (a); PRAGMA user_version = 1")
        .expect("it is written");
    drop(other);
    let other = directory.path().join("other.db");
    fs::set_permissions(&other, Permissions::from_mode(0o644)).expect("it is ours");
    refused("other.db", "of another program");
    assert_eq!(mode(&other), 0o644);

    fs::write(
        directory.path().join("text.db"),
        "no database ".repeat(1000),
    )
    .expect("it is written");
    refused("text.db", "not a database");

    fs::create_dir(directory.path().join("directory.db")).expect("it is made");
    refused("directory.db", "not a regular file");

    std::os::unix::fs::symlink("elsewhere.db", directory.path().join("link.db")).expect("a link");
    refused("link.db", "");
    assert!(!directory.path().join("elsewhere.db").exists());
}

/// What a power cut must not take back has been synced when a call returns; and what others may have written
/// into the file is not trusted.
#[test]
fn every_connection_is_set_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = try_open(&directory.path().join("state.db")).expect("it is made");
    for connection in [&store.0.writer, &store.0.reader] {
        let connection = lock(connection);
        let pragma = |name| -> i64 {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .expect(name)
        };
        assert_eq!(pragma("synchronous"), 2);
        assert_eq!(pragma("foreign_keys"), 1);
        assert_eq!(pragma("recursive_triggers"), 1);
        assert_eq!(pragma("trusted_schema"), 0);
        assert_eq!(pragma("busy_timeout"), 10_000);
        let mode: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .expect("journal_mode");
        assert_eq!(mode, "wal");
    }
}

mod privileged {
    use std::os::unix::fs::chown;

    use super::*;

    /// A command of root's may come before the first start of the daemon, which is another user.
    #[test]
    fn a_new_database_belongs_to_who_owns_its_directory() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        chown(directory.path(), Some(65534), Some(65534)).expect("root may");
        let path = directory.path().join("state.db");
        let store = try_open(&path).expect("it is made");
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let metadata = fs::metadata(directory.path().join(name)).expect("it is there");
            assert_eq!((metadata.uid(), metadata.gid()), (65534, 65534), "{name}");
        }
        drop(store);
    }
}
