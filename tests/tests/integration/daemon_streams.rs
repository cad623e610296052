//! What is said of many packets through the API: streams, conversations, their course in time, exports with notes, news as
//! they come, comparisons, and Wireshark's view.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use capture_tests::{
    TIMEOUT,
    daemon::{self, Daemon, udp_task},
    eventually,
    http::Answer,
    netns::Lab,
    output, traffic,
};
use serde_json::{Value, json};

use crate::audit_lines::audit_lines;

fn ask(daemon: &Daemon, id: &str, rest: &str) -> Answer {
    daemon.ask("GET", &format!("/tasks/{id}/{rest}"), None)
}

/// Asks until everything was looked at.
fn whole(daemon: &Daemon, id: &str, rest: &str) -> Value {
    let mut answer = Value::Null;
    let done = eventually(TIMEOUT, || {
        answer = ask(daemon, id, rest).expect(200).json();
        answer["complete"] == true
    });
    assert!(done, "{answer}");
    answer
}

/// What the audit log has of an action, oldest first.
fn lines(daemon: &Daemon, action: &str) -> Vec<String> {
    let lines = audit_lines(daemon, action).into_iter();
    lines
        .map(|line| format!("{} {}", line.object, line.outcome))
        .collect()
}

#[test]
fn many_packets_are_summed_up_saved_and_noted() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    traffic::send_to_host(&lab, 0..100, 500);
    daemon.captured(&id, 100);
    daemon.stop_task(&id);

    let page = whole(&daemon, &id, "conversations?sort=packets");
    assert_eq!(
        (&page["total"], &page["next_cursor"]),
        (&json!(1), &Value::Null)
    );
    let one = &page["conversations"][0];
    assert_eq!(
        (&one["protocol"], &one["packets"]),
        (&json!("udp"), &json!({"a": 100, "b": 0}))
    );
    let series = whole(&daemon, &id, "series?buckets=7&filter=udp");
    let packets = series["packets"].as_array().expect("a list");
    assert!(packets.len() <= 7);
    assert_eq!(packets.iter().filter_map(Value::as_u64).sum::<u64>(), 100);

    // The same bytes by tshark.
    let file = daemon.captures(&id).join("capture.pcapng");
    let stream = whole(&daemon, &id, "packets/7/stream?limit=3");
    assert_eq!(stream["segments"].as_array().map(Vec::len), Some(3));
    assert_eq!(stream["next"], 3);
    let raw = ask(&daemon, &id, "packets/7/stream?as=raw").expect(200);
    let disposition = raw.header("content-disposition").expect("a name");
    assert!(disposition.contains("-udp-packet-7.bin"), "{disposition}");
    let fields = ["-T", "fields", "-e", "udp.payload"];
    let text = output(Command::new("tshark").arg("-r").arg(&file).args(fields));
    let wanted: String = text.split_whitespace().collect();
    let hex: String = raw.body.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, wanted);

    let note = json!({"marked": true, "comment": "<img src=x onerror=alert(1)>\u{202e}"});
    let path = format!("/tasks/{id}/notes/42");
    let kept = daemon.ask("PUT", &path, Some(&note)).expect(200).json();
    assert_eq!(
        (&kept["number"], &kept["marked"]),
        (&json!(42), &json!(true))
    );
    let list = ask(&daemon, &id, "notes").expect(200).json();
    assert_eq!(list["notes"], json!([kept]));
    let rows = ask(&daemon, &id, "packets?from=41&limit=1")
        .expect(200)
        .json();
    assert_eq!(rows["rows"][0]["marked"], true);
    assert_eq!(rows["rows"][0]["comment"], note["comment"]);
    for (path, body, status) in [
        (
            format!("/tasks/{id}/notes/101"),
            json!({"marked": true}),
            404,
        ),
        (format!("/tasks/{id}/notes/0"), json!({"marked": true}), 404),
        (path.clone(), json!({"comment": "x".repeat(4097)}), 422),
        (path, json!({"mark": true}), 422),
    ] {
        daemon.ask("PUT", &path, Some(&body)).expect(status);
    }

    let digest = |name: &str| fs::read(daemon.captures(&id).join(name)).expect("the file");
    let before = digest("capture.pcapng");
    let export = ask(
        &daemon,
        &id,
        "export?filter=udp&from_number=40&until_number=44",
    )
    .expect(200);
    let copy = daemon.home().path().join("export.pcapng");
    fs::write(&copy, &export.body).expect("room");
    let fields = [
        "-T",
        "fields",
        "-e",
        "frame.time_epoch",
        "-e",
        "frame.comment",
    ];
    let text = output(Command::new("tshark").arg("-r").arg(&copy).args(fields));
    let comments: Vec<_> = text
        .lines()
        .map(|line| line.split('\t').nth(1).unwrap_or_default())
        .collect();
    assert_eq!(
        comments,
        ["", "", note["comment"].as_str().expect("text"), "", ""]
    );
    let times = |text: &str| -> Vec<String> {
        let times = text.lines().filter_map(|line| line.split('\t').next());
        times.map(ToOwned::to_owned).collect()
    };
    let all = output(
        Command::new("tshark")
            .arg("-r")
            .arg(&file)
            .args(&fields[..4]),
    );
    assert_eq!(times(&text), times(&all)[39..44]);
    assert!(
        digest("capture.pcapng") == before,
        "the capture stays as it is"
    );

    assert_eq!(
        lines(&daemon, "packets.stream"),
        [
            format!("{id} packet 7 done"),
            format!("{id} packet 7 saved done"),
        ]
    );
    assert_eq!(lines(&daemon, "packets.export"), [format!("{id} udp done")]);
    assert_eq!(
        lines(&daemon, "note.write"),
        [format!("{id} packet 42 done")]
    );
    daemon.stop();
}

