//! The doctor: a verdict for each way in, which a capture for a try has given, and a report without what is nobody's
//! business.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use capture_tests::{
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    netns::{HOST_IF, Lab, PEER4},
    output, traffic,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// `nobody` of Debian, and `nogroup`.
const NOBODY: u32 = 65534;

/// Somebody else.
const OTHER: u32 = 65533;

/// The agent where everybody can execute it.
fn agent_for_all() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), open).expect("it is ours");
    let agent = directory.path().join("capture-agent");
    fs::copy(binary(), &agent).expect("a copy of the agent");
    (directory, agent)
}

/// A daemon whose socket is for `nogroup`.
fn daemon_of_group(lab: &Lab) -> Daemon {
    let sections = format!("{UNLIMITED}\n[access]\nsocket_group = \"nogroup\"");
    let home = daemon::home(&sections);
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(home.path(), open).expect("it is ours");
    daemon::start_in(&lab.host, &home)
}

/// The doctor as a user without capabilities.
fn as_user(lab: &Lab, agent: &Path, user: u32, socket: &Path, arguments: &[&str]) -> Output {
    let mut command = lab.host.command("setpriv");
    let id = user.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    command.arg(agent).arg("doctor").args(arguments);
    command
        .env("CAPTURE_AGENT_SOCKET", socket)
        .output()
        .expect("setpriv starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn root_captures_for_a_try_and_leaves_nothing() {
    let lab = Lab::new();
    let before = lab.host.attachments();
    let mut doctor = lab.host.command(binary());
    doctor.env("CAPTURE_AGENT_SOCKET", "/no/such.sock");
    let told = output(doctor.arg("doctor"));
    assert!(
        told.starts_with("you      yes, as root: captured a packet by "),
        "{told}"
    );
    assert!(
        told.contains("\ndaemon   no: no daemon is running: /no/such.sock does not exist\n         → start it by "),
        "{told}"
    );
    assert!(told.contains("\nok    kernel "), "{told}");
    assert_eq!(lab.host.attachments(), before);
}

#[test]
fn each_way_in_has_a_verdict() {
    let lab = Lab::new();
    let daemon = daemon_of_group(&lab);
    let (_directory, agent) = agent_for_all();
    let before = lab.host.attachments();
    let ask = |user: u32, arguments: &[&str]| {
        let output = as_user(&lab, &agent, user, &daemon.socket(), arguments);
        (output.status.code(), text(&output.stdout))
    };

    let (code, told) = ask(NOBODY, &[]);
    assert_eq!(code, Some(0), "{told}");
    let lacking = "you      no, as nobody: privileges: missing CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON\n         → run with sudo";
    assert!(told.starts_with(lacking), "{told}");
    let through = format!(
        "\ndaemon   yes, at {}: attached to lo by ",
        daemon.socket().display()
    );
    assert!(told.contains(&through), "{told}");
    let (code, told) = ask(NOBODY, &["-o", "json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (
            code,
            &told["can_capture"],
            &told["ways"]["you"]["can_capture"],
            &told["ways"]["daemon"]["can_capture"]
        ),
        (Some(0), &json!(true), &json!(false), &json!(true))
    );

    let (code, told) = ask(OTHER, &[]);
    assert_eq!(code, Some(6), "{told}");
    assert!(
        told.starts_with("you      no, as uid 65533: privileges: missing "),
        "{told}"
    );
    assert!(
        told.contains("\ndaemon   no: user 65533 may not connect to "),
        "{told}"
    );
    assert!(
        told.contains("become a member of the group nogroup"),
        "{told}"
    );

    assert_eq!(lab.host.attachments(), before);
    daemon.stop();
}

/// What hides in containers: a verdict that is true, and says what is hidden.
#[test]
fn a_machine_that_hides_things_is_judged_all_the_same() {
    let lab = Lab::new();
    for (hide, code, words) in [
        (
            "mount -t tmpfs none /proc",
            0,
            "you      yes, as root: captured a packet by ",
        ),
        (
            "mount -t proc -o subset=pid none /proc",
            0,
            "you      yes, as root: captured a packet by ",
        ),
        (
            "mount -t tmpfs none /sys",
            6,
            "cannot count the CPUs in /sys/devices/system/cpu/possible: No such file or directory\n         → mount sysfs at /sys",
        ),
        (
            "mount -t tmpfs none /sys/kernel && mount -t tmpfs none /sys/class",
            0,
            "you      yes, as root: captured a packet by ",
        ),
    ] {
        let mut command = lab.host.command("unshare");
        command.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
        ]);
        command.arg(format!("{hide} && exec {} doctor", binary().display()));
        command.env("CAPTURE_AGENT_SOCKET", "/no/such.sock");
        let output = command.output().expect("unshare starts");
        let told = text(&output.stdout);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{hide}: {told}{}",
            text(&output.stderr)
        );
        assert!(told.contains(words), "{hide}: {told}");
        // Nothing is claimed to be missing that is only hidden.
        assert!(
            !told.contains("kernel types (BTF): not there"),
            "{hide}: {told}"
        );
    }
}

