//! The daemon as people meet it: every command that talks to it or opens its database, in both forms, with
//! every exit code.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, names},
    eventually, http,
    netns::{HOST_IF, Lab, PEER_IF},
    output, readers, record,
    rights::binary_for_everybody,
    traffic,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

/// `nobody` of Debian.
const NOBODY: u32 = 65534;

/// What a command did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Done {
    #[track_caller]
    pub(super) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }

    /// Its one JSON value.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What stands in its one line.
    #[track_caller]
    pub(super) fn line(&self) -> &str {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        self.stdout.trim_end()
    }

    #[track_caller]
    pub(super) fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "{word}: {self:?}");
        }
    }

    #[track_caller]
    pub(super) fn shows(&self, words: &[&str]) {
        for word in words {
            assert!(self.stdout.contains(word), "{word}: {self:?}");
        }
    }
}

pub(super) fn run(mut command: Command) -> Done {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Done {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The agent's command with these arguments, apart at spaces, for the daemon at a socket.
fn command(socket: &Path, directory: &Path, arguments: &str) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments.split_whitespace())
        .env("CAPTURE_AGENT_SOCKET", socket)
        .env_remove("CAPTURE_AGENT_LOG")
        .current_dir(directory);
    command
}

/// A daemon in a namespace with traffic, and a directory to work in.
pub(super) struct Setup {
    lab: Lab,
    pub(super) daemon: Daemon,
    pub(super) work: TempDir,
}

impl Setup {
    pub(super) fn new(sections: &str) -> Self {
        let lab = Lab::new();
        let daemon = daemon::start_in(&lab.host, &daemon::home(sections));
        let work = tempfile::tempdir().expect("a directory");
        Self { lab, daemon, work }
    }

    pub(super) fn command(&self, arguments: &str) -> Command {
        command(&self.daemon.socket(), self.work.path(), arguments)
    }

    pub(super) fn cli(&self, arguments: &str) -> Done {
        run(self.command(arguments))
    }

    fn database(&self, arguments: &str) -> Done {
        let config = self.daemon.home().path().join("config.toml");
        let mut command = self.command(arguments);
        command.arg("--config").arg(config);
        run(command)
    }

    /// Creates a task that takes all of UDP, and waits until it runs.
    pub(super) fn create(&self, options: &str) -> String {
        let id = self
            .cli(&format!(
                "task create -i {HOST_IF} --protocol udp {options}"
            ))
            .code(0);
        let id = id.line().to_owned();
        self.daemon.reach(&id, "running");
        id
    }

    pub(super) fn send(&self, count: u32) {
        let from = "10.0.0.2:4000".parse().expect("an address");
        let to = "10.0.0.1:9".parse().expect("an address");
        let frames = (0..count).map(|number| traffic::udp_frame(from, to, number, 200));
        traffic::send(&self.lab.peer, PEER_IF, 0, frames);
    }

    /// A task that has ended with so many packets.
    pub(super) fn finished(&self, name: &str, count: u32) -> String {
        let id = self.create(&format!("--name {name} --duration 10m"));
        self.send(count);
        self.daemon.captured(&id, u64::from(count));
        self.daemon.stop_task(&id);
        id
    }

    pub(super) fn work(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }
}

#[test]
fn the_life_of_a_task_in_tables() {
    let setup = Setup::new(UNLIMITED);
    let id = setup.create("--name web --duration 10m");
    assert_eq!(id.len(), 26);
    setup.send(40);
    setup.daemon.captured(&id, 40);
    let list = setup.cli("task list").code(0);
    list.shows(&["ID", "NAME", "STATE", &id, "web", "running"]);
    let shown = setup.cli("task show web").code(0);
    shown.shows(&[
        "running",
        "by          root\n",
        HOST_IF,
        "udp",
        "duration    10m\n",
        "max size    1 GiB (default)\n",
        "until now",
        "quota       1 tasks created today, no limit (edition unlimited)\n",
    ]);
    let stopped = setup.cli(&format!("task stop {id}")).code(0);
    // It has ended by then.
    assert_eq!(
        stopped.line(),
        format!("{id} (web) completed: stopped by user, 40 packets captured (8.0 kB), 0 lost")
    );
    // Repeated, also by the beginning of the ID.
    let again = setup.cli(&format!("task stop {}", &id[..20])).code(0);
    again.shows(&["completed: stopped by user"]);
    let shown = setup.cli("task show web").code(0);
    shown.shows(&[
        "completed: stopped by user",
        "40 (",
        "0, the capture is complete",
        "\nsha256      ",
    ]);
    let file = setup.cli("task download web").code(0);
    let name = file.line();
    assert!(
        name.starts_with("web_20") && name.ends_with(&format!("Z_{}.pcapng", &id[20..])),
        "{name}"
    );
    assert_eq!(readers::packets(&setup.work(name)).len(), 40);
    let mode = fs::metadata(setup.work(name))
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    setup
        .cli("task delete web")
        .code(0)
        .shows(&[&id, "deleted"]);
    setup
        .cli(&format!("task show {id}"))
        .code(3)
        .says(&["no such task"]);
    assert_eq!(setup.cli("task list").code(0).stdout.lines().count(), 1);
    setup.daemon.stop();
}

