//! Every error of the contract, with all its fields (`Answer::problem`), its codes and its headers.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::net::UnixStream,
    time::Duration,
};

use capture_tests::{
    TIMEOUT,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    eventually,
    http::{self, Answer},
    netns::{HOST_IF, Lab},
    traffic,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{JSON, NO_TASK};

const TASKS: &str = "/api/v1/tasks";

/// What is wrong, as pointers and codes.
fn wrong(errors: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(pointer, code): &(&str, &str)| ((*pointer).to_owned(), (*code).to_owned());
    errors.iter().map(owned).collect()
}

#[test]
fn what_is_wrong_with_a_request_is_said_with_its_place() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let file = format!("{TASKS}/{NO_TASK}/files/0");
    let task = udp_task(json!({})).to_string();
    let text = ("Content-Type", "text/plain");
    let key = ("Idempotency-Key", "a b");
    let host = ("Host", "evil.example");
    let post = |query: &str| format!("{TASKS}{query}");
    type Row<'a> = (
        u16,
        &'a str,
        String,
        &'a [(&'a str, &'a str)],
        &'a str,
        &'a [(&'a str, &'a str)],
    );
    let rows: [Row<'_>; 19] = [
        (
            400,
            "POST",
            post(""),
            &[JSON],
            "{\"name\": ",
            &[("", "json")],
        ),
        (400, "POST", post(""), &[JSON], "", &[("", "json")]),
        (
            400,
            "POST",
            post(""),
            &[JSON, key],
            &task,
            &[("", "idempotency_key")],
        ),
        (
            400,
            "POST",
            post("?dry_run=yes"),
            &[JSON],
            &task,
            &[("/dry_run", "invalid")],
        ),
        (
            400,
            "POST",
            post("?dryrun=true"),
            &[JSON],
            &task,
            &[("/dryrun", "unknown")],
        ),
        (
            400,
            "GET",
            post("?limit=0&state=asleep&x=1"),
            &[],
            "",
            &[
                ("/state", "invalid"),
                ("/limit", "invalid"),
                ("/x", "unknown"),
            ],
        ),
        (
            400,
            "GET",
            post("?limit=1&limit=2"),
            &[],
            "",
            &[("/limit", "conflict")],
        ),
        (
            400,
            "GET",
            post("?cursor=../.."),
            &[],
            "",
            &[("/cursor", "invalid")],
        ),
        (
            400,
            "GET",
            "/api/v1/quota?account=x".into(),
            &[],
            "",
            &[("/account", "unknown")],
        ),
        (403, "GET", post(""), &[host], "", &[("", "foreign_host")]),
        (
            403,
            "GET",
            "/metrics".into(),
            &[host],
            "",
            &[("", "foreign_host")],
        ),
        (
            403,
            "POST",
            post(""),
            &[JSON, ("Origin", "https://evil.example")],
            &task,
            &[("", "foreign_origin")],
        ),
        (
            404,
            "GET",
            format!("{TASKS}/{NO_TASK}"),
            &[],
            "",
            &[("", "not_found")],
        ),
        (404, "GET", file, &[], "", &[("", "not_found")]),
        (
            404,
            "GET",
            "/api/v2/tasks".into(),
            &[],
            "",
            &[("", "not_found")],
        ),
        (
            405,
            "PUT",
            post(""),
            &[JSON],
            &task,
            &[("", "method_not_allowed")],
        ),
        (415, "POST", post(""), &[text], &task, &[("", "media_type")]),
        (415, "POST", post(""), &[], &task, &[("", "media_type")]),
        (422, "POST", post(""), &[JSON], "[1]", &[("", "invalid")]),
    ];
    for (status, method, target, headers, body, errors) in rows {
        let answer = daemon.ask_with(method, &target, headers, body.as_bytes());
        assert_eq!(
            answer.problem(status),
            wrong(errors),
            "{method} {target} {body}"
        );
    }
    daemon.stop();
}

