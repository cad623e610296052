//! `task apply`: a file applied twice changes nothing, a changed one what it says, and a faulty one nothing at all.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use capture_tests::{
    agent::binary,
    daemon::{self, Daemon},
    netns::{HOST_IF, Lab},
};
use serde_json::Value;

/// Exit code, output and errors.
fn apply(daemon: &Daemon, text: &str, more: &[&str]) -> (i32, String, String) {
    let path = daemon.home().path().join("tasks.toml");
    fs::write(&path, text).expect("a file");
    let mut command = Command::new(binary());
    command.args(["task", "apply", "-f"]).arg(path);
    command.arg("--socket").arg(daemon.socket()).args(more);
    let done = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = done.status.code().expect("a code");
    (code, text(&done.stdout), text(&done.stderr))
}

fn task(name: &str, more: &str) -> String {
    format!("[[tasks]]\nname = \"{name}\"\ninterfaces = [\"{HOST_IF}\"]\n{more}\n")
}

fn ids(daemon: &Daemon) -> Vec<String> {
    let tasks = daemon.ask("GET", "/tasks", None).expect(200).json();
    let tasks = tasks["tasks"].as_array().expect("a list").iter();
    tasks
        .map(|task| task["id"].as_str().expect("an ID").to_owned())
        .collect()
}

#[test]
fn a_file_applied_twice_changes_nothing() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let file = task("dns", "ports = [53]\nduration = \"10m\"")
        + &task("web", "ports = [443, 80]\nduration = 600");

    // Nothing, where nothing is to be.
    let (code, said, _) = apply(&daemon, &file, &["--dry-run"]);
    assert_eq!(
        (code, said.as_str()),
        (0, "dns: would be created\nweb: would be created\n")
    );
    assert!(ids(&daemon).is_empty());

    let (code, said, errors) = apply(&daemon, &file, &[]);
    assert_eq!(code, 0, "{errors}");
    let first = ids(&daemon);
    let [web, dns] = first.as_slice() else {
        panic!("{first:?}")
    };
    assert_eq!(said, format!("dns: created, {dns}\nweb: created, {web}\n"));

    let same = task("dns", "ports = [\"53\"]\nduration = 600")
        + &task("web", "ports = [80, 443]\nduration = \"10 min\"");
    for file in [&file, &same] {
        let (code, said, errors) = apply(&daemon, file, &[]);
        assert_eq!(code, 0, "{errors}");
        assert_eq!(
            said,
            format!("dns: unchanged, {dns}\nweb: unchanged, {web}\n")
        );
        assert_eq!(ids(&daemon), first);
    }

    // A change is refused, and then nothing else of the file is done either.
    let changed = task("dns", "ports = [53, 5353]\nduration = \"10m\"") + &task("new", "");
    let (code, said, errors) = apply(&daemon, &changed, &[]);
    assert_eq!((code, said.as_str()), (4, ""), "{errors}");
    assert!(errors.contains("another ports; --replace"), "{errors}");
    assert_eq!(ids(&daemon), first);

    // A faulty one stops nothing.
    let faulty =
        task("dns", "ports = [53, 5353]") + &task("new", "duration = \"365d\"\ninterfaces_ = []");
    let (code, _, errors) = apply(&daemon, &faulty, &["--replace"]);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("tasks[1].interfaces_"), "{errors}");
    let gone = task("dns", "ports = [53, 5353]")
        + "[[tasks]]\nname = \"gone\"\ninterfaces = [\"none0\"]\n";
    let (code, _, errors) = apply(&daemon, &gone, &["--replace"]);
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("none0"), "{errors}");
    assert_eq!(ids(&daemon), first);

    let (code, said, errors) = apply(&daemon, &changed, &["--replace"]);
    assert_eq!(code, 0, "{errors}");
    let now = ids(&daemon);
    let [new, replaced, ..] = now.as_slice() else {
        panic!("{now:?}")
    };
    assert_eq!(
        said,
        format!("dns: changed (ports), {replaced} in place of {dns}\nnew: created, {new}\n")
    );
    assert_eq!(daemon.task(dns)["stop_reason"], "user");
    assert_eq!(daemon.task(web)["state"], "running");
    let (code, said, _) = apply(&daemon, &changed, &["--replace"]);
    assert_eq!(code, 0);
    assert_eq!(
        said,
        format!("dns: unchanged, {replaced}\nnew: unchanged, {new}\n")
    );
}

#[test]
fn tasks_that_have_ended_are_created_again() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let file = task("short", "duration = 1");
    for round in 1..=2 {
        let (code, said, errors) = apply(&daemon, &file, &["--wait", "-o", "json"]);
        assert_eq!(code, 0, "{errors}");
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(
            (&said[0]["action"], &said[0]["state"]),
            (&"created".into(), &"completed".into())
        );
        assert_eq!(ids(&daemon).len(), round);
    }
    // JSON on standard input.
    let mut command = Command::new(binary());
    command
        .args(["task", "apply", "-f", "-", "--socket"])
        .arg(daemon.socket());
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    write!(
        stdin,
        r#"[{{"name": "json", "interfaces": ["{HOST_IF}"]}}]"#
    )
    .expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(ids(&daemon).len(), 3);
}