#[test]
fn the_life_of_a_task_in_json() {
    let setup = Setup::new(UNLIMITED);
    assert_eq!(setup.cli("task list -o json").code(0).stdout, "[]\n");
    let created = setup
        .cli(&format!(
            "task create --name web -i {HOST_IF} --port 9,53 -C 1 -o json"
        ))
        .code(0)
        .json();
    let id = created["id"].as_str().expect("an ID");
    // A bare number of -C is in millions, as in `run`.
    assert_eq!(created["spec"]["rotate"]["bytes"], 1_000_000);
    assert_eq!(created["spec"]["ports"], serde_json::json!([9, 53]));
    setup.daemon.reach(id, "running");
    let list = setup
        .cli("task list --state running -o json")
        .code(0)
        .json();
    assert_eq!(list[0]["id"], id);
    assert_eq!(
        setup.cli("task list --state failed -o json").code(0).stdout,
        "[]\n"
    );
    let shown = setup.cli("task show web -o json").code(0).json();
    assert_eq!(shown["state"], "running");
    let stopping = setup.cli("task stop web --no-wait -o json").code(0).json();
    assert_eq!(stopping["id"], id);
    let stopped = setup.cli("task stop web -o json").code(0).json();
    assert_eq!(
        (&stopped["id"], &stopped["state"]),
        (&Value::from(id), &"completed".into())
    );
    assert_eq!(
        record::unjudged(setup.daemon.ended(id)),
        record::unjudged(setup.cli("task show web -o json").json())
    );
    let deleted = setup.cli("task delete web -o json").code(0).json();
    assert_eq!(
        (&deleted["id"], &deleted["deleted"]),
        (&Value::from(id), &true.into())
    );
    let tomorrow = output(Command::new("date").args(["-u", "-d", "1 day", "+%FT%T"]));
    let tomorrow = tomorrow.trim_end();
    for number in 0..5 {
        let create = format!("task create --name t{number} -i {HOST_IF} --start-at {tomorrow}Z");
        setup.cli(&create).code(0);
    }
    let two = setup.cli("task list --limit 2 -o json").code(0).json();
    let names: Vec<_> = two
        .as_array()
        .expect("a list")
        .iter()
        .map(|task| &task["name"])
        .collect();
    assert_eq!(names, ["t4", "t3"]);
    assert_eq!(two[0]["start_at"], format!("{tomorrow}.000Z"));
    let quota = setup.cli("quota -o json").code(0).json();
    assert_eq!(
        (&quota["account"], &quota["used"]),
        (&"root".into(), &6.into())
    );
    setup
        .cli("quota")
        .code(0)
        .shows(&["root: 6 tasks created today, no limit (edition unlimited)"]);
    setup.daemon.stop();
}

#[test]
fn what_is_wrong_with_a_task_is_said_in_options() {
    let setup = Setup::new(UNLIMITED);
    let wrong = setup
        .cli("task create -i any --ip 10.0.0.300 --peer-port x --duration soon -C 1k --start-at someday")
        .code(2);
    wrong.says(&[
        "--name:",
        "--ip:",
        "--peer-port:",
        "--duration:",
        "--start-at:",
    ]);
    assert!(!wrong.stderr.contains("peer_"), "{wrong:?}");
    let only_run = setup
        .cli("task create --name n -i lo -w x.pcapng --netns blue --ring-size 1MiB --tasks f.toml")
        .code(2);
    only_run.says(&[
        "--write:",
        "task download",
        "--netns:",
        "--ring-size:",
        "--tasks:",
    ]);
    for (arguments, word) in [
        (
            "task create --name n -i lo --idempotency-key ü",
            "--idempotency-key",
        ),
        ("task create --name n -i lo --dry-run --wait", "--wait"),
        ("task list --state lost", "\"pending\""),
        ("task list --limit 0", "--limit"),
        ("task show", "<TASK>"),
        ("task frobnicate", "frobnicate"),
        ("token create x --role king --expires never", "--expires"),
        ("token create x --role king --account ü", "--account"),
    ] {
        setup.cli(arguments).code(2).says(&[word]);
    }
    // Nothing of it came to be.
    assert_eq!(setup.cli("task list -o json").stdout, "[]\n");
    setup.daemon.stop();
}

