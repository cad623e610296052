//! Fetching the files of a task, each checked by its SHA-256 where it is finished.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use capture_client::{Fetched, Part, Source, here_already, take_up};
use capture_file::{Target, open_failure, replacement_path};
use capture_task::{
    Cause, count_text, download_stem, download_suffix, is_growing,
    plan::quoted,
    task::{FileRecord, TaskRecord},
};
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::tables;
use crate::{
    args::{DownloadArgs, OutputForm},
    client::{Meant, block_on, find},
    error::{Error, Result},
    exit::Exit,
    listing::json_line,
    print,
    request::refuse_terminal,
    say,
};

/// What names a copy without addresses.
const ANONYMOUS: &str = "anonymous";

/// Executes `task download`.
pub(super) fn download(args: DownloadArgs) -> Result<Exit> {
    let DownloadArgs {
        task,
        write,
        directory,
        file,
        part,
        resume,
        anonymise,
        strip_payload,
        force,
        output,
        socket,
    } = args;
    let form = form_of(&output)?;
    let target = match write {
        Some(name) if name == Path::new("-") => Some(Target::Stdout),
        Some(name) if name.is_dir() => return Err(is_directory(&name)),
        Some(name) => Some(Target::named(name)?),
        None => None,
    };
    refuse_terminal("-w", target.as_ref())?;
    let left_out = [
        ("anonymise", ANONYMOUS, anonymise),
        ("strip_payload", "headers", strip_payload),
    ];
    let left_out = left_out.iter().filter(|(.., is_wanted)| *is_wanted);
    let left_out: Vec<_> = left_out.collect();
    if resume && !left_out.is_empty() {
        return Err(Error::usage(
            "--resume: a copy without payload or addresses is made anew each time; leave --resume out",
        ));
    }
    let meant = if part { Meant::Unended } else { Meant::Newest };
    let client = socket.client()?;
    block_on(async {
        let work = async {
            let id = find(&client, &task, meant).await?;
            let task = client.task(&id).await?;
            let files = wanted(&task, file)?;
            let query: Vec<_> = left_out
                .iter()
                .map(|(name, ..)| format!("{name}=true"))
                .collect();
            let source = Source {
                client: &client,
                task: &task,
                query: match query.as_slice() {
                    [] => String::new(),
                    query => format!("?{}", query.join("&")),
                },
            };
            let saving = Saving {
                source,
                copy: left_out.first().map(|(_, word, _)| *word),
                force,
                resume,
                form,
            };
            match connected(target).await? {
                Some(Target::Stdout) => {
                    let file = one_of(&files, "-w -")?;
                    let stdout = io::stdout().lock();
                    let fetched = saving
                        .source
                        .stream(file, stdout, "standard output")
                        .await?;
                    saving.streamed(fetched, file, "-")?;
                }
                Some(Target::Open(open)) => {
                    let file = one_of(&files, "-w")?;
                    let name = open.name().display().to_string();
                    let fetched = saving.source.stream(file, open.file(), &name).await?;
                    saving.streamed(fetched, file, &name)?;
                }
                Some(Target::File(path)) => {
                    let file = one_of(&files, "-w")?;
                    saving.save(&[(file, path, false)]).await?;
                }
                None => {
                    let directory = directory.unwrap_or_default();
                    make(&directory)?;
                    let named = files.iter().map(|file| {
                        let name = saving.name_of(file);
                        (*file, directory.join(name), true)
                    });
                    saving.save(&named.collect::<Vec<_>>()).await?;
                }
            }
            warn(&task);
            Ok(Exit::Ok)
        };
        tokio::select! {
            done = work => done,
            interrupted = interrupted() => {
                interrupted?;
                Err(Error::runtime("interrupted; what came so far is in NAME.part, and --resume goes on with it"))
            }
        }
    })
}

/// The form, or what to type where a file is meant: other commands of this kind have `-o FILE`.
fn form_of(output: &str) -> Result<OutputForm> {
    match output.to_ascii_lowercase().as_str() {
        "table" => return Ok(OutputForm::Table),
        "json" => return Ok(OutputForm::Json),
        _ => {}
    }
    let is_directory = output.ends_with('/') || Path::new(output).is_dir();
    let option = if is_directory { "-d" } else { "-w" };
    Err(Error::usage(format!(
        "-o is the form, \"table\" or \"json\"; to write the packets there, type: {option} {}",
        quoted(output)
    )))
}

