//! The daemon on a full disk: what has ended has ended, though the database takes nothing, and is stored when it
//! can be; space can be freed through the daemon, and a daemon starts.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use capture_store::{
    Action, AuditEvent, AuditFilter, Outcome, Store, StoredTask, access::Actor, clock::SystemClock,
};
use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, names, udp_task, without_findings},
    eventually,
    netns::{HOST_IF, Lab},
    output, readers,
    small_disk::SmallDisk,
    traffic::{self},
};
use nix::sys::{signal::Signal, statvfs::statvfs};
use serde_json::json;
use tempfile::TempDir;

/// A daemon and the disk that will be full.
struct Setup {
    lab: Lab,
    disk: SmallDisk,
    database: PathBuf,
    daemon: Daemon,
}

impl Setup {
    /// Its database alone is on the disk.
    fn with_database_on_disk(size: &str) -> Self {
        let disk = SmallDisk::new(size);
        let database = disk.path().join("state.db");
        let home = tempfile::tempdir().expect("a directory");
        daemon::configure_with(&home, &database, UNLIMITED);
        Self::start(disk, database, home)
    }

    /// Everything of it is on the disk.
    fn with_home_on_disk(size: &str) -> Self {
        let disk = SmallDisk::new(size);
        let home = TempDir::new_in(disk.path()).expect("a directory");
        daemon::configure(&home, UNLIMITED);
        let database = home.path().join("state.db");
        Self::start(disk, database, home)
    }

    fn start(disk: SmallDisk, database: PathBuf, home: TempDir) -> Self {
        let lab = Lab::new();
        let daemon = daemon::start_in(&lab.host, &Arc::new(home));
        Self {
            lab,
            disk,
            database,
            daemon,
        }
    }
}

fn is_ready(daemon: &Daemon) -> bool {
    daemon.ask_with("GET", "/readyz", &[], b"").status == 200
}

fn give_up_reserve(database: &Path) {
    let reserve = database.with_file_name("state.db-reserve");
    let reserve = OpenOptions::new().write(true).open(reserve);
    reserve
        .and_then(|reserve| reserve.set_len(0))
        .expect("the reserve is there");
}

/// Fills the disk until the database takes nothing, not even by its reserve, and the daemon knows. What is written
/// until then are lines of the audit log, as a command writes them beside the daemon.
fn use_up(daemon: &Daemon, disk: &SmallDisk, database: &Path) {
    let store = Store::open_existing(database, Arc::new(SystemClock)).expect("the store");
    let event = AuditEvent {
        action: Action::TokenList,
        object: "tokens",
        outcome: Outcome::Done,
    };
    let is_used_up = eventually(TIMEOUT, || {
        give_up_reserve(database);
        disk.fill();
        let written = store.audit(&Actor::command().caller, event);
        if written.is_ok() {
            return false;
        }
        let task = json!({"name": "beyond", "interfaces": [HOST_IF], "duration": "10m"});
        daemon.ask("POST", "/tasks", Some(&task)).expect(507);
        !is_ready(daemon)
    });
    assert!(is_used_up, "{}", daemon.stderr());
    let answer = daemon.ask_with("GET", "/readyz", &[], b"");
    assert_eq!(answer.problem(503), [(String::new(), "store".to_owned())]);
}

fn row(database: &Path, id: &str) -> StoredTask {
    let store = Store::open_existing(database, Arc::new(SystemClock)).expect("the store");
    let task = store.task(&id.parse().expect("an ID")).expect("it is read");
    task.expect("it is there")
}

fn listed(daemon: &Daemon, state: &str) -> BTreeSet<String> {
    let answer = daemon.ask("GET", &format!("/tasks?state={state}"), None);
    let page = answer.expect(200).json();
    let tasks = page["tasks"].as_array().expect("tasks").iter();
    let ids = tasks.map(|task| {
        assert_eq!(task["state"], state, "{task}");
        task["id"].as_str().expect("an ID").to_owned()
    });
    ids.collect()
}

fn figure(daemon: &Daemon, name: &str) -> String {
    let text = daemon.ask_with("GET", "/metrics", &[], b"").expect(200);
    let text = text.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name}:\n{text}"))
        .trim()
        .to_owned()
}

fn command(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.env("CAPTURE_AGENT_SOCKET", home.join("api.sock"));
    if matches!(arguments[0], "token" | "audit") {
        command
            .args(arguments)
            .arg("--config")
            .arg(home.join("config.toml"));
    } else {
        command.args(arguments);
    }
    command.output().expect("it starts")
}