#[test]
fn dry_runs_and_repeated_requests() {
    let setup = Setup::new(UNLIMITED);
    let dry = format!("task create --name n -i {HOST_IF} --dry-run");
    let told = setup.cli(&dry).code(0);
    let words = [
        "valid\nname     n\nfilter   Every frame\n",
        &format!("\non       {HOST_IF} (tc, "),
        "\nframes   both ways, whole, pcapng\n",
        "\nstarts   now, beside 0 of 64 tasks\n",
        " (duration 1m), or before 1.1 GB are exceeded, whichever comes first\n",
        "\ncurl     curl -sS ",
    ];
    assert!(
        words.iter().all(|words| told.stdout.contains(words)),
        "{told:?}"
    );
    assert_eq!(
        setup.cli(&format!("{dry} -o json")).code(0).json()["valid"],
        true
    );
    setup
        .cli("task create -i lo --dry-run")
        .code(2)
        .says(&["--name"]);
    let create = format!("task create --name n -i {HOST_IF} --idempotency-key k-1");
    let first = setup.cli(&create).code(0);
    assert_eq!(first.line(), setup.cli(&create).code(0).line());
    let other = format!("task create --name other -i {HOST_IF} --idempotency-key k-1");
    setup.cli(&other).code(4).says(&["another request"]);
    let list = setup.cli("task list -o json").json();
    assert_eq!(list.as_array().expect("a list").len(), 1);
    setup.daemon.stop();
}

#[test]
fn conflicts_quota_and_budget_are_4_and_what_is_not_there_3() {
    let sections = "[quota]\ntasks_per_day = 2\n[limits]\ndisk_budget = \"3GiB\"";
    let setup = Setup::new(sections);
    let large = format!("task create --name n -i {HOST_IF} --max-file-bytes 4GiB");
    // A dry run is refused in the same words.
    let is_refused = |create: &str, words: &[&str]| {
        let refused = setup.cli(create).code(4);
        refused.says(words);
        let dry = setup.cli(&format!("{create} --dry-run")).code(4);
        // Without the time until the next day, which goes on.
        let why = |stderr: &str| stderr.split(';').next().map(str::to_owned);
        assert_eq!((&*dry.stdout, why(&dry.stderr)), ("", why(&refused.stderr)));
    };
    is_refused(&large, &["--max-file-bytes:", "disk budget"]);
    let id = setup.create("--name one --duration 10m");
    let refused = setup.cli("task delete one").code(4);
    refused.says(&["running", "--force"]);
    setup.create("--name two --duration 10m");
    is_refused(
        &format!("task create --name n -i {HOST_IF}"),
        &["2 of 2", "in the daemon's configuration"],
    );
    setup
        .cli("quota")
        .code(0)
        .shows(&["2 of 2 tasks of today used", "at 00:00 UTC, in "]);
    setup.cli("task delete --force one").code(0);
    for command in ["show", "watch", "stop", "delete", "download"] {
        setup.cli(&format!("task {command} {id}")).code(3);
        setup
            .cli(&format!("task {command} no-such-task"))
            .code(3)
            .says(&["no-such-task"]);
    }
    // Four characters are no guess, and fewer no ID.
    setup.cli("task show 01").code(3);
    setup.daemon.stop();
}

#[test]
fn an_edition_that_does_not_capture_is_4() {
    let setup = Setup::new("[quota]\nedition = \"basic\"");
    for dry in ["", " --dry-run"] {
        setup
            .cli(&format!("task create --name n -i {HOST_IF}{dry}"))
            .code(4)
            .says(&["basic"]);
    }
    setup.daemon.stop();
}

#[test]
fn several_tasks_are_stopped_and_deleted_at_once() {
    let setup = Setup::new(UNLIMITED);
    let ids = ["a", "b", "c"].map(|name| setup.create(&format!("--name {name} --duration 10m")));
    let done = setup.cli("task stop a b a").code(0);
    let stopped: Vec<_> = done.stdout.lines().collect();
    assert_eq!(stopped.len(), 2, "{done:?}");
    for (line, id) in stopped.iter().zip(&ids) {
        assert!(line.starts_with(&format!("{id} (")), "{done:?}");
        setup.daemon.ended(id);
    }
    // What fails for one is said with its name, and keeps none of the others.
    let done = setup.cli("task delete nosuch a c b -o json").code(4);
    done.says(&["capture-agent: nosuch: no task", "capture-agent: c: "]);
    let deleted = done.stdout.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON on each line");
        assert_eq!(line["deleted"], true);
        line["id"].as_str().expect("an ID").to_owned()
    });
    assert_eq!(deleted.collect::<Vec<_>>(), ids[..2]);
    let done = setup.cli("task delete nosuch c --force").code(3);
    done.shows(&[&format!("{} is deleted", ids[2])]);
    assert_eq!(
        setup.cli("task list -o json").code(0).json(),
        Value::Array(Vec::new())
    );
    setup.cli("task delete").code(2).says(&["<TASK>..."]);
    setup.daemon.stop();
}

