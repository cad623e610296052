//! What cannot work says so: the right exit code, a message that names the fault, nothing attached
//! and nothing in the directory.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, sync::Arc};

use capture_tests::{
    TIMEOUT,
    agent::{self, Ended, binary},
    netns::{HOST_IF, Lab, PEER_IF},
    output, readers,
    small_disk::SmallDisk,
    traffic::{self},
};
use nix::sys::statvfs::statvfs;
use tempfile::tempdir;

/// Runs to the end, which must be an error with a short message, and without traces.
fn fails(lab: &Lab, arguments: &[&str], code: i32, words: &[&str]) -> Ended {
    let ended = agent::start(&lab.host, arguments).wait(TIMEOUT);
    let ended = ended.expect_code(code);
    ended.check(!ended.stderr.contains("capturing on"), "it never captured");
    ended.check(!ended.stderr.contains("panicked"), "no panic");
    ended.check(!ended.stderr.contains("stack backtrace"), "no backtrace");
    let ended = ended.expect_stderr(words);
    let names = ended.directory_names();
    ended.check(names.is_empty(), format_args!("left behind: {names:?}"));
    ended
}

#[test]
fn invalid_tasks() {
    let lab = Lab::new();
    let long = "n".repeat(129);
    let cases: &[(&[&str], &[&str])] = &[
        (&["--ip", "www.example.org"], &["www.example.org"]),
        (
            &["--ip", "10.0.0.1", "--peer-ip", "fd00::1"],
            &["IPv4", "IPv6"],
        ),
        (&["--ip", "10.0.0.0/33"], &["10.0.0.0/33"]),
        (&["--ip", "10.0.0.256"], &["10.0.0.256"]),
        (&["--port", "70000"], &["70000"]),
        (&["--port", "90-80"], &["90-80"]),
        (&["--port", "no-such-service"], &["no-such-service"]),
        (&["--port", "53", "--protocol", "icmp"], &["ICMP", "port"]),
        (&["--peer-ip", "10.0.0.1"], &["ip"]),
        (&["--ip", "10.0.0.1", "--peer-port", "80"], &["peer"]),
        (&["--protocol", "sctp"], &["sctp"]),
        (&["-Q", "sideways"], &["sideways"]),
        (&["--hook", "kprobe"], &["kprobe"]),
        (&["--max-bytes", "65536"], &["65536"]),
        (&["--duration", "soon"], &["soon"]),
        (&["--max-packets", "some"], &["some"]),
        (&["--max-file-bytes", "much"], &["much"]),
        (&["--format", "erf"], &["erf"]),
        (&["--oversize", "split"], &["split"]),
        (&["--name", &long], &["name"]),
        (&["--name", "bell\u{7}"], &["name"]),
        (&["-W", "3"], &["rotate"]),
        (&["-i", "any"], &["any"]),
        (&["--no-such-option"], &["--no-such-option"]),
        // All faults at once.
        (
            &["--ip", "nonsense", "--port", "70000", "--duration", "soon"],
            { &["nonsense", "70000", "soon"] },
        ),
    ];
    for (arguments, words) in cases {
        let arguments = [&["-i", HOST_IF, "-w", "o.pcapng"], *arguments].concat();
        fails(&lab, &arguments, 2, words);
    }
    fails(&lab, &["-w", "o.pcapng"], 2, &["interface"]);
}

#[test]
fn an_unknown_interface() {
    let lab = Lab::new();
    fails(&lab, &["-i", "nosuch0", "-w", "o.pcapng"], 2, &["nosuch0"]);
    // One that is there does not help, and is not left with a hook.
    let both = ["-i", HOST_IF, "-i", "nosuch0", "-w", "o.pcapng"];
    fails(&lab, &both, 2, &["nosuch0"]);
}

#[test]
fn an_unknown_namespace() {
    let lab = Lab::new();
    let arguments = ["--netns", "cap-no-such", "-i", HOST_IF, "-w", "o.pcapng"];
    fails(&lab, &arguments, 3, &["cap-no-such"]);
}

#[test]
fn a_file_that_cannot_be_written() {
    let lab = Lab::new();
    let missing = ["-i", HOST_IF, "-w", "no/such/directory/o.pcapng"];
    fails(&lab, &missing, 1, &["no/such/directory"]);
    fails(
        &lab,
        &["-i", HOST_IF, "-w", "/proc/o.pcapng"],
        1,
        &["/proc/o.pcapng"],
    );
    fails(&lab, &["-i", HOST_IF, "-w", "/tmp"], 2, &["/tmp"]);
}

