//! Tasks over a restart of the daemon: they go on in a further file, up to the deadline that they had, and say when
//! nothing was captured.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, names, udp_task},
    eventually,
    netns::{HOST_IF, Lab},
    output,
    traffic::{self, number_in},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Ends the daemon, in order or not.
fn end(daemon: Daemon, kill: bool) -> Arc<TempDir> {
    match kill {
        true => daemon.kill(),
        false => daemon.stop().home,
    }
}

fn numbers(daemon: &Daemon, id: &str) -> Vec<u32> {
    let packets = daemon.packets(id);
    let numbers = packets.iter().map(|packet| number_in(&packet.bytes));
    numbers.collect::<Option<_>>().expect("numbered frames")
}

#[test]
fn a_task_goes_on_after_a_restart() {
    for kill in [false, true] {
        let lab = Lab::new();
        let daemon = daemon::start(&lab.host);
        let id = daemon.run(udp_task(json!({"duration": "20s"})));
        traffic::send_to_host(&lab, 0..100, 500);
        daemon.captured(&id, 100);
        let home = end(daemon, kill);
        // Nobody captures this.
        traffic::send_to_host(&lab, 100..150, 500);
        let daemon = daemon::start_in(&lab.host, &home);
        daemon.taken_up(&id, 1);
        traffic::send_to_host(&lab, 150..220, 500);
        let task = daemon.captured(&id, 170);
        assert_eq!(task["state"], "running", "{task}");
        let home = end(daemon, kill);
        let daemon = daemon::start_in(&lab.host, &home);
        daemon.taken_up(&id, 2);
        traffic::send_to_host(&lab, 220..230, 500);
        let task = daemon.ended(&id);

        assert_eq!(task["stop_reason"], "duration", "{task}");
        assert_eq!(task["verdict"], "interrupted: 2 gaps", "{task}");
        assert_eq!(task["counters"]["captured"], 180, "{task}");
        let cause = if kill { "interrupted" } else { "shutdown" };
        assert_eq!(task["interruptions"][1]["cause"], cause, "{task}");
        let suffix = if kill { "_interrupted" } else { "" };
        let files: Vec<_> = names(&daemon.captures(&id))
            .into_iter()
            .filter(|name| name.ends_with(".pcapng"))
            .collect();
        let expected = [
            format!("capture{suffix}.pcapng"),
            format!("capture_00002{suffix}.pcapng"),
            "capture_00003.pcapng".to_owned(),
        ];
        let mut expected = Vec::from(expected);
        expected.sort();
        assert_eq!(files, expected);
        let all = (0..100).chain(150..230);
        assert_eq!(numbers(&daemon, &id), all.collect::<Vec<_>>());
        let lasted = |from: &Value, to: &Value| {
            let read = |time: &Value| {
                let time = time.as_str().expect("a time");
                let seconds = output(Command::new("date").args(["-d", time, "+%s.%3N"]));
                seconds.trim().parse::<f64>().expect("a number")
            };
            read(to) - read(from)
        };
        let lasted = lasted(&task["started_at"], &task["ended_at"]);
        assert!((19.9..21.0).contains(&lasted), "{lasted}: {task}");
        let log = daemon.stop();
        assert!(log.stderr.contains("is taken up again"), "{}", log.stderr);
    }
}

#[test]
fn a_ring_goes_on_after_a_restart() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let task = udp_task(json!({
        "duration": "10m", "rotate": {"bytes": 66_000, "files": 3}, "format": "pcap", "max_packets": 2000,
    }));
    let id = daemon.run(task);
    traffic::send_to_host(&lab, 0..900, 500);
    daemon.captured(&id, 900);
    let before = daemon.task(&id)["files"].as_array().expect("files").len();
    assert_eq!(before, 3);
    let daemon = daemon::start_in(&lab.host, &daemon.stop().home);
    daemon.taken_up(&id, 1);
    traffic::send_to_host(&lab, 900..2100, 500);
    let task = daemon.ended(&id);
    assert_eq!(task["stop_reason"], "max_packets", "{task}");
    assert_eq!(task["counters"]["captured"], 2000, "{task}");
    assert_eq!(task["files"].as_array().map(Vec::len), Some(3), "{task}");
    let captures = names(&daemon.captures(&id));
    let captures = captures.iter().filter(|name| name.ends_with(".pcap"));
    assert_eq!(captures.count(), 3);
    // The newest ones, without a hole.
    let numbers = numbers(&daemon, &id);
    let first = numbers[0];
    assert_eq!(numbers, (first..2000).collect::<Vec<_>>());
    daemon.stop();
}

#[test]
fn a_task_whose_time_is_over_is_cut_short() {
    for kill in [false, true] {
        let lab = Lab::new();
        let daemon = daemon::start(&lab.host);
        let id = daemon.run(udp_task(json!({"duration": "10s"})));
        traffic::send_to_host(&lab, 0..100, 500);
        daemon.captured(&id, 100);
        let home = end(daemon, kill);
        thread::sleep(Duration::from_secs(10));
        let daemon = daemon::start_in(&lab.host, &home);
        let task = daemon.ended(&id);
        let reason = if kill { "interrupted" } else { "shutdown" };
        assert_eq!(task["stop_reason"], reason, "{task}");
        assert_eq!(task["state"], "failed", "{task}");
        assert_eq!(task["verdict"], "interrupted: 1 gap", "{task}");
        assert_eq!(daemon.packets(&id).len(), 100);
        // It stays so.
        let daemon = daemon::start_in(&lab.host, &daemon.stop().home);
        assert_eq!(daemon.ended(&id)["stop_reason"], reason);
        daemon.stop();
    }
}