#[test]
fn watching_ends_with_the_task() {
    let setup = Setup::new(UNLIMITED);
    let id = setup.create("--name web -c 30 --duration 10m");
    let mut watching = setup.command("task watch web");
    let mut watching = watching.stdout(Stdio::piped()).spawn().expect("it starts");
    let (read, reader) = capture_tests::agent::lines_of(watching.stdout.take().expect("a pipe"));
    let text = || read.lock().expect("nobody panics").clone();
    assert!(
        eventually(TIMEOUT, || text().contains("running")),
        "{}",
        text()
    );
    setup.send(20);
    // The figures come by themselves.
    assert!(
        eventually(TIMEOUT, || text().contains("20 packets")),
        "{}",
        text()
    );
    setup.send(20);
    assert_eq!(watching.wait().expect("it ends").code(), Some(0));
    reader.join().expect("the reader ends");
    let text = text();
    for word in [
        "completed: packet limit reached",
        "captured    30",
        "over limit",
        "file 0",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // One that has ended already is shown, too; as JSON it is the task.
    let shown = setup.cli("task watch web -o json").code(0).json();
    let found = setup.daemon.task(&id);
    assert_eq!(
        daemon::without_findings(shown),
        daemon::without_findings(found)
    );
    setup.daemon.stop();
}

#[test]
fn watching_as_json_and_what_ends_it_early() {
    let setup = Setup::new(UNLIMITED);
    for (name, end) in [
        // It is ended before it is removed.
        ("deleted", Some(0)),
        ("interrupted", Some(0)),
        ("daemon", Some(5)),
    ] {
        setup.create(&format!("--name {name} --duration 10m"));
        let mut watching = setup.command(&format!("task watch {name} -o json"));
        let mut watching = watching
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let (read, reader) =
            capture_tests::agent::lines_of(watching.stdout.take().expect("a pipe"));
        let lines = || read.lock().expect("nobody panics").clone();
        assert!(
            eventually(TIMEOUT, || lines().lines().count() >= 2),
            "{name}"
        );
        for line in lines().lines() {
            let task: Value = serde_json::from_str(line).expect("a task on each line");
            assert_eq!(
                (&task["name"], &task["state"]),
                (&name.into(), &"running".into())
            );
        }
        match name {
            "deleted" => drop(setup.cli("task delete --force deleted").code(0)),
            "interrupted" => {
                let pid = Pid::from_raw(watching.id() as i32);
                kill(pid, Signal::SIGINT).expect("it runs");
            }
            _ => setup.daemon.signal(Signal::SIGKILL),
        }
        assert_eq!(watching.wait().expect("it ends").code(), end, "{name}");
        reader.join().expect("the reader ends");
    }
}

#[test]
fn waiting_for_the_end() {
    let setup = Setup::new(UNLIMITED);
    let create = format!("task create -i {HOST_IF} --protocol udp --duration 1s --wait");
    let waited = setup.cli(&format!("{create} --name table")).code(0);
    assert_eq!(waited.line().len(), 26);
    waited.says(&["running", "completed: duration reached", "complete"]);
    let quiet = setup
        .cli(&format!("{create} --name json -o json -q"))
        .code(0);
    assert_eq!(quiet.stderr, "");
    assert_eq!(quiet.json()["stop_reason"], "duration");
    setup
        .cli("task create -i no-such0 --name gone --wait")
        .code(2)
        .says(&["--interface:", "no-such0"]);
    setup.daemon.stop();
}

#[test]
fn waiting_for_a_task_that_fails_is_1() {
    let setup = Setup::new("[limits]\ndisk_budget = \"100kB\"");
    // Takes most of the room, and a little more in the end.
    let other = setup.create("--name other --duration 10m --max-file-bytes 90kB");
    setup.send(340);
    setup.daemon.captured(&other, 340);
    let mut waiting = setup.command(&format!(
        "task create -i {HOST_IF} --protocol udp --name full --max-file-bytes 16kB --wait"
    ));
    waiting.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut waiting = waiting.stderr(Stdio::piped()).spawn().expect("it starts");
    let is_running = || {
        let full = setup.cli("task show full -o json");
        full.code == Some(0) && full.json()["state"] == "running"
    };
    assert!(eventually(TIMEOUT, is_running));
    // In small pieces, of which the first ones find room.
    let has_ended = || {
        setup.send(3);
        waiting.try_wait().expect("our child").is_some()
    };
    assert!(eventually(TIMEOUT, has_ended));
    let ended = waiting.wait_with_output().expect("it has ended");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("failed: disk is full"), "{stderr}");
    assert!(stderr.contains("NOT complete"), "{stderr}");
    // What was written is there, and said not to be all.
    let fetched = setup.cli("task download full -w full.pcapng").code(0);
    fetched.says(&["NOT complete"]);
    assert!(!readers::packets(&setup.work("full.pcapng")).is_empty());
    setup.daemon.stop();
}

