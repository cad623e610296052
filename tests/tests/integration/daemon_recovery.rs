//! A daemon that is killed at any moment: the next one finds every task, and every packet that was in a
//! file; what ran is taken up again, what waited waits on.

use std::{collections::BTreeSet, path::Path, process::Command, sync::Arc, thread, time::Duration};

use capture_store::{AuditFilter, AuditLine, Chain, Store, access::Actor, clock::SystemClock};
use capture_tests::{
    TIMEOUT, count_from_env,
    daemon::{self, UNLIMITED, names, udp_task},
    eventually,
    netns::{Lab, PEER_IF},
    output,
    random::Random,
    readers,
    traffic::{self},
};
use serde_json::{Value, json};

#[test]
fn what_ran_is_taken_up_and_its_packets_are_there() {
    let lab = Lab::new();
    let before = lab.host.attachments();
    let home = daemon::home(
        "[quota]\nedition = \"unlimited\"\n[limits]\nmax_running = 2\ndisk_budget = \"1TiB\"",
    );
    let daemon = daemon::start_in(&lab.host, &home);
    let plain = daemon.run(udp_task(json!({})));
    let rotated = daemon.run(udp_task(
        json!({"rotate": {"bytes": 65_536}, "format": "pcap"}),
    ));
    let waiting = daemon.create(udp_task(json!({})));
    traffic::send(
        &lab.peer,
        PEER_IF,
        20_000,
        traffic::frames_to_host(0..1000, 500),
    );
    for id in [&plain, &rotated] {
        daemon.captured(id, 1000);
    }
    daemon.kill();
    let killed_at = output(Command::new("date").args(["-u", "+%FT%T.%3NZ"]));
    let detached = eventually(TIMEOUT, || lab.host.attachments() == before);
    assert!(detached, "{:?}", lab.host.attachments());

    let daemon = daemon::start_in(&lab.host, &home);
    for id in [&plain, &rotated] {
        daemon.taken_up(id, 1);
    }
    assert_eq!(daemon.task(&waiting)["state"], "pending");
    for id in [&plain, &rotated] {
        let task = daemon.stop_task(id);
        // Nobody captured afterwards.
        let from = task["interruptions"][0]["from"].as_str().expect("a time");
        assert!(from <= killed_at.trim(), "{from}, killed at {killed_at}");
        assert_eq!(task["verdict"], "interrupted: 1 gap", "{task}");
        let packets = daemon.packets(id);
        let numbers = readers::numbers(&packets);
        assert!(numbers.eq(0..1000), "{} packets: {task}", packets.len());
        let files = task["files"].as_array().expect("files");
        for (index, file) in files.iter().enumerate() {
            assert_eq!(file["index"], index, "{task}");
            // The one behind it is that of the second daemon.
            assert_eq!(file["complete"], index + 2 != files.len(), "{task}");
            assert!(file["sha256"].is_string(), "{task}");
        }
    }
    let names = names(&daemon.captures(&plain));
    assert_eq!(
        names,
        [
            "capture_00002.pcapng",
            "capture_00002.pcapng.json",
            "capture_interrupted.pcapng",
            "capture_interrupted.pcapng.json"
        ]
    );
    // There is room now.
    daemon.reach(&waiting, "running");
    assert_eq!(daemon.stop_task(&waiting)["state"], "completed");
    daemon.stop();
}

/// The audit log of a daemon that does not run. It must be whole.
fn audit(home: &Path) -> Vec<AuditLine> {
    let store = Store::open_existing(&home.join("state.db"), Arc::new(SystemClock));
    let store = store.expect("the daemon's store");
    let chain = store.audit_verify(&Actor::command()).expect("a log");
    assert!(matches!(chain, Chain::Verified { .. }), "{chain:?}");
    let mut lines: Vec<AuditLine> = Vec::new();
    loop {
        let filter = AuditFilter {
            limit: 1000,
            before: lines.last().map(|line| line.seq),
            ..AuditFilter::default()
        };
        let page = store.audit_list(&filter, &Actor::command()).expect("a log");
        if page.is_empty() {
            return lines;
        }
        lines.extend(page);
    }
}

