//! `doctor --bundle`: what a report of a bug needs, in one archive ([`capture_report`]): the checks, facts of the machine,
//! the configuration, and of the daemon what tells nothing of whose packets it has.

use std::path::Path;

use capture_report::{Diagnosis, Report, TaskFigures, facts, plain};
use capture_tasks::config::Config;
use serde::Serialize;

use crate::{
    client::{Client, TaskQuery, block_on},
    error::{Error, Result},
    exit::Exit,
    print,
    run::of_sudo,
};

/// Most tasks that are told of, the newest.
const MOST_TASKS: usize = 200;

/// Writes the archive, and says what is in it.
pub(super) fn write(
    path: &Path,
    config: Option<&Path>,
    client: Result<&Client, &Error>,
    diagnosis: &Diagnosis,
    commit: &'static str,
) -> Result<Exit> {
    let config = Config::shown(config, None).unwrap_or_else(|error| format!("# {error}\n"));
    let of_daemon = |path: &str| {
        let asked = client.map_err(|error| error.message.clone());
        let asked = asked.and_then(|client| {
            block_on(async { Ok(client.text(path).await?) }).map_err(|error| error.message)
        });
        asked.unwrap_or_else(|why| format!("{why}\n"))
    };
    let mut report = Report::default();
    for (name, what, text) in [
        ("doctor.txt", "the checks", plain(diagnosis)),
        ("doctor.json", "the same for programs", pretty(diagnosis)?),
        (
            "versions.json",
            "program, system, kernel",
            pretty(&facts::versions(commit))?,
        ),
        (
            "kernel.txt",
            "its options and switches for BPF",
            facts::kernel(),
        ),
        (
            "interfaces.json",
            "names, kinds, drivers",
            pretty(&facts::interfaces())?,
        ),
        ("config.toml", "the configuration in force", config),
        ("unit.txt", "the service, and its exposure", facts::unit()),
        ("log.txt", "the service's last lines", facts::log()),
        ("daemon/version.json", "its version", of_daemon("/version")),
        (
            "daemon/ready.json",
            "whether it works",
            of_daemon("/readyz"),
        ),
        (
            "daemon/storage.json",
            "its room on the disk",
            of_daemon("/storage"),
        ),
        ("daemon/metrics.txt", "its figures", of_daemon("/metrics")),
        (
            "daemon/tasks.json",
            "states and figures of tasks",
            tasks(client)?,
        ),
    ] {
        report.add(name, what, &text);
    }
    let files = report
        .write(path, of_sudo())
        .map_err(|error| Error::new(error.kind, format!("--bundle: {error}")))?;
    print(
        format!(
            "{} holds\n{files}No packets, tokens or keys; addresses are left out. Read it before you send it.\n",
            path.display()
        )
        .as_bytes(),
    )?;
    Ok(Exit::Ok)
}

fn pretty(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Error::runtime(format!("writing JSON: {error}")))?;
    Ok(text + "\n")
}

fn tasks(client: Result<&Client, &Error>) -> Result<String> {
    let client = match client {
        Ok(client) => client,
        Err(error) => return Ok(format!("{error}\n")),
    };
    let query = TaskQuery::default();
    let tasks = match block_on(async { Ok(client.tasks(&query, MOST_TASKS).await?) }) {
        Ok(tasks) => tasks,
        Err(error) => return Ok(format!("{error}\n")),
    };
    pretty(&tasks.into_iter().map(TaskFigures::from).collect::<Vec<_>>())
}