#[test]
fn a_task_that_wrote_nothing_has_no_file() {
    let setup = Setup::new("[limits]\ndisk_budget = \"100kB\"");
    let tasks = ["one", "two"].map(|name| {
        setup.create(&format!(
            "--name {name} --duration 10m --max-file-bytes 90kB"
        ))
    });
    // More at once than both find room for: one at least does not get it.
    setup.send(350);
    let failed = || {
        let list = setup.cli("task list --state failed -o json").code(0).json();
        list.as_array().is_some_and(|tasks| !tasks.is_empty())
    };
    assert!(eventually(TIMEOUT, failed));
    for id in tasks {
        let task = setup.daemon.stop_task(&id);
        let is_there = !task["files"].as_array().expect("a list").is_empty();
        assert_eq!(is_there, task["counters"]["captured"] != 0, "{task}");
        let code = if is_there { 0 } else { 3 };
        setup
            .cli(&format!("task download {id} -w {id}.pcapng"))
            .code(code);
    }
    setup.daemon.stop();
}

#[test]
fn downloads_never_replace_and_leave_nothing_half() {
    let setup = Setup::new(UNLIMITED);
    let id = setup.finished("web", 25);
    setup.cli("task download web -w a.pcapng").code(0);
    fs::write(setup.work("a.pcapng"), "mine").expect("written");
    setup
        .cli("task download web -w a.pcapng")
        .code(4)
        .says(&["a.pcapng", "--force"]);
    assert_eq!(fs::read(setup.work("a.pcapng")).expect("there"), b"mine");
    setup.cli("task download web --force -w a.pcapng").code(0);
    assert_eq!(readers::packets(&setup.work("a.pcapng")).len(), 25);
    fs::create_dir(setup.work("sub")).expect("a directory");
    let inside = setup.cli("task download web -d sub").code(0);
    assert!(inside.line().starts_with("sub/web_20"), "{inside:?}");
    // What another download, or a killed one, has there is not carried on.
    fs::write(setup.work("b.pcapng.part"), "left").expect("written");
    setup
        .cli("task download web -w b.pcapng")
        .code(4)
        .says(&["b.pcapng.part"]);
    setup.cli("task download web -w b.pcapng -f").code(0);
    setup
        .cli("task download web -w no/such/b.pcapng")
        .code(1)
        .says(&["no/such"]);
    setup
        .cli("task download web --file 7")
        .code(3)
        .says(&["no file 7"]);
    assert_eq!(names(setup.work.path()), ["a.pcapng", "b.pcapng", "sub"]);
    // A disk that changes what it keeps.
    let file = setup.daemon.captures(&id).join("capture.pcapng");
    let mut bytes = fs::read(&file).expect("the file");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).expect("written");
    setup
        .cli("task download web -w c.pcapng")
        .code(1)
        .says(&["SHA-256"]);
    setup
        .cli("task download web -w -")
        .code(1)
        .says(&["SHA-256"]);
    assert_eq!(names(setup.work.path()), ["a.pcapng", "b.pcapng", "sub"]);
    setup.daemon.stop();
}

#[test]
fn downloads_stream_also_of_a_running_task() {
    let setup = Setup::new(UNLIMITED);
    let id = setup.create("--name web --duration 10m");
    setup.send(30);
    setup.daemon.captured(&id, 30);
    let path = setup.work("live.pcapng");
    let whole = || {
        let mut command = setup.command("task download web -w -");
        let output = command.output().expect("it starts");
        assert_eq!(output.status.code(), Some(0));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains("until now"), "{stderr}");
        fs::write(&path, output.stdout).expect("written");
        readers::packets(&path).len()
    };
    assert!(eventually(TIMEOUT, || whole() == 30));
    // A reader that has enough is no failure.
    let mut command = setup.command("task download web -w -");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut some = [0; 10];
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut some).expect("some bytes");
    drop(stdout);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    setup.daemon.stop();
}

