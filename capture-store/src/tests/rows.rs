//! Tasks that are there: their steps, pages, expiry, deletion.

use capture_task::{
    interruption::{Interruption, InterruptionCause},
    task::{Counters, Dropped, State, StopReason},
};
use jiff::SignedDuration;

use super::*;
use crate::error::ErrorKind;

#[test]
fn a_life() {
    let lab = Lab::new();
    let record = lab.create();
    lab.clock.set("2026-11-25T12:00:01Z");
    update(&lab, &record, started(&lab)).expect("it starts");
    let running = stored(&lab, &record).record;
    assert_eq!(running.state, State::Running);
    assert_eq!(
        running.started_at.as_deref(),
        Some("2026-11-25T12:00:01.000Z")
    );

    let counters = Counters {
        undecided: 1,
        matched: u64::MAX,
        captured: 5,
        bytes: 6,
        oversize_discarded: 1,
        over_limit: 2,
        dropped: Dropped {
            ring: 3,
            queue: 4,
            write: 5,
            copy: 6,
        },
    };
    update(&lab, &record, Change::Stopping).expect("it stops");
    assert_eq!(stored(&lab, &record).record.state, State::Stopping);
    lab.clock.set("2026-11-25T12:01:01Z");
    let mut unfinished = file(2, 30);
    (unfinished.complete, unfinished.sha256) = (false, None);
    let end = Change::Ended(TaskEnd {
        at: lab.clock.now(),
        reason: StopReason::DiskFull,
        error: Some("no space left on device".to_owned()),
        counters,
        verdict: Some("lost 18 of 99".to_owned()),
        files: vec![file(1, 20), unfinished.clone()],
        expires_at: "2026-12-02T12:01:01Z".parse().expect("a time"),
    });
    update(&lab, &record, end).expect("it ends");
    let task = stored(&lab, &record);
    assert_eq!(
        task.record,
        TaskRecord {
            state: State::Failed,
            stop_reason: Some(StopReason::DiskFull),
            error: Some("no space left on device".to_owned()),
            started_at: Some("2026-11-25T12:00:01.000Z".to_owned()),
            ended_at: Some("2026-11-25T12:01:01.000Z".to_owned()),
            expires_at: Some("2026-12-02T12:01:01.000Z".to_owned()),
            counters,
            verdict: Some("lost 18 of 99".to_owned()),
            files: vec![file(1, 20), unfinished],
            ..record
        }
    );
    assert_eq!(task.held_bytes, 50);
}

/// Every reason becomes the word of the contract and comes back as itself.
#[test]
fn every_stop_reason() {
    for (reason, word, state) in [
        (StopReason::Duration, "duration", State::Completed),
        (StopReason::MaxPackets, "max_packets", State::Completed),
        (StopReason::MaxFileBytes, "max_file_bytes", State::Completed),
        (StopReason::User, "user", State::Completed),
        (
            StopReason::InterfaceGone,
            "interface_gone",
            State::Completed,
        ),
        (StopReason::DiskFull, "disk_full", State::Failed),
        (StopReason::IoError, "io_error", State::Failed),
        (StopReason::Shutdown, "shutdown", State::Failed),
        (StopReason::Interrupted, "interrupted", State::Failed),
        (StopReason::Error, "error", State::Failed),
    ] {
        let lab = Lab::new();
        let record = lab.create();
        let Change::Ended(end) = ended(lab.clock.now(), &[]) else {
            panic!("it is an end");
        };
        let end = Change::Ended(TaskEnd { reason, ..end });
        update(&lab, &record, end).expect("it ends");
        let task = stored(&lab, &record);
        assert_eq!(
            (task.record.state, task.record.stop_reason),
            (state, Some(reason))
        );
        let raw: String = lab
            .raw()
            .query_row("SELECT stop_reason FROM tasks", [], |row| row.get(0))
            .expect("it is read");
        assert_eq!(raw, word);
    }
}