fn is_directory(name: &Path) -> Error {
    let name = name.display().to_string();
    Error::usage(format!(
        "-w: {name} is a directory; to write into it, type: -d {}",
        quoted(&name)
    ))
}

/// Makes the directory of the files, where it is not there.
fn make(directory: &Path) -> Result<()> {
    if directory == Path::new("") {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(|error| {
        let name = directory.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::usage(format!("-d: {name} is no directory; -w names a file"))
            }
            _ => Error::runtime(format!(
                "cannot make the directory {name}: {}",
                open_failure(directory, &error)
            )),
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

/// Waits for a signal that would end the process in the middle of a write.
async fn interrupted() -> Result<()> {
    let install = |kind| {
        signal(kind)
            .map_err(|error| Error::runtime(format!("taking over signals: {}", Cause(&error))))
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
            "{option}: the task has {} files; choose one by --file, or name a directory by -d",
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
            "the capture is NOT complete: {} of {} packets are lost",
            count_text(lost),
            count_text(matched)
        ));
    } else if task.verdict.is_none() {
        say(&format!(
            "the capture may not be complete: the task is {}",
            tables::state(task)
        ));
    }
}

/// How files are kept, and told of.
struct Saving<'a> {
    source: Source<'a>,
    /// What tells a copy from the file, in its name.
    copy: Option<&'static str>,
    force: bool,
    resume: bool,
    form: OutputForm,
}

impl Saving<'_> {
    /// The name of a file that nobody named.
    fn name_of(&self, file: &FileRecord) -> String {
        let stem = download_stem(self.source.task);
        let suffix = download_suffix(self.source.task, file);
        let Some(word) = self.copy else {
            return format!("{stem}{suffix}");
        };
        // Whatever the capture is, the copy is pcapng; and where addresses tell nothing, neither does the name.
        let suffix = suffix
            .strip_suffix(".pcap")
            .map_or(suffix.clone(), |rest| format!("{rest}.pcapng"));
        match word {
            ANONYMOUS => format!("capture_{word}{suffix}"),
            _ => format!("{stem}_{word}{suffix}"),
        }
    }

    /// Writes files to their names, which are ours or the user's.
    async fn save(&self, files: &[(&FileRecord, PathBuf, bool)]) -> Result<()> {
        let mut rows = Vec::new();
        for (file, path, is_ours) in files {
            let fetched = self.save_one(file, path, *is_ours).await?;
            match self.form {
                OutputForm::Table => print(format!("{}\n", path.display()).as_bytes())?,
                OutputForm::Json => rows.push(row(file, &path.display().to_string(), &fetched)),
            }
        }
        match self.form {
            OutputForm::Table => Ok(()),
            OutputForm::Json => print(&json_line(&rows)?),
        }
    }

    async fn save_one(&self, file: &FileRecord, path: &Path, is_ours: bool) -> Result<Fetched> {
        // What there was of a growing file is its beginning, and worth less.
        let is_growing = is_ours && is_growing(self.source.task, file);
        if self.resume {
            if let Some(done) = here_already(file, path)? {
                return Ok(done);
            }
            if is_ours {
                take_up(path, is_growing)?;
            }
        }
        let mut part = Part::create(
            path.to_owned(),
            replacement_path(path)?,
            self.force || is_growing,
            self.resume,
            self.source.has_ranges(),
        )?;
        let fetched = self.source.fill(file, &mut part).await?;
        part.finish()?;
        Ok(fetched)
    }

    /// Tells of what went elsewhere; standard output may be what it went to.
    fn streamed(&self, fetched: Option<Fetched>, file: &FileRecord, name: &str) -> Result<()> {
        if let (Some(fetched), OutputForm::Json) = (fetched, self.form) {
            let line = json_line(&[row(file, name, &fetched)])?;
            say(String::from_utf8_lossy(&line).trim_end());
        }
        Ok(())
    }
}

/// A file in JSON.
fn row(file: &FileRecord, path: &str, fetched: &Fetched) -> Value {
    json!({
        "path": path,
        "index": file.index,
        "size": fetched.size,
        "packets": file.packets,
        "complete": file.complete,
        "sha256": fetched.sha256,
    })
}