#[test]
fn a_failed_start_leaves_an_older_file_alone() {
    let lab = Lab::new();
    let directory = Arc::new(tempdir().expect("a directory"));
    let file = directory.path().join("o.pcapng");
    fs::write(&file, b"precious").expect("it can be written");
    let arguments = ["-i", "nosuch0", "-w", "o.pcapng"];
    let ended = agent::start_in(&lab.host, Arc::clone(&directory), &arguments).wait(TIMEOUT);
    ended.check(ended.status.code() != Some(0), "no such interface");
    assert_eq!(fs::read(&file).expect("it is there"), b"precious");
}

/// The agent as a user who may do nothing, from a copy that this user can execute.
#[test]
fn without_privileges() {
    let lab = Lab::new();
    let directory = tempdir().expect("a directory");
    let copy = directory.path().join("capture-agent");
    fs::copy(binary(), &copy).expect("the binary can be copied");
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(directory.path(), open.clone()).expect("our directory");
    fs::set_permissions(&copy, open.clone()).expect("our file");
    let directory = Arc::new(tempdir().expect("a directory"));
    fs::set_permissions(directory.path(), open).expect("our directory");
    let mut command = lab.host.command("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
    ]);
    command.arg("--bounding-set=-all").arg(&copy);
    command.args(["run", "-o", "json", "-i", HOST_IF, "-w", "o.pcapng"]);
    let ended = agent::spawn(&lab.host, directory, command)
        .wait(TIMEOUT)
        .expect_code(6);
    let ended = ended.expect_stderr(&["CAP_"]);
    assert!(ended.directory_names().is_empty());
    // What needs no privilege works.
    output(
        Command::new("setpriv")
            .args(["--reuid=65534", "--clear-groups"])
            .arg(&copy)
            .arg("-V"),
    );
}

/// A kernel that says of itself that it is a real-time one on which hooks preempt each other.
#[test]
fn a_real_time_kernel() {
    let directory = tempdir().expect("a directory");
    let mut script = String::new();
    for (name, text) in [
        ("osrelease", "6.12.57+deb13-rt-amd64"),
        ("version", "#1 SMP PREEMPT_RT Debian 6.12.57-1 (2025-11-05)"),
    ] {
        let file = directory.path().join(name);
        fs::write(&file, text).expect("room for a file");
        let file = file.display();
        script += &format!("mount --bind {file} /proc/sys/kernel/{name} && ");
    }
    script += "exec \"$0\" \"$@\"";
    let agent = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        let ended = command.arg(binary()).args(arguments).output();
        let ended = ended.expect("it starts");
        let text = |bytes| String::from_utf8(bytes).expect("it is text");
        (ended.status.code(), text(ended.stdout), text(ended.stderr))
    };
    let (code, stdout, stderr) = agent(&["run", "-i", "lo", "-w", "-", "--duration", "1"]);
    assert_eq!((code, stdout.as_str()), (Some(6), ""), "{stderr}");
    assert!(
        stderr.contains("PREEMPT_RT") && stderr.lines().count() == 1,
        "{stderr}"
    );
    let (code, stdout, stderr) = agent(&["doctor"]);
    assert_eq!(code, Some(6), "{stdout}{stderr}");
    assert!(stdout.contains("real-time kernel"), "{stdout}");
}

#[test]
fn a_device_without_native_xdp() {
    let lab = Lab::new();
    lab.host.macvlan("mv0", HOST_IF);
    let arguments = ["-i", "mv0", "--hook", "xdp", "-w", "o.pcapng"];
    fails(&lab, &arguments, 6, &["mv0", "auto"]);
    fails(
        &lab,
        &["-i", "lo", "--hook", "xdp", "-w", "o.pcapng"],
        6,
        &["lo", "auto"],
    );
    // The other hooks serve it.
    for hook in ["auto", "tc", "xdp-generic"] {
        let running = agent::capture(&lab.host, &["-i", "mv0", "--hook", hook, "-w", "o.pcapng"]);
        running.stop().expect_whole("user");
    }
}

