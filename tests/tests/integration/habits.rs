//! Lines as people type them who know tcpdump: without a command, without an interface, with an expression; and what
//! they are told.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use capture_tests::{
    agent, daemon,
    netns::{HOST_IF, HOST4, Lab, PEER_IF, PEER4},
    rights::Rights,
    traffic,
};

#[test]
fn a_line_of_tcpdump_captures() {
    let lab = Lab::new();
    lab.host
        .ip(&format!("route add default via {PEER4} dev {HOST_IF}"));
    let mut command = Rights::from_env().command(&lab.host);
    let line = "-v -nn -U -p -l -o json -w a.pcapng udp and port domain";
    command.args(line.split(' '));
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let running = agent::spawn(&lab.host, directory, command);
    running.wait_ready();
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..100, 100));
    let ended = running.stop().expect_whole("user");
    assert_eq!(ended.counter("captured"), 100);
    for words in [
        &format!("taking {HOST_IF}, the interface of the default route"),
        "filter: udp and port 53\n",
        "hook: auto (tc, which disturbs no link)\n",
        "rings: ",
        "disk: ",
    ] {
        ended.check(ended.stderr.contains(words), words);
    }
    let spec = &ended.summary()["spec"];
    assert_eq!(spec["protocol"], "udp");
    assert_eq!(spec["ports"][0], 53);
}

#[test]
fn without_a_default_route_an_interface_is_asked_for() {
    let lab = Lab::new();
    let output = lab
        .host
        .command(agent::binary())
        .args(["run", "-w", "/dev/null"])
        .output()
        .expect("the agent runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("no default route") && stderr.contains(HOST_IF),
        "{stderr}"
    );
}

#[test]
fn under_sudo_the_file_is_the_users() {
    const USER: &str = "54321";
    let lab = Lab::new();
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    for (mode, is_given) in [(0o755, false), (0o1777, true)] {
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("a mode");
        let mut command = lab.host.command(agent::binary());
        command.env("SUDO_UID", USER).env("SUDO_GID", USER);
        command.args([
            "run", "-o", "json", "-c", "1", "-w", "a.pcapng", "-i", HOST_IF,
        ]);
        let running = agent::spawn(&lab.host, Arc::clone(&directory), command);
        running.wait_ready();
        traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..1, 100));
        running.wait(Duration::from_secs(20));
        let file = fs::metadata(directory.path().join("a.pcapng")).expect("the file");
        let expected = if is_given { 54_321 } else { 0 };
        assert_eq!((file.uid(), file.mode() & 0o777), (expected, 0o600));
    }
}

#[test]
fn a_capture_of_its_own_session_is_warned_of() {
    let lab = Lab::new();
    for (filter, is_warned) in [("tcp", true), ("udp", false)] {
        let mut command = lab.host.command(agent::binary());
        command.env("SSH_CONNECTION", format!("{PEER4} 50000 {HOST4} 22"));
        command.args([
            "run",
            "-w",
            "a.pcapng",
            "--duration",
            "1s",
            "-i",
            HOST_IF,
            filter,
        ]);
        let directory = Arc::new(tempfile::tempdir().expect("a directory"));
        let running = agent::spawn(&lab.host, directory, command);
        let ended = running.wait(Duration::from_secs(20));
        let expected = format!("({PEER4}:50000 to {HOST4}:22) is captured too, on {HOST_IF}");
        assert_eq!(
            ended.stderr.contains(&expected),
            is_warned,
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn a_namespace_is_named_by_a_process() {
    let lab = Lab::new();
    let mut inside = lab
        .host
        .command("sleep")
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .expect("sleep starts");
    // `ip netns exec` has entered the namespace once it has become sleep.
    let pid = inside.id().to_string();
    let name = format!("/proc/{pid}/comm");
    let is_inside = || fs::read_to_string(&name).is_ok_and(|name| name.trim() == "sleep");
    assert!(capture_tests::eventually(
        Duration::from_secs(20),
        is_inside
    ));
    let output = Command::new(agent::binary())
        .args(["interfaces", "--netns", &pid])
        .output()
        .expect("the agent runs");
    let _ = inside.kill();
    let _ = inside.wait();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(HOST_IF), "{output:?}");
}

#[test]
fn a_task_of_the_daemon_takes_the_interface_of_its_default_route() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    // Typed beside the daemon's namespace, as from another host.
    let create = |options: &str| {
        let mut command = Command::new(agent::binary());
        command.args(["task", "create", "--name", "web"]);
        command.args(options.split_whitespace());
        command.env("CAPTURE_AGENT_SOCKET", daemon.socket());
        let output = command.output().expect("the agent runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        (output.status.code(), stdout, stderr)
    };
    let (code, stdout, stderr) = create("udp");
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    for words in ["no default route of the daemon", HOST_IF, "\"any\" for all"] {
        assert!(stderr.contains(words), "{stderr}");
    }
    lab.host
        .ip(&format!("route add default via {PEER4} dev {HOST_IF}"));
    for options in ["udp --dry-run", "udp --duration 10m -o json"] {
        let (code, stdout, stderr) = create(options);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.contains(HOST_IF), "{stdout}");
        let said = format!("taking {HOST_IF}, the interface of the default route of the daemon\n");
        assert!(stderr.contains(&said), "{stderr}");
    }
    // One that is named is taken, and nothing is said.
    let (code, _, stderr) = create("-i any --dry-run");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}
