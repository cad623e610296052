//! Tasks on the engine, under traffic between two namespaces.

use capture_store::clock::Clock as _;
use capture_tests::{
    netns::{HOST_IF, Lab, PEER_IF},
    readers, rights, traffic,
};

use super::*;

/// Sends so many frames that the tasks here take.
fn send(lab: &Lab, count: u32) {
    let from = "10.0.0.2:4000".parse().expect("an address");
    let to = "10.0.0.1:9".parse().expect("an address");
    let frames = (0..count).map(|number| traffic::udp_frame(from, to, number, 200));
    traffic::send(&lab.peer, PEER_IF, 20_000, frames);
}

/// Runs a test in the host's namespace.
fn test<T: Send>(test: impl AsyncFnOnce(&Lab) -> T + Send) -> T {
    let lab = Lab::new();
    rights::within_as_unit(&lab.host, || block_on(test(&lab)))
}

fn on_host(mut value: Value) -> Value {
    value["interfaces"] = json!([HOST_IF]);
    value["protocol"] = json!("udp");
    value
}

/// Waits until a task has captured so many packets.
async fn captured(tasks: &Tasks, id: TaskId, count: u64) -> TaskRecord {
    let end = Instant::now() + SOON;
    loop {
        let record = get(tasks, id).await;
        if record.counters.captured >= count {
            return record;
        }
        assert!(Instant::now() < end, "{record:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_task_ends_by_its_limit_with_files_and_sidecars() {
    let setup = Setup::new("");
    test(async |lab| {
        let tasks = setup.tasks();
        let mut events = tasks.events(None);
        let id = create(&tasks, on_host(json!({"max_packets": 50}))).await;
        let running = reach(&tasks, id, State::Running).await;
        assert!(running.started_at.is_some());
        send(lab, 20);
        let running = captured(&tasks, id, 20).await;
        assert_eq!((running.files.len(), running.files[0].complete), (1, false));
        // What is captured so far can be read.
        let opened = tasks
            .open_file(id, 0, &Actor::daemon())
            .await
            .expect("a file");
        assert!(opened.sha256.is_none());
        assert!(opened.task_name.starts_with("a-test_20"), "{opened:?}");
        assert_eq!(opened.suffix, ".partial.pcapng");
        let part = setup.directory.path().join("part");
        let mut data = vec![0; opened.len as usize];
        std::os::unix::fs::FileExt::read_exact_at(&opened.file, &mut data, 0).expect("its bytes");
        fs::write(&part, data).expect("a copy");
        let whole = scan(&fs::File::open(&part).expect("the copy")).expect("a capture");
        assert_eq!((whole.size, whole.packets), (opened.len, 20));

        send(lab, 100);
        let record = reach(&tasks, id, State::Completed).await;
        assert_eq!(record.stop_reason, Some(StopReason::MaxPackets));
        assert_eq!(record.counters.captured, 50);
        assert_eq!(record.counters.matched, record.counters.accounted());
        assert_eq!(record.verdict.as_deref(), Some("complete"));
        assert_eq!(setup.names(&id), ["capture.pcapng", "capture.pcapng.json"]);
        for name in setup.names(&id) {
            let mode = fs::metadata(setup.captures(&id).join(name)).expect("a file");
            assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        }
        let path = setup.captures(&id).join("capture.pcapng");
        let digest = capture_file::sha256(&path).expect("the file");
        assert_eq!(record.files[0].sha256.as_deref(), Some(digest.as_str()));
        let sidecar = fs::read(setup.captures(&id).join("capture.pcapng.json")).expect("a sidecar");
        let sidecar: TaskRecord = serde_json::from_slice(&sidecar).expect("a record");
        // What is found comes later.
        let found = record.findings;
        assert_eq!(
            TaskRecord {
                findings: found,
                ..sidecar
            },
            record
        );
        let there = crate::storage::size_below(&setup.captures(&id));
        assert_eq!(tasks.stored_bytes(), there.expect("the directory"));

        let mut states = Vec::new();
        while states.last() != Some(&State::Completed) {
            let event = events.next().await.expect("an event");
            if event.name == "task" {
                let record: TaskRecord = serde_json::from_str(&event.data).expect("a record");
                states.push(record.state);
            }
        }
        let all = [
            State::Pending,
            State::Running,
            State::Stopping,
            State::Completed,
        ];
        assert_eq!(states, all);
        tasks
            .delete(id, false, &Actor::daemon())
            .await
            .expect("it is deleted");
        assert_eq!(tasks.stored_bytes(), 0);
        end(tasks).await;
    });
}

/// Here the wall clock of the daemon is far from that of the packets, as after a step.
#[test]
fn a_task_begins_and_ends_by_the_clock_of_its_packets() {
    let setup = Setup::new("retention = \"1h\"");
    test(async |lab| {
        let tasks = setup.tasks();
        let id = create(&tasks, on_host(json!({}))).await;
        reach(&tasks, id, State::Running).await;
        send(lab, 10);
        captured(&tasks, id, 10).await;
        setup.clock.step(SignedDuration::from_hours(-2));
        tasks.stop(id, &Actor::daemon()).await.expect("it stops");
        let record = reach(&tasks, id, State::Completed).await;
        let nanoseconds = |time: Option<&String>| {
            let time: Timestamp = time.expect("a time").parse().expect("of RFC 3339");
            u64::try_from(time.as_nanosecond()).expect("after 1970")
        };
        let packets = readers::packets(&setup.captures(&id).join("capture.pcapng"));
        let (first, last) = (packets[0].time_ns, packets[9].time_ns);
        // Records have milliseconds.
        let (began, ended) = (
            nanoseconds(record.started_at.as_ref()),
            nanoseconds(record.ended_at.as_ref()) + 1_000_000,
        );
        assert!(began <= first && last <= ended, "{record:?}");
        assert!(ended - began < SOON.as_nanos() as u64, "{record:?}");
        // What is removed when its time is over goes by the wall clock.
        let expires_at = record.expires_at.as_deref();
        assert_eq!(expires_at, Some("2026-03-01T11:00:00.000Z"));
        end(tasks).await;
    });
}

#[test]
fn tasks_run_as_there_is_room_in_their_order_and_not_before_their_time() {
    let setup = Setup::new("max_running = 2");
    test(async |_| {
        let tasks = setup.tasks();
        let later = create_at(&tasks, on_host(json!({})), tomorrow(&setup)).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(create(&tasks, on_host(json!({}))).await);
        }
        for id in &ids[..2] {
            reach(&tasks, *id, State::Running).await;
        }
        assert_eq!(get(&tasks, ids[2]).await.state, State::Pending);
        tasks
            .stop(ids[0], &Actor::daemon())
            .await
            .expect("it stops");
        reach(&tasks, ids[0], State::Completed).await;
        reach(&tasks, ids[2], State::Running).await;
        assert_eq!(get(&tasks, later).await.state, State::Pending);
        setup.clock.advance(SignedDuration::from_hours(25));
        tasks
            .stop(ids[1], &Actor::daemon())
            .await
            .expect("it stops");
        reach(&tasks, later, State::Running).await;

        // A running one is deleted by force only.
        let refused = tasks.delete(later, false, &Actor::daemon()).await;
        assert!(
            matches!(refused, Err(TaskError::Unfinished(_))),
            "{refused:?}"
        );
        tasks
            .delete(later, true, &Actor::daemon())
            .await
            .expect("it is deleted");
        assert!(!setup.captures(&later).exists());

        // Those that run are taken up by the next daemon; those that wait go on waiting.
        let waiting = create_at(&tasks, on_host(json!({"duration": 1})), tomorrow(&setup)).await;
        end(tasks).await;
        setup.clock.advance(SignedDuration::from_hours(25));
        let tasks = setup.tasks();
        while get(&tasks, ids[2]).await.open_interruption().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tasks
            .stop(ids[2], &Actor::daemon())
            .await
            .expect("it stops");
        let record = reach(&tasks, ids[2], State::Completed).await;
        assert_eq!(record.verdict.as_deref(), Some("interrupted: 1 gap"));
        reach(&tasks, waiting, State::Running).await;
        let record = reach(&tasks, waiting, State::Completed).await;
        assert_eq!(record.stop_reason, Some(StopReason::Duration));
        end(tasks).await;
    });
}

#[test]
fn a_budget_that_is_used_up_ends_a_task_honestly() {
    let setup = Setup::new("disk_budget = \"10MiB\"");
    test(async |lab| {
        let tasks = setup.tasks();
        let id = create(&tasks, on_host(json!({"max_file_bytes": "8MiB"}))).await;
        reach(&tasks, id, State::Running).await;
        setup.reconfigure(&tasks, "disk_budget = \"50KiB\"");
        // What is written at once is written whole or not at all, and on a busy machine the rest is more than the budget.
        send(lab, 20);
        captured(&tasks, id, 20).await;
        send(lab, 2000);
        let record = reach(&tasks, id, State::Failed).await;
        assert_eq!(record.stop_reason, Some(StopReason::DiskFull));
        assert!(
            record
                .error
                .as_deref()
                .unwrap_or_default()
                .contains("disk budget"),
            "{record:?}"
        );
        assert!(record.counters.dropped.write > 0, "{record:?}");
        assert_eq!(record.counters.matched, record.counters.accounted());
        assert!(
            record
                .verdict
                .as_deref()
                .unwrap_or_default()
                .starts_with("lost "),
            "{record:?}"
        );
        assert_eq!(record.files[0].packets, record.counters.captured);
        assert!(record.files[0].size <= 50 << 10);
        let opened = tasks
            .open_file(id, 0, &Actor::daemon())
            .await
            .expect("a file");
        let whole = scan(&opened.file).expect("a capture");
        assert_eq!(
            (whole.size, whole.packets),
            (opened.len, record.counters.captured)
        );
        end(tasks).await;
    });
}

#[test]
fn a_task_that_cannot_start_has_failed_and_leaves_nothing() {
    let setup = Setup::new("");
    test(async |lab| {
        let tasks = setup.tasks();
        let soon = Some(setup.clock.now() + SignedDuration::from_secs(10));
        let id = create_at(&tasks, json!({"interfaces": ["nosuch0"]}), soon).await;
        setup.clock.advance(SignedDuration::from_secs(11));
        let record = reach(&tasks, id, State::Failed).await;
        assert_eq!(record.stop_reason, Some(StopReason::Error));
        assert!(
            record
                .error
                .as_deref()
                .unwrap_or_default()
                .contains("nosuch0"),
            "{record:?}"
        );
        assert!(record.started_at.is_none() && record.files.is_empty());
        assert!(!setup.captures(&id).exists());

        // One whose interface goes has completed.
        lab.pair("cap1", "peer1");
        let id = create(&tasks, json!({"interfaces": ["cap1"]})).await;
        reach(&tasks, id, State::Running).await;
        lab.host.ip("link del cap1");
        let record = reach(&tasks, id, State::Completed).await;
        assert_eq!(record.stop_reason, Some(StopReason::InterfaceGone));
        end(tasks).await;
    });
}

#[test]
fn figures_are_told_while_somebody_listens() {
    let setup = Setup::new("");
    test(async |lab| {
        let tasks = setup.tasks();
        let id = create(&tasks, on_host(json!({}))).await;
        reach(&tasks, id, State::Running).await;
        send(lab, 30);
        captured(&tasks, id, 30).await;
        let mut events = tasks.events(None);
        let told = async {
            loop {
                let event = events.next().await.expect("the daemon runs");
                if event.name == "stats" {
                    return serde_json::from_str::<Value>(&event.data).expect("JSON");
                }
            }
        };
        let told = tokio::time::timeout(SOON, told)
            .await
            .expect("figures in time");
        assert_eq!(told["tasks"][0]["id"], id.to_string());
        assert_eq!(told["tasks"][0]["counters"]["captured"], 30);
        end(tasks).await;
    });
}