#[test]
fn all_faults_of_a_task_are_said_at_once_each_with_its_field() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let invalid = json!({
        "name": "", "interfaces": [HOST_IF, "no-such0"], "direction": "up", "hook": "tcx", "protocol": "icmp",
        "ip": "10.0.0.300", "ports": [443, 70_000], "peer_ports": [1], "max_bytes": 65_536, "oversize": "drop",
        "duration": "1x", "max_packets": 0, "max_file_bytes": "many", "format": "pcapng2", "start_at": "soon",
        "rotate": {"bytes": 0}, "prot": "tcp", "icmp_errors": "yes",
    });
    let answer = daemon.ask("POST", "/tasks", Some(&invalid));
    let said = answer.json()["errors"].clone();
    let found = answer.problem(422);
    for field in [
        "/name",
        "/interfaces/1",
        "/direction",
        "/hook",
        "/ip",
        "/ports/1",
        "/peer_ports",
        "/max_bytes",
        "/oversize",
        "/duration",
        "/max_packets",
        "/max_file_bytes",
        "/format",
        "/start_at",
        "/rotate/bytes",
        "/prot",
        "/icmp_errors",
    ] {
        let is_said = found.iter().any(|(pointer, _)| pointer.starts_with(field));
        assert!(is_said, "{field}: {said:#}");
    }
    // None twice, also where a field has several.
    let details = said.as_array().expect("a list").iter();
    let details: BTreeSet<_> = details.map(|error| error["detail"].to_string()).collect();
    assert_eq!(details.len(), found.len(), "{said:#}");

    // What the machine and the configuration do not allow.
    let task =
        json!({"name": "n", "interfaces": ["no-such0", HOST_IF, "no-such1"], "duration": "25h"});
    let mut found = daemon.ask("POST", "/tasks", Some(&task)).problem(422);
    found.sort();
    let expected = [
        ("/duration", "out_of_range"),
        ("/interfaces/0", "unknown"),
        ("/interfaces/2", "unknown"),
    ];
    assert_eq!(found, wrong(&expected));
    daemon.stop();
}

/// Whoever may create tasks must not make them so large that others feel it.
#[test]
fn a_task_has_bounds() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    for (field, value, pointer) in [
        ("interfaces", json!(vec!["x"; 257]), "/interfaces"),
        ("ports", json!(vec![1; 1025]), "/ports"),
        ("rotate", json!({"bytes": 65_535}), "/rotate/bytes"),
        (
            "rotate",
            json!({"bytes": "1MiB", "files": 10_001}),
            "/rotate/files",
        ),
        ("max_file_bytes", json!(100), "/max_file_bytes"),
    ] {
        let mut task = udp_task(json!({}));
        task[field] = value;
        let path = "/tasks?dry_run=true";
        let found = daemon.ask("POST", path, Some(&task)).problem(422);
        assert_eq!(found, wrong(&[(pointer, "out_of_range")]));
    }
    let mut task = udp_task(json!({"rotate": {"bytes": "64KiB", "files": 10_000}}));
    task["ports"] = (0..1024).map(|n| json!(1023 - n)).collect();
    let id = daemon.run(task);
    assert_eq!(daemon.task(&id)["spec"]["ports"], json!(["0-1023"]));
    daemon.stop_task(&id);
    daemon.stop();
}

#[test]
fn a_conflict_says_which() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let headers = [JSON, ("Idempotency-Key", "k")];
    let post = |task: Value| daemon.ask_with("POST", TASKS, &headers, task.to_string().as_bytes());
    let id = post(udp_task(json!({}))).expect(201).json()["id"].clone();
    let id = id.as_str().expect("an ID");
    daemon.reach(id, "running");
    let reused = post(udp_task(json!({"name": "another"})));
    assert_eq!(reused.problem(409), wrong(&[("", "key_reused")]));
    let one = format!("/tasks/{id}");
    let unfinished = daemon.ask("DELETE", &one, None);
    assert_eq!(unfinished.problem(409), wrong(&[("", "unfinished")]));
    assert_eq!(daemon.task(id)["state"], "running");
    daemon.stop();
}

#[test]
fn the_quota_of_the_day_says_when_to_come_back() {
    let lab = Lab::new();
    let home = daemon::home("[quota]\ntasks_per_day = 2");
    let daemon = daemon::start_in(&lab.host, &home);
    let task = udp_task(json!({"max_file_bytes": "1MiB"}));
    // Neither what is invalid nor a trial counts, and a deletion gives nothing back.
    daemon.ask("POST", "/tasks", Some(&json!({}))).problem(422);
    let dry = "/tasks?dry_run=true";
    daemon.ask("POST", dry, Some(&task)).expect(200);
    for _ in 0..2 {
        let id = daemon.run(task.clone());
        let path = format!("/tasks/{id}?force=true");
        daemon.ask("DELETE", &path, None).expect(204);
    }
    let refused = daemon.ask("POST", "/tasks", Some(&task));
    let after = refused.header("retry-after").map(str::parse::<u64>);
    let after = after.expect("Retry-After").expect("a number");
    assert!((1..=86_400).contains(&after), "{after}");
    assert_eq!(refused.problem(429), wrong(&[("", "quota")]));
    let quota = daemon.ask("GET", "/quota", None).expect(200).json();
    assert_eq!(
        (&quota["used"], &quota["remaining"]),
        (&json!(2), &json!(0))
    );
    daemon.stop();

    // An edition that may not capture is no matter of the day.
    daemon::configure(&home, "[quota]\nedition = \"premium\"");
    let daemon = daemon::start_in(&lab.host, &home);
    let refused = daemon.ask("POST", "/tasks", Some(&task));
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(refused.problem(403), wrong(&[("", "edition")]));
    daemon.stop();
}

