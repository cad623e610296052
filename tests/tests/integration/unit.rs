//! The systemd unit of the daemon: as closed as it is said to be, and without faults.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use capture_tests::{agent::binary, output};

/// 2.0, as `systemd-analyze --threshold` counts.
const MOST_EXPOSED: &str = "20";

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/capture-agent.service")
}

fn analyze(arguments: &[&str], unit: &Path) {
    let mut command = Command::new("systemd-analyze");
    let output = command.args(arguments).arg(unit).output();
    let output = output.expect("systemd-analyze starts");
    assert!(
        output.status.success(),
        "{arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// As the journal reads it: each line with its priority (sd-daemon(3)).
#[test]
fn lines_for_the_journal_have_their_priority() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("config.toml");
    fs::write(&config, "x = 1\ny = 1\n").expect("a configuration");
    let said = |stream: Option<&str>| {
        let path = directory.path().join("stderr");
        let stderr = fs::File::create(&path).expect("a file");
        let metadata = stderr.metadata().expect("it is open");
        let this = format!("{}:{}", metadata.dev(), metadata.ino());
        let mut command = Command::new(binary());
        command.arg("daemon").arg("--config").arg(&config);
        command.env("JOURNAL_STREAM", stream.unwrap_or(&this));
        let status = command.stderr(stderr).status().expect("it starts");
        // By which the unit tells that another try is useless.
        assert_eq!(status.code(), Some(2));
        fs::read_to_string(&path).expect("what it said")
    };
    let begin = |text: &str, start: &str| text.lines().all(|line| line.starts_with(start));
    let journal = said(None);
    assert_eq!(journal.lines().count(), 2, "{journal}");
    assert!(begin(&journal, "<3>capture-agent: "), "{journal}");
    // The journal of somebody else's.
    let plain = said(Some("1:1"));
    assert!(begin(&plain, "capture-agent: "), "{plain}");
}

#[test]
fn little_is_open() {
    let threshold = format!("--threshold={MOST_EXPOSED}");
    analyze(
        &["security", "--offline=true", "--no-pager", &threshold],
        &unit(),
    );
}

/// A minimal system has the packages that Debian calls essential, and no other program can be counted on:
/// `/bin/kill` is of procps, for one.
#[test]
fn every_program_in_it_is_ours_or_essential() {
    let text = fs::read_to_string(unit()).expect("the unit");
    let commands = text.lines().filter(|line| line.starts_with("Exec"));
    let programs = commands.filter_map(|line| line.split_once('=')?.1.split_whitespace().next());
    let programs: BTreeSet<_> = programs.collect();
    assert!(
        programs.contains("/usr/local/bin/capture-agent"),
        "{programs:?}"
    );
    for program in programs {
        if program == "/usr/local/bin/capture-agent" {
            continue;
        }
        let owners = output(Command::new("dpkg-query").args(["--search", program]));
        let owner = owners.lines().find(|line| !line.starts_with("diversion "));
        let package = owner
            .and_then(|line| line.split_once(": "))
            .expect("a package")
            .0;
        let mut query = Command::new("dpkg-query");
        let essential = output(query.args(["--show", "--showformat", "${Essential}", package]));
        assert_eq!(essential, "yes", "{program} of {package}");
    }
}

#[test]
fn nothing_in_it_is_unknown() {
    let text = fs::read_to_string(unit()).expect("the unit");
    let installed = "/usr/local/bin/capture-agent";
    assert!(text.contains(installed), "{text}");
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("capture-agent.service");
    let built = binary().to_string_lossy().into_owned();
    fs::write(&copy, text.replace(installed, &built)).expect("a copy");
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["verify", "--man=no"]).arg(&copy).output();
    let output = output.expect("systemd-analyze starts");
    // What it says of units that the machine has itself is not of ours.
    let complaints = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = complaints
        .lines()
        .filter(|line| line.contains("capture-agent.service"))
        .collect();
    assert!(ours.is_empty(), "{complaints}");
}

/// What the filter of system calls lets through, with its sets as systemd has them.
fn allowed_calls(text: &str) -> BTreeSet<String> {
    let filters = text
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="));
    let mut allowed = BTreeSet::new();
    for filter in filters {
        let (is_denied, names) = match filter.strip_prefix('~') {
            Some(names) => (true, names),
            None => (false, filter),
        };
        for call in names.split_whitespace().flat_map(calls_of) {
            match is_denied {
                true => allowed.remove(&call),
                false => allowed.insert(call),
            };
        }
    }
    allowed
}

/// The calls of a set, or the one that is named.
fn calls_of(name: &str) -> Vec<String> {
    if !name.starts_with('@') {
        return vec![name.to_owned()];
    }
    let listed = output(Command::new("systemd-analyze").args(["syscall-filter", name]));
    let names = listed.lines().map(str::trim).skip(1);
    let names = names.filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.flat_map(calls_of).collect()
}

/// What an inspector calls before its own filter is in place. What is denied it does without, or does not start.
#[test]
fn an_inspector_can_confine_itself() {
    let text = fs::read_to_string(unit()).expect("the unit");
    let allowed = allowed_calls(&text);
    for call in [
        "clone3",
        "vfork",
        "execve",
        "close_range",
        "prctl",
        "prlimit64",
        "capset",
        "seccomp",
        "landlock_create_ruleset",
        "landlock_restrict_self",
        "setpriority",
        "sched_setscheduler",
        "ioprio_set",
        "socketpair",
        "sendmsg",
        "recvmsg",
    ] {
        assert!(allowed.contains(call), "{call}");
    }
    for call in ["mount", "ptrace", "init_module", "setresuid"] {
        assert!(!allowed.contains(call), "{call}");
    }
}
