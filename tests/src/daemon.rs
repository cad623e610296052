//! The daemon under test: started in a namespace with a configuration of its own, asked over its socket,
//! and ended or killed. What it keeps lies in a directory that the next one can be started on.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread::{self, JoinHandle},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    TIMEOUT,
    agent::{binary, lines_of},
    eventually,
    http::{self, Answer},
    netns::{HOST_IF, Netns},
    openapi::{self, Document},
    output, processes, readers, record,
};

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    home: Arc<TempDir>,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    document: OnceLock<Document>,
}

/// A daemon that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Where its things are.
    pub home: Arc<TempDir>,
}

/// A home for a daemon, with a configuration: sections besides `[paths]`.
pub fn home(sections: &str) -> Arc<TempDir> {
    let home = tempfile::tempdir().expect("a directory");
    configure(&home, sections);
    Arc::new(home)
}

/// Writes the configuration of a home.
pub fn configure(home: &TempDir, sections: &str) {
    configure_with(home, &home.path().join("state.db"), sections);
}

/// The same with the database elsewhere.
pub fn configure_with(home: &TempDir, database: &Path, sections: &str) {
    let (root, database) = (home.path().display(), database.display());
    let text = format!(
        "[paths]\ndatabase = \"{database}\"\ncaptures = \"{root}/captures\"\n\
         socket = \"{root}/api.sock\"\n{sections}\n"
    );
    fs::write(home.path().join("config.toml"), text).expect("a configuration");
}

/// No limits but those of the machine.
pub const UNLIMITED: &str = "[quota]\nedition = \"unlimited\"\n[limits]\ndisk_budget = \"1TiB\"";

/// A task of UDP on [`HOST_IF`] that lasts, with these fields besides or instead.
pub fn udp_task(mut task: Value) -> Value {
    let usual =
        json!({"name": "a test", "interfaces": [HOST_IF], "protocol": "udp", "duration": "10m"});
    for (field, value) in usual.as_object().expect("an object") {
        if task.get(field).is_none() {
            task[field] = value.clone();
        }
    }
    task
}

/// Starts a daemon in a new home, and waits until it is ready.
pub fn start(namespace: &Netns) -> Daemon {
    start_in(namespace, &home(UNLIMITED))
}

/// The same in a given home.
pub fn start_in(namespace: &Netns, home: &Arc<TempDir>) -> Daemon {
    spawn(namespace.command(binary()), home).ready()
}

/// Starts a command that ends in the agent's name, without waiting.
pub fn spawn(mut command: Command, home: &Arc<TempDir>) -> Daemon {
    let config = home.path().join("config.toml");
    command.arg("daemon").arg("--config").arg(config);
    command
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stderr, reader) = lines_of(child.stderr.take().expect("stderr is piped"));
    Daemon {
        child,
        home: Arc::clone(home),
        stderr,
        reader: Some(reader),
        document: OnceLock::new(),
    }
}

impl Daemon {
    /// Waits for the line `ready`.
    pub fn ready(self) -> Self {
        let is_ready = || self.stderr().lines().any(|line| line == "ready");
        let ready = eventually(TIMEOUT, || {
            is_ready() || self.reader.as_ref().is_none_or(JoinHandle::is_finished)
        });
        assert!(ready && is_ready(), "not ready; stderr:\n{}", self.stderr());
        self
    }

    /// Standard error until now.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("nobody panics").clone()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process that starts others for it.
    pub fn supervisor(&self) -> Option<u32> {
        processes::children(self.pid(), "capture-superv")
            .first()
            .copied()
    }

    /// The processes that read captures for it.
    pub fn inspectors(&self) -> Vec<i32> {
        let supervisor = self.supervisor().into_iter();
        let all = supervisor.flat_map(|id| processes::children(id, "capture-inspect"));
        all.map(|id| id as i32).collect()
    }

    /// How many descriptors it holds.
    pub fn descriptors(&self) -> usize {
        let listing = fs::read_dir(format!("/proc/{}/fd", self.pid()));
        listing.expect("the daemon runs").count()
    }