/// Descriptors, FIFOs and devices are written to, links are followed, and what is none of these stays.
#[test]
fn downloads_replace_nothing_but_files() {
    let setup = Setup::new(UNLIMITED);
    setup.finished("web", 25);
    let path = |name: &str| setup.work(name);
    let count = |name: &str| readers::packets(&path(name)).len();
    // In a mount namespace with a /dev of its own.
    let script = "mkdir dev && cp -a /dev/null /dev/urandom dev/ && ln -s /proc/self/fd dev/fd \
        && ln -s /proc/self/fd/1 dev/stdout && mount --bind dev /dev \
        && $DOWNLOAD /dev/stdout > a && $DOWNLOAD /dev/stdout --force > b \
        && $DOWNLOAD /dev/fd/7 --force 7> c && $DOWNLOAD /dev/null --force \
        && test -c /dev/null";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]);
    let download = format!("{} task download web -w", binary().display());
    command
        .env("DOWNLOAD", download)
        .current_dir(setup.work.path());
    command.env("CAPTURE_AGENT_SOCKET", setup.daemon.socket());
    let done = run(command).code(0);
    assert_eq!(
        done.stdout, "",
        "the packets are elsewhere, and no name is printed"
    );
    assert!(path("dev/stdout").is_symlink() && path("dev").is_dir());
    assert_eq!(["a", "b", "c"].map(count), [25; 3]);

    fs::create_dir(path("big")).expect("a directory");
    symlink("big/x", path("link")).expect("a link");
    setup.cli("task download web -w link").code(0);
    setup
        .cli("task download web -w link")
        .code(4)
        .says(&["link"]);
    fs::write(path("big/x"), "mine").expect("written");
    setup.cli("task download web -w link --force").code(0);
    assert!(path("link").is_symlink());
    assert_eq!(
        (count("big/x"), names(&path("big"))),
        (25, vec!["x".to_owned()])
    );

    let _socket = UnixListener::bind(path("socket")).expect("a socket");
    let refused = setup.cli("task download web -w socket --force").code(2);
    refused.says(&["socket", "no regular file"]);
    nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let fifo = path("fifo");
    let reader = thread::spawn(move || fs::read(fifo).expect("it can be read"));
    setup.cli("task download web -w fifo --force").code(0);
    let got = reader.join().expect("it reads to the end");
    fs::write(path("d"), got).expect("written");
    assert_eq!(count("d"), 25);
    assert!(
        path("fifo")
            .metadata()
            .is_ok_and(|meta| meta.file_type().is_fifo())
    );
    // Nobody reads it: a signal ends the wait.
    let mut command = setup.command("task download web -w fifo");
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let stderr = child.stderr.take().expect("it is piped");
    let mut line = String::new();
    BufReader::new(stderr).read_line(&mut line).expect("a line");
    assert_eq!(line, "waiting for a reader of fifo\n");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    setup.daemon.stop();
}

#[test]
fn several_files_of_a_rotation() {
    let setup = Setup::new(UNLIMITED);
    let id = setup.create("--name ring --duration 10m -C 64KiB");
    setup.send(700);
    setup.daemon.captured(&id, 700);
    setup.daemon.stop_task(&id);
    setup
        .cli("task download ring -w -")
        .code(2)
        .says(&["files", "--file"]);
    setup
        .cli("task download ring -w one.pcapng")
        .code(2)
        .says(&["--file"]);
    assert!(names(setup.work.path()).is_empty());
    let all = setup.cli("task download ring").code(0);
    assert_eq!(
        all.stdout.lines().collect::<Vec<_>>(),
        names(setup.work.path())
    );
    let packets = all
        .stdout
        .lines()
        .map(|name| readers::packets(&setup.work(name)).len());
    assert!(all.stdout.lines().count() > 2, "{all:?}");
    assert_eq!(packets.sum::<usize>(), 700);
    setup
        .cli("task download ring --file 1 -w one.pcapng")
        .code(0);
    setup.daemon.stop();
}

#[test]
fn tokens_and_the_audit_log() {
    let setup = Setup::new(UNLIMITED);
    assert_eq!(setup.database("token list -o json").code(0).stdout, "[]\n");
    let made = setup
        .database("token create ci --role operator --expires 90d")
        .code(0);
    assert!(
        made.line().starts_with("cap_") && made.line().len() == 68,
        "{made:?}"
    );
    made.says(&["ci", "operator", "not shown again"]);
    let other = setup
        .database("token create view --role viewer --account ops -o json")
        .code(0);
    let other = other.json();
    assert_eq!(
        (&other["role"], &other["account"]),
        (&"viewer".into(), &"ops".into())
    );
    let secret = other["secret"].as_str().expect("a secret");
    setup
        .database("token create ci --role admin")
        .code(4)
        .says(&["ci"]);
    setup
        .database("token create old --role admin --expires 2001-01-01T00:00:00Z")
        .code(2);
    let list = setup.database("token list").code(0);
    list.shows(&["ci", "operator", "until", "view", "ops", "in use"]);
    setup
        .database("token revoke view")
        .code(0)
        .shows(&["revoked"]);
    setup.database("token revoke view").code(3).says(&["view"]);
    setup.database("token list").code(0).shows(&["revoked 2"]);
    let audit = setup.database("audit list --limit 1000 -o json").code(0);
    for word in ["token.create", "token.revoke", "uid 0", "command"] {
        assert!(audit.stdout.contains(word), "{word}: {audit:?}");
    }
    assert!(!audit.stdout.contains(secret) && !audit.stdout.contains(made.line()));
    setup
        .database("audit list --limit 1")
        .code(0)
        .shows(&["NUMBER", "audit.list"]);
    setup
        .database("audit verify")
        .code(0)
        .shows(&["each as it was written"]);
    assert!(setup.database("audit verify -o json").code(0).json()["verified"]["lines"].is_number());
    setup.daemon.stop();
}

