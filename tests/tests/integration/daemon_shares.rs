//! Shares of captures: what they show of packets, and that the processes which show them end with them.

use std::{fs, process::Command};

use capture_tests::{
    TIMEOUT,
    daemon::{self, Daemon, udp_task},
    eventually,
    http::Answer,
    netns::{HOST4, Lab, PEER4},
    output, traffic,
};
use serde_json::{Value, json};

use crate::audit_lines::audit_lines;

/// Shares a task: the ID and the secret.
fn share(daemon: &Daemon, id: &str, terms: &Value) -> (String, String) {
    let path = format!("/tasks/{id}/shares");
    let made = daemon.ask("POST", &path, Some(terms)).expect(201).json();
    let url = made["url"].as_str().expect("a path");
    let secret = url.strip_prefix("/#/share/").expect("a fragment");
    let id = made["share"]["id"].as_str().expect("an ID");
    (id.to_owned(), secret.to_owned())
}

fn ask(daemon: &Daemon, secret: &str, rest: &str) -> Answer {
    daemon.ask_with(
        "GET",
        &format!("/api/v1/shared/{rest}"),
        &[("Share", secret)],
        b"",
    )
}

/// Asks until everything was looked at.
fn whole(daemon: &Daemon, secret: &str, rest: &str) -> Value {
    let mut answer = Value::Null;
    let done = eventually(TIMEOUT, || {
        answer = ask(daemon, secret, rest).expect(200).json();
        answer["complete"] == true
    });
    assert!(done, "{answer}");
    answer
}

#[test]
fn packets_of_several_files_are_one_capture_to_a_share() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(
        json!({"rotate": {"bytes": 65_536}, "max_file_bytes": "1MiB"}),
    ));
    traffic::send_to_host(&lab, 0..400, 500);
    daemon.captured(&id, 400);
    daemon.stop_task(&id);
    let before = daemon.inspectors();
    let opened = || {
        let all = daemon.inspectors().into_iter();
        all.filter(|id| !before.contains(id)).count()
    };
    let all = json!({"expires_in": 600, "packets": "whole", "anonymise": false});
    let (first, by_first) = share(&daemon, &id, &all);
    let (second, by_second) = share(
        &daemon,
        &id,
        &json!({"expires_in": 600, "packets": "headers"}),
    );
    // What the copies were made by has ended.
    assert!(
        eventually(TIMEOUT, || opened() == 0),
        "{:?}",
        daemon.inspectors()
    );

    let shown = whole(&daemon, &by_first, "packets?from=-1");
    assert_eq!(
        (&shown["matched"], &shown["rows"][0]["number"]),
        (&json!(400), &json!(400))
    );
    let stream = whole(&daemon, &by_first, "packets/7/stream?limit=3");
    assert!(stream["bytes"]["client"].as_u64().expect("a number") > 0);
    // The same packets, by tshark of the file of the share.
    let hidden = whole(&daemon, &by_second, "packets?limit=500");
    let rows = hidden["rows"].as_array().expect("rows");
    let file = daemon.home().path().join("shared.pcapng");
    fs::write(&file, ask(&daemon, &by_second, "file").expect(200).body).expect("room");
    let mut tshark = Command::new("tshark");
    tshark
        .arg("-r")
        .arg(&file)
        .args(["-T", "fields", "-e", "ip.src", "-e", "ip.dst"]);
    let text = output(&mut tshark);
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().expect("text").to_owned();
            format!("{}\t{}", text("source"), text("destination"))
        })
        .collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), told);
    let said = hidden.to_string();
    assert!(
        ![HOST4, PEER4].iter().any(|address| said.contains(address)),
        "{said}"
    );
    assert_eq!(opened(), 2);

    // The process that shows them ends with the share.
    daemon
        .ask("DELETE", &format!("/shares/{first}"), None)
        .expect(204);
    ask(&daemon, &by_first, "packets").expect(401);
    assert!(
        eventually(TIMEOUT, || opened() == 1),
        "{:?}",
        daemon.inspectors()
    );
    whole(&daemon, &by_second, "packets");
    daemon
        .ask("DELETE", &format!("/shares/{second}"), None)
        .expect(204);
    assert!(
        eventually(TIMEOUT, || opened() == 0),
        "{:?}",
        daemon.inspectors()
    );

    let uses: Vec<_> = audit_lines(&daemon, "share.use")
        .into_iter()
        .map(|line| line.object)
        .collect();
    let object = |share: &str, what: &str| format!("{id} share {share}: {what}");
    assert_eq!(
        uses,
        [
            object(&first, "packets"),
            object(&second, "packets"),
            object(&second, "file"),
        ]
    );
    let history = daemon.ask("GET", &format!("/tasks/{id}/history"), None);
    let history = history.expect(200).json();
    let lines = history["lines"].as_array().expect("lines").iter();
    let actions: Vec<_> = lines
        .filter_map(|line| line["action"].as_str())
        .filter(|action| action.starts_with("share"))
        .collect();
    assert_eq!(
        actions,
        [
            "share.create",
            "share.create",
            "share.use",
            "share.use",
            "share.use",
            "share.revoke",
            "share.revoke"
        ]
    );
    daemon.stop();
}