#[test]
fn the_disk_budget_says_what_is_left() {
    let lab = Lab::new();
    let home = daemon::home("[limits]\ndisk_budget = \"1MB\"");
    let daemon = daemon::start_in(&lab.host, &home);
    let refused = daemon.ask(
        "POST",
        "/tasks",
        Some(&udp_task(json!({"max_file_bytes": 1_000_001}))),
    );
    let detail = refused.json()["detail"].to_string();
    for word in ["1000001", "1000000", "max_file_bytes"] {
        assert!(detail.contains(word), "{word}: {detail}");
    }
    let expected = wrong(&[("/max_file_bytes", "disk_budget")]);
    assert_eq!(refused.problem(507), expected);
    // By what there is then, and by the default where none is given.
    let refused = daemon.ask("POST", "/tasks", Some(&udp_task(json!({}))));
    assert_eq!(refused.problem(507), expected);
    let id = daemon.run(udp_task(json!({"max_file_bytes": 900_000})));
    traffic::send_to_host(&lab, 0..1000, 500);
    daemon.captured(&id, 1000);
    daemon.stop_task(&id);
    let large = udp_task(json!({"max_file_bytes": 900_000}));
    assert_eq!(
        daemon.ask("POST", "/tasks", Some(&large)).problem(507),
        expected
    );
    daemon
        .ask("DELETE", &format!("/tasks/{id}"), None)
        .expect(204);
    daemon.create(large);
    daemon.stop();
}

#[test]
fn files_whose_time_is_over_are_gone_and_the_record_stays() {
    let lab = Lab::new();
    let home = daemon::home("[limits]\nretention = \"1s\"");
    let daemon = daemon::start_in(&lab.host, &home);
    let id = daemon.run(udp_task(json!({"max_packets": 10})));
    traffic::send_to_host(&lab, 0..10, 500);
    let ended = daemon.ended(&id);
    let path = format!("/tasks/{id}/files/0");
    let file = |daemon: &Daemon| daemon.ask("GET", &path, None);
    let is_over = || {
        let now = super::time("now");
        ended["expires_at"].as_str().is_some_and(|at| *at < *now)
    };
    assert!(eventually(TIMEOUT, is_over), "{ended}");
    // A start does not take the wall clock's word for it; that so much time has really passed since is enough.
    // It is looked for every half minute.
    let daemon = daemon::start_in(&lab.host, &daemon.stop().home);
    file(&daemon).expect(200);
    // The files go first and the record says so then: between the two there is no such file.
    let gone = || file(&daemon).status == 410;
    assert!(eventually(2 * TIMEOUT, gone));
    assert_eq!(file(&daemon).problem(410), wrong(&[("", "files_removed")]));
    let found = daemon::without_findings(daemon.task(&id));
    assert_eq!(found, daemon::without_findings(ended));
    assert!(!daemon.captures(&id).exists());
    daemon
        .ask("DELETE", &format!("/tasks/{id}"), None)
        .expect(204);
    assert_eq!(file(&daemon).problem(404), wrong(&[("", "not_found")]));
    daemon.stop();
}

/// A request whose body is not sent yet; what it expects is said before that is read.
fn begin(daemon: &Daemon, length: usize, more: &str) -> UnixStream {
    let mut stream = UnixStream::connect(daemon.socket()).expect("connected");
    stream
        .set_read_timeout(Some(Duration::from_secs(90)))
        .expect("a limit");
    let head = format!(
        "POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

#[track_caller]
fn answer_on(daemon: &Daemon, mut stream: UnixStream) -> Answer {
    let answer = http::read(&mut stream).expect("an answer");
    daemon.document().check("POST", TASKS, &answer);
    answer
}

#[test]
fn a_body_that_is_too_long_or_too_slow_is_not_waited_for() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    daemon.document();
    let long = answer_on(&daemon, begin(&daemon, (64 << 10) + 1, ""));
    assert_eq!(long.header("connection"), Some("close"));
    assert_eq!(long.problem(413), wrong(&[("", "too_large")]));
    // Half a minute, as the daemon says.
    let slow = answer_on(&daemon, begin(&daemon, 64 << 10, ""));
    assert_eq!(slow.header("connection"), Some("close"));
    assert_eq!(slow.problem(408), wrong(&[("", "timeout")]));
    daemon.stop();
}

#[test]
fn a_daemon_that_ends_says_so_to_who_still_asks() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let body = udp_task(json!({})).to_string();
    daemon.document();
    let mut stream = begin(&daemon, body.len(), "Expect: 100-continue\r\n");
    // From then on it is under way.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).expect("an answer");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    daemon.signal(Signal::SIGTERM);
    let has_begun = || daemon.stderr().contains("SIGTERM: ending");
    assert!(eventually(TIMEOUT, has_begun), "{}", daemon.stderr());
    stream.write_all(body.as_bytes()).expect("sent");
    let answer = answer_on(&daemon, stream);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.problem(503), wrong(&[("", "closing")]));
    assert_eq!(daemon.wait_end().status.code(), Some(0));
}