#[test]
fn a_foreign_xdp_program_is_left_alone() {
    let lab = Lab::new();
    let first = agent::capture(
        &lab.host,
        &["-i", HOST_IF, "--hook", "xdp", "-w", "o.pcapng"],
    );
    let attached = lab.host.attachments();
    let second = agent::start(
        &lab.host,
        &["-i", HOST_IF, "--hook", "xdp", "-w", "o.pcapng"],
    );
    let second = second.wait(TIMEOUT);
    let second = second.expect_code(4).expect_stderr(&[HOST_IF, "XDP"]);
    assert!(
        second.directory_names().is_empty(),
        "{:?}",
        second.directory_names()
    );
    assert_eq!(
        lab.host.attachments(),
        attached,
        "the first one is as it was"
    );
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..10, 100));
    assert_eq!(first.stop().expect_whole("user").packets().len(), 10);
}

#[test]
fn listings_and_help() {
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        output(Command::new(binary()).args(arguments));
    }
    let unknown = Command::new(binary())
        .arg("dance")
        .output()
        .expect("it starts");
    assert_eq!(unknown.status.code(), Some(2));
}

fn numbers(file: &Path) -> Vec<u32> {
    readers::numbers(&readers::packets(file)).collect()
}

#[test]
fn a_full_disk_is_an_error_and_the_file_ends_well() {
    let lab = Lab::new();
    let disk = SmallDisk::new("1m");
    let file = disk.path().join("o.pcapng");
    let path = file.to_str().expect("it is text");
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", path]);
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..10_000, 1000));
    let ended = running.wait(TIMEOUT).expect_code(1);
    ended.check(
        ended.field("stop_reason") == "disk_full",
        "disk_full expected",
    );
    ended.check(ended.field("state") == "failed", "failed expected");
    let verdict = ended.field("verdict");
    ended.check(
        verdict.starts_with("lost "),
        format_args!("verdict {verdict}"),
    );
    ended.check(ended.counter("write") > 0, "written off");
    let numbers = numbers(&file);
    let count = numbers.len();
    ended.check(
        ended.counter("captured") == count as u64,
        format_args!("{count} in the file"),
    );
    ended.check(numbers.into_iter().eq(0..count as u32), "the first ones");
    ended.check(count > 500, format_args!("only {count} packets"));
}

#[test]
fn a_capture_ends_before_what_is_to_be_kept_free() {
    const KEPT: u64 = 2 << 20;
    let lab = Lab::new();
    let disk = SmallDisk::new("4m");
    let file = disk.path().join("o.pcapng");
    let path = file.to_str().expect("it is text");
    let arguments = ["-i", HOST_IF, "-w", path, "--keep-free", "50%"];
    let running = agent::capture(&lab.host, &arguments);
    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..10_000, 1000));
    let ended = running.wait(TIMEOUT).expect_code(1);
    ended.check(
        ended.field("stop_reason") == "disk_full",
        "disk_full expected",
    );
    ended.check(
        ended
            .field("error")
            .contains("free some, or lower --keep-free"),
        "what to do",
    );
    let system = statvfs(disk.path()).expect("a file system");
    let free = system.blocks_available() * system.fragment_size();
    ended.check(free >= KEPT, format_args!("{free} bytes are free"));
    let numbers = numbers(&file);
    ended.check(
        numbers.len() > 500,
        format_args!("only {} packets", numbers.len()),
    );
    // Where there is less already, nothing begins.
    disk.fill();
    let refused = output_of(
        &lab,
        &["run", "-i", HOST_IF, "-w", path, "--keep-free", "2MiB"],
    );
    assert_eq!(refused.0, Some(1), "{}", refused.1);
    let words = [
        disk.path().to_str().expect("it is text"),
        "2.1 MB are kept free",
    ];
    for words in words {
        assert!(refused.1.contains(words), "{}", refused.1);
    }
    assert!(!refused.1.contains("capturing on"), "{}", refused.1);
    for (arguments, words) in [
        (
            ["-w", "-", "--keep-free", "5%"],
            "--keep-free: the packets go to no file",
        ),
        (["-w", "x", "--keep-free", "100%"], "from 0% to 99%"),
    ] {
        let arguments = [&["run", "-i", HOST_IF], &arguments[..]].concat();
        let (code, said) = output_of(&lab, &arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

/// The exit code of the agent, and what it said.
fn output_of(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = lab.host.command(binary());
    let ended = command.args(arguments).output().expect("it starts");
    (
        ended.status.code(),
        String::from_utf8_lossy(&ended.stderr).into_owned(),
    )
}