    /// A figure of `/proc/PID/status`: sizes are in KiB.
    pub fn status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the daemon runs");
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        figure.unwrap_or_else(|| panic!("{field} in\n{status}"))
    }

    /// Where its things are.
    pub fn home(&self) -> &Arc<TempDir> {
        &self.home
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.home.path().join("api.sock")
    }

    /// The directory of a task's files.
    pub fn captures(&self, id: &str) -> PathBuf {
        self.home.path().join("captures").join(id)
    }

    /// Asks, with a body of JSON where there is one. The answer is one that the daemon's document tells of.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let json = [("Content-Type", "application/json")];
        let headers = if body.is_empty() { &[][..] } else { &json[..] };
        self.ask_with(method, &format!("/api/v1{path}"), headers, &body)
    }

    /// The same with these headers and any body, of a path with its prefix.
    #[track_caller]
    pub fn ask_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let answer = self.ask_unjudged(method, target, headers, body);
        self.document().check(method, target, &answer);
        answer
    }

    #[track_caller]
    fn ask_unjudged(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        http::ask(&self.socket(), method, target, headers, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}; {}", self.stderr()))
    }

    /// Its OpenAPI document.
    #[track_caller]
    pub fn document(&self) -> &Document {
        let ask = || Document::of(self.ask_unjudged("GET", openapi::PATH, &[], b""));
        self.document.get_or_init(ask)
    }

    /// A new token, made by the command.
    #[track_caller]
    pub fn token(&self, name: &str, role: &str, account: &str) -> String {
        let mut command = Command::new(binary());
        command.args(["token", "create", name, "--role", role]);
        command.args(["--account", account, "--config"]);
        command.arg(self.home.path().join("config.toml"));
        output(&mut command).trim().to_owned()
    }

    /// Creates a task and gives its ID.
    #[track_caller]
    pub fn create(&self, mut task: Value) -> String {
        if task.get("name").is_none() {
            task["name"] = json!("a test");
        }
        let answer = self.ask("POST", "/tasks", Some(&task)).expect(201);
        answer.json()["id"].as_str().expect("an ID").to_owned()
    }

    /// A task as it is now.
    #[track_caller]
    pub fn task(&self, id: &str) -> Value {
        let answer = self.ask("GET", &format!("/tasks/{id}"), None);
        let task = answer.expect(200).json();
        record::assert_whole(&task);
        task
    }

    /// Waits until a task is as it should be.
    #[track_caller]
    pub fn wait(&self, id: &str, what: &str, check: impl Fn(&Value) -> bool) -> Value {
        let mut task = Value::Null;
        let came = eventually(TIMEOUT, || {
            task = self.task(id);
            check(&task)
        });
        assert!(came, "{what} expected: {task}\nstderr:\n{}", self.stderr());
        task
    }

    /// Waits until a task is in a state.
    #[track_caller]
    pub fn reach(&self, id: &str, state: &str) -> Value {
        self.wait(id, state, |task| task["state"] == state)
    }

    /// Creates a task, and waits until it runs.
    #[track_caller]
    pub fn run(&self, task: Value) -> String {
        let id = self.create(task);
        self.reach(&id, "running");
        id
    }

    /// Waits until a task has captured so many packets.
    #[track_caller]
    pub fn captured(&self, id: &str, packets: u64) -> Value {
        self.wait(id, "packets", |task| {
            task["counters"]["captured"].as_u64() >= Some(packets)
        })
    }

    /// Stops a task, and waits until it has ended.
    #[track_caller]
    pub fn stop_task(&self, id: &str) -> Value {
        self.ask("POST", &format!("/tasks/{id}/stop"), None)
            .expect(202);
        self.ended(id)
    }

    /// Waits until a task has ended, and holds it to its promises.
    #[track_caller]
    pub fn ended(&self, id: &str) -> Value {
        let task = self.wait(id, "the end", |task| {
            task["state"] == "completed" || task["state"] == "failed"
        });
        self.assert_invariants(&task);
        task
    }

    /// Waits until a task captures again after its last gap, of so many.
    #[track_caller]
    pub fn taken_up(&self, id: &str, gaps: usize) -> Value {
        self.wait(id, "to be taken up", |task| {
            let list = task["interruptions"].as_array();
            list.is_some_and(|list| {
                list.len() == gaps && list.iter().all(|gap| gap["until"].is_string())
            })
        })
    }

    /// Downloads a file.
    #[track_caller]
    pub fn download(&self, id: &str, index: u64) -> Vec<u8> {
        let path = format!("/tasks/{id}/files/{index}");
        self.ask("GET", &path, None).expect(200).body
    }

    /// The packets of a task's files, as downloaded.
    #[track_caller]
    pub fn packets(&self, id: &str) -> Vec<readers::Packet> {
        let directory = tempfile::tempdir().expect("a directory");
        let task = self.task(id);
        let files = task["files"].as_array().expect("files").iter();
        let packets = files.flat_map(|file| {
            let index = file["index"].as_u64().expect("an index");
            let path = directory.path().join(format!("{index}"));
            fs::write(&path, self.download(id, index)).expect("a copy");
            readers::packets(&path)
        });
        packets.collect()
    }

    /// The figures add up, the files are as the record says, and so is the sidecar beside each.
    #[track_caller]
    fn assert_invariants(&self, task: &Value) {
        let counters = &task["counters"];
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{task}"));
        let dropped = ["ring", "queue", "write", "copy"];
        let dropped = dropped.map(|stage| number(&counters["dropped"][stage]));
        let others = ["captured", "oversize_discarded", "over_limit"];
        let others = others.map(|name| number(&counters[name]));
        let accounted = dropped.iter().sum::<u64>() + others.iter().sum::<u64>();
        assert_eq!(number(&counters["matched"]), accounted, "{task}");
        let id = task["id"].as_str().expect("an ID");
        for file in task["files"].as_array().expect("files") {
            let name = file["name"].as_str().expect("a name");
            let path = self.captures(id).join(name);
            let size = fs::metadata(&path).map_or(0, |meta| meta.len());
            assert_eq!(file["size"], size, "{task}");
            let sidecar = fs::read(self.captures(id).join(format!("{name}.json")));
            let sidecar: Value = serde_json::from_slice(&sidecar.unwrap_or_default())
                .unwrap_or_else(|error| panic!("the sidecar of {name}: {error}"));
            // The record, with this file alone, and without what is found later.
            let mut expected = task.clone();
            if let Some(record) = expected.as_object_mut() {
                record.remove("findings");
            }
            expected["files"] = json!([file]);
            assert_eq!(sidecar, expected);
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).expect("the daemon runs");
    }

    /// Ends it by SIGTERM; it must end well.
    #[track_caller]
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        let ended = self.wait_end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        ended
    }

    /// Kills it.
    pub fn kill(self) -> Arc<TempDir> {
        self.signal(Signal::SIGKILL);
        let ended = self.wait_end();
        assert_eq!(
            ended.status.signal(),
            Some(libc::SIGKILL),
            "{}",
            ended.stderr
        );
        ended.home
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_end(mut self) -> Ended {
        let mut status = None;
        let in_time = eventually(TIMEOUT, || {
            status = self.child.try_wait().expect("the daemon is our child");
            status.is_some()
        });
        assert!(in_time, "it does not end; stderr:\n{}", self.stderr());
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader ends");
        }
        Ended {
            status: status.expect("it has ended"),
            stderr: self.stderr(),
            home: Arc::clone(&self.home),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("stderr of the daemon until now:\n{}", self.stderr());
        }
    }
}

/// What lies in a directory; empty where there is none.
pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into()).collect();
    names.sort();
    names
}

/// A task without the numbers of its findings, which come once its analysis is stored.
pub fn without_findings(mut task: Value) -> Value {
    task.as_object_mut().expect("a task").remove("findings");
    task
}
