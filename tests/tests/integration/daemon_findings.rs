//! What the daemon finds in captures, while they run and when they are finished, and that nothing that happens to the
//! processes which look for it harms a capture.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    eventually,
    netns::Lab,
    output, traffic,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// A task whose frames are cut, which is found at once.
fn cut_task() -> Value {
    udp_task(json!({"max_bytes": 64}))
}

fn findings(daemon: &Daemon, id: &str) -> Option<Value> {
    let answer = daemon.ask("GET", &format!("/tasks/{id}/findings"), None);
    (answer.status == 200).then(|| answer.json())
}

/// Waits until what was found is so.
fn found(daemon: &Daemon, id: &str, what: &str, check: impl Fn(&Value) -> bool) -> Value {
    let mut last = None;
    let is_there = eventually(TIMEOUT, || {
        last = findings(daemon, id);
        last.as_ref().is_some_and(&check)
    });
    assert!(is_there, "{what}: {last:?}\n{}", daemon.stderr());
    last.expect("it is there")
}

fn packets(count: u64) -> impl Fn(&Value) -> bool {
    move |report| report["packets"] == count
}

fn is_final(report: &Value) -> bool {
    report["state"] == "final"
}

/// What `analyze` says of a file, in the words of the daemon.
fn analyzed(path: &Path) -> Value {
    let text = output(
        Command::new(binary())
            .args(["analyze", "-o", "json"])
            .arg(path),
    );
    serde_json::from_str(&text).expect("JSON")
}

/// Without what is said of the task and not of its packets.
fn of_packets(mut report: Value) -> Value {
    let object = report.as_object_mut().expect("an object");
    for key in ["state", "skipped", "shortened", "files"] {
        object.remove(key);
    }
    report
}

#[test]
fn live_findings_become_those_of_the_file() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let home = daemon.home().path().to_owned();
    let events = home.join("events");
    let mut listening = Command::new("curl")
        .args(["--silent", "--no-buffer", "--unix-socket"])
        .arg(daemon.socket())
        .arg("http://localhost/api/v1/events")
        .stdout(fs::File::create(&events).expect("a file"))
        .spawn()
        .expect("curl starts");
    let id = daemon.run(cut_task());
    traffic::send_to_host(&lab, 0..300, 500);
    let live = found(&daemon, &id, "300 packets", packets(300));
    assert_eq!(live["state"], "live");
    assert_eq!(live["findings"][0]["code"], "capture.cut");
    assert_eq!(live["findings"][0]["count"], 300);
    assert_eq!(live["files"][0]["name"], "capture.pcapng");
    traffic::send_to_host(&lab, 300..500, 500);
    let live = found(&daemon, &id, "500 packets", packets(500));
    assert_eq!(live["skipped"], json!([]));

    daemon.stop_task(&id);
    let last = found(&daemon, &id, "the end", is_final);
    assert_eq!(last["findings"], live["findings"]);
    let counts = &daemon.task(&id)["findings"];
    assert_eq!(*counts, json!({"high": 0, "warn": 0, "info": 1}));
    let file = analyzed(&daemon.captures(&id).join("capture.pcapng"));
    assert_eq!(of_packets(last), of_packets(file));
    // Told once, though it was found again and again.
    let said = fs::read_to_string(&events).expect("what came");
    let told: Vec<_> = said
        .lines()
        .filter(|line| *line == "event: finding")
        .collect();
    assert_eq!(told.len(), 1, "{said}");
    let data = said.lines().skip_while(|line| *line != "event: finding");
    let data = data.filter_map(|line| line.strip_prefix("data: ")).next();
    let event: Value = serde_json::from_str(data.expect("its data")).expect("JSON");
    assert_eq!(event["task"], id.as_str());
    assert_eq!(event["finding"]["code"], "capture.cut");
    listening.kill().expect("it runs");
    listening.wait().expect("it ends");

    let shown = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        output(
            command
                .args(arguments)
                .arg(&id)
                .arg("--socket")
                .arg(daemon.socket()),
        )
    };
    let text = shown(&["task", "findings"]);
    assert!(
        text.starts_with("found: 1 info, in 500 packets\n"),
        "{text}"
    );
    let json: Value =
        serde_json::from_str(&shown(&["task", "findings", "-o", "json"])).expect("JSON");
    assert_eq!(json["state"], "final");
    let task = shown(&["task", "show"]);
    assert!(
        task.contains("findings") && task.contains("found: 1 info\n"),
        "{task}"
    );

    let page = daemon.ask("GET", &format!("/tasks/{id}/report.html"), None);
    let page = page.expect(200).text();
    assert!(page.contains("capture.cut"), "{page}");
    let metrics = daemon_metrics(&daemon);
    assert!(
        metrics.contains("capture_agent_analyses_total{outcome=\"done\"} 1\n"),
        "{metrics}"
    );
    // They are kept, and go with the task.
    let ended = daemon.stop();
    let daemon = daemon::start_in(&lab.host, &ended.home);
    assert!(findings(&daemon, &id).is_some_and(|report| is_final(&report)));
    daemon
        .ask("DELETE", &format!("/tasks/{id}"), None)
        .expect(204);
    daemon
        .ask("GET", &format!("/tasks/{id}/findings"), None)
        .expect(404);
    daemon.stop();
}

