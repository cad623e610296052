//! Every end that a task can come to, reached for real; `io_error` is in `disk`, whose file system fails as
//! it is told. That state, reason, error, verdict, times, files and sidecars go together is asserted
//! wherever a task is read (`record`, `Daemon::ended`).

use std::{fs, process::Command, time::Duration};

use capture_tests::{
    TIMEOUT,
    daemon::{self, Daemon, UNLIMITED, names, udp_task},
    eventually,
    netns::{HOST_IF, Lab},
    output, readers,
    small_disk::SmallDisk,
    traffic,
};
use serde_json::{Value, json};

use super::time;

/// What is asked for, and what it ends as.
struct Case {
    task: Value,
    reason: &'static str,
    /// How many packets are in the file; none says that there is none, as it never began.
    packets: Option<std::ops::RangeInclusive<u64>>,
    /// What the error names.
    error: &'static [&'static str],
}

impl Case {
    fn good(task: Value, reason: &'static str, packets: std::ops::RangeInclusive<u64>) -> Self {
        Self {
            task,
            reason,
            packets: Some(packets),
            error: &[],
        }
    }

    /// One that fails to start.
    fn unstarted(task: Value, error: &'static [&'static str]) -> Self {
        Self {
            task,
            reason: "error",
            packets: None,
            error,
        }
    }

    #[track_caller]
    fn check(&self, daemon: &Daemon, id: &str) {
        let task = daemon.ended(id);
        assert_eq!(task["stop_reason"], self.reason, "{task}");
        let error = task["error"].as_str().unwrap_or_default();
        for word in self.error {
            assert!(error.contains(word), "{word}: {task}");
        }
        let captured = task["counters"]["captured"].as_u64().expect("a number");
        let directory = names(&daemon.captures(id));
        let Some(expected) = &self.packets else {
            assert!(task["started_at"].is_null(), "{task}");
            assert_eq!(directory, [""; 0]);
            return;
        };
        assert!(expected.contains(&captured), "{task}");
        assert_eq!(directory, ["capture.pcapng", "capture.pcapng.json"]);
        // The first ones, each once.
        let packets = daemon.packets(id);
        let numbers = readers::numbers(&packets);
        assert!(numbers.eq(0..captured as u32), "{task}");
    }
}

fn cases() -> Vec<Case> {
    let size = json!({"max_file_bytes": 20_000});
    let gone = json!({"interfaces": ["cap1"]});
    let no_xdp = json!({"interfaces": ["lo"], "hook": "xdp"});
    let not_there = json!({"interfaces": ["later0"], "start_at": time("5 seconds")});
    vec![
        Case::good(udp_task(json!({"duration": 3})), "duration", 0..=100),
        Case::good(udp_task(json!({"max_packets": 40})), "max_packets", 40..=40),
        Case::good(udp_task(size), "max_file_bytes", 20..=40),
        Case::good(udp_task(gone), "interface_gone", 0..=0),
        Case::unstarted(udp_task(no_xdp), &["lo", "xdp", "auto"]),
        Case::unstarted(udp_task(not_there), &["later0"]),
    ]
}

#[test]
fn every_limit_and_every_fault_ends_a_task_with_its_reason() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let daemon = daemon::start(&lab.host);
    let cases = cases();
    let begin = |case: &Case| match case.packets {
        Some(_) => daemon.run(case.task.clone()),
        None => daemon.create(case.task.clone()),
    };
    let ids: Vec<_> = cases.iter().map(begin).collect();
    traffic::send_to_host(&lab, 0..100, 500);
    lab.host.ip("link del cap1");
    for (case, id) in cases.iter().zip(&ids) {
        case.check(&daemon, id);
    }
    let task = daemon.task(&ids[0]);
    let lasted = |name: &str| {
        let time = task[name].as_str().expect("a time");
        let millis = output(Command::new("date").args(["-d", time, "+%s%3N"]));
        millis.trim().parse::<u64>().expect("a number")
    };
    let lasted = Duration::from_millis(lasted("ended_at") - lasted("started_at"));
    assert!(lasted >= Duration::from_secs(3), "{lasted:?}");
    let size = daemon.task(&ids[2])["files"][0]["size"].as_u64();
    assert!(size <= Some(20_000), "{size:?}");
    daemon.stop();
}