#[test]
fn only_steps_that_the_state_allows() {
    let at = "2026-11-25T12:00:00Z".parse().expect("a time");
    let steps = [
        Change::Started { at },
        Change::Stopping,
        ended(at, &[1]),
        Change::FilesRemoved { at },
    ];
    for (way, allowed) in [
        (&[][..], [true, false, true, false]),
        (&[0][..], [false, true, true, false]),
        (&[0, 1][..], [false, false, true, false]),
        (&[0, 1, 2][..], [false, false, false, true]),
        (&[2][..], [false, false, false, true]),
    ] {
        for (step, is_allowed) in steps.iter().zip(allowed) {
            let lab = Lab::new();
            let record = lab.create();
            for before in way {
                update(&lab, &record, steps[*before].clone()).expect("it may");
            }
            let before = stored(&lab, &record);
            match update(&lab, &record, step.clone()) {
                Ok(()) => assert!(is_allowed, "{way:?} {step:?}"),
                Err(error) => {
                    assert!(!is_allowed, "{way:?} {step:?}: {error}");
                    assert_eq!(error.kind, ErrorKind::Conflict);
                    assert_eq!(stored(&lab, &record), before);
                }
            }
        }
    }
    let lab = Lab::new();
    let error = lab
        .store
        .update(&TaskId::nil(), &Change::Stopping)
        .expect_err("no task");
    assert_eq!(Error::from(error).kind, ErrorKind::NotFound);
}