fn daemon_metrics(daemon: &Daemon) -> String {
    output(
        Command::new("curl")
            .args(["--silent", "--unix-socket"])
            .arg(daemon.socket())
            .arg("http://localhost/metrics"),
    )
}

#[test]
fn a_rotating_task_is_followed_from_file_to_file() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let mut task = cut_task();
    task["rotate"] = json!({"bytes": 65_536});
    let id = daemon.run(task);
    let mut sent = 0;
    for _ in 0..4 {
        traffic::send_to_host(&lab, sent..sent + 1000, 500);
        sent += 1000;
        found(&daemon, &id, "the packets so far", packets(sent.into()));
    }
    daemon.stop_task(&id);
    let last = found(&daemon, &id, "the end", is_final);
    let files = daemon.task(&id)["files"].as_array().expect("files").len();
    assert!(files > 3, "{files} files");
    assert_eq!(last["files"].as_array().map(Vec::len), Some(files));
    assert_eq!(last["packets"], sent);
    assert_eq!(last["findings"][0]["count"], sent);
    daemon.stop();
}

#[test]
fn a_killed_inspector_is_said_and_harms_no_capture() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(cut_task());
    traffic::send_to_host(&lab, 0..100, 500);
    found(&daemon, &id, "100 packets", packets(100));
    let [inspector] = daemon.inspectors()[..] else {
        panic!("one inspector: {}", daemon.stderr());
    };
    kill(Pid::from_raw(inspector), Signal::SIGKILL).expect("it runs");
    let said = eventually(TIMEOUT, || {
        daemon.stderr().contains("the inspector was killed")
    });
    assert!(said, "{}", daemon.stderr());
    let problem = daemon.ask("GET", &format!("/tasks/{id}/findings"), None);
    assert_eq!(problem.problem(409)[0].1, "analysis_failed");
    traffic::send_to_host(&lab, 100..400, 500);
    daemon.captured(&id, 400);
    let task = daemon.stop_task(&id);
    assert_eq!(
        (&task["state"], &task["verdict"]),
        (&json!("completed"), &json!("complete"))
    );
    // The file has all of it.
    let last = found(&daemon, &id, "the end", is_final);
    assert_eq!(last["packets"], 400);
    daemon.stop();
}

#[test]
fn one_that_hangs_is_ended() {
    let lab = Lab::new();
    let sections = format!("{UNLIMITED}\n[analysis]\nseconds = 1");
    let daemon = daemon::start_in(&lab.host, &daemon::home(&sections));
    let id = daemon.run(cut_task());
    traffic::send_to_host(&lab, 0..10, 500);
    found(&daemon, &id, "10 packets", packets(10));
    let [inspector] = daemon.inspectors()[..] else {
        panic!("one inspector: {}", daemon.stderr());
    };
    // One that hangs does not answer in time.
    kill(Pid::from_raw(inspector), Signal::SIGSTOP).expect("it runs");
    let said = eventually(TIMEOUT, || daemon.stderr().contains("no answer within 1 s"));
    assert!(said, "{}", daemon.stderr());
    assert_eq!(daemon.inspectors(), [0; 0]);
    daemon.stop();
}

#[test]
fn some_are_followed_and_all_are_analyzed() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let ids: Vec<_> = (0..4).map(|_| daemon.run(cut_task())).collect();
    traffic::send_to_host(&lab, 0..100, 500);
    for id in &ids {
        daemon.captured(id, 100);
    }
    let followed = || {
        ids.iter()
            .filter(|id| findings(&daemon, id).is_some())
            .count()
    };
    assert!(
        eventually(TIMEOUT, || followed() == 2),
        "{} are",
        followed()
    );
    assert_eq!(daemon.inspectors().len(), 2);
    for id in &ids {
        daemon.stop_task(id);
    }
    for id in &ids {
        let last = found(&daemon, id, "the end", is_final);
        assert_eq!(last["packets"], 100);
    }
    daemon.stop();
}