#[test]
fn a_report_has_what_helps_and_no_secrets() {
    const PLANTED: [&str; 3] = ["planted-name", "planted-password", PEER4];
    let lab = Lab::new();
    let home = daemon::home(&format!("{UNLIMITED}\n# planted-password\n"));
    let daemon = daemon::start_in(&lab.host, &home);
    let secret = daemon.token("ci", "operator", "ci");
    let task = json!({"name": PLANTED[0], "ip": PEER4});
    let id = daemon.run(udp_task(task));
    traffic::send_to_host(&lab, 0..50, 100);
    daemon.captured(&id, 50);
    let bundle = home.path().join("report.tar.gz");
    let report = |path: &Path| {
        let mut command = lab.host.command(binary());
        command.args(["doctor", "--bundle"]).arg(path);
        command.arg("--config").arg(home.path().join("config.toml"));
        command.env("CAPTURE_AGENT_SOCKET", daemon.socket());
        command.output().expect("it starts")
    };
    let done = report(&bundle);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let mode = fs::metadata(&bundle).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    let listed = output(Command::new("tar").arg("-tzf").arg(&bundle));
    for name in listed.lines() {
        let name = name
            .strip_prefix("capture-agent-report/")
            .expect("a directory");
        assert!(text(&done.stdout).contains(name), "{name}");
    }
    let whole = output(Command::new("tar").arg("-xzOf").arg(&bundle));
    for word in [
        "you      yes, as root: captured a packet",
        "\"architecture\": ",
        "/proc/sys/kernel/unprivileged_bpf_disabled: ",
        &format!("\"name\": \"{HOST_IF}\""),
        "edition = \"unlimited\" # file, line ",
        "\"started_at\":",
        "capture_agent_build_info",
        &format!("\"id\": \"{id}\""),
        "\"captured\": 50",
        "systemd-analyze security",
    ] {
        assert!(whole.contains(word), "{word}: {whole}");
    }
    for word in PLANTED.into_iter().chain([&*secret]) {
        assert!(!whole.contains(word), "{word}: {whole}");
    }

    // Nothing is written over, and no other kind of file is made.
    let again = report(&bundle);
    assert_eq!(again.status.code(), Some(4), "{}", text(&again.stderr));
    let odd = report(&home.path().join("report.zip"));
    assert_eq!(odd.status.code(), Some(2), "{}", text(&odd.stderr));
    assert!(!home.path().join("report.zip").exists());
    // Without a daemon the rest is there, and why that is not.
    daemon.stop();
    let alone = home.path().join("alone.tgz");
    let ended = Command::new(binary())
        .args(["doctor", "--bundle"])
        .arg(&alone)
        .env("CAPTURE_AGENT_SOCKET", "/no/such.sock")
        .output()
        .expect("it starts");
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    let whole = output(Command::new("tar").arg("-xzOf").arg(&alone));
    assert!(
        whole.contains("no daemon is running: /no/such.sock"),
        "{whole}"
    );
}
