//! The calls about tasks, and those that only read.

use std::collections::BTreeSet;

use capture_tests::{
    daemon::{self, Daemon, UNLIMITED, udp_task},
    http::Answer,
    netns::{HOST_IF, Lab},
    record, traffic,
};
use serde_json::{Value, json};

use super::{JSON, NO_TASK, time};

#[track_caller]
fn post(daemon: &Daemon, query: &str, headers: &[(&str, &str)], task: &Value) -> Answer {
    let headers = [&[JSON], headers].concat();
    let target = format!("/api/v1/tasks{query}");
    daemon.ask_with("POST", &target, &headers, task.to_string().as_bytes())
}

/// What every answer of ours has, that no browser makes a page of it or keeps it.
#[track_caller]
fn assert_hardened(answer: &Answer, kind: &str) {
    assert_eq!(answer.header("content-type"), Some(kind));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn a_creation_answers_with_the_task_and_where_it_is() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let asked = udp_task(
        json!({"name": "web “é”", "ip": "10.0.0.1", "ports": [9, "20-30"],
        "max_file_bytes": "1MiB"}),
    );
    let checked = post(&daemon, "?dry_run=true", &[], &asked).expect(200);
    let checked = checked.json();
    assert_eq!(checked["valid"], true);
    for (field, value) in asked.as_object().expect("an object") {
        if !["duration", "max_file_bytes"].contains(&field.as_str()) {
            assert_eq!(checked["spec"][field], *value, "{checked}");
        }
    }
    let list = daemon.ask("GET", "/tasks", None).expect(200).json();
    assert_eq!(list, json!({"tasks": [], "next_cursor": null}));

    let created = post(&daemon, "", &[], &asked).expect(201);
    assert_hardened(&created, "application/json");
    let task = created.json();
    record::assert_whole(&task);
    assert_eq!(
        (&task["state"], &task["name"]),
        (&json!("pending"), &asked["name"])
    );
    for (field, value) in asked.as_object().expect("an object") {
        assert_eq!(task["spec"][field], *value, "{task}");
    }
    let id = task["id"].as_str().expect("an ID");
    let location = format!("tasks/{id}");
    assert_eq!(created.header("location"), Some(&*location));
    let location = format!("/api/v1/{location}");
    let shown = daemon.ask_with("GET", &location, &[], b"").expect(200);
    assert_hardened(&shown, "application/json");
    assert_eq!(shown.json()["created_at"], task["created_at"]);
    let head = daemon.ask_with("HEAD", &location, &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));

    // Started in a while: its time is in it, and until then it waits.
    let at = time("1 hour");
    let later = post(&daemon, "", &[], &udp_task(json!({"start_at": at}))).expect(201);
    record::assert_whole(&later.json());
    assert_eq!(later.json()["start_at"], at);
    daemon.stop();
}

/// Whatever has become of the machine, or of the daemon, since.
#[test]
fn a_key_repeats_the_first_answer() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let daemon = daemon::start(&lab.host);
    let key = [("Idempotency-Key", "k-1")];
    let asked = udp_task(json!({"interfaces": ["cap1"]}));
    let first = post(&daemon, "", &key, &asked).expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    let id = first.json()["id"].as_str().expect("an ID").to_owned();
    daemon.reach(&id, "running");
    let repeats = |daemon: &Daemon| {
        let again = post(daemon, "", &key, &asked).expect(201);
        assert_eq!(again.json(), first.json());
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    };
    repeats(&daemon);
    // The interface goes; the request would not be valid any more.
    lab.host.ip("link del cap1");
    assert_eq!(daemon.ended(&id)["stop_reason"], "interface_gone");
    repeats(&daemon);
    let unknown = [("/interfaces/0".to_owned(), "unknown".to_owned())];
    for (query, headers) in [
        ("", &[][..]),
        ("", &[("Idempotency-Key", "k-2")]),
        ("?dry_run=1", &key),
    ] {
        assert_eq!(post(&daemon, query, headers, &asked).problem(422), unknown);
    }
    let ended = daemon.stop();
    let daemon = daemon::start_in(&lab.host, &ended.home);
    repeats(&daemon);
    let page = daemon.ask("GET", "/tasks", None).expect(200).json();
    assert_eq!(page["tasks"].as_array().map(Vec::len), Some(1));
    daemon.stop();
}

