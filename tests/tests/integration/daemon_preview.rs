//! Before a task, in the real daemon: what a dry run says holds when the task is created, and a probe counts what
//! passes and leaves nothing behind.

use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use capture_store::{AuditFilter, AuditLine, Store, access::Actor, clock::SystemClock};
use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    eventually,
    http::{self, Answer},
    netns::{HOST_IF, Lab},
    output, traffic,
};
use serde_json::{Value, json};

/// Asks for a probe in a thread of its own, the first of a daemon, and waits until its hooks are there.
fn probe(daemon: &Daemon, spec: Value, seconds: u64) -> JoinHandle<Answer> {
    let probing = begin(daemon, spec, seconds);
    let attached = eventually(TIMEOUT, || {
        let metrics = daemon.ask_with("GET", "/metrics", &[], b"").text();
        let hooked = metrics.contains(&format!("interface=\"{HOST_IF}\""));
        probing.is_finished() || hooked
    });
    assert!(attached, "{}", daemon.stderr());
    // From its hooks to its bit in the tables it is a matter of microseconds.
    traffic::settle();
    probing
}

fn begin(daemon: &Daemon, spec: Value, seconds: u64) -> JoinHandle<Answer> {
    let socket = daemon.socket();
    let body = json!({"spec": spec, "seconds": seconds}).to_string();
    thread::spawn(move || {
        let json = [("Content-Type", "application/json")];
        let asked = http::ask(&socket, "POST", "/api/v1/probes", &json, body.as_bytes());
        asked.expect("an answer")
    })
}

/// The answer, which the document tells of.
fn answer(daemon: &Daemon, probing: JoinHandle<Answer>) -> Answer {
    let answer = probing.join().expect("it is asked");
    daemon.document().check("POST", "/api/v1/probes", &answer);
    answer
}

/// Lines of the audit log about probes, oldest first.
fn audit(home: &Path) -> Vec<AuditLine> {
    let store = Store::open_existing(&home.join("state.db"), Arc::new(SystemClock));
    let filter = AuditFilter {
        limit: 1000,
        ..AuditFilter::default()
    };
    let lines = store
        .expect("the store")
        .audit_list(&filter, &Actor::command());
    let mut lines = lines.expect("a log");
    lines.retain(|line| line.action == "probe");
    lines.reverse();
    lines
}

fn udp_to(port: u16) -> Value {
    json!({"interfaces": [HOST_IF], "protocol": "udp", "ip": "10.0.0.1", "ports": [port]})
}

#[test]
fn a_probe_counts_what_passes_and_leaves_nothing() {
    let lab = Lab::new();
    let before = lab.host.attachments();
    let daemon = daemon::start(&lab.host);
    let probing = probe(&daemon, udp_to(9), 2);
    traffic::send_to_host(&lab, 0..300, 500);
    let told = answer(&daemon, probing).expect(200).json();
    assert_eq!(
        (&told["matched"], &told["bytes"], &told["hint"]),
        (&json!(300), &json!(300 * 500), &Value::Null),
        "{told}"
    );
    assert!(told["seen"].as_u64() >= Some(300), "{told}");
    let seconds = told["seconds"].as_f64().expect("a number");
    assert!((1.5..=2.0).contains(&seconds), "{told}");
    let rate = told["rate"]["packets"].as_f64().expect("a number");
    assert!((150.0..=200.0).contains(&rate), "{told}");
    assert_eq!(
        told["talkers"],
        json!([
            {"address": "10.0.0.1", "port": 9, "protocol": "UDP", "packets": 300},
            {"address": "10.0.0.2", "port": null, "protocol": "UDP", "packets": 300},
        ])
    );

    assert_eq!(lab.host.attachments(), before);
    assert_eq!(
        daemon::names(&daemon.home().path().join("captures")),
        [".lock"]
    );
    let list = daemon.ask("GET", "/tasks", None).expect(200).json();
    assert_eq!(list["tasks"], json!([]));
    let quota = daemon.ask("GET", "/quota", None).expect(200).json();
    assert_eq!(quota["used"], 0);
    let ended = daemon.stop();
    let lines = audit(ended.home.path());
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(line.outcome, "done");
    assert!(
        line.object.starts_with(&format!("{HOST_IF}: udp and ")),
        "{line:?}"
    );
}