#[track_caller]
fn succeeds(home: &Path, arguments: &[&str]) {
    let done = command(home, arguments);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{arguments:?}: {said}");
}

#[test]
fn what_ends_while_nothing_can_be_stored_has_ended_and_is_stored_later() {
    let Setup {
        lab,
        disk,
        database,
        daemon,
    } = Setup::with_database_on_disk("3m");
    let by_limit = daemon.run(udp_task(json!({"max_packets": 20})));
    let by_stop = daemon.run(udp_task(json!({})));
    let stays = daemon.run(udp_task(json!({})));
    use_up(&daemon, &disk, &database);

    traffic::send_to_host(&lab, 0..20, 1000);
    let task = daemon.ended(&by_limit);
    assert_eq!(
        (&task["state"], &task["stop_reason"], &task["verdict"]),
        (
            &json!("completed"),
            &json!("max_packets"),
            &json!("complete")
        )
    );
    assert_eq!(task["counters"]["captured"], 20);
    daemon.captured(&by_stop, 20);
    assert_eq!(daemon.stop_task(&by_stop)["stop_reason"], "user");
    // As those that have ended are stopped, listed, counted and downloaded.
    let answer = daemon.ask("POST", &format!("/tasks/{by_limit}/stop"), None);
    assert_eq!(answer.expect(202).json(), task);
    let ended = BTreeSet::from([by_limit.clone(), by_stop.clone()]);
    assert_eq!(listed(&daemon, "completed"), ended);
    assert_eq!(listed(&daemon, "running"), BTreeSet::from([stays.clone()]));
    assert_eq!(
        figure(&daemon, "capture_agent_tasks{state=\"running\"}"),
        "1"
    );
    assert_eq!(
        figure(&daemon, "capture_agent_tasks{state=\"completed\"}"),
        "2"
    );
    assert_eq!(figure(&daemon, "capture_agent_store_writable"), "0");
    let packets = daemon.packets(&by_limit);
    let numbers = readers::numbers(&packets);
    assert!(numbers.eq(0..20));
    // And removed, files first.
    daemon
        .ask("DELETE", &format!("/tasks/{by_stop}"), None)
        .expect(204);
    daemon
        .ask("GET", &format!("/tasks/{by_stop}"), None)
        .expect(404);
    assert_eq!(names(&daemon.captures(&by_stop)), [""; 0]);
    let ended = BTreeSet::from([by_limit.clone()]);
    assert_eq!(listed(&daemon, "completed"), ended);

    disk.clear();
    let stored = || {
        let stored = row(&database, &by_limit).record;
        let log = daemon.stderr().contains("are in the audit log now");
        stored.stop_reason.is_some() && log && is_ready(&daemon)
    };
    assert!(eventually(TIMEOUT, stored), "{}", daemon.stderr());
    let task = without_findings(task);
    assert_eq!(without_findings(daemon.ended(&by_limit)), task);
    let said = daemon.stderr();
    for line in ["cannot be stored yet", "is stored now"] {
        let lines = said.lines().filter(|said| said.contains(&by_limit));
        assert_eq!(
            lines.filter(|said| said.contains(line)).count(),
            1,
            "{said}"
        );
    }
    assert_eq!(figure(&daemon, "capture_agent_store_writable"), "1");
    let home = daemon.kill();
    let daemon = daemon::start_in(&lab.host, &home);
    assert_eq!(without_findings(daemon.ended(&by_limit)), task);
    daemon
        .ask("GET", &format!("/tasks/{by_stop}"), None)
        .expect(404);
    daemon.stop();
    let store = Store::open_existing(&database, Arc::new(SystemClock)).expect("the store");
    let lines = store.audit_list(&AuditFilter::default(), &Actor::command());
    let lines = lines.expect("the log");
    for (action, object) in [
        ("file.download", format!("{by_limit}/0")),
        ("task.stop", by_stop.clone()),
    ] {
        let line = lines
            .iter()
            .find(|line| line.action == action && line.object == object)
            .unwrap_or_else(|| panic!("{action}: {lines:#?}"));
        assert!(
            line.outcome.starts_with("done (at 2") && line.outcome.ends_with(", written later)"),
            "{line:?}"
        );
    }
    let deleted =
        |line: &&capture_store::AuditLine| line.action == "task.delete" && line.object == by_stop;
    assert_eq!(lines.iter().filter(deleted).count(), 1, "{lines:#?}");
}