/// By somebody, and after the daemon was killed.
#[test]
fn a_task_that_is_ended_says_by_what() {
    let lab = Lab::new();
    let mut daemon = daemon::start(&lab.host);
    for reason in ["user", "interrupted"] {
        let case = Case::good(udp_task(json!({})), reason, 100..=100);
        let id = daemon.run(case.task.clone());
        traffic::send_to_host(&lab, 0..100, 500);
        daemon.captured(&id, 100);
        let home = match reason {
            "user" => {
                daemon.stop_task(&id);
                case.check(&daemon, &id);
                continue;
            }
            _ => daemon.kill(),
        };
        // The interface that it captures on is gone when the next daemon starts, and waited for in vain.
        lab.host.ip(&format!("link set {HOST_IF} name elsewhere"));
        daemon = daemon::start_in(&lab.host, &home);
        assert!(eventually(TIMEOUT, || {
            daemon.stderr().contains("waits for its interface")
        }));
        let task = daemon.ended(&id);
        lab.host.ip(&format!("link set elsewhere name {HOST_IF}"));
        assert_eq!(task["stop_reason"], "error", "{task}");
        assert_eq!(task["counters"]["captured"], 100, "{task}");
        let names = names(&daemon.captures(&id));
        let file = "capture_interrupted.pcapng";
        assert_eq!(names, [file.to_owned(), format!("{file}.json")]);
        assert_eq!(daemon.packets(&id).len(), 100);
        assert_eq!(task["files"][0]["complete"], false, "{task}");
    }
    // One that waited is none of these, and one that is stopped then never began.
    let id = daemon.create(udp_task(json!({"start_at": time("1 hour")})));
    let daemon = daemon::start_in(&lab.host, &daemon.stop().home);
    assert_eq!(daemon.task(&id)["state"], "pending");
    let task = daemon.stop_task(&id);
    assert_eq!(task["stop_reason"], "user", "{task}");
    assert_eq!(
        (&task["started_at"], &task["files"]),
        (&Value::Null, &json!([]))
    );
    daemon.stop();
}

/// The disk, or the room that all captures share.
#[test]
fn a_full_disk_ends_a_task_and_not_the_daemon() {
    let lab = Lab::new();
    for sections in [UNLIMITED, "[limits]\ndisk_budget = \"1MB\""] {
        let home = daemon::home(sections);
        let captures = home.path().join("captures");
        fs::create_dir(&captures).expect("a directory");
        let mounted = (sections == UNLIMITED).then(|| SmallDisk::at(captures, "1m"));
        let daemon = daemon::start_in(&lab.host, &home);
        // Two fit into the budget when they are created, and not when they have grown.
        let (most, count) = match &mounted {
            Some(_) => ("1GiB", 1),
            None => ("900kB", 2),
        };
        let task = udp_task(json!({"max_file_bytes": most}));
        let tasks: Vec<_> = (0..count).map(|_| daemon.run(task.clone())).collect();
        traffic::send_to_host(&lab, 0..4000, 500);
        for id in &tasks {
            let task = daemon.ended(id);
            if task["stop_reason"] == "max_file_bytes" {
                continue;
            }
            assert_eq!(task["stop_reason"], "disk_full", "{task}");
            let lost = task["counters"]["dropped"]["write"].as_u64();
            assert!(lost > Some(0), "{task}");
            let captured = task["counters"]["captured"].as_u64().unwrap_or_default();
            assert_eq!(daemon.packets(id).len() as u64, captured);
        }
        let failed = daemon.ask("GET", "/tasks?state=failed", None).json();
        assert_ne!(failed["tasks"], json!([]));
        for id in &tasks {
            let path = format!("/tasks/{id}");
            daemon.ask("DELETE", &path, None).expect(204);
        }
        let id = daemon.run(udp_task(json!({"max_file_bytes": "900kB"})));
        traffic::send_to_host(&lab, 0..10, 500);
        daemon.captured(&id, 10);
        assert_eq!(daemon.stop_task(&id)["verdict"], "complete");
        daemon.stop();
    }
}