#[test]
fn a_probe_without_a_match_says_what_is_near() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let hint = |spec: Value, sent: bool| {
        let probing = begin(&daemon, spec, 1);
        while sent && !probing.is_finished() {
            traffic::send_to_host(&lab, 0..50, 200);
        }
        let told = answer(&daemon, probing).expect(200).json();
        assert_eq!((&told["matched"], &told["bytes"]), (&json!(0), &json!(0)));
        (told["hint"].as_str().expect("a hint").to_owned(), told)
    };
    let (near, told) = hint(udp_to(443), true);
    assert!(near.starts_with("Seen from 10.0.0.1: UDP 9"), "{near}");
    let first = &told["talkers"][0];
    assert_eq!(
        (&first["address"], &first["port"], &first["protocol"]),
        (&json!("10.0.0.1"), &json!(9), &json!("UDP")),
        "{told}"
    );
    let other = json!({"interfaces": [HOST_IF], "ip": "192.0.2.77", "ports": [9]});
    let (near, told) = hint(other, true);
    assert!(
        near.ends_with(&format!(" frames passed {HOST_IF}, none with 192.0.2.77.")),
        "{near}"
    );
    assert_eq!(told["talkers"], json!([]));
    // Of neighbour discovery and the like something may pass all the same.
    let (near, _) = hint(json!({"interfaces": ["lo"], "ip": "10.0.0.1"}), false);
    assert_eq!(near, "Nothing passed lo in 1 s.");
    daemon.stop();
    assert_eq!(lab.host.attachments(), [""; 0]);
}

#[test]
fn two_probes_run_at_the_same_time_and_no_third() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let probing: Vec<_> = (0..3).map(|_| begin(&daemon, udp_to(9), 3)).collect();
    let answers = probing.into_iter().map(|probing| answer(&daemon, probing));
    let (fine, refused): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.status == 200);
    assert_eq!((fine.len(), refused.len()), (2, 1));
    let refused = refused.into_iter().next().expect("one");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(refused.problem(429), [(String::new(), "probes".to_owned())]);
    // And then there is room again.
    answer(&daemon, begin(&daemon, udp_to(9), 1)).expect(200);
    let ended = daemon.stop();
    let outcomes = audit(ended.home.path())
        .into_iter()
        .map(|line| line.outcome);
    let refused = outcomes.filter(|outcome| outcome.starts_with("refused: "));
    assert_eq!(refused.count(), 1);
}

#[test]
fn a_probe_takes_no_slot_of_a_task() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let run = |port: u16| {
        let task = udp_task(json!({"ports": [port], "max_file_bytes": "1MiB"}));
        daemon.create(task)
    };
    let ids: Vec<_> = (1..=63).map(run).collect();
    for id in &ids {
        daemon.reach(id, "running");
    }
    // The last slot is the probe's, and a task waits for it instead of failing.
    let probing = begin(&daemon, udp_to(9), 2);
    // Its line in the log comes behind its slot.
    let began = || !audit(daemon.home().path()).is_empty();
    assert!(eventually(TIMEOUT, || probing.is_finished() || began()));
    let last = run(64);
    answer(&daemon, probing).expect(200);
    daemon.reach(&last, "running");
    let refused = answer(&daemon, begin(&daemon, udp_to(9), 1));
    assert_eq!(
        refused.problem(503),
        [(String::new(), "no_slot".to_owned())]
    );
    daemon.stop();
}

