//! The packets of tasks through the API, while they run and when they have ended, and that nothing that happens to the
//! processes which read them harms a capture, or the daemon.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use capture_tests::{
    TIMEOUT,
    daemon::{self, Daemon, udp_task},
    eventually,
    http::Answer,
    netns::Lab,
    output, traffic,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::audit_lines::audit_lines;

fn ask(daemon: &Daemon, id: &str, rest: &str) -> Answer {
    daemon.ask("GET", &format!("/tasks/{id}/packets{rest}"), None)
}

/// Asks as a page does: until all was looked at.
fn rows(daemon: &Daemon, id: &str, query: &str) -> Value {
    let mut answer = Value::Null;
    let is_complete = eventually(TIMEOUT, || {
        answer = ask(daemon, id, &format!("?{query}")).expect(200).json();
        answer["complete"] == true
    });
    assert!(is_complete, "{answer}");
    answer
}

fn numbers(answer: &Value) -> Vec<u64> {
    let rows = answer["rows"].as_array().expect("rows").iter();
    rows.map(|row| row["number"].as_u64().expect("a number"))
        .collect()
}

/// What was written of looks at packets, without who and when.
fn looks(daemon: &Daemon) -> Vec<(String, String)> {
    let lines = audit_lines(daemon, "packets").into_iter();
    lines.map(|line| (line.action, line.object)).collect()
}

/// The same columns by tshark.
fn tshark(file: &Path) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields"]);
    for field in [
        "frame.number",
        "frame.time_epoch",
        "ip.src",
        "ip.dst",
        "frame.len",
        "udp.srcport",
    ] {
        command.args(["-e", field]);
    }
    let text = output(&mut command);
    let lines = text.lines();
    lines
        .map(|line| line.split('\t').map(ToOwned::to_owned).collect())
        .collect()
}

#[test]
fn packets_are_shown_while_they_come_and_as_tshark_shows_them() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    assert_eq!(rows(&daemon, &id, "")["packets"], 0);
    traffic::send_to_host(&lab, 0..300, 500);
    let seen = eventually(TIMEOUT, || rows(&daemon, &id, "limit=1")["packets"] == 300);
    assert!(seen, "{}", daemon.stderr());
    let live = rows(&daemon, &id, "from=-2&filter=udp");
    assert_eq!(numbers(&live), [299, 300]);
    assert_eq!(
        (&live["growing"], &live["complete"]),
        (&json!(true), &json!(true))
    );
    traffic::send_to_host(&lab, 300..500, 500);
    let seen = eventually(TIMEOUT, || {
        rows(&daemon, &id, "filter=udp&limit=1")["matched"] == 500
    });
    assert!(seen, "{}", daemon.stderr());
    daemon.stop_task(&id);

    let all = rows(
        &daemon,
        &id,
        "limit=500&columns=frame.time_epoch,udp.srcport",
    );
    assert_eq!(
        (&all["growing"], &all["packets"]),
        (&json!(false), &json!(500))
    );
    let wanted = tshark(&daemon.captures(&id).join("capture.pcapng"));
    let got = all["rows"].as_array().expect("rows");
    assert_eq!(got.len(), wanted.len());
    for (got, wanted) in got.iter().zip(&wanted) {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let got = [
            &got["number"],
            &got["columns"][0],
            &got["source"],
            &got["destination"],
            &got["length"],
            &got["columns"][1],
        ];
        assert_eq!(got.map(text).as_slice(), wanted);
    }
    let first = &got[0];
    assert_eq!(
        (&first["protocol"], &first["direction"]),
        (&json!("UDP"), &json!("in"))
    );

    let detail = ask(&daemon, &id, "/500").expect(200).json();
    assert_eq!(detail["previous_in_stream"], 499);
    assert_eq!(detail["next_in_stream"], Value::Null);
    let conversation = detail["conversation"].as_str().expect("a filter");
    let query = format!(
        "limit=1&filter={}",
        conversation.replace(' ', "+").replace("==", "%3d%3d")
    );
    assert_eq!(rows(&daemon, &id, &query)["matched"], 500);
    let time = first["time"].as_str().expect("a time");
    let at = ask(&daemon, &id, &format!("/at?time={time}"))
        .expect(200)
        .json();
    assert_eq!(at, json!({"position": 0, "complete": true}));
    let position = ask(&daemon, &id, "/position?number=77&filter=udp")
        .expect(200)
        .json();
    assert_eq!(position["position"], 76);

    // Once for each who looks and each filter, however often they ask.
    let looks = looks(&daemon);
    let filters: Vec<_> = looks
        .iter()
        .map(|(action, object)| (action.as_str(), object.as_str()))
        .collect();
    let conversation = format!("{id} {conversation}");
    assert_eq!(
        filters,
        [
            ("packets.open", id.as_str()),
            ("packets.filter", &format!("{id} udp")),
            ("packets.filter", &conversation),
        ]
    );
    daemon.stop();
}