/// Tasks come and go, and the daemon with them, at any moment: nothing that was acknowledged is lost.
#[test]
fn kills_at_random_moments_lose_no_task_no_finished_file_and_no_line() {
    let rounds = count_from_env("CAPTURE_TEST_DAEMON_KILLS", 8);
    let mut random = Random::from_env(4711);
    let lab = Lab::new();
    let home = daemon::home(UNLIMITED);
    let mut finished: Vec<(String, Value, Vec<u8>)> = Vec::new();
    let mut all: Vec<String> = Vec::new();
    let mut seen = 0;
    for _ in 0..rounds {
        let daemon = daemon::start_in(&lab.host, &home);
        let moment = Duration::from_millis(random.below(400) as u64);
        let socket = daemon.socket();
        thread::scope(|scope| {
            let created = scope.spawn(move || {
                let mut created = Vec::new();
                let body = udp_task(json!({"name": "one of many", "max_packets": 20}));
                let body = body.to_string();
                let json = [("Content-Type", "application/json")];
                // Until it is killed.
                while let Ok(answer) = capture_tests::http::ask(
                    &socket,
                    "POST",
                    "/api/v1/tasks",
                    &json,
                    body.as_bytes(),
                ) {
                    assert_eq!(answer.status, 201, "{}", answer.text());
                    created.push(answer.json()["id"].as_str().expect("an ID").to_owned());
                    // A client's pace; more would only fill the list.
                    thread::sleep(Duration::from_millis(20));
                }
                created
            });
            scope.spawn(|| {
                traffic::send(
                    &lab.peer,
                    PEER_IF,
                    5000,
                    traffic::frames_to_host(0..3000, 500),
                )
            });
            // The moment is what is tested.
            thread::sleep(moment);
            daemon.kill();
            all.extend(created.join().expect("the creator ends"));
        });
        let daemon = daemon::start_in(&lab.host, &home);
        for (id, task, bytes) in &finished {
            let found = daemon::without_findings(daemon.task(id));
            assert_eq!(found, daemon::without_findings(task.clone()));
            assert_eq!(daemon.download(id, 0), *bytes);
        }
        let mut pending = 0;
        for id in &all {
            if finished.iter().any(|(other, ..)| other == id) {
                continue;
            }
            let task = daemon.task(id);
            match task["state"].as_str() {
                Some("completed" | "failed") => {
                    let task = daemon.ended(id);
                    if task["files"]
                        .as_array()
                        .is_some_and(|files| !files.is_empty())
                    {
                        assert_eq!(
                            daemon.packets(id).len() as u64,
                            task["counters"]["captured"].as_u64().expect("a number"),
                            "{task}"
                        );
                        finished.push((id.clone(), task, daemon.download(id, 0)));
                    }
                }
                Some("pending" | "running" | "stopping") => pending += 1,
                _ => panic!("{task}"),
            }
        }
        assert!(pending + finished.len() > 0 || all.is_empty());
        daemon.stop();
        // Every answer of 201 has its line, and no line that was read before has gone.
        let lines = audit(home.path());
        let created = lines.iter().filter(|line| line.action == "task.create");
        // Behind the ID comes what it captures.
        let ids = created.filter_map(|line| line.object.split(' ').next());
        let created: BTreeSet<_> = ids.collect();
        let missing = all.iter().find(|id| !created.contains(id.as_str()));
        assert_eq!(missing, None, "{lines:#?}");
        let same = lines.iter().filter(|line| line.seq <= seen).count() as i64;
        assert_eq!(same, seen);
        seen = lines.first().map_or(0, |line| line.seq);
    }
    // Each task that was acknowledged can still be ended, with what it captured.
    let daemon = daemon::start_in(&lab.host, &home);
    for id in &all {
        let task = daemon.task(id);
        let task = match task["state"].as_str() {
            Some("completed" | "failed") => daemon.ended(id),
            _ => daemon.stop_task(id),
        };
        let packets = daemon.packets(id).len() as u64;
        assert_eq!(task["counters"]["captured"], packets, "{task}");
    }
    assert!(!all.is_empty());
    daemon.stop();
}
