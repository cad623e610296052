//! From the growing file of a task, as [`capture_client`] follows it, into Wireshark's FIFO. A task of our own is ended and removed with the capture, its
//! last packets first; one that was only looked at goes on. A capture that is killed leaves a task that ends by its limits.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    pin::pin,
    thread,
    time::{Duration, Instant},
};

use capture_task::{
    Cause,
    task::{State, TaskRecord, TaskSpec},
};
use http::Method;
use tokio::{
    net::unix::pipe::{OpenOptions, Sender},
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};

use super::source::{Source, What};
use crate::{
    client::{Client, block_on},
    error::{Error, Result},
    exit::Exit,
};

/// How often it is looked for the reader of the FIFO.
const READER: Duration = Duration::from_millis(20);

/// How long the FIFO may be without a reader before the capture ends: whoever started it has gone.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long dumpcap may take to open a FIFO that gets nothing.
const RELEASE: Duration = Duration::from_secs(3);

/// How long the last packets may take at the end. Wireshark waits for us.
const REST: Duration = Duration::from_millis(500);

/// How long a daemon may take to remove the task.
const REMOVAL: Duration = Duration::from_secs(5);

/// Captures until SIGTERM, the end of the task, or that of the FIFO's reader.
pub(super) fn capture(
    client: &Client,
    source: &Source,
    spec: &TaskSpec,
    fifo: &Path,
) -> Result<Exit> {
    block_on(async {
        let mut signals = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ]
        .map(signal)
        .into_iter()
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| Error::runtime(format!("taking over signals: {}", Cause(&error))))?;
        let own = match &source.what {
            What::Interface(_) => Some(create(client, spec).await?),
            What::Task(_) => None,
        };
        let id = match (&own, &source.what) {
            (Some(id), _) | (None, What::Task(id)) => id.as_str(),
            (None, What::Interface(name)) => name.as_str(),
        };
        let mut following = pin!(follow(client, id, fifo));
        let [terminate, interrupt, hangup] = signals.as_mut_slice() else {
            return Err(Error::runtime("three signals were taken over"));
        };
        let ended = tokio::select! {
            ended = &mut following => Some(ended),
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            _ = hangup.recv() => None,
        };
        if own.is_some() {
            if ended.is_none() {
                let path = format!("/tasks/{id}/stop");
                let stop = client.ask(Method::POST, &path, Vec::new(), None);
                // Whether it could be stopped or not, it is removed below.
                let rest = async {
                    stop.await.ok()?;
                    following.await.ok()
                };
                if timeout(REST, rest).await.is_err() {
                    log::debug!("the last packets of task {id} did not come in time");
                }
            }
            remove(client, id).await;
        }
        ended.unwrap_or(Ok(()))?;
        Ok(Exit::Ok)
    })
}

/// Creates the task and gives its ID.
async fn create(client: &Client, spec: &TaskSpec) -> Result<String> {
    let body = serde_json::to_vec(spec)
        .map_err(|error| Error::runtime(format!("writing JSON: {error}")))?;
    let answer = client
        .ask(Method::POST, "/tasks", Vec::new(), Some(body))
        .await?;
    let record: TaskRecord = client.value(answer).await?;
    Ok(record.id)
}

async fn remove(client: &Client, id: &str) {
    let path = format!("/tasks/{id}?force=true");
    let removal = client.ask(Method::DELETE, &path, Vec::new(), None);
    match timeout(REMOVAL, removal).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => log::warn!("task {id} is not removed: {}", Error::from(error)),
        Err(_) => log::warn!("task {id} is not removed: the daemon is slow"),
    }
}

/// Passes on what the task writes, once the FIFO has a reader.
async fn follow(client: &Client, id: &str, fifo: &Path) -> Result<()> {
    let mut pipe = open(fifo).await?;
    match client.follow(id, &mut pipe).await? {
        Some(record) => ended(&record),
        // Nobody reads any more.
        None => Ok(()),
    }
}

fn ended(record: &TaskRecord) -> Result<()> {
    match (record.state, &record.error) {
        (State::Failed, Some(error)) => Err(Error::runtime(error.clone())),
        (State::Failed, None) => Err(Error::runtime(
            "the task has failed; the daemon's log says why",
        )),
        _ => Ok(()),
    }
}

/// Opens the FIFO and closes it, where a capture fails: dumpcap waits for ever for the first writer, and tshark for
/// dumpcap, though we have ended (4.0).
pub(super) fn release(fifo: &Path) {
    let begun = Instant::now();
    loop {
        let mut options = fs::OpenOptions::new();
        match options
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(fifo)
        {
            Err(error)
                if error.raw_os_error() == Some(libc::ENXIO) && begun.elapsed() < RELEASE =>
            {
                thread::sleep(READER);
            }
            _ => return,
        }
    }
}

/// Opens the FIFO once somebody reads it.
async fn open(fifo: &Path) -> Result<Sender> {
    let begun = Instant::now();
    loop {
        match OpenOptions::new().open_sender(fifo) {
            Ok(pipe) => return Ok(pipe),
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
                if begun.elapsed() >= READER_TIMEOUT {
                    return Err(Error::runtime(format!(
                        "nobody has opened the FIFO {} within {} s",
                        fifo.display(),
                        READER_TIMEOUT.as_secs()
                    )));
                }
                sleep(READER).await;
            }
            Err(error) => {
                let (shown, cause) = (fifo.display(), Cause(&error));
                return Err(Error::runtime(format!(
                    "the FIFO {shown} cannot be opened: {cause}"
                )));
            }
        }
    }
}
