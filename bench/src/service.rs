//! A daemon with one task that captures all, as benchmarks drive it by its API.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use capture_tests::{
    daemon::{UNLIMITED, configure},
    http,
    netns::HOST_IF,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{case::Snap, interrupt, measure::Bench, process::Process};

/// What a start, an end and a report may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon, its task running.
pub(crate) struct Service {
    pub(crate) process: Process,
    socket: PathBuf,
    /// Path of the task in the API.
    task: String,
    _home: TempDir,
}

/// What the task says at its end, in packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) captured: u64,
    pub(crate) lost: u64,
}

impl Service {
    /// Starts it on the CPU of captures.
    pub(crate) fn start(bench: &Bench, snap: Snap, is_analyzed: bool) -> Result<Self> {
        let home = tempfile::tempdir_in(bench.directory.path())?;
        let analysis = format!("{UNLIMITED}\n[analysis]\nenabled = {is_analyzed}");
        configure(&home, &analysis);
        let mut command = vec![bench.agent.clone().into()];
        command.extend(["daemon".into(), "--config".into()]);
        command.push(home.path().join("config.toml").into());
        let [_, capture] = bench.cpus;
        let mut process = Process::start(&bench.lab.host, capture, &command)?;
        process.wait_ready("ready")?;
        let mut service = Self {
            process,
            socket: home.path().join("api.sock"),
            task: String::new(),
            _home: home,
        };
        let task = json!({
            "name": "benchmark",
            "interfaces": [HOST_IF],
            "hook": "tc",
            "max_bytes": snap.bytes(),
            "duration": "1h",
        });
        let created = service.ask("POST", "/api/v1/tasks", Some(&task))?;
        let id = created["id"].as_str().context("a task without an ID")?;
        service.task = format!("/api/v1/tasks/{id}");
        service.until("running")?;
        Ok(service)
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Path of the task in the API, with more behind it.
    pub(crate) fn task(&self, more: &str) -> String {
        format!("{}{more}", self.task)
    }

    /// Ends the task and the daemon.
    pub(crate) fn end(self) -> Result<Figures> {
        self.ask("POST", &self.task("/stop"), None)?;
        let ended = self.until("completed")?;
        let count = |value: &Value| value.as_u64().context("a task without figures");
        let counters = &ended["counters"];
        let captured = count(&counters["captured"])?;
        let mut lost = 0;
        for stage in ["ring", "queue", "write", "copy"] {
            lost += count(&counters["dropped"][stage])?;
        }
        self.process.stop()?;
        Ok(Figures { captured, lost })
    }

    /// Waits until the task is in a state.
    fn until(&self, state: &str) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask("GET", &self.task, None)?;
            if answer["state"] == state {
                return Ok(answer);
            }
            ensure!(Instant::now() < end, "not {state} in time: {answer}");
            interrupt::sleep(Duration::from_millis(50))?;
        }
    }

    fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Result<Value> {
        let kind = [("Content-Type", "application/json")];
        let headers = if body.is_some() { &kind[..] } else { &[] };
        let body = body.map_or_else(String::new, Value::to_string);
        let answer = http::ask(&self.socket, method, target, headers, body.as_bytes())?;
        ensure!(
            (200..300).contains(&answer.status),
            "{method} {target}: {} {}",
            answer.status,
            answer.text()
        );
        Ok(answer.json())
    }
}
