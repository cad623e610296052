//! `-w -`: a capture as a stream, to a reader that lives, that dies, and to a terminal.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use capture_tests::{
    agent, eventually, judge,
    netns::{HOST_IF, Lab, Netns, PEER_IF},
    traffic,
};
use nix::{pty::openpty, sys::signal::Signal};

fn frame(number: u32) -> Vec<u8> {
    let from = "192.0.2.1:1000".parse().expect("an address");
    let to = "192.0.2.2:53".parse().expect("an address");
    traffic::udp_frame(from, to, number, 100)
}

/// The agent with its standard output in a pipe that the test holds.
fn piped(namespace: &Netns, arguments: &[&str]) -> (Child, std::process::ChildStdout) {
    let mut command = namespace.command(agent::binary());
    command
        .args(["run", "-o", "json", "-w", "-", "-i", HOST_IF])
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the agent starts");
    let stdout = child.stdout.take().expect("it is piped");
    (child, stdout)
}

fn wait_ready(child: &mut Child) {
    let stderr = child.stderr.as_mut().expect("it is piped");
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.contains("capturing on ") || !text.ends_with('\n') {
        let read = stderr.read(&mut byte).expect("standard error can be read");
        assert!(read == 1, "it ended before it captured: {text}");
        text.push(char::from(byte[0]));
    }
}

#[test]
fn the_summary_goes_to_standard_error() {
    let lab = Lab::new();
    for format in ["pcapng", "pcap"] {
        let arguments = ["-i", HOST_IF, "-w", "-", "--format", format];
        let running = agent::capture(&lab.host, &arguments);
        traffic::send(&lab.peer, PEER_IF, 5000, (0..1000).map(frame));
        let ended = running.stop().expect_whole("user");
        ended.check(
            ended.stderr.contains("\"stop_reason\""),
            "JSON on standard error",
        );
        ended.check(ended.directory_names().is_empty(), "no file");
        assert_eq!(ended.counter("captured"), 1000);
        assert_eq!(ended.summary()["files"][0]["name"], "-");
        let file = ended.directory.path().join("copy");
        std::fs::write(&file, &ended.stdout).expect("it can be written");
        assert_eq!(judge::packets(&file).len(), 1000);
        assert_eq!(judge::tcpdump_count(&file, "udp port 53"), 1000);
    }
}

#[test]
fn tshark_reads_along() {
    let lab = Lab::new();
    let (mut agent, stdout) = piped(&lab.host, &[]);
    let directory = tempfile::tempdir().expect("a directory");
    let lines = directory.path().join("lines");
    let mut tshark = Command::new("tshark")
        .args(["-n", "-l", "-r", "-", "-T", "fields", "-e", "frame.number"])
        .stdin(stdout)
        .stdout(File::create(&lines).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("tshark starts");
    wait_ready(&mut agent);
    let count = || {
        std::fs::read_to_string(&lines)
            .expect("it can be read")
            .lines()
            .count()
    };
    for round in 1..=3 {
        traffic::send(&lab.peer, PEER_IF, 0, (0..50).map(frame));
        // Live: they are there while the capture goes on, not at its end.
        let seen = eventually(Duration::from_secs(5), || count() == round * 50);
        assert!(seen, "round {round}: {} packets shown", count());
    }
    let pid = nix::unistd::Pid::from_raw(agent.id() as i32);
    nix::sys::signal::kill(pid, Signal::SIGINT).expect("it runs");
    let done = agent.wait_with_output().expect("it ends");
    assert_eq!(
        done.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(
        tshark.wait().expect("tshark ends").success(),
        "the stream ends whole"
    );
    assert_eq!(count(), 150);
}

#[test]
fn a_reader_that_goes_is_a_quiet_end() {
    let lab = Lab::new();
    let (mut agent, mut stdout) = piped(&lab.host, &[]);
    wait_ready(&mut agent);
    traffic::send(&lab.peer, PEER_IF, 0, (0..20).map(frame));
    stdout.read_exact(&mut [0; 500]).expect("packets come");
    drop(stdout);
    // Nothing more can be written, and the next packet shows it.
    let mut status = None;
    let ended = eventually(Duration::from_secs(10), || {
        traffic::send(&lab.peer, PEER_IF, 0, [frame(99)]);
        status = agent.try_wait().expect("it is our child");
        status.is_some()
    });
    if !ended {
        let _ = agent.kill();
    }
    let done = agent.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(ended, "it goes on without a reader: {stderr}");
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{stderr}");
    // Quiet: besides the JSON, no word of it.
    let words = ["error:", "roken pipe", "panicked"];
    assert!(!words.iter().any(|word| stderr.contains(word)), "{stderr}");
    assert!(
        stderr.contains("\"user\""),
        "the stop reason is user: {stderr}"
    );
    assert!(lab.host.attachments().is_empty());
}

#[test]
fn a_terminal_is_refused() {
    let lab = Lab::new();
    let terminal = openpty(None, None).expect("a pseudo terminal");
    let mut command = lab.host.command(agent::binary());
    command
        .args(["run", "-i", HOST_IF, "-w", "-"])
        .stdin(Stdio::null());
    command
        .stdout(Stdio::from(terminal.slave))
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the agent starts");
    let done = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("terminal"), "{stderr}");
    assert!(lab.host.attachments().is_empty());
    drop(terminal.master);
}

#[test]
fn a_terminal_shows_progress() {
    let lab = Lab::new();
    let terminal = openpty(None, None).expect("a pseudo terminal");
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let mut command = lab.host.command(agent::binary());
    command.args(["run", "-i", HOST_IF, "-w", "o.pcapng", "--duration", "2"]);
    command
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = command
        .stderr(Stdio::from(terminal.slave))
        .spawn()
        .expect("it starts");
    // The command holds the other end of the terminal until it is dropped.
    drop(command);
    let mut master = File::from(terminal.master);
    let mut shown = Vec::new();
    // A terminal whose last writer has gone gives an error, not an end.
    let _ = master.read_to_end(&mut shown);
    let _ = master.flush();
    assert!(child.wait().expect("it ends").success());
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("capturing on "), "{shown}");
    assert!(shown.contains('\r'), "a live line: {shown:?}");
}
