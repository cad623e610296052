//! What the last daemon did and could not store: a record beside a file, a note on an end, a removal.

use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

/// A task that runs, as the store has it, with one finished file.
fn running(setup: &Setup) -> (TaskId, PathBuf) {
    block_on(async {
        let tasks = setup.tasks();
        let id = create_at(&tasks, json!({}), tomorrow(setup)).await;
        end(tasks).await;
        let change = Change::Started {
            at: at("2026-03-01T12:00:01Z"),
        };
        setup.store().update(&id, &change).expect("it may start");
        fs::create_dir_all(setup.captures(&id)).expect("a directory");
        let path = setup.captures(&id).join("capture.pcapng");
        torn_capture(&path);
        let recovered = recover(&capture_file::part_of(&path)).expect("whole packets");
        fs::rename(recovered.path.expect("a file"), &path).expect("a finished file");
        (id, path)
    })
}

/// The record that the daemon would have put beside the file, and stored.
fn final_record(setup: &Setup, id: TaskId, path: &std::path::Path) -> TaskRecord {
    let stored = setup.store().task(&id).expect("it is read");
    let mut record = stored.expect("it is there").record;
    record.state = State::Completed;
    record.stop_reason = Some(StopReason::Duration);
    record.ended_at = Some("2026-03-01T12:01:01.000Z".to_owned());
    record.expires_at = Some("2026-03-08T12:01:01.000Z".to_owned());
    // More than is in the file: only the record tells.
    record.counters.matched = 100;
    record.counters.captured = 100;
    record.verdict = Some("complete".to_owned());
    record.files = vec![capture_task::task::FileRecord {
        index: 0,
        name: "capture.pcapng".to_owned(),
        size: fs::metadata(path).expect("the file").len(),
        packets: 100,
        complete: true,
        sha256: Some(capture_file::sha256(path).expect("the file")),
    }];
    record
}

fn sidecar(path: &std::path::Path) -> PathBuf {
    path.with_extension("pcapng.json")
}

#[test]
fn a_record_beside_the_file_is_the_end_and_stays() {
    let setup = Setup::new("");
    let (id, path) = running(&setup);
    let record = final_record(&setup, id, &path);
    // A newer version may say more.
    let mut text = serde_json::to_value(&record).expect("JSON");
    text["novel"] = json!(1);
    text["spec"]["novel"] = json!(1);
    fs::write(sidecar(&path), text.to_string()).expect("a sidecar");
    setup.clock.advance(SignedDuration::from_mins(10));
    block_on(async {
        let tasks = setup.tasks();
        assert_eq!(get(&tasks, id).await, record);
        // Its files go when the daemon that ended it has said.
        tasks.0.sweep();
        assert_eq!(get(&tasks, id).await, record);
        end(tasks).await;
    });
    let beside: Value =
        serde_json::from_slice(&fs::read(sidecar(&path)).expect("it is there")).expect("JSON");
    assert_eq!(beside["state"], "completed");
    assert_eq!(beside["counters"], json!(record.counters));
}

/// What is not the record of this file, or is of a task that runs, says nothing of the end.
#[test]
fn a_record_that_is_not_true_is_none() {
    type Spoil = fn(&mut Value);
    let spoil: [Spoil; 5] = [
        |record| record["state"] = json!("running"),
        |record| record["stop_reason"] = Value::Null,
        |record| record["id"] = json!("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        |record| record["files"][0]["size"] = json!(1),
        |record| record["files"][0]["name"] = json!("capture_00001.pcapng"),
    ];
    for spoil in spoil {
        let setup = Setup::new("");
        let (id, path) = running(&setup);
        let mut record = json!(final_record(&setup, id, &path));
        spoil(&mut record);
        fs::write(sidecar(&path), record.to_string()).expect("a sidecar");
        block_on(async {
            let tasks = setup.tasks();
            let found = get(&tasks, id).await;
            assert_eq!(found.stop_reason, Some(StopReason::Interrupted), "{record}");
            end(tasks).await;
        });
    }
}

#[test]
fn a_noted_end_is_stored_and_one_without_words_starts_nothing() {
    let setup = Setup::new("");
    let (due, wordless, gone) = block_on(async {
        let tasks = setup.tasks();
        let due = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        let wordless = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        let gone = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        tasks
            .delete(gone, false, &Actor::daemon())
            .await
            .expect("it is deleted");
        end(tasks).await;
        (due, wordless, gone)
    });
    let note = |id: &TaskId| {
        let root = &setup.config.get().paths.captures;
        root.join(format!(".ended-{id}"))
    };
    let end_of_due = json!({
        "stop_reason": "user", "error": null, "ended_at": "2026-03-01T12:00:05.000Z",
        "expires_at": "2026-03-01T13:00:05.000Z", "counters": capture_task::task::Counters::default(),
        "verdict": null, "files": [],
    });
    fs::write(note(&due), end_of_due.to_string()).expect("a note");
    fs::write(note(&wordless), "{\"stop_reason\": \"us").expect("a note");
    fs::write(note(&gone), "").expect("a note");
    setup.clock.advance(SignedDuration::from_hours(48));
    block_on(async {
        let tasks = setup.tasks();
        let record = get(&tasks, due).await;
        assert_eq!(record.state, State::Completed);
        assert_eq!(record.stop_reason, Some(StopReason::User));
        assert_eq!(record.ended_at.as_deref(), Some("2026-03-01T12:00:05.000Z"));
        assert_eq!(
            record.expires_at.as_deref(),
            Some("2026-03-01T13:00:05.000Z")
        );
        let record = get(&tasks, wordless).await;
        assert_eq!(record.state, State::Failed);
        assert_eq!(record.stop_reason, Some(StopReason::Error));
        let error = record.error.unwrap_or_default();
        assert!(error.contains("is not known"), "{error}");
        for id in [due, wordless, gone] {
            assert!(!note(&id).exists(), "{id}");
        }
        end(tasks).await;
    });
}

#[test]
fn a_removal_that_was_decided_is_finished() {
    let setup = Setup::new("");
    let (id, path) = running(&setup);
    let record = final_record(&setup, id, &path);
    fs::write(sidecar(&path), json!(record).to_string()).expect("a sidecar");
    block_on(async {
        end(setup.tasks()).await;
        let root = setup.config.get().paths.captures.clone();
        let decided = root.join(format!(".deleted-{id}"));
        fs::rename(setup.captures(&id), &decided).expect("it is ours");
        let nobody = root.join(".deleted-01ARZ3NDEKTSV4RRFFQ69G5FAV");
        fs::create_dir(&nobody).expect("a directory");
        let tasks = setup.tasks();
        let found = tasks.get(id).await;
        assert!(matches!(found, Err(TaskError::NotFound)), "{found:?}");
        assert!(!decided.exists() && !nobody.exists());
        assert_eq!(tasks.stored_bytes(), 0);
        end(tasks).await;
    });
    let log = setup
        .store()
        .audit_list(&Default::default(), &Actor::daemon());
    let log = log.expect("the log");
    let line = log.iter().find(|line| line.action == "task.delete");
    assert_eq!(line.expect("a line").object, id.to_string());
}
