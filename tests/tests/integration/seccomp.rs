//! A container whose seccomp profile denies bpf(2) to a process that holds every capability: that is what is said, and
//! what to do about it, and not that capabilities are missing. Where they are, or where something else is denied,
//! nothing is said of profiles.

use std::{
    process::{Command, Output},
    sync::Arc,
};

use capture_tests::{
    agent,
    netns::{HOST_IF, Lab},
    rights::Rights,
    seccomp,
};
use serde_json::Value;

/// As profiles answer: those of container runtimes with the first, some of their own making with the second.
const ERRORS: [(i32, &str); 2] = [
    (libc::EPERM, "Operation not permitted"),
    (libc::ENOSYS, "Function not implemented"),
];

const REMEDIES: [&str; 4] = [
    "seccomp profile denies bpf(2)",
    "--security-opt seccomp=",
    "seccompProfile",
    "SystemCallFilter=",
];

fn ended(mut command: Command) -> (Option<i32>, String, Output) {
    let directory = tempfile::tempdir().expect("a directory");
    Rights::Unit.give(directory.path());
    let output = command.current_dir(directory.path()).output();
    let output = output.expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr, output)
}

/// The agent in the lab with these rights, where bpf(2) fails so.
fn denied(lab: &Lab, rights: Rights, errno: i32, arguments: &[&str]) -> Command {
    let mut command = rights.command(&lab.host);
    command.args(arguments);
    seccomp::deny_bpf(&mut command, errno);
    command
}

#[test]
fn a_profile_that_denies_bpf_is_named() {
    let lab = Lab::new();
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let config = directory.path().join("config.toml");
    let root = directory.path().display();
    let text = format!(
        "[paths]\ndatabase = \"{root}/state.db\"\ncaptures = \"{root}/captures\"\nsocket = \"{root}/api.sock\"\n"
    );
    std::fs::write(&config, text).expect("a configuration");
    Rights::Unit.give(directory.path());
    let config = config.to_str().expect("a plain path");
    for rights in [Rights::Root, Rights::Unit] {
        for (errno, error) in ERRORS {
            for arguments in [
                &["run", "-i", HOST_IF, "-w", "o.pcapng"][..],
                &["daemon", "--config", config],
            ] {
                let (code, stderr, _) = ended(denied(&lab, rights, errno, arguments));
                assert_eq!(code, Some(6), "{rights:?} {arguments:?}: {stderr}");
                for word in REMEDIES.into_iter().chain([error]) {
                    assert!(
                        stderr.contains(word),
                        "{rights:?} {arguments:?}: no {word:?} in {stderr}"
                    );
                }
                assert!(
                    !stderr.contains("setcap") && !stderr.contains("are needed"),
                    "{stderr}"
                );
                assert_eq!(stderr.lines().count(), 1, "{stderr}");
            }
        }
    }
}

#[test]
fn the_doctor_names_it_too() {
    let lab = Lab::new();
    for (errno, error) in ERRORS {
        let command = denied(&lab, Rights::Unit, errno, &["doctor", "-o", "json"]);
        let (code, stderr, output) = ended(command);
        assert_eq!(code, Some(6), "{stderr}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let checks = report["checks"].as_array().expect("checks");
        let check = |name: &str| {
            let found = checks.iter().find(|check| check["name"] == name);
            found.unwrap_or_else(|| panic!("no check {name:?} in {report}"))
        };
        assert_eq!(check("privileges")["status"], "ok", "{report}");
        let call = check("bpf(2)");
        assert_eq!(call["status"], "fail", "{call}");
        let text = call.to_string();
        for word in REMEDIES.into_iter().chain([error]) {
            assert!(text.contains(word), "no {word:?} in {text}");
        }
    }
    let mut command = Rights::Unit.command(&lab.host);
    command.args(["doctor", "-o", "json"]);
    // Of a filter that denies other calls nothing is said.
    seccomp::deny(&mut command, libc::SYS_kexec_load, libc::EPERM);
    let (code, stderr, output) = ended(command);
    assert_eq!(code, Some(0), "{stderr}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("seccomp"), "{text}");
}

#[test]
fn missing_capabilities_are_named_first() {
    let lab = Lab::new();
    let mut command = lab.host.command("setpriv");
    command.args([
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--ambient-caps=-all",
    ]);
    command
        .arg(agent::binary())
        .args(["run", "-i", HOST_IF, "-w", "o.pcapng"]);
    seccomp::deny_bpf(&mut command, libc::EPERM);
    let (code, stderr, _) = ended(command);
    assert_eq!(code, Some(6), "{stderr}");
    assert!(
        stderr.contains("CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"),
        "{stderr}"
    );
    assert!(!stderr.contains("seccomp"), "{stderr}");
}