/// Reads events until one of this name, and gives its data.
fn event(events: &mut Events, name: &str) -> Value {
    let wanted = format!("event: {name}");
    let mut is_it = false;
    for line in (&mut events.lines).lines() {
        let line = line.expect("a line in time");
        if let Some(data) = line.strip_prefix("data: ")
            && is_it
        {
            return serde_json::from_str(data).expect("JSON");
        }
        is_it = line == wanted;
    }
    panic!("the stream ended before {name}");
}

/// The events of a call, and the program that reads them.
struct Events {
    curl: Child,
    lines: BufReader<ChildStdout>,
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}

fn listen(daemon: &Daemon, path: &str) -> Events {
    let mut command = Command::new("curl");
    command.args(["-sN", "--max-time", "60", "--unix-socket"]);
    command.arg(daemon.socket());
    command.arg(format!("http://localhost/api/v1{path}"));
    let mut curl = command.stdout(Stdio::piped()).spawn().expect("curl");
    let lines = BufReader::new(curl.stdout.take().expect("a pipe"));
    Events { curl, lines }
}

#[test]
fn packets_are_followed_as_they_come_until_the_end() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    let mut all = listen(&daemon, &format!("/tasks/{id}/packets?follow=true"));
    let mut none = listen(
        &daemon,
        &format!("/tasks/{id}/packets?follow=true&filter=tcp"),
    );
    assert_eq!(event(&mut all, "packets")["packets"], 0);
    traffic::send_to_host(&lab, 0..120, 500);
    daemon.captured(&id, 120);
    let last = loop {
        let news = event(&mut all, "packets");
        if news["packets"] == 120 {
            break news;
        }
    };
    let rows = last["rows"].as_array().expect("rows");
    assert_eq!((rows.len(), &rows[49]["number"]), (50, &json!(120)));
    assert_eq!(last["growing"], true);
    // Somebody who comes later gets what there is at once.
    let mut late = listen(&daemon, &format!("/tasks/{id}/packets?follow=true"));
    assert_eq!(event(&mut late, "packets")["packets"], 120);
    daemon.stop_task(&id);
    for stream in [&mut all, &mut late, &mut none] {
        event(stream, "end");
    }
    ask(&daemon, &id, "packets?follow=true&limit=5").expect(400);
    ask(&daemon, &id, "packets?follow=true&filter=no.such").expect(422);
    // A task that is deleted meanwhile is told of.
    let id = daemon.run(udp_task(json!({})));
    let mut all = listen(&daemon, &format!("/tasks/{id}/packets?follow=true"));
    event(&mut all, "packets");
    daemon
        .ask("DELETE", &format!("/tasks/{id}?force=true"), None)
        .expect(204);
    assert_eq!(event(&mut all, "failed")["code"], "not_found");
    daemon.stop();
}

#[test]
fn two_tasks_are_compared() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let tasks = [100, 30].map(|packets| {
        let id = daemon.run(udp_task(json!({})));
        traffic::send_to_host(&lab, 0..packets, 500);
        daemon.captured(&id, packets.into());
        daemon.stop_task(&id);
        id
    });
    let body = json!({"task": tasks[0], "baseline": tasks[1]});
    let report = daemon
        .ask("POST", "/compare", Some(&body))
        .expect(200)
        .json();
    assert_eq!(report["comparison"]["baseline"]["packets"], 30);
    assert_eq!(report["packets"], 100);
    let running = daemon.run(udp_task(json!({})));
    let none = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for (body, status) in [
        (json!({"task": tasks[0], "baseline": running}), 409),
        (json!({"task": tasks[0], "baseline": none}), 404),
        (json!({"task": tasks[0]}), 422),
        (
            json!({"task": tasks[0], "baseline": tasks[1], "more": 1}),
            422,
        ),
    ] {
        daemon.ask("POST", "/compare", Some(&body)).expect(status);
    }
    daemon.stop();
}

#[test]
fn a_packet_as_wireshark_shows_it() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    traffic::send_to_host(&lab, 0..20, 500);
    daemon.captured(&id, 20);
    let ours = ask(&daemon, &id, "packets/15").expect(200).json();
    let theirs = ask(&daemon, &id, "packets/15?decoder=wireshark")
        .expect(200)
        .json();
    let decoder = theirs["decoder"].as_str().expect("text");
    assert!(decoder.starts_with("Wireshark "), "{decoder}");
    for key in ["row", "bytes", "conversation"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    let names = |detail: &Value| -> Vec<String> {
        let tree = detail["tree"].as_array().expect("a tree");
        let names = tree.iter().filter_map(|node| node["name"].as_str());
        names
            .filter(|name| *name != "frame")
            .map(ToOwned::to_owned)
            .collect()
    };
    assert_eq!(names(&ours)[..3], names(&theirs)[..3]);
    let label = theirs["tree"][0]["label"].as_str().expect("text");
    assert!(label.starts_with("Frame 15: "), "{label}");
    ask(&daemon, &id, "packets/99?decoder=wireshark").expect(404);
    ask(&daemon, &id, "packets/1?decoder=other").expect(400);
    // Nothing of it is left.
    std::thread::sleep(Duration::from_millis(200));
    let left = fs::read_dir("/proc").expect("processes").flatten();
    let left = left.filter(|entry| {
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        status.contains("Name:\tsharkd\n") && status.contains(&format!("PPid:\t{}\n", daemon.pid()))
    });
    assert_eq!(left.count(), 0);
    daemon.stop();
}