#[test]
fn what_is_asked_wrongly_says_where() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let later = output(Command::new("date").args(["-u", "-d", "1 hour", "+%Y-%m-%dT%H:%M:%SZ"]));
    let id = daemon.create(udp_task(json!({"start_at": later.trim()})));
    assert_eq!(rows(&daemon, &id, "")["packets"], 0, "it waits");
    let wrong = ask(&daemon, &id, "?filter=udp+and+no.such+%3d%3d+1")
        .expect(422)
        .json();
    let error = &wrong["errors"][0];
    assert_eq!(error["pointer"], "/filter");
    assert_eq!((&error["from"], &error["to"]), (&json!(8), &json!(15)));
    let wrong = ask(&daemon, &id, "?columns=no.such").expect(422).json();
    assert_eq!(wrong["errors"][0]["pointer"], "/columns");
    ask(&daemon, &id, "?limit=501").expect(400);
    ask(&daemon, &id, "/at").expect(400);
    ask(&daemon, &id, "/1").expect(404);
    ask(&daemon, &id, "?file=7").expect(404);
    let check = daemon
        .ask("GET", "/filter?text=tcp.port+%3d%3d+443", None)
        .expect(200)
        .json();
    assert_eq!(check["valid"], true);
    assert_eq!(
        check["tshark"],
        "tshark -r capture.pcapng -Y 'tcp.port == 443'"
    );
    let check = daemon
        .ask("GET", "/filter?text=tcp.prt", None)
        .expect(200)
        .json();
    assert_eq!(
        (&check["valid"], &check["faults"][0]["to"]),
        (&json!(false), &json!(7))
    );
    let fields = daemon
        .ask("GET", "/filter/fields?prefix=udp.&limit=2", None)
        .expect(200)
        .json();
    assert_eq!(fields["fields"][0]["name"], "udp.srcport");
    // A filter as long as they may be, over whatever is nested in it.
    let hostile = "(".repeat(4096);
    let began = Instant::now();
    ask(&daemon, &id, &format!("?filter={hostile}")).expect(422);
    assert!(began.elapsed() < Duration::from_secs(1));
    daemon.stop();
}

#[test]
fn a_rotation_is_one_capture_and_its_ring_loses_the_first() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(
        json!({"rotate": {"bytes": 65_536, "files": 3}, "max_file_bytes": "1MiB"}),
    ));
    for round in 0..10_u32 {
        traffic::send_to_host(&lab, round * 100..round * 100 + 100, 500);
        let wanted = u64::from(round) * 100 + 100;
        daemon.captured(&id, wanted);
        let got = rows(&daemon, &id, "from=-1");
        let files = daemon.task(&id)["files"].as_array().expect("files").clone();
        let there: u64 = files
            .iter()
            .filter_map(|file| file["packets"].as_u64())
            .sum();
        let packets = got["packets"].as_u64().expect("a number");
        assert!(
            packets >= there && packets <= wanted,
            "{packets} of {there}"
        );
        let last = files.last().expect("a file");
        assert_eq!(got["rows"][0]["file"], last["index"]);
    }
    daemon.stop_task(&id);
    let files = daemon.task(&id)["files"].as_array().expect("files").clone();
    assert_eq!(files.len(), 3, "the ring");
    let got = rows(&daemon, &id, "limit=1");
    assert_eq!(got["rows"][0]["file"], files[0]["index"]);
    assert_eq!(got["rows"][0]["number"], 1);
    let of_last = format!("file={}&from=-1", files[2]["index"]);
    let got = rows(&daemon, &id, &of_last);
    assert_eq!(got["rows"][0]["number"], files[2]["packets"]);
    daemon.stop();
}

#[test]
fn an_inspector_that_is_killed_or_hangs_is_one_failed_answer() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    traffic::send_to_host(&lab, 0..100, 500);
    daemon.captured(&id, 100);
    let before = daemon.inspectors();
    assert_eq!(rows(&daemon, &id, "limit=1")["packets"], 100);
    let all = daemon.inspectors();
    let ours: Vec<_> = all.iter().filter(|id| !before.contains(id)).collect();
    let [process] = ours[..] else {
        panic!("{before:?}, then {all:?}");
    };
    kill(Pid::from_raw(*process), Signal::SIGKILL).expect("it runs");
    let failed = ask(&daemon, &id, "").expect(503).json();
    assert_eq!(failed["errors"][0]["code"], "view_failed");
    let detail = failed["detail"].as_str().expect("a sentence");
    assert!(
        detail.starts_with("the packets cannot be shown: the inspector was killed"),
        "{detail}"
    );
    // The next one begins anew, and hangs.
    assert_eq!(rows(&daemon, &id, "limit=1")["packets"], 100);
    let all = daemon.inspectors();
    let process = all
        .iter()
        .find(|id| !before.contains(id))
        .expect("another one");
    kill(Pid::from_raw(*process), Signal::SIGSTOP).expect("it runs");
    let began = Instant::now();
    let failed = ask(&daemon, &id, "").expect(503).json();
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(failed["errors"][0]["code"], "view_failed");
    // Neither the capture nor the daemon is harmed.
    traffic::send_to_host(&lab, 100..200, 500);
    daemon.captured(&id, 200);
    let seen = eventually(TIMEOUT, || rows(&daemon, &id, "limit=1")["packets"] == 200);
    assert!(seen, "{}", daemon.stderr());
    // What looks at it does not keep a task.
    daemon
        .ask("DELETE", &format!("/tasks/{id}?force=true"), None)
        .expect(204);
    ask(&daemon, &id, "").expect(404);
    let gone = eventually(TIMEOUT, || {
        daemon.inspectors().iter().all(|id| before.contains(id))
    });
    assert!(gone, "{:?}", daemon.inspectors());
    daemon.stop();
}