#[test]
fn a_probe_ends_with_whoever_asked_for_it_and_with_the_daemon() {
    let lab = Lab::new();
    let before = lab.host.attachments();
    let daemon = daemon::start(&lab.host);
    let body = json!({"spec": udp_to(9), "seconds": 5}).to_string();
    let mut stream = UnixStream::connect(daemon.socket()).expect("connected");
    let head = format!(
        "POST /api/v1/probes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("sent");
    assert!(eventually(TIMEOUT, || lab.host.attachments() != before));
    let hung_up = Instant::now();
    drop(stream);
    assert!(eventually(TIMEOUT, || lab.host.attachments() == before));
    assert!(
        hung_up.elapsed() < Duration::from_secs(3),
        "{:?}",
        hung_up.elapsed()
    );

    // In order, a daemon does not wait for it.
    let probing = probe(&daemon, udp_to(9), 5);
    let stopped = Instant::now();
    let ended = daemon.stop();
    assert!(
        stopped.elapsed() < Duration::from_secs(4),
        "{:?}",
        stopped.elapsed()
    );
    drop(probing.join());
    assert_eq!(lab.host.attachments(), before);

    let daemon = daemon::start_in(&lab.host, &ended.home);
    let probing = probe(&daemon, udp_to(9), 5);
    let home = daemon.kill();
    drop(probing.join());
    assert_eq!(lab.host.attachments(), before);
    daemon::start_in(&lab.host, &home).stop();
}

/// Both lines, pasted into a shell, make the task that was previewed.
#[test]
fn the_lines_of_a_preview_make_the_task() {
    let lab = Lab::new();
    let daemon = daemon::start_in(&lab.host, &daemon::home(UNLIMITED));
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("capture-agent");
    std::os::unix::fs::symlink(binary(), program).expect("a link");
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", directory.path().display());
    let preview = |task: &Value| {
        let answer = daemon.ask("POST", "/tasks?dry_run=true", Some(task));
        answer.expect(200).json()
    };
    for task in [
        json!({"name": "web", "interfaces": [HOST_IF]}),
        json!({
            "name": "it's a \"$(task)\" `x`; é", "interfaces": ["lo", HOST_IF], "direction": "ingress",
            "protocol": "tcp", "ip": "10.0.0.0/24", "ports": [443, "8000-8100"], "peer_ip": "10.0.0.2",
            "peer_ports": ["1024-65535"], "address_type": "ip_pair", "icmp_errors": true,
            "max_bytes": 128, "oversize": "discard", "duration": "1m", "max_packets": 100,
            "max_file_bytes": "3MB", "format": "pcap", "rotate": {"bytes": 1_000_000, "files": 2},
        }),
    ] {
        let told = preview(&task);
        for line in ["cli", "curl"] {
            let line = told[line].as_str().expect("a line");
            let ran = output(Command::new("sh").args(["-c", line]).env("PATH", &path));
            let listed = daemon.ask("GET", "/tasks?limit=1", None).expect(200).json();
            let made = &listed["tasks"][0];
            let id = made["id"].as_str().expect("an ID");
            assert!(ran.contains(id), "{line}: {ran}");
            assert_eq!(preview(&made["spec"])["spec"], told["spec"], "{line}");
            daemon.stop_task(id);
        }
    }
    daemon.stop();
}

#[test]
fn a_preview_tells_of_hooks_tasks_and_conflicts() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let preview = |task: Value| {
        let answer = daemon.ask("POST", "/tasks?dry_run=true", Some(&udp_task(task)));
        answer.expect(200).json()
    };
    let codes = |told: &Value| {
        let warnings = told["warnings"].as_array().expect("a list").iter();
        let codes = warnings.map(|warning| warning["code"].as_str().expect("a code").to_owned());
        codes.collect::<Vec<_>>()
    };
    let told = preview(json!({}));
    assert_eq!(told["hooks"][0]["conflict"], Value::Null, "{told}");
    assert!(!codes(&told).contains(&"duplicate".to_owned()), "{told}");
    let id = daemon.run(udp_task(json!({"hook": "xdp-generic"})));
    let told = preview(json!({"hook": "xdp-generic"}));
    assert_eq!(
        (&told["hooks"][0]["conflict"], &told["running"]),
        (&Value::Null, &json!(1))
    );
    let warnings = told["warnings"].as_array().expect("a list");
    let same = warnings
        .iter()
        .find(|warning| warning["code"] == "duplicate");
    assert_eq!(same.expect("a duplicate")["task"], json!(id));
    // One interface has one kind of XDP, and what the preview says of it is what then happens.
    let other = preview(json!({"hook": "xdp"}));
    let conflict = other["hooks"][0]["conflict"].as_str().expect("a conflict");
    assert!(
        codes(&other).contains(&"hook_conflict".to_owned()),
        "{other}"
    );
    let failed = daemon.create(udp_task(json!({"hook": "xdp"})));
    let failed = daemon.reach(&failed, "failed");
    assert_eq!(failed["error"], conflict);
    let refused = answer(
        &daemon,
        begin(&daemon, json!({"interfaces": [HOST_IF], "hook": "xdp"}), 1),
    );
    assert_eq!(refused.problem(409), [(String::new(), "hook".to_owned())]);
    daemon.stop_task(&id);
    daemon.stop();
}