#[test]
fn lists_go_from_the_newest_to_the_oldest_by_page_and_state() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let waiting = udp_task(json!({"start_at": time("1 hour")}));
    let mut ids: Vec<_> = (0..5).map(|_| daemon.create(waiting.clone())).collect();
    ids.push(daemon.run(udp_task(json!({}))));
    ids.push(daemon.run(udp_task(json!({}))));
    daemon.stop_task(&ids[6]);
    ids.reverse();
    for limit in [1, 2, 7, 1000] {
        let mut found: Vec<String> = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/tasks?limit={limit}{cursor}");
            let page = daemon.ask("GET", &path, None).expect(200).json();
            let tasks = page["tasks"].as_array().expect("a list");
            assert!(tasks.len() <= limit, "{page}");
            for task in tasks {
                record::assert_whole(task);
                found.push(task["id"].as_str().expect("an ID").to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found, ids, "{limit} a page");
    }
    let in_state = |state: &str| {
        let path = format!("/tasks?state={state}");
        let page = daemon.ask("GET", &path, None).expect(200).json();
        let tasks = page["tasks"].as_array().expect("a list").iter();
        let ids = tasks.map(|task| task["id"].as_str().expect("an ID").to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(in_state("completed"), ids[..1]);
    assert_eq!(in_state("running"), ids[1..2]);
    assert_eq!(in_state("pending"), ids[2..]);
    assert_eq!(in_state("failed"), [""; 0]);
    daemon.stop();
}

#[test]
fn a_stop_is_repeatable_and_a_deletion_is_not() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    let (stop, one) = (format!("/tasks/{id}/stop"), format!("/tasks/{id}"));
    let unfinished = [(String::new(), "unfinished".to_owned())];
    assert_eq!(daemon.ask("DELETE", &one, None).problem(409), unfinished);
    let stopping = daemon.ask("POST", &stop, None).expect(202);
    assert_hardened(&stopping, "application/json");
    record::assert_whole(&stopping.json());
    let ended = daemon.ended(&id);
    let again = daemon.ask("POST", &stop, None).expect(202);
    assert_eq!(record::unjudged(again.json()), record::unjudged(ended));
    let deleted = daemon.ask("DELETE", &one, None).expect(204);
    assert!(deleted.body.is_empty());
    for (method, path) in [("GET", &one), ("DELETE", &one), ("POST", &stop)] {
        daemon.ask(method, path, None).problem(404);
    }

    // One that waits has nothing to lose.
    let id = daemon.create(udp_task(json!({"start_at": time("1 hour")})));
    daemon
        .ask("DELETE", &format!("/tasks/{id}"), None)
        .expect(204);
    // And one that runs is ended first.
    let id = daemon.run(udp_task(json!({})));
    let path = format!("/tasks/{id}?force=true");
    daemon.ask("DELETE", &path, None).expect(204);
    assert!(!daemon.captures(&id).exists());
    daemon.stop();
}

#[test]
fn what_only_reads() {
    let lab = Lab::new();
    let home = daemon::home("[quota]\ntasks_per_day = 7\nedition = \"enterprise\"");
    let daemon = daemon::start_in(&lab.host, &home);
    let id = daemon.run(udp_task(json!({"max_file_bytes": "1MiB"})));
    traffic::send_to_host(&lab, 0..20, 500);
    daemon.captured(&id, 20);

    let list = daemon.ask("GET", "/interfaces", None).expect(200);
    assert_hardened(&list, "application/json");
    let list = list.json();
    let found = list["interfaces"].as_array().expect("a list");
    let names: Vec<_> = found.iter().map(|found| &found["name"]).collect();
    assert_eq!(names, ["lo", HOST_IF]);
    let veth = &found[1];
    assert_eq!(
        (&veth["state"], &veth["mtu"], &veth["link_type"]),
        (&json!("up"), &json!(1500), &json!(1))
    );
    assert_eq!(veth["addresses"], json!(["10.0.0.1/24", "fd00::1/64"]));
    assert!(veth["rx"]["packets"].as_u64() >= Some(20), "{veth}");
    assert_eq!(
        (&veth["capturable"], &veth["conflict"], &veth["speed_mbps"]),
        (&json!(true), &Value::Null, &json!(10_000))
    );
    let route = daemon.ask("GET", "/interfaces/route?to=10.0.0.2", None);
    let route = route.expect(200).json();
    let expected =
        json!({"interface": HOST_IF, "source": "10.0.0.1", "gateway": null, "local": false});
    assert_eq!(route, expected);
    let nowhere = daemon.ask("GET", "/interfaces/route?to=192.0.2.1", None);
    nowhere.problem(404);

    let quota = daemon.ask("GET", "/quota", None).expect(200);
    assert_hardened(&quota, "application/json");
    let mut quota = quota.json();
    let resets = quota["resets_at"].take();
    assert_eq!(resets, time("tomorrow 00:00"));
    let expected = json!({"account": "root", "edition": "enterprise", "used": 1, "limit": 7, "remaining": 6,
        "resets_at": null});
    assert_eq!(quota, expected);

    for path in ["/healthz", "/readyz"] {
        let answer = daemon.ask_with("GET", path, &[], b"").expect(200);
        assert_hardened(&answer, "application/json");
        assert_eq!(answer.json(), json!({"status": "ok"}));
    }
    let metrics = daemon.ask_with("GET", "/metrics", &[], b"").expect(200);
    assert_hardened(&metrics, "text/plain; version=0.0.4; charset=utf-8");
    let text = metrics.text();
    for line in [
        "capture_agent_tasks{state=\"running\"} 1",
        "capture_agent_tasks{state=\"failed\"} 0",
        "capture_agent_packets_total{interface=\"cap0\",direction=\"ingress\",outcome=\"captured\"} 20",
        "capture_agent_dropped_packets_total{stage=\"ring\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    for name in [
        "bytes_total",
        "storage_bytes",
        "ring_used_ratio",
        "build_info",
    ] {
        let name = format!("# TYPE capture_agent_{name} ");
        assert!(text.contains(&name), "{name}:\n{text}");
    }
    daemon.stop();
}

/// The document as it was when it was last looked at by people; the daemon's unit tests keep it in step.
const DOCUMENT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../capture-daemon/src/api/openapi.json"
));

#[test]
fn the_document_is_served_and_each_path_knows_its_methods() {
    let lab = Lab::new();
    let daemon = daemon::start_in(&lab.host, &daemon::home(UNLIMITED));
    let answer = daemon.ask_with("GET", "/api/v1/openapi.json", &[], b"");
    assert_hardened(&answer, "application/json");
    let mut served = answer.json();
    assert_eq!(served["info"]["version"], env!("CARGO_PKG_VERSION"));
    served["info"]["version"] = json!("0");
    let looked_at: Value = serde_json::from_str(DOCUMENT).expect("JSON");
    assert!(served == looked_at, "another document is served");
    let found: BTreeSet<_> = daemon.document().calls().into_iter().collect();
    // Of each path, every other method is refused with those that there are.
    for (_, path) in found {
        let path = path.replace("{id}", NO_TASK).replace("{n}", "0");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if path.ends_with("/events") && method == "GET" {
                continue;
            }
            let answer = daemon.ask_with(method, &path, &[], b"");
            assert!(answer.status < 500, "{method} {path}: {}", answer.text());
            if answer.status >= 400 {
                let status = answer.status;
                answer.problem(status);
            }
        }
    }
    daemon.stop();
}