/// Of one user, no more than 256 that are busy; the daemon's limit.
#[test]
fn who_keeps_too_many_connections_busy_is_told() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let listen = || {
        let mut stream = UnixStream::connect(daemon.socket()).expect("connected");
        let head = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(head).expect("sent");
        stream.read_exact(&mut [0; 12]).expect("an answer");
        stream
    };
    daemon.document();
    let busy: Vec<_> = (0..256).map(|_| listen()).collect();
    // It may be told before it has asked.
    let mut late = UnixStream::connect(daemon.socket()).expect("connected");
    let refused = http::read(&mut late).expect("an answer");
    daemon.document().check("GET", "/healthz", &refused);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.problem(503), wrong(&[("", "connections")]));
    drop(busy);
    let is_free = || {
        http::ask(&daemon.socket(), "GET", "/healthz", &[], b"")
            .is_ok_and(|answer| answer.status == 200)
    };
    assert!(eventually(TIMEOUT, is_free));
    daemon.stop();
}

/// Over TCP nothing but the probes and a login is answered without a token.
#[test]
fn every_call_but_the_probes_needs_a_token_over_tcp() {
    let lab = Lab::new();
    let address: SocketAddr = "127.0.0.1:8080".parse().expect("an address");
    let home = daemon::home(&format!("{UNLIMITED}\n[http]\nlisten = \"{address}\""));
    let daemon = daemon::start_in(&lab.host, &home);
    let ask = |method: &str, target: &str, headers: &[(&str, &str)]| {
        let asked = || http::ask_tcp(address, method, target, headers, b"");
        let answer = lab.host.within(asked).expect("an answer");
        daemon.document().check(method, target, &answer);
        answer
    };
    let mut calls = daemon.document().calls();
    calls.push(("GET".to_owned(), "/api/v1/openapi.json".to_owned()));
    for (method, path) in calls {
        let target = path.replace("{id}", NO_TASK).replace("{n}", "0");
        let answer = ask(&method, &target, &[]);
        if matches!(&*target, "/healthz" | "/readyz") {
            answer.expect(200);
            continue;
        }
        if (&*method, &*target) == ("POST", "/api/v1/session") {
            assert_eq!(answer.problem(415), wrong(&[("", "media_type")]));
            continue;
        }
        let told = answer.header("www-authenticate");
        assert_eq!(told, Some("Bearer realm=\"capture-agent\""), "{target}");
        // What a share shows is for who has its secret, whatever else they have.
        if target.starts_with("/api/v1/shared") {
            assert_eq!(answer.problem(401), wrong(&[("", "share_missing")]));
            let answer = ask(&method, &target, &[("Share", "shr_0")]);
            assert_eq!(answer.problem(401), wrong(&[("", "share_invalid")]));
            continue;
        }
        assert_eq!(answer.problem(401), wrong(&[("", "token_missing")]));
        let answer = ask(&method, &target, &[("Authorization", "Bearer cap_0")]);
        assert_eq!(answer.problem(401), wrong(&[("", "token_invalid")]));
    }
    // A task of another account is for administrators.
    let id = daemon.run(udp_task(json!({})));
    let token = daemon.token("alice", "operator", "alice");
    let bearer = format!("Bearer {token}");
    let target = format!("{TASKS}/{id}?force=true");
    let refused = ask("DELETE", &target, &[("Authorization", &bearer)]);
    assert_eq!(refused.problem(403), wrong(&[("", "role")]));
    let quota = ask("GET", "/api/v1/quota", &[("Authorization", &bearer)]).expect(200);
    assert_eq!(quota.json()["account"], "alice");
    daemon.stop();
}
