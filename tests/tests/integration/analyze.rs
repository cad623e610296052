//! `analyze` and `run --analyze` as people use them: files of a rotation, of two hosts, a page, a comparison. What the
//! analysis itself finds is judged in `analysis`.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use capture_tests::{
    agent::{self, Ended, Running},
    netns::{HOST_IF, HOST4, Lab, PEER_IF},
    output, traffic,
};
use serde_json::Value;

/// Connections to a port where nothing listens.
fn refused(lab: &Lab, connections: u32) {
    let address: SocketAddr = format!("{HOST4}:8443").parse().expect("an address");
    lab.peer.within(|| {
        for _ in 0..connections {
            let connected = TcpStream::connect_timeout(&address, Duration::from_secs(5));
            assert!(connected.is_err(), "nothing listens");
        }
    });
}

fn capture<'a>(lab: &'a Lab, more: &[&str]) -> Running<'a> {
    agent::capture(&lab.host, &[&["-i", HOST_IF], more].concat())
}

fn analyze(arguments: &[&str], files: &[PathBuf]) -> Output {
    let mut command = Command::new(agent::binary());
    command.arg("analyze").args(arguments).args(files);
    command.output().expect("the agent starts")
}

fn json(files: &[PathBuf]) -> Value {
    let output = analyze(&["-o", "json"], files);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn codes(analysis: &Value) -> Vec<&str> {
    let findings = analysis["findings"].as_array().into_iter().flatten();
    findings.filter_map(|it| it["code"].as_str()).collect()
}

fn said(ended: &Ended) -> String {
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[test]
fn run_says_at_the_end_what_is_wrong() {
    let lab = Lab::new();
    let running = capture(&lab, &["--analyze", "--fail-on", "warn", "-w", "o.pcapng"]);
    refused(&lab, 3);
    let ended = running.stop().expect_code(7);
    assert_eq!(ended.field("verdict"), "complete");
    let analysis = &ended.summary()["analysis"];
    assert_eq!(codes(analysis), ["tcp.refused"], "{analysis}");
    // The same as of the file.
    assert_eq!(json(&[ended.file()])["findings"], analysis["findings"]);
}

#[test]
fn findings_stand_below_the_summary() {
    let lab = Lab::new();
    let arguments = [
        "-i",
        HOST_IF,
        "--analyze",
        "--fail-on",
        "high",
        "-w",
        "o.pcapng",
    ];
    let running = agent::start_with_table(&lab.host, &arguments);
    running.wait_ready();
    refused(&lab, 3);
    let ended = running
        .stop()
        .expect_code(0)
        .expect_stderr(&["lost        0"]);
    let text = said(&ended);
    assert!(text.starts_with("\nfound: 1 warn\no.pcapng\n"), "{text}");
    assert!(
        text.contains(&format!("{HOST4} port 8443 refused 3 connections")),
        "{text}"
    );
}

#[test]
fn run_refuses_to_analyze_what_it_cannot_read_again() {
    let lab = Lab::new();
    for (arguments, words) in [
        (
            &["--analyze", "-w", "-"][..],
            "--analyze: standard output cannot be read again",
        ),
        (
            &["--analyze", "-w", "/dev/null"],
            "--analyze: /dev/null cannot be read again",
        ),
        (&["--fail-on", "high", "-w", "o.pcapng"], "--analyze"),
    ] {
        let arguments = [&["-i", HOST_IF], arguments].concat();
        let ended = agent::start(&lab.host, &arguments).wait(Duration::from_secs(10));
        ended.expect_code(2).expect_stderr(&[words]);
    }
}

/// The figures of an answer, without what names files and their packets, and without what mergecap leaves out: statistics.
fn figures(analysis: &Value) -> Vec<Value> {
    let names = [
        "packets",
        "bytes",
        "first",
        "last",
        "protocols",
        "hosts",
        "conversations",
        "tcp",
        "series",
    ];
    names.map(|name| analysis[name].clone()).into()
}

#[test]
fn files_of_a_rotation_are_one_capture() {
    let lab = Lab::new();
    let running = capture(&lab, &["-C", "20kB", "-w", "ring.pcapng"]);
    for part in 0..4 {
        traffic::send(
            &lab.peer,
            PEER_IF,
            5000,
            traffic::frames(part * 50..part * 50 + 50, 400),
        );
        refused(&lab, 2);
    }
    let ended = running.stop().expect_whole("user");
    let mut files = ended.files();
    assert!(files.len() >= 4, "{files:?}");
    let merged = ended.directory.path().join("merged.pcapng");
    output(Command::new("mergecap").arg("-w").arg(&merged).args(&files));
    // Not in the order of time, as a shell may give them.
    files.reverse();
    let (several, one) = (json(&files), json(&[merged]));
    assert_eq!(figures(&several), figures(&one));
    assert_eq!(several["complete"], true);
    assert_eq!(
        (codes(&several), codes(&one)),
        (vec!["tcp.refused"], vec!["tcp.refused"])
    );

    // Each packet that is cited is the one that it is said to be.
    let cited = several["findings"][0]["packets"]
        .as_array()
        .expect("packets");
    assert!(cited.len() >= 8, "{cited:?}");
    for packet in cited {
        let number = |key: &str| packet[key].as_u64().expect("a number");
        let file = &files[number("file") as usize];
        let filter = format!(
            "frame.number == {} && tcp.flags.reset == 1",
            number("number")
        );
        let mut tshark = Command::new("tshark");
        let shown = output(tshark.arg("-r").arg(file).args(["-Y", &filter]));
        assert_eq!(shown.lines().count(), 1, "{packet}");
    }
}

#[test]
fn what_two_hosts_saw_counts_once() {
    let lab = Lab::new();
    let at_host = capture(&lab, &["--port", "8443", "-w", "o.pcapng"]);
    let at_peer = agent::capture(
        &lab.peer,
        &["-i", PEER_IF, "--port", "8443", "-w", "o.pcapng"],
    );
    refused(&lab, 10);
    let ends = [at_host.stop(), at_peer.stop()];
    let files = ends.each_ref().map(Ended::file);
    let (one, both) = (json(&files[..1]), json(&files));
    assert_eq!(one["packets"], 20);
    assert_eq!(both["packets"], 40);
    // A busy machine may take longer than a copy is waited for.
    let segments = both["tcp"]["segments"].as_u64().expect("a number");
    assert!((20..=24).contains(&segments), "{segments}");
    assert_eq!(codes(&both), ["tcp.refused", "capture.duplicates"]);
    assert_eq!(both["complete"], true);
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file")
}

#[test]
fn a_page_and_a_comparison() {
    let lab = Lab::new();
    let running = capture(&lab, &["-w", "o.pcapng"]);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..5, 400));
    let good = running.stop();
    let running = capture(&lab, &["-w", "o.pcapng"]);
    refused(&lab, 3);
    let ended = running.stop();
    let bad = ended.file();
    let page = ended.directory.path().join("page.html");
    let (page_text, good_text) = (
        page.display().to_string(),
        good.file().display().to_string(),
    );
    let arguments = [
        "-o",
        "html",
        "-w",
        &page_text,
        "--compare",
        &good_text,
        "--fail-on",
        "warn",
    ];
    let output = analyze(&arguments, std::slice::from_ref(&bad));
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = read(&page);
    for part in [
        "<!DOCTYPE html>",
        "tcp.refused",
        ">new</span>",
        "Compared with",
        "default-src 'none'",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("<script"), "{text}");

    // A capture is not written over by its answer.
    let before = fs::read(&bad).expect("a file");
    let output = analyze(
        &["-w", &bad.display().to_string()],
        std::slice::from_ref(&bad),
    );
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(fs::read(&bad).expect("a file"), before);
}