/// The end of the daemon comes before the store takes anything again: what stands beside the captures is right.
#[test]
fn what_could_not_be_stored_outlives_the_daemon() {
    for kill in [true, false] {
        let Setup {
            lab,
            disk,
            database,
            daemon,
        } = Setup::with_database_on_disk("3m");
        let ends = daemon.run(udp_task(json!({"max_packets": 20})));
        let runs = daemon.run(udp_task(json!({})));
        let in_a_moment = output(Command::new("date").args(["-u", "-d", "5 seconds", "+%FT%TZ"]));
        let due = daemon.create(udp_task(json!({"start_at": in_a_moment.trim()})));
        let in_an_hour = output(Command::new("date").args(["-u", "-d", "1 hour", "+%FT%TZ"]));
        let waits = daemon.create(udp_task(json!({"start_at": in_an_hour.trim()})));
        let goes = daemon.create(udp_task(json!({"start_at": in_an_hour.trim()})));
        use_up(&daemon, &disk, &database);
        traffic::send_to_host(&lab, 0..20, 1000);
        let ended = daemon.ended(&ends);
        daemon.captured(&runs, 20);
        let failed = daemon.ended(&due);
        assert_eq!(failed["state"], "failed", "{failed}");
        let error = failed["error"].as_str().unwrap_or_default();
        assert!(error.contains("could not be stored"), "{failed}");
        let stopped = daemon.stop_task(&goes);
        assert_eq!(stopped["stop_reason"], "user", "{stopped}");
        let home = if kill {
            daemon.kill()
        } else {
            let ended = daemon.stop();
            let line = ended
                .stderr
                .lines()
                .find(|line| line.contains(&format!("the end of task {ends} could not be stored")));
            assert!(line.is_some(), "{}", ended.stderr);
            ended.home
        };
        disk.clear();
        let daemon = daemon::start_in(&lab.host, &home);
        for (id, task) in [(&ends, &ended), (&due, &failed), (&goes, &stopped)] {
            let found = without_findings(daemon.ended(id));
            assert_eq!(found, without_findings(task.clone()));
        }
        daemon.taken_up(&runs, 1);
        let task = daemon.stop_task(&runs);
        // An orderly end could not be stored either.
        assert_eq!(task["interruptions"][0]["cause"], "interrupted", "{task}");
        assert_eq!(task["counters"]["captured"], 20, "{task}");
        assert_eq!(daemon.task(&waits)["state"], "pending");
        let left = names(&home.path().join("captures"));
        assert!(
            !left.iter().any(|name| name.starts_with(".ended")),
            "{left:?}"
        );
        daemon.stop();
    }
}

/// Database and captures on one disk that somebody else has filled.
#[test]
fn a_full_disk_is_emptied_through_the_daemon() {
    for is_reserve_used_up in [false, true] {
        let Setup {
            lab,
            disk,
            database,
            daemon,
        } = Setup::with_home_on_disk("16m");
        let home = Arc::clone(daemon.home());
        let old = daemon.run(udp_task(json!({})));
        traffic::send_to_host(&lab, 0..3000, 1000);
        daemon.captured(&old, 3000);
        let old_task = daemon.stop_task(&old);
        let small = daemon.run(udp_task(json!({})));
        daemon.stop_task(&small);
        let runs = daemon.run(udp_task(json!({})));
        daemon.token("ci", "viewer", "ci");
        disk.fill();
        if is_reserve_used_up {
            use_up(&daemon, &disk, &database);
        }
        assert!(!is_ready(&daemon), "nothing can be written");

        let packets = daemon.packets(&old);
        assert_eq!(packets.len(), 3000);
        daemon
            .ask("POST", &format!("/tasks/{runs}/stop"), None)
            .expect(202);
        daemon.wait(&runs, "the end", |task| {
            task["state"] == "completed" || task["state"] == "failed"
        });
        if !is_reserve_used_up {
            succeeds(home.path(), &["token", "revoke", "ci"]);
            succeeds(home.path(), &["token", "list"]);
        }
        let more = udp_task(json!({"name": "more"}));
        let answer = daemon.ask("POST", "/tasks", Some(&more));
        let detail = answer.json()["detail"].clone();
        assert_eq!(
            answer.problem(507),
            [(String::new(), "no_space".to_owned())]
        );
        let expected = format!(
            "no space is left on {}; delete tasks or free some",
            home.path().display()
        );
        assert_eq!(detail, expected);
        let refused = command(
            home.path(),
            &["task", "create", "--name", "more", "-i", HOST_IF],
        );
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains(&expected), "{said}");

        daemon
            .ask("DELETE", &format!("/tasks/{old}"), None)
            .expect(204);
        assert_eq!(names(&daemon.captures(&old)), [""; 0]);
        let is_fine = || is_ready(&daemon);
        assert!(eventually(TIMEOUT, is_fine), "{}", daemon.stderr());
        let reserve = fs::metadata(database.with_file_name("state.db-reserve"));
        assert_eq!(reserve.expect("the reserve").len(), 1 << 20);
        let id = daemon.run(more);
        traffic::send_to_host(&lab, 0..10, 1000);
        daemon.captured(&id, 10);
        assert_eq!(daemon.stop_task(&id)["verdict"], "complete");
        assert_eq!(old_task["counters"]["captured"], 3000);
        daemon.stop();
        succeeds(home.path(), &["audit", "verify"]);
    }
}

