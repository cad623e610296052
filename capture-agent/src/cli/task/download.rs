//! Fetching the files of a task, each checked by its SHA-256 where it is finished.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use capture_file::Target;
use capture_task::task::{FileRecord, TaskRecord};
use http::{HeaderMap, Method, header};
use hyper::body::Incoming;
use sha2::{Digest as _, Sha256};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{
    download_file::{self, Part},
    tables,
};
use crate::cli::{
    args::DownloadArgs,
    client::{Client, block_on},
    error::{Error, Result},
    exit::Exit,
    print,
    request::refuse_terminal,
    say,
};

/// Executes `task download`.
pub(super) fn download(args: DownloadArgs) -> Result<Exit> {
    let DownloadArgs {
        task,
        output,
        file,
        force,
        socket,
    } = args;
    let target = match output {
        Some(name) if name == Path::new("-") => Some(Target::Stdout),
        Some(name) => Some(Target::named(name)?),
        None => None,
    };
    refuse_terminal("-o", target.as_ref())?;
    let client = Client::new(socket.socket);
    block_on(async {
        let work = async {
            let task = client.task(&client.find(&task).await?).await?;
            let files = wanted(&task, file)?;
            let download = Download {
                client: &client,
                task: &task,
                force,
            };
            match connected(target).await? {
                Some(Target::Stdout) => {
                    let file = one_of(&files, "-o -")?;
                    let stdout = io::stdout().lock();
                    download.stream(file, stdout, "standard output").await?;
                }
                Some(Target::Open(open)) => {
                    let file = one_of(&files, "-o")?;
                    let name = open.name().display().to_string();
                    download.stream(file, open.file(), &name).await?;
                }
                Some(Target::File(path)) => download.save(&files, Some(path)).await?,
                None => download.save(&files, None).await?,
            }
            warn(&task);
            Ok(Exit::Ok)
        };
        tokio::select! {
            done = work => done,
            interrupted = interrupted() => {
                interrupted?;
                Err(Error::runtime("interrupted; what had not come whole is removed"))
            }
        }
    })
}

/// A FIFO is waited for, until somebody reads it.
async fn connected(target: Option<Target>) -> Result<Option<Target>> {
    const RETRY: Duration = Duration::from_millis(20);
    let Some(mut target) = target else {
        return Ok(None);
    };
    let mut is_told = false;
    while !target.connect()? {
        if let (Target::File(path), false) = (&target, is_told) {
            say(&format!("waiting for a reader of {}", path.display()));
            is_told = true;
        }
        sleep(RETRY).await;
    }
    Ok(Some(target))
}

/// Waits for a signal that would end the process and leave a part of a file.
async fn interrupted() -> Result<()> {
    let install = |kind| {
        signal(kind).map_err(|error| Error::runtime(format!("taking over signals: {error}")))
    };
    let mut interrupt = install(SignalKind::interrupt())?;
    let mut terminate = install(SignalKind::terminate())?;
    let mut hangup = install(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

fn wanted(task: &TaskRecord, number: Option<u64>) -> Result<Vec<&FileRecord>> {
    let is_wanted = |file: &&FileRecord| number.is_none_or(|number| file.index == number);
    let files: Vec<_> = task.files.iter().filter(is_wanted).collect();
    if !files.is_empty() {
        return Ok(files);
    }
    Err(Error::not_found(match number {
        Some(number) if !task.files.is_empty() => format!(
            "task {} has no file {number}; `capture-agent task show` lists them",
            task.id
        ),
        _ => format!("task {} ({}) has no files", task.id, tables::state(task)),
    }))
}

fn one_of<'a>(files: &[&'a FileRecord], option: &str) -> Result<&'a FileRecord> {
    match files {
        [file] => Ok(file),
        _ => Err(Error::usage(format!(
            "{option}: the task has {} files; choose one by --file, or name a directory",
            files.len()
        ))),
    }
}

/// Says what must not be taken for more than it is.
fn warn(task: &TaskRecord) {
    let lost = task.counters.dropped.total();
    if !task.state.is_final() {
        say(&format!(
            "the task is {}: this is what there was until now",
            tables::state(task)
        ));
    } else if lost > 0 {
        let matched = task.counters.matched;
        say(&format!(
            "the capture is NOT complete: {lost} of {matched} packets are lost"
        ));
    } else if task.verdict.is_none() {
        say(&format!(
            "the capture may not be complete: the task is {}",
            tables::state(task)
        ));
    }
}

/// A download: files of one task, from one daemon.
struct Download<'a> {
    client: &'a Client,
    task: &'a TaskRecord,
    force: bool,
}

impl Download<'_> {
    /// To standard output, or to what is open.
    async fn stream(&self, file: &FileRecord, mut to: impl Write, name: &str) -> Result<()> {
        let (headers, mut body) = self.open(file).await?;
        let mut check = Check::of(file, &headers);
        let failed = |error: io::Error| Error::runtime(format!("writing to {name}: {error}"));
        while let Some(bytes) = self.client.next_bytes(&mut body).await? {
            check.hash.update(&bytes);
            match to.write_all(&bytes) {
                // The reader has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written.map_err(failed)?,
            }
        }
        match to.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(failed(error)),
            Ok(()) => check.finish(name),
        }
    }

    /// Writes each file to one of its name, or to `output`.
    async fn save(&self, files: &[&FileRecord], output: Option<PathBuf>) -> Result<()> {
        let (directory, name) = match output {
            None => (PathBuf::new(), None),
            Some(path) if path.is_dir() => (path, None),
            Some(path) => {
                one_of(files, "-o")?;
                (PathBuf::new(), Some(path))
            }
        };
        for file in files {
            let (headers, mut body) = self.open(file).await?;
            let target = name.clone().unwrap_or_else(|| {
                let own = format!("{}_{}", self.task.id, file.name);
                directory.join(download_file::name_of(&headers, own))
            });
            let mut part = Part::create(target, self.force)?;
            let mut check = Check::of(file, &headers);
            while let Some(bytes) = self.client.next_bytes(&mut body).await? {
                check.hash.update(&bytes);
                part.write(&bytes)?;
            }
            check.finish("the download, which is removed")?;
            let path = part.finish()?;
            print(format!("{}\n", path.display()).as_bytes())?;
        }
        Ok(())
    }

    async fn open(&self, file: &FileRecord) -> Result<(HeaderMap, Incoming)> {
        let path = format!("/tasks/{}/files/{}", self.task.id, file.index);
        let answer = self
            .client
            .ask(Method::GET, &path, Vec::new(), None)
            .await?;
        let (parts, body) = answer.into_parts();
        Ok((parts.headers, body))
    }
}

/// Whether what came is what was written.
struct Check {
    hash: Sha256,
    expected: Option<String>,
}

impl Check {
    /// What the answer says, or else the record: the file may have been finished between the two.
    fn of(file: &FileRecord, headers: &HeaderMap) -> Self {
        let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.map(|tag| tag.trim_matches('"'));
        let is_sha256 =
            |tag: &&str| tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let expected = tag.filter(is_sha256).map(str::to_owned);
        Self {
            hash: Sha256::new(),
            expected: expected.or_else(|| file.sha256.clone()),
        }
    }

    fn finish(self, what: &str) -> Result<()> {
        let found = self.hash.finalize();
        let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.expected {
            Some(expected) if expected != found => Err(Error::runtime(format!(
                "{what} is not the file that was written: its SHA-256 is {found}, and not {expected}; the daemon's disk may be failing"
            ))),
            _ => Ok(()),
        }
    }
}
