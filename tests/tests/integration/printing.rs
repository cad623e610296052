//! `run --print`: lines on standard output while packets are captured, alone and beside a file.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

use capture_tests::{
    agent,
    netns::{HOST_IF, Lab, PEER_IF},
    traffic,
};

/// The lines of tcpdump for a file, without times.
fn tcpdump(file: &Path) -> Vec<String> {
    let mut command = Command::new("tcpdump");
    command.args(["-nn", "-t", "-Z", "root", "-r"]).arg(file);
    let output = command.output().expect("tcpdump runs");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A line without interface and direction, which tcpdump does not have.
fn without_place(line: &str) -> &str {
    line.split_once(" In  ").map_or(line, |(_, rest)| rest)
}

/// The agent, capturing, with its output in pipes.
fn start(lab: &Lab, directory: &Path, arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut command = lab.host.command(agent::binary());
    command
        .args(["run", "-i", HOST_IF, "--print"])
        .args(arguments)
        .current_dir(directory);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the agent starts");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("text");
    assert!(line.starts_with("capturing on "), "{line}");
    (child, errors)
}

fn rest(mut errors: BufReader<ChildStderr>) -> String {
    let mut text = String::new();
    errors.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn beside_a_file_every_packet_is_in_both() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = [
        "-Q", "in", "--port", "53", "-t", "-c", "500", "-w", "a.pcapng",
    ];
    let (child, errors) = start(&lab, directory.path(), &arguments);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..600, 100));
    let output = child.wait_with_output().expect("it ends");
    let errors = rest(errors);
    assert!(output.status.success(), "{errors}");
    // The table is of the file.
    assert!(errors.contains("captured    500"), "{errors}");
    assert!(errors.contains("a.pcapng"), "{errors}");
    let lines = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<_> = lines.lines().map(without_place).collect();
    let theirs = tcpdump(&directory.path().join("a.pcapng"));
    assert_eq!(theirs.len(), 500);
    assert_eq!(lines.len(), 500);
    // What UDP carries is random, and tcpdump takes it for DNS.
    for (line, theirs) in lines.iter().zip(&theirs) {
        let ends = |line: &str| line.split_once(": ").map(|(ends, _)| ends.to_owned());
        assert_eq!(ends(line), ends(theirs));
    }
}

#[test]
fn alone_it_writes_no_file_and_filters_what_is_printed() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let filter = "udp.dstport == 53 and frame.number in {11..20}";
    let arguments = [
        "-Q", "in", "--port", "53", "-c", "1000", "-o", "json", "-Y", filter,
    ];
    let (child, errors) = start(&lab, directory.path(), &arguments);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..1000, 100));
    let output = child.wait_with_output().expect("it ends");
    let errors = rest(errors);
    assert!(output.status.success(), "{errors}");
    let summary: serde_json::Value = serde_json::from_str(&errors).expect("JSON");
    assert_eq!(summary["counters"]["captured"], 1000);
    let mut names = fs::read_dir(directory.path()).expect("the directory");
    assert!(names.next().is_none(), "no file");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.lines().count(), 10, "{text}");
    for line in text.lines() {
        let packet: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(packet["interface"], HOST_IF);
        assert_eq!(packet["direction"], "ingress");
    }
}

/// As with `-w -`: whoever reads may have seen enough.
#[test]
fn a_reader_that_goes_away_ends_the_capture() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let (mut child, errors) = start(&lab, directory.path(), &["-q", "-w", "a.pcapng"]);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..10, 100));
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert!(line.contains(" IP"), "{line}");
    drop(output);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..2000, 100));
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", rest(errors));
    assert!(directory.path().join("a.pcapng").is_file());
}