#[test]
fn a_daemon_starts_on_a_full_disk() {
    for kill in [true, false] {
        let Setup {
            lab, disk, daemon, ..
        } = Setup::with_home_on_disk("8m");
        let id = daemon.run(udp_task(json!({})));
        traffic::send_to_host(&lab, 0..30, 1000);
        daemon.captured(&id, 30);
        let home = if kill {
            daemon.kill()
        } else {
            daemon.stop().home
        };
        disk.fill();
        let daemon = daemon::start_in(&lab.host, &home);
        // It was taken up, and there is no room for a further file.
        let task = daemon.ended(&id);
        assert_eq!(task["state"], "failed", "{task}");
        assert_eq!(task["counters"]["captured"], 30, "{task}");
        assert_eq!(daemon.packets(&id).len(), 30);
        daemon
            .ask("DELETE", &format!("/tasks/{id}"), None)
            .expect(204);
        let home = daemon.kill();

        // And where there is nothing left, it says what to do.
        give_up_reserve(&home.path().join("state.db"));
        fs::remove_file(home.path().join("state.db-shm")).expect("it was killed");
        disk.fill();
        let ended = daemon::spawn(lab.host.command(binary()), &home).wait_end();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        let expected = format!("no space is left on {}", home.path().display());
        assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
        assert!(ended.stderr.contains("free a few MiB"), "{}", ended.stderr);
    }
}

/// The captures alone are on the disk, of which half is to stay free.
#[test]
fn captures_end_before_what_is_kept_free() {
    const KEPT: u64 = 8 << 20;
    let home = tempfile::tempdir().expect("a directory");
    let captures = home.path().join("captures");
    fs::create_dir(&captures).expect("a directory");
    let _disk = SmallDisk::at(captures.clone(), "16m");
    let sections = |keep_free: &str| format!("{UNLIMITED}\n[capture]\nkeep_free = \"{keep_free}\"");
    daemon::configure(&home, &sections("50%"));
    let lab = Lab::new();
    let daemon = daemon::start_in(&lab.host, &Arc::new(home));
    let home = Arc::clone(daemon.home());
    let free = || {
        let system = statvfs(&captures).expect("a file system");
        system.blocks_available() * system.fragment_size()
    };
    let storage = daemon.ask("GET", "/storage", None).expect(200).json();
    assert_eq!(storage["keep_free"], KEPT, "{storage}");

    let fills = daemon.run(udp_task(json!({})));
    let mut sent = 0;
    let has_ended = || {
        traffic::send_to_host(&lab, sent..sent + 2000, 1000);
        sent += 2000;
        let task = daemon.task(&fills);
        assert!(free() >= KEPT, "{} bytes are free: {task}", free());
        task["state"] == "failed"
    };
    assert!(eventually(TIMEOUT, has_ended), "{}", daemon.stderr());
    let task = daemon.ended(&fills);
    assert_eq!(task["stop_reason"], "disk_full", "{task}");
    let captured = task["counters"]["captured"].as_u64();
    assert_eq!(
        Some(daemon.packets(&fills).len() as u64),
        captured,
        "{task}"
    );

    // Without room for anything, none is created.
    fs::write(captures.join("other"), vec![0; 3 << 20]).expect("there is room");
    let task = udp_task(json!({"name": "more"}));
    let answer = daemon.ask("POST", "/tasks", Some(&task));
    let detail = answer.json()["detail"].clone();
    assert_eq!(
        answer.problem(507),
        [(String::new(), "disk_full".to_owned())]
    );
    let detail = detail.as_str().unwrap_or_default();
    let directory = captures.display().to_string();
    for words in [
        directory.as_str(),
        "8.4 MB are kept free",
        "delete tasks",
        "`capture.keep_free`",
    ] {
        assert!(detail.contains(words), "{detail}");
    }
    let dry_run = daemon.ask("POST", "/tasks?dry_run=true", Some(&task));
    assert_eq!(
        dry_run.problem(507),
        [(String::new(), "disk_full".to_owned())]
    );
    let refused = command(
        home.path(),
        &["task", "create", "--name", "more", "-i", HOST_IF],
    );
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains(detail), "{said}");

    // A reload is enough.
    daemon::configure(&home, &sections("1MiB"));
    daemon.signal(Signal::SIGHUP);
    let read = || daemon.stderr().contains("the configuration is read again");
    assert!(eventually(TIMEOUT, read), "{}", daemon.stderr());
    let id = daemon.run(task.clone());
    traffic::send_to_host(&lab, 0..10, 1000);
    daemon.captured(&id, 10);
    // What others take counts too.
    let others = usize::try_from(free() - (512 << 10)).expect("it is little");
    fs::write(captures.join("others"), vec![0; others]).expect("there is room");
    let has_ended = || {
        traffic::send_to_host(&lab, 10..11, 1000);
        daemon.task(&id)["state"] == "failed"
    };
    assert!(eventually(TIMEOUT, has_ended), "{}", daemon.stderr());
    let task = daemon.ended(&id);
    assert_eq!(task["stop_reason"], "disk_full", "{task}");
    let error = task["error"].as_str().unwrap_or_default();
    assert!(error.contains("are kept free"), "{task}");
    daemon.stop();
}