/// There is no room for it after the restart, so that it waits, and is ended while it does.
#[test]
fn a_task_that_waits_to_be_taken_up_can_be_ended() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let ids: Vec<_> = (0..3)
        .map(|_| daemon.run(udp_task(json!({"duration": "10m"}))))
        .collect();
    traffic::send_to_host(&lab, 0..50, 500);
    for id in &ids {
        daemon.captured(id, 50);
    }
    let home = daemon.stop().home;
    daemon::configure(&home, &format!("{UNLIMITED}\nmax_running = 1\n"));
    let daemon = daemon::start_in(&lab.host, &home);
    daemon.taken_up(&ids[0], 1);
    let waits = daemon.task(&ids[1]);
    assert_eq!(waits["interruptions"][0]["until"], Value::Null, "{waits}");
    let task = daemon.stop_task(&ids[1]);
    assert_eq!(task["stop_reason"], "user", "{task}");
    assert_eq!(task["counters"]["captured"], 50, "{task}");
    assert_eq!(task["verdict"], "interrupted: 1 gap", "{task}");
    assert_eq!(daemon.packets(&ids[1]).len(), 50);
    let path = format!("/tasks/{}", ids[2]);
    daemon.ask("DELETE", &path, None).expect(409);
    daemon
        .ask("DELETE", &format!("{path}?force=true"), None)
        .expect(204);
    assert!(!daemon.captures(&ids[2]).exists());
    daemon.stop_task(&ids[0]);
    daemon.stop();
}

#[test]
fn waiting_goes_on_over_a_restart() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let mut command = lab.host.command(binary());
    command
        .args([
            "task",
            "create",
            "-i",
            "cap0",
            "--name",
            "long",
            "--duration",
            "12s",
            "--wait",
        ])
        .arg("--socket")
        .arg(daemon.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let waiting = command.spawn().expect("it starts");
    let runs = || {
        let tasks = daemon.ask("GET", "/tasks?state=running", None).json();
        tasks["tasks"][0]["id"].as_str().map(str::to_owned)
    };
    assert!(eventually(TIMEOUT, || runs().is_some()));
    let id = runs().expect("it runs");
    let home = daemon.stop().home;
    thread::sleep(Duration::from_secs(2));
    let daemon = daemon::start_in(&lab.host, &home);
    daemon.taken_up(&id, 1);
    let done = waiting.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("waiting for it to come back"), "{said}");
    assert_eq!(daemon.ended(&id)["stop_reason"], "duration");
    daemon.stop();
}

/// As at a boot, where interfaces come one after another.
#[test]
fn a_task_waits_for_the_interface_that_it_was_on() {
    for kill in [false, true] {
        let lab = Lab::new();
        let daemon = daemon::start(&lab.host);
        let id = daemon.run(udp_task(json!({"duration": "10m"})));
        traffic::send_to_host(&lab, 0..50, 500);
        daemon.captured(&id, 50);
        // One whose time comes while the daemon is away waits too.
        let at = output(Command::new("date").args(["-u", "-d", "2 seconds", "+%FT%TZ"]));
        let planned = udp_task(json!({"duration": "10m", "start_at": at.trim()}));
        let planned = daemon.create(planned);
        let home = end(daemon, kill);
        lab.host.ip(&format!("link set {HOST_IF} name elsewhere"));
        thread::sleep(Duration::from_secs(2));
        let daemon = daemon::start_in(&lab.host, &home);
        let says = |id: &str| {
            let expected = format!("task {id} waits for its interface: there is no interface");
            daemon.stderr().contains(&expected)
        };
        assert!(eventually(TIMEOUT, || says(&id) && says(&planned)));
        thread::sleep(Duration::from_secs(3));
        let waits = daemon.task(&id);
        assert_eq!(waits["interruptions"][0]["until"], Value::Null, "{waits}");
        assert_eq!(daemon.task(&planned)["state"], "pending");
        lab.host.ip(&format!("link set elsewhere name {HOST_IF}"));
        daemon.taken_up(&id, 1);
        daemon.reach(&planned, "running");
        traffic::send_to_host(&lab, 50..70, 500);
        daemon.captured(&planned, 20);
        daemon.captured(&id, 70);
        assert_eq!(numbers(&daemon, &id), (0..70).collect::<Vec<_>>());
        let task = daemon.stop_task(&id);
        assert_eq!(task["verdict"], "interrupted: 1 gap", "{task}");
        let log = daemon.stop().stderr;
        assert_eq!(log.matches("waits for its interface").count(), 2, "{log}");
    }
}

#[test]
fn a_task_whose_interface_never_comes_fails_and_says_its_gap() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({"duration": "10m"})));
    let short = daemon.run(udp_task(json!({"duration": "15s"})));
    let stopped = daemon.run(udp_task(json!({"duration": "10m"})));
    traffic::send_to_host(&lab, 0..50, 500);
    for id in [&id, &short, &stopped] {
        daemon.captured(id, 50);
    }
    let home = daemon.stop().home;
    lab.host.ip(&format!("link set {HOST_IF} name elsewhere"));
    let daemon = daemon::start_in(&lab.host, &home);
    assert!(eventually(TIMEOUT, || {
        daemon.stderr().matches("waits for its interface").count() == 3
    }));
    // One that waits can be ended.
    let task = daemon.stop_task(&stopped);
    assert_eq!(task["stop_reason"], "user", "{task}");
    for id in [&short, &id] {
        let task = daemon.ended(id);
        assert_eq!(task["stop_reason"], "error", "{task}");
        let error = task["error"].as_str().unwrap_or_default();
        assert!(error.contains("there is no interface"), "{task}");
        assert_eq!(task["verdict"], "interrupted: 1 gap", "{task}");
        assert_eq!(task["interruptions"][0]["until"], Value::Null, "{task}");
        assert_eq!(daemon.packets(id).len(), 50);
    }
    daemon.stop();
}
