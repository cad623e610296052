//! `print` as people meet it: the same text as tcpdump where that prints the same, and what scripts rely on.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use capture_packet::testing::{MILLISECOND, START, pcap, tcp_frame, udp_frame};
use tempfile::TempDir;

fn print(arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capture-agent"));
    command
        .arg("print")
        .args(arguments)
        .arg(file)
        .env("TZ", "UTC");
    command
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn lines(arguments: &[&str], file: &Path) -> String {
    let output = print(arguments, file);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    assert_eq!(errors, "");
    String::from_utf8(output.stdout).expect("text")
}

fn frames() -> Vec<(u64, Vec<u8>)> {
    let (client, server) = (("10.0.0.1", 40_000), ("10.0.0.2", 443));
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(b"\x03www\x07example\x03org\x00\x00\x01\x00\x01");
    vec![
        (START, tcp_frame(client, server, 0x02, 1_000, &[])),
        (
            START + MILLISECOND,
            tcp_frame(server, client, 0x12, 5_000, &[]),
        ),
        (
            START + 2 * MILLISECOND,
            tcp_frame(client, server, 0x18, 1_001, b"hello\r\n\x1b[31m \xff"),
        ),
        (
            START + 1_500 * MILLISECOND,
            udp_frame(("fe80::1", 5_000), ("fe80::2", 53), &question),
        ),
        (
            START + 3_600_000 * MILLISECOND,
            udp_frame(("10.0.0.1", 5_000), ("10.0.0.2", 9_999), &[7; 40]),
        ),
    ]
}

fn capture() -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("a.pcap");
    fs::write(&file, pcap(1, &frames())).expect("a file");
    (directory, file)
}

#[test]
fn the_same_text_as_tcpdump() {
    let (_directory, file) = capture();
    for arguments in [
        "", "-t", "-tt", "-ttt", "-tttt", "-ttttt", "-e", "-x", "-xx", "-X", "-XX", "-S",
        "-e -X -S", "-c 2",
    ] {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let mut command = Command::new("tcpdump");
        command
            .args(["-nn", "--nano", "-Z", "root", "-r"])
            .arg(&file)
            .args(&arguments)
            .env("TZ", "UTC");
        let Ok(output) = command.output() else {
            eprintln!("not compared: tcpdump is not installed");
            return;
        };
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(lines(&arguments, &file), theirs, "{arguments:?}");
    }
}

/// tcpdump leaves tabs and carriage returns of packets in, which a terminal obeys.
#[test]
fn bytes_of_packets_are_harmless() {
    let (_directory, file) = capture();
    for arguments in [&["-A"][..], &["-AA", "-v"], &["-X", "-e"], &["-o", "json"]] {
        let text = lines(arguments, &file);
        let is_harmless = |character: char| !character.is_control() || "\n\t".contains(character);
        assert!(text.chars().all(is_harmless), "{text:?}");
    }
    assert!(lines(&["-A"], &file).contains("hello.\n.[31m .\n"));
}

#[test]
fn filter_number_and_count() {
    let (_directory, file) = capture();
    let text = lines(&["-t", "-#", "-Y", "tcp.flags.push == 1 or udp"], &file);
    let numbers: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(numbers, ["3", "4", "5"]);
    // So many that pass.
    assert_eq!(lines(&["-c", "1", "-Y", "udp"], &file).lines().count(), 1);
    assert_eq!(lines(&["-Y", "arp"], &file), "");
    // Times are measured from what is printed, in the filter from what is in the file.
    let text = lines(&["-ttttt", "-Y", "frame.time_relative >= 1.5"], &file);
    assert!(text.starts_with(" 00:00:00.000000000 IP6 "), "{text}");
    let output = print(&["-Y", "tcp.prot"], &file);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "capture-agent: --display-filter: column 1: there is no field \"tcp.prot\"; did you mean tcp.port?\n"
    );
}

#[test]
fn json_has_an_object_a_packet() {
    let (_directory, file) = capture();
    let text = lines(&["-o", "json"], &file);
    let packets: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(packets.len(), 5);
    assert_eq!(packets[1]["number"], 2);
    assert_eq!(packets[1]["time"], "2026-01-01T00:00:00.001000000Z");
    assert_eq!(packets[1]["length"], 54);
    assert_eq!(packets[1]["fields"][1]["name"], "ip");
    assert!(
        packets[3]["info"]
            .as_str()
            .is_some_and(|info| info.ends_with("A? www.example.org. (33)"))
    );
}

#[test]
fn fields_by_name_below_the_line() {
    let (_directory, file) = capture();
    let text = lines(&["-v", "-c", "1"], &file);
    for line in [
        "    ip: Internet Protocol Version 4",
        "        ip.src: 10.0.0.1",
        "            tcp.flags.syn: 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in {text}");
    }
}

/// What comes through a pipe is printed when it comes, and a reader that goes away is no failure.
#[test]
fn from_a_pipe_as_it_comes() {
    let file = pcap(1, &frames());
    let mut child = Command::new(env!("CARGO_BIN_EXE_capture-agent"))
        .args(["print", "-t", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    // The header and the first packet.
    let first = 24 + 16 + frames()[0].1.len();
    input.write_all(&file[..first]).expect("the first packet");
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert!(
        line.starts_with("IP 10.0.0.1.40000 > 10.0.0.2.443: Flags [S]"),
        "{line}"
    );
    drop(output);
    input.write_all(&file[first..]).expect("the others");
    drop(input);
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

#[test]
fn damage_and_missing_files() {
    let (directory, file) = capture();
    let bytes = fs::read(&file).expect("the file");
    fs::write(&file, &bytes[..bytes.len() - 3]).expect("a shorter file");
    let output = print(&["-t"], &file);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 4);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        errors.contains("is damaged, and was printed up to there"),
        "{errors}"
    );
    let output = print(&[], &directory.path().join("none.pcap"));
    assert_eq!(output.status.code(), Some(3));
    File::create(directory.path().join("empty.pcap")).expect("a file");
    let output = print(&[], &directory.path().join("empty.pcap"));
    assert_eq!(output.status.code(), Some(1));
}