#[test]
fn pages_newest_first() {
    let lab = Lab::new();
    let unlimited = CreateLimits {
        quota: QuotaRules {
            edition: Edition::Unlimited,
            ..QuotaRules::default()
        },
        ..limits()
    };
    // All within one millisecond: the order is that of creation all the same.
    let ids: Vec<_> = (0..25)
        .map(|_| new_record(lab.store.create(&task("a"), &unlimited, &Actor::daemon())).id)
        .collect();
    let mut found = Vec::new();
    let mut filter = TaskFilter {
        limit: 10,
        ..TaskFilter::default()
    };
    let mut sizes = Vec::new();
    loop {
        let page = lab
            .store
            .tasks(&filter, &Overlay::default())
            .expect("a page");
        sizes.push(page.tasks.len());
        found.extend(page.tasks.into_iter().map(|task| task.record.id));
        let Some(cursor) = page.next_cursor else {
            break;
        };
        // As a client hands it back; new and deleted tasks do not move what is left.
        filter.cursor = Cursor::parse(&cursor.to_string());
        assert_eq!(filter.cursor, Some(cursor));
        lab.store
            .create(&task("new"), &unlimited, &Actor::daemon())
            .expect("it is created");
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(found, ids.iter().rev().cloned().collect::<Vec<_>>());

    let exact = TaskFilter {
        limit: 27,
        ..TaskFilter::default()
    };
    assert_eq!(
        lab.store
            .tasks(&exact, &Overlay::default())
            .expect("a page")
            .next_cursor,
        None
    );
}

#[test]
fn a_search_finds_parts_of_names_in_its_states() {
    let lab = Lab::new();
    let names = ["Web eins", "DNS", "ÜBER web", "other", "web zwei"];
    let ids = names.map(|name| {
        let created = lab.store.create(&task(name), &limits(), &Actor::daemon());
        new_record(created)
    });
    update(&lab, &ids[2], started(&lab)).expect("it starts");
    let found = |search: &str, states: &[State], limit| {
        let mut filter = TaskFilter {
            states: states.to_vec(),
            search: Some(search.to_owned()),
            limit,
            ..TaskFilter::default()
        };
        let mut found = Vec::new();
        loop {
            let page = lab.store.tasks(&filter, &Overlay::default());
            let page = page.expect("a page");
            found.extend(page.tasks.into_iter().map(|task| task.record.name));
            filter.cursor = page.next_cursor;
            if filter.cursor.is_none() {
                return found;
            }
        }
    };
    for limit in [1, 2, 100] {
        assert_eq!(
            found("WEB", &[], limit),
            ["web zwei", "ÜBER web", "Web eins"]
        );
        assert_eq!(found("über", &[], limit), ["ÜBER web"]);
        assert_eq!(found("%", &[], limit), [""; 0]);
        assert_eq!(
            found("web", &[State::Pending], limit),
            ["web zwei", "Web eins"]
        );
        let both = [State::Pending, State::Running];
        assert_eq!(found("web", &both, limit).len(), 3);
    }
}

#[test]
fn tasks_by_pattern_id_and_time() {
    let lab = Lab::new();
    let names = ["web", "web 2", "dns"];
    let records = names.map(|name| {
        let created = lab.store.create(&task(name), &limits(), &Actor::daemon());
        new_record(created)
    });
    let found = |filter: TaskFilter| {
        let page = lab.store.tasks(&filter, &Overlay::default());
        let tasks = page.expect("a page").tasks.into_iter();
        tasks.map(|task| task.record.name).collect::<Vec<_>>()
    };
    let by_name = |pattern: &str| {
        found(TaskFilter {
            name: Some(Glob::new(pattern)),
            ..TaskFilter::default()
        })
    };
    assert_eq!(by_name("web*"), ["web 2", "web"]);
    assert_eq!(by_name("WEB"), [""; 0]);
    let by_id = |id: &str| {
        found(TaskFilter {
            id: Some(id.to_owned()),
            ..TaskFilter::default()
        })
    };
    let id = &records[1].id;
    assert_eq!(by_id(&id[16..]), ["web 2"]);
    assert_eq!(by_id(&id[..26]), ["web 2"]);
    assert_eq!(by_id(&id[..1]).len(), 3);
    // Within, and not at an end.
    assert_eq!(by_id(&id[12..25]), [""; 0]);
    let since = |states: &[State], seconds: i64| {
        let created: Timestamp = records[0].created_at.parse().expect("a time");
        found(TaskFilter {
            states: states.to_vec(),
            since: Some(created + SignedDuration::from_secs(seconds)),
            ..TaskFilter::default()
        })
    };
    for states in [&[][..], &[State::Pending], &[State::Pending, State::Failed]] {
        assert_eq!(since(states, 0).len(), 3);
        assert_eq!(since(states, 3600), [""; 0]);
    }
}

#[test]
fn who_created_a_task_and_for_whom() {
    let lab = Lab::new();
    let token = NewToken {
        name: "ci".to_owned(),
        role: access::Role::Operator,
        account: access::Account::new("team"),
        expires_at: None,
    };
    let (_, secret) = lab
        .store
        .token_create(&token, &Actor::daemon())
        .expect("a token");
    let from = access::Origin::Command;
    let actor = lab
        .store
        .token_verify(secret.reveal(), from)
        .expect("it is read");
    let actor = actor.expect("it is in use");
    let record = new_record(lab.store.create(&task("a"), &limits(), &actor));
    for record in [record.clone(), stored(&lab, &record).record] {
        assert_eq!(record.created_by.as_deref(), Some("token ci"));
        assert_eq!(record.account.as_deref(), Some("team"));
    }
}

#[test]
fn pages_of_one_state() {
    let lab = Lab::new();
    let records: Vec<_> = (0..9).map(|_| lab.create()).collect();
    for record in records.iter().step_by(2) {
        update(&lab, record, started(&lab)).expect("it starts");
    }
    let page = |limit, cursor| {
        let filter = TaskFilter {
            states: vec![State::Running],
            limit,
            cursor,
            ..TaskFilter::default()
        };
        lab.store
            .tasks(&filter, &Overlay::default())
            .expect("a page")
    };
    let first = page(3, None);
    let second = page(3, first.next_cursor);
    let ids: Vec<_> = [first.tasks, second.tasks]
        .concat()
        .into_iter()
        .map(|task| task.record.id)
        .collect();
    let expected: Vec<_> = records
        .iter()
        .step_by(2)
        .rev()
        .map(|record| record.id.clone())
        .collect();
    assert_eq!(ids, expected);
    assert_eq!(second.next_cursor, None);

    let pending: Vec<_> = lab
        .store
        .pending()
        .expect("tasks")
        .into_iter()
        .map(|task| task.record.id)
        .collect();
    let expected: Vec<_> = records
        .iter()
        .skip(1)
        .step_by(2)
        .map(|record| record.id.clone())
        .collect();
    assert_eq!(pending, expected, "oldest first");
    assert_eq!(lab.store.unfinished().expect("tasks").len(), 5);
}

#[test]
fn what_is_no_cursor() {
    for text in [
        "",
        "t",
        "t1",
        "tffffffffffffffff",
        "x0000000000000001",
        "t000000000000000g",
        "t+00000000000001",
        "t+000000000000001",
        "t-000000000000001",
        "t00000000000000AB",
        "t00000000000000001",
        "t0000000000000001 ",
    ] {
        assert_eq!(Cursor::parse(text), None, "{text:?}");
    }
    assert!(Cursor::parse("t0000000000000001").is_some());
}

#[test]
fn files_expire_once() {
    let lab = Lab::new();
    let first = lab.create();
    let second = lab.create();
    let waiting = lab.create();
    update(&lab, &first, ended(lab.clock.now(), &[5])).expect("it ends");
    lab.clock.advance(SignedDuration::from_mins(1));
    // Without files.
    update(&lab, &second, ended(lab.clock.now(), &[])).expect("it ends");

    let time = |time: &str| time.parse::<Timestamp>().expect("a time");
    let kept = || {
        let kept = lab.store.kept().expect("tasks").into_iter();
        let kept = kept.map(|task| {
            assert_eq!(task.has_files, task.id == ulid(&first));
            (task.id, task.ended_at, task.expires_at)
        });
        kept.collect::<Vec<_>>()
    };
    let (noon, later) = (time("2026-11-25T12:00:00Z"), time("2026-11-25T12:01:00Z"));
    let at = time("2026-12-02T12:00:00Z");
    let of_first = (ulid(&first), Some(noon), at);
    let of_second = (ulid(&second), Some(later), time("2026-12-02T12:01:00Z"));
    assert_eq!(kept(), [of_first, of_second]);
    update(&lab, &first, Change::FilesRemoved { at }).expect("they are removed");
    assert_eq!(kept(), [of_second]);
    // Only of those whose files are there.
    let moved = [ulid(&first), ulid(&second), ulid(&waiting)].map(|id| (id, later));
    lab.store.move_expiry(&moved[..2]).expect("it is moved");
    assert_eq!(kept(), [(ulid(&second), Some(later), later)]);
    assert_eq!(stored(&lab, &first).expires_at, Some(at));

    // The record stays, and still says what there was.
    let task = stored(&lab, &first);
    assert_eq!(task.files_removed_at, Some(at));
    assert_eq!((task.record.state, task.held_bytes), (State::Completed, 0));
    assert_eq!(task.record.files, [file(0, 5)]);
    assert_eq!(stored(&lab, &waiting).expires_at, None);
}

#[test]
fn deletion() {
    let lab = Lab::new();
    let actor = Actor::daemon();
    let record = lab.create();
    let id = ulid(&record);
    let delete = || lab.store.delete(&id, &actor).expect("the store answers");
    update(&lab, &record, started(&lab)).expect("it starts");
    assert_eq!(delete(), Deletion::Unfinished);
    update(&lab, &record, Change::Stopping).expect("it stops");
    assert_eq!(delete(), Deletion::Unfinished);
    update(&lab, &record, ended(lab.clock.now(), &[5])).expect("it ends");
    assert_eq!(delete(), Deletion::Deleted);
    assert_eq!(delete(), Deletion::NotFound);
    assert_eq!(lab.store.task(&id).expect("it is read"), None);
    let files: i64 = lab
        .raw()
        .query_row("SELECT count(*) FROM files", [], |row| row.get(0))
        .expect("it is read");
    assert_eq!(files, 0);
    // One that waits may go, too.
    let waiting = lab.create();
    assert_eq!(
        lab.store
            .delete(&ulid(&waiting), &actor)
            .expect("it answers"),
        Deletion::Deleted
    );

    let outcomes: Vec<_> = lab
        .log()
        .into_iter()
        .filter(|line| line.contains("task.delete"))
        .collect();
    assert_eq!(
        outcomes,
        [
            format!("daemon task.delete {id} refused: not ended"),
            format!("daemon task.delete {id} refused: not ended"),
            format!("daemon task.delete {id} done"),
            format!("daemon task.delete {id} refused: not found"),
            format!("daemon task.delete {} done", waiting.id),
        ]
    );
}

/// Names and texts are data, whatever they look like.
#[test]
fn hostile_texts() {
    let lab = Lab::new();
    for text in [
        "'; DROP TABLE tasks; --",
        "../../etc/passwd",
        "\u{202e}txt",
        "a\0b",
        "💣",
    ] {
        let record = new_record(lab.store.create(&task(text), &limits(), &Actor::daemon()));
        assert_eq!(stored(&lab, &record).record, record);
    }
}

/// A list does not wait for a change that is being written.
#[test]
fn readers_do_not_wait_for_a_writer() {
    let lab = Lab::new();
    let record = lab.create();
    let raw = lab.raw();
    raw.execute_batch("BEGIN IMMEDIATE; DELETE FROM tasks")
        .expect("it begins");
    let writer = lock(&lab.store.0.writer);
    assert_eq!(stored(&lab, &record).record, record);
    drop(writer);
    raw.execute_batch("ROLLBACK").expect("it ends");
}

/// Rows that a later version wrote, or that are damaged: the task is shown with what can be read, and the others as ever.
#[test]
fn rows_from_the_future() {
    for (change, unread, reason) in [
        (
            r#"spec = '{"name": "x", "interfaces": ["lo"], "expression": "tcp", "rotate": {"lines": 5}}'"#,
            Some("spec.expression, spec.rotate"),
            None,
        ),
        ("spec = 'no JSON'", Some("spec"), None),
        (
            "stop_reason = 'quota', state = 'completed'",
            None,
            Some(StopReason::Error),
        ),
        ("counters = '{}'", Some("counters"), None),
        ("findings = '[]'", None, None),
    ] {
        let lab = Lab::new();
        let (bad, good) = (lab.create(), lab.create());
        let sql = format!("UPDATE tasks SET {change} WHERE id = '{}'", bad.id);
        lab.raw().execute_batch(&sql).expect("it is changed");
        let page = lab.store.tasks(&TaskFilter::default(), &Overlay::default());
        let tasks = page.expect("they are read").tasks;
        assert_eq!(tasks.len(), 2, "{change}");
        assert_eq!(tasks[0].record, good, "{change}");
        let task = &tasks[1];
        assert_eq!(
            (&task.record.id, task.record.stop_reason),
            (&bad.id, reason)
        );
        let sentence = unread.map(|unread| format!(
            "this version cannot read all of the task's record, which a later one may have written: {unread}"
        ));
        assert_eq!(task.unread, sentence, "{change}");
        assert_eq!(task.record.error, sentence, "{change}");
    }
}

/// A row that is not even a task hides no other one.
#[test]
fn rows_that_cannot_be_read() {
    for change in [
        "id = 'x'",
        "created_at = -9223372036854775808",
        "account = ''",
    ] {
        let lab = Lab::new();
        let (bad, good) = (lab.create(), lab.create());
        let sql = format!("UPDATE tasks SET {change} WHERE id = '{}'", bad.id);
        lab.raw().execute_batch(&sql).expect("it is changed");
        let page = lab.store.tasks(&TaskFilter::default(), &Overlay::default());
        let tasks = page.expect("they are read").tasks;
        assert_eq!(tasks.len(), 1, "{change}");
        assert_eq!(tasks[0].record, good, "{change}");
        assert_eq!(
            lab.store.pending().expect("they are read").len(),
            1,
            "{change}"
        );
    }
}

/// What a task is between two daemons: it runs, with what is known of it, and its interruption is open.
#[test]
fn an_interrupted_task_is_taken_up() {
    let lab = Lab::new();
    let record = lab.create();
    let at = lab.clock.now();
    let pause = |seconds: i64, captured: u64, files: u64| Pause {
        at: at + SignedDuration::from_secs(seconds),
        cause: InterruptionCause::Shutdown,
        counters: Counters {
            matched: captured,
            captured,
            ..Counters::default()
        },
        files: (0..files).map(|index| file(index, 100)).collect(),
    };
    let interrupted = |pause: Pause| update(&lab, &record, Change::Interrupted(pause));
    interrupted(pause(1, 1, 1)).expect_err("it waits");
    update(&lab, &record, Change::Started { at }).expect("it starts");
    interrupted(pause(1, 7, 1)).expect("it is interrupted");
    // The next daemon ended before it was taken up.
    interrupted(pause(5, 7, 1)).expect("it still is");
    let open = stored(&lab, &record);
    assert_eq!(open.record.state, State::Running);
    assert_eq!(open.record.counters.captured, 7);
    assert_eq!(open.record.files, [file(0, 100)]);
    let unfinished = lab.store.unfinished().expect("tasks");
    assert_eq!(unfinished[0].record.interruptions.len(), 1);
    let at = at + SignedDuration::from_secs(9);
    update(&lab, &record, Change::TakenUp { at }).expect("it is taken up");
    update(&lab, &record, Change::Stopping).expect("it stops");
    interrupted(pause(20, 12, 2)).expect("a kill while it stopped");
    let task = stored(&lab, &record);
    let gap = |from: &str, until: Option<&str>| Interruption {
        from: from.to_owned(),
        until: until.map(str::to_owned),
        cause: InterruptionCause::Shutdown,
    };
    assert_eq!(
        task.record.interruptions,
        [
            gap("2026-11-25T12:00:01.000Z", Some("2026-11-25T12:00:09.000Z")),
            gap("2026-11-25T12:00:20.000Z", None)
        ]
    );
    assert_eq!(task.record.files.len(), 2);
    let end = ended(lab.clock.now(), &[100, 100]);
    update(&lab, &record, end).expect("it ends");
    interrupted(pause(30, 12, 2)).expect_err("it has ended");
}
