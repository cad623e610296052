//! The binary as scripts meet it: exit codes, what goes to which stream, and that every error is a
//! line or two with the prefix. Nothing here captures.

use std::process::{Command, Output, Stdio};

use capture_tests::or_skip;

fn capture_agent(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_capture-agent"))
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("CAPTURE_AGENT_LOG")
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// Asserts a refusal: the exit code, nothing on stdout, and short lines on stderr.
#[track_caller]
fn refused(code: i32, arguments: &[&str]) -> String {
    let output = capture_agent(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(text(&output.stdout), "");
    assert!(stderr.lines().count() >= 1);
    for line in stderr.lines() {
        assert!(line.starts_with("capture-agent: "), "{line}");
    }
    stderr.to_owned()
}

#[test]
fn usage_errors() {
    refused(2, &["run", "--no-such-flag"]);
    refused(2, &["run", "-i"]);
    refused(2, &["frobnicate"]);
    refused(2, &["interfaces", "-o", "xml"]);
    refused(2, &["run", "-i", "lo", "not", "host", "10.0.0.1"]);
    assert_eq!(capture_agent(&[]).status.code(), Some(2));
}

#[test]
fn invalid_tasks_show_every_fault() {
    let stderr = refused(
        2,
        &["run", "-i", "lo", "--ip", "localhost", "--port", "70000"],
    );
    assert_eq!(
        stderr,
        "capture-agent: --ip: capture-agent takes addresses, not names: \"localhost\"; try `getent hosts localhost`\n\
         capture-agent: --port: \"70000\" is not a port; ports go from 0 to 65535\n"
    );
}

#[test]
fn unknown_namespace_is_not_found() {
    refused(
        3,
        &[
            "run",
            "-i",
            "lo",
            "-w",
            "/dev/null",
            "--netns",
            "no-such-namespace",
        ],
    );
    refused(3, &["interfaces", "--netns", "/no/such/file"]);
    refused(2, &["interfaces", "--netns", "/dev/null"]);
}

#[test]
fn help_and_version_are_results() {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["--version"],
        &["help", "doctor"],
    ] {
        let output = capture_agent(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
        assert!(
            !text(&output.stdout).contains('\x1b'),
            "escapes without a terminal"
        );
    }
}

#[test]
fn interfaces_as_json() {
    let output = capture_agent(&["interfaces", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lo = list
        .as_array()
        .expect("a list")
        .iter()
        .find(|entry| entry["name"] == "lo");
    assert_eq!(lo.expect("lo")["link_type"], 1);
}

/// glibc's getifaddrs gives no link for an interface without a hardware address.
#[test]
fn interfaces_without_hardware_address_are_listed() {
    const TUN: &str = "ip tuntap add tun0 mode tun";
    let in_namespace = |script: &str| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "sh", "-c", script])
            .stdin(Stdio::null())
            .output()
            .expect("unshare runs")
    };
    // First without the agent, whose failure is one of the test.
    let made = in_namespace(TUN);
    or_skip!(match made.status.success() {
        true => Ok(()),
        false => Err(format!("no tun device here: {}", text(&made.stderr).trim())),
    });
    let agent = env!("CARGO_BIN_EXE_capture-agent");
    let output = in_namespace(&format!("{TUN} && exec '{agent}' interfaces -o json"));
    assert!(output.status.success(), "{output:?}");
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let tun = list
        .as_array()
        .expect("a list")
        .iter()
        .find(|entry| entry["name"] == "tun0");
    assert_eq!(tun.expect("tun0")["link_type"], 101);
}

#[test]
fn doctor_tells_by_its_exit_code() {
    let output = capture_agent(&["doctor", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let can_capture = report["can_capture"].as_bool().expect("a verdict");
    assert_eq!(output.status.code(), Some(if can_capture { 0 } else { 6 }));
    let failed = report["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .any(|c| c["status"] == "fail");
    assert_eq!(failed, !can_capture);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for arguments in [
        &["completions", "bash"][..],
        &["interfaces"],
        &["run", "--help"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_capture-agent"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}