#[test]
fn a_changed_audit_log_is_1() {
    let setup = Setup::new(UNLIMITED);
    setup.database("token create ci --role viewer").code(0);
    let home = setup.daemon.home().clone();
    let database = home.path().join("state.db");
    let Setup {
        lab: _lab,
        daemon,
        work,
    } = setup;
    daemon.stop();
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); \
                  [c.execute('DROP TRIGGER ' + n) for (n,) in c.execute(\"SELECT name FROM sqlite_master \
                  WHERE type = 'trigger' AND tbl_name = 'audit'\").fetchall()]; \
                  c.execute(\"UPDATE audit SET who = 'nobody' WHERE seq = 1\")";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(&database);
    output(&mut python);
    let verify = || {
        let mut command = command(Path::new("/"), work.path(), "audit verify --config");
        command.arg(home.path().join("config.toml"));
        command
    };
    run(verify()).code(1).shows(&["BROKEN at line 1"]);
    let mut json = verify();
    json.args(["-o", "json"]);
    assert_eq!(run(json).code(1).json()["broken_at"]["seq"], 1);
}

#[test]
fn a_daemon_that_is_not_there_is_5() {
    let work = tempfile::tempdir().expect("a directory");
    let missing = work.path().join("api.sock");
    for arguments in [
        "task create --name n -i lo",
        "task list",
        "task show x",
        "task watch x",
        "task stop x",
        "task delete x",
        "task download x",
        "quota",
        "quota -o json",
    ] {
        let done = run(command(&missing, work.path(), arguments)).code(5);
        done.says(&["api.sock", "systemctl start capture-agent", "--socket"]);
        assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
        assert_eq!(done.stdout, "");
    }
    // Nobody listens any more.
    let left = work.path().join("left.sock");
    drop(UnixListener::bind(&left).expect("a socket"));
    let done = run(command(
        &missing,
        work.path(),
        &format!("quota --socket {}", left.display()),
    ));
    done.code(5).says(&["no daemon listens", "left.sock"]);
    // A database that is not there.
    let config = work.path().join("config.toml");
    let text = format!(
        "[paths]\ndatabase = \"{}/none.db\"\n",
        work.path().display()
    );
    fs::write(&config, text).expect("written");
    for arguments in [
        "token list",
        "token create x --role viewer",
        "audit list",
        "audit verify",
    ] {
        let mut command = command(&missing, work.path(), arguments);
        command.arg("--config").arg(&config);
        run(command).code(3).says(&["none.db", "first start"]);
    }
    assert_eq!(names(work.path()), ["config.toml", "left.sock"]);
}

/// As `nobody`, and a group besides where one is named.
fn as_nobody(setup: &Setup, group: Option<u32>, arguments: &str) -> Done {
    let home = setup.daemon.home().path();
    fs::set_permissions(home, fs::Permissions::from_mode(0o755)).expect("root may");
    let mut command = Command::new("setpriv");
    let id = NOBODY.to_string();
    command.args(["--reuid", &id, "--regid", &id]);
    match group {
        Some(group) => command.args(["--groups", &group.to_string()]),
        None => command.arg("--clear-groups"),
    };
    command
        .arg(binary_for_everybody())
        .args(arguments.split_whitespace())
        .env("CAPTURE_AGENT_SOCKET", setup.daemon.socket())
        .current_dir("/");
    run(command)
}

#[test]
fn another_user_is_refused_and_a_member_is_an_operator() {
    // `games` is a group of every Debian.
    let games = nix::unistd::Group::from_name("games")
        .expect("groups")
        .expect("a group");
    let games = games.gid.as_raw();
    let setup = Setup::new(&format!("{UNLIMITED}\n[access]\nsocket_group = \"games\""));
    let refused = as_nobody(&setup, None, "task list").code(5);
    refused.says(&["user 65534", "group games", "api.sock"]);
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    as_nobody(&setup, Some(games), "task list").code(0);
    let create = format!("task create --name theirs -i {HOST_IF}");
    let id = as_nobody(&setup, Some(games), &create).code(0);
    setup.daemon.reach(id.line(), "running");
    as_nobody(&setup, Some(games), "task delete --force theirs").code(0);
    // The database is the owner's alone.
    let config = setup.daemon.home().path().join("config.toml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).expect("root may");
    for arguments in ["token list", "audit verify"] {
        let arguments = format!("{arguments} --config {}", config.display());
        as_nobody(&setup, Some(games), &arguments)
            .code(6)
            .says(&["state.db", "root"]);
    }
    setup.daemon.stop();
}

/// Each with a quota of one task.
#[test]
fn a_user_of_the_socket_has_an_account_of_the_own_name() {
    let group = nix::unistd::Group::from_name("games").expect("groups");
    let games = group.map(|group| group.gid.as_raw());
    let setup = Setup::new(
        "[quota]\ntasks_per_day = 1\n[limits]\ndisk_budget = \"1TiB\"\n[access]\nsocket_group = \"games\"",
    );
    let create = |name| format!("task create --name {name} -i {HOST_IF} --start-at +1h");
    setup.cli(&create("ours")).code(0);
    as_nobody(&setup, games, &create("theirs")).code(0);
    as_nobody(&setup, games, &create("second")).code(4);
    as_nobody(&setup, games, "quota")
        .code(0)
        .shows(&["nobody: 1 of 1 tasks of today used"]);
    let shown = as_nobody(&setup, games, "task show theirs -o json").code(0);
    let shown = shown.json();
    assert_eq!(
        (&shown["created_by"], &shown["account"]),
        (&"uid 65534".into(), &"nobody".into())
    );
    as_nobody(&setup, games, "task delete ours").code(6);
    as_nobody(&setup, games, "task delete theirs").code(0);
    setup.cli("task delete ours").code(0);
    setup.daemon.stop();
}

/// Wireshark asks for interfaces and tasks every few seconds.
#[test]
fn who_only_looks_leaves_no_audit_lines() {
    let group = nix::unistd::Group::from_name("games").expect("groups");
    let games = group.map(|group| group.gid.as_raw());
    let setup = Setup::new(&format!("{UNLIMITED}\n[access]\nsocket_group = \"games\""));
    let id = setup.create("--name web --duration 10m");
    for _ in 0..3 {
        as_nobody(&setup, games, "extcap --extcap-interfaces")
            .code(0)
            .shows(&[&format!("capture-agent:task:{id}")]);
        for look in [
            "extcap --extcap-interface capture-agent:any --extcap-dlts",
            "extcap --extcap-interface capture-agent:any --extcap-config",
            "task list",
            "task show web",
            "interfaces",
            "quota",
        ] {
            as_nobody(&setup, games, look).code(0);
        }
    }
    let log = setup.database("audit list -o json").code(0).json();
    let actions: Vec<_> = log
        .as_array()
        .expect("a list")
        .iter()
        .map(|line| line["action"].as_str().expect("a word"))
        .collect();
    assert_eq!(actions, ["task.create"]);
    setup.daemon.stop();
}

/// The role of a member is not enough for what is another account's.
#[test]
fn a_member_that_deletes_the_task_of_another_account_is_6() {
    let address = "127.0.0.1:8080".parse().expect("an address");
    let setup = Setup::new(&format!(
        "{UNLIMITED}\n[access]\nsocket_group = \"games\"\n[http]\nlisten = \"{address}\""
    ));
    let group = nix::unistd::Group::from_name("games").expect("groups");
    let games = group.map(|group| group.gid.as_raw());
    let token = setup.daemon.token("alice", "operator", "alice");
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
    ];
    let task = format!(r#"{{"name": "hers", "interfaces": ["{HOST_IF}"], "duration": "10m"}}"#);
    let create = || http::ask_tcp(address, "POST", "/api/v1/tasks", &headers, task.as_bytes());
    let made = setup.lab.host.within(create).expect("an answer");
    let id = made.expect(201).json()["id"].clone();
    let id = id.as_str().expect("an ID");
    setup.daemon.reach(id, "running");
    for arguments in ["task delete hers", "task delete --force hers"] {
        let refused = as_nobody(&setup, games, arguments).code(6);
        refused.says(&["role", "root"]);
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    }
    assert_eq!(setup.daemon.task(id)["state"], "running");
    // What the role does allow.
    as_nobody(&setup, games, "task stop hers").code(0);
    setup.daemon.ended(id);
    as_nobody(&setup, games, "task delete hers").code(6);
    let log = setup.database("audit list --limit 1000 -o json").code(0);
    let refusals = log.stdout.matches("refused: not allowed").count();
    assert_eq!(refusals, 3, "{log:?}");
    setup.cli("task delete hers").code(0);
    setup.daemon.stop();
}

#[test]
fn without_the_group_only_root_may() {
    let setup = Setup::new(&format!(
        "{UNLIMITED}\n[access]\nsocket_group = \"no-such-group\""
    ));
    let refused = as_nobody(&setup, None, "quota").code(5);
    refused.says(&["no group may", "access.socket_group"]);
    setup.cli("quota").code(0);
    setup.daemon.stop();
}

#[test]
fn a_daemon_that_speaks_something_else_is_no_panic() {
    let work = tempfile::tempdir().expect("a directory");
    let path = work.path().join("api.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let answers = [
        "",
        "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        // To the question of which version it is.
        "",
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    ];
    let server = thread::spawn(move || {
        use std::io::Write as _;
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("written");
        }
    });
    for code in [5, 5, 1, 1] {
        let done = run(command(&path, work.path(), "task list")).code(code);
        assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    }
    server.join().expect("the server ends");
}