/// Three captures, of which two fit: into the budget, or into what is not kept free.
#[test]
fn the_oldest_files_make_room() {
    for by_budget in [true, false] {
        let home = tempfile::tempdir().expect("a directory");
        let captures = home.path().join("captures");
        fs::create_dir(&captures).expect("a directory");
        let _disk = SmallDisk::at(captures.clone(), "24m");
        let (limits, capture) = match by_budget {
            true => ("disk_budget = \"8MiB\"", "keep_free = 0"),
            false => ("", "keep_free = \"16MiB\""),
        };
        let sections = format!("{UNLIMITED}\n{limits}\n[capture]\n{capture}\nevict_oldest = true");
        let sections = match by_budget {
            true => sections.replace("disk_budget = \"1TiB\"\n", ""),
            false => sections,
        };
        daemon::configure(&home, &sections);
        let lab = Lab::new();
        let daemon = daemon::start_in(&lab.host, &Arc::new(home));
        // 3 MiB each.
        let capture = |name: &str| {
            let id = daemon.run(udp_task(json!({"name": name, "max_file_bytes": "7MiB"})));
            for round in 0..3 {
                traffic::send_to_host(&lab, round * 1000..(round + 1) * 1000, 1000);
                daemon.captured(&id, u64::from(round + 1) * 1000);
            }
            let task = daemon.stop_task(&id);
            assert_eq!(task["verdict"], "complete", "{task}");
            id
        };
        let ids = ["oldest", "older", "newest"].map(capture);
        let status = |id: &str| {
            let path = format!("/tasks/{id}/files/0");
            daemon.ask("GET", &path, None).status
        };
        assert_eq!(ids.each_ref().map(|id| status(id)), [410, 200, 200]);
        assert_eq!(daemon.packets(&ids[2]).len(), 3000);
        // Its record stays, and the audit log says what became of the files.
        assert_eq!(daemon.task(&ids[0])["counters"]["captured"], 3000);
        let audit = daemon.ask("GET", "/audit?action=file.evict", None).json();
        let lines = audit["lines"].as_array().expect("lines");
        let objects: Vec<_> = lines.iter().map(|line| &line["object"]).collect();
        assert_eq!(objects, [&json!(ids[0])], "{audit}");

        // One that needs more than all others gets that, and no more.
        let id = daemon.run(udp_task(json!({"max_file_bytes": "7MiB"})));
        let mut sent = 0;
        let has_ended = || {
            traffic::send_to_host(&lab, sent..sent + 1000, 1400);
            sent += 1000;
            let state = daemon.task(&id)["state"].clone();
            state == "failed" || state == "completed"
        };
        assert!(eventually(TIMEOUT, has_ended), "{}", daemon.stderr());
        let task = daemon.ended(&id);
        assert_eq!(task["stop_reason"], "max_file_bytes", "{task}");
        assert_eq!(ids.each_ref().map(|id| status(id)), [410, 410, 410]);

        // And is not started for nothing.
        let ids: Vec<_> = (0..3)
            .map(|_| daemon.run(udp_task(json!({"max_file_bytes": "1MiB"}))))
            .collect();
        for id in ids {
            daemon.stop_task(&id);
        }
        daemon.stop();
    }
}