#[test]
fn a_start_analyzes_what_the_last_daemon_did_not() {
    let lab = Lab::new();
    let off = format!("{UNLIMITED}\n[analysis]\nenabled = false");
    let home = daemon::home(&off);
    let daemon = daemon::start_in(&lab.host, &home);
    let id = daemon.run(cut_task());
    traffic::send_to_host(&lab, 0..50, 500);
    daemon.captured(&id, 50);
    daemon.stop_task(&id);
    let path = format!("/tasks/{id}/findings");
    let problem = daemon.ask("GET", &path, None).problem(409);
    assert_eq!(problem[0].1, "not_analyzed");
    daemon.stop();

    daemon::configure(&home, UNLIMITED);
    let daemon = daemon::start_in(&lab.host, &home);
    let last = found(&daemon, &id, "the end", is_final);
    assert_eq!(last["packets"], 50);
    // A capture that goes on after its daemon is analyzed with all of its files.
    let id = daemon.run(cut_task());
    traffic::send_to_host(&lab, 0..70, 500);
    daemon.captured(&id, 70);
    let home = daemon.kill();
    let daemon = daemon::start_in(&lab.host, &home);
    daemon.taken_up(&id, 1);
    traffic::send_to_host(&lab, 70..80, 500);
    daemon.captured(&id, 80);
    daemon.stop_task(&id);
    let last = found(&daemon, &id, "the end", is_final);
    assert_eq!(last["packets"], 80);
    daemon.stop();
}

#[test]
fn none_outlives_its_daemon() {
    let lab = Lab::new();
    for is_killed in [false, true] {
        let daemon = daemon::start(&lab.host);
        let id = daemon.run(cut_task());
        traffic::send_to_host(&lab, 0..10, 500);
        found(&daemon, &id, "10 packets", packets(10));
        let there = daemon.inspectors();
        assert_eq!(there.len(), 1);
        match is_killed {
            true => drop(daemon.kill()),
            false => {
                let ended = daemon.stop();
                assert!(ended.status.success(), "{}", ended.stderr);
            }
        }
        let is_there = || Path::new(&format!("/proc/{}/exe", there[0])).exists();
        assert!(eventually(TIMEOUT, || !is_there()), "{is_killed}");
    }
}

/// Without packets there is a file, and so an analysis, at the end of the task as after a restart.
#[test]
fn a_task_without_packets_is_analyzed_once() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(cut_task());
    daemon.stop_task(&id);
    let last = found(&daemon, &id, "the end", is_final);
    assert_eq!(
        (&last["packets"], &last["findings"]),
        (&json!(0), &json!([]))
    );
    let counts = json!({"high": 0, "warn": 0, "info": 0});
    assert_eq!(daemon.task(&id)["findings"], counts);
    // One that never ran has nothing to analyze, which is said without an error to whoever asks so.
    let mut later = cut_task();
    let at = output(Command::new("date").args(["-u", "-d", "1 hour", "+%Y-%m-%dT%H:%M:%SZ"]));
    later["start_at"] = json!(at.trim());
    let waits = daemon.create(later);
    daemon
        .ask("POST", &format!("/tasks/{waits}/stop"), None)
        .expect(202);
    let ended = |daemon: &Daemon| {
        let path = format!("/tasks/{waits}/findings?absent=report");
        let told = daemon.ask("GET", &path, None).expect(200).json();
        assert_eq!(told["absent"], true);
        let error = &told["errors"][0];
        assert_eq!(error["code"], "not_analyzed");
        assert_eq!(error["detail"], "the task has no files to analyze");
        daemon
            .ask("GET", &format!("/tasks/{waits}/findings"), None)
            .expect(409);
        assert_eq!(daemon.task(&waits).get("findings"), None);
    };
    ended(&daemon);

    let stopped = daemon.stop();
    let daemon = daemon::start_in(&lab.host, &stopped.home);
    assert_eq!(findings(&daemon, &id), Some(last));
    assert_eq!(daemon.task(&id)["findings"], counts);
    ended(&daemon);
    // Nothing was left to do.
    let metrics = daemon_metrics(&daemon);
    let done = "capture_agent_analyses_total{outcome=\"done\"} 0\n";
    assert!(metrics.contains(done), "{metrics}");
    daemon.stop();
}

#[test]
fn a_task_that_is_deleted_while_it_is_analyzed() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(cut_task());
    traffic::send_to_host(&lab, 0..10, 500);
    found(&daemon, &id, "10 packets", packets(10));
    daemon
        .ask("DELETE", &format!("/tasks/{id}?force=true"), None)
        .expect(204);
    let ended = eventually(TIMEOUT, || daemon.inspectors().is_empty());
    assert!(ended, "{}", daemon.stderr());
    thread::sleep(Duration::from_millis(200));
    let said = daemon.stderr();
    // What it says before is about the machine, as that a group is missing.
    let (_, said) = said.split_once("ready\n").expect("it was ready");
    assert!(
        !said.contains("warning") && !said.contains("error"),
        "{said}"
    );
    daemon.stop();
}
