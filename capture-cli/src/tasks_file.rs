//! The file of `run --tasks` and `task apply`: TOML or JSON becomes requests with their plans. Faults of all tasks
//! are collected, each with its place as in `tasks[3].ip`, counted from 0. The keys of a task are
//! those of the API, and `write`, the name of its file.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use capture_common::MAX_SLOTS;
use capture_file::{Target, follow_links, open_failure};
use capture_task::{
    UniqueJson,
    plan::{Fault, JsonTask, Plan, RequestOrigin, quote},
    task::TaskSpec,
};
use serde_json::{Map, Value};

use super::{task_request::TaskRequest, words};
use crate::error::{Error, Result};

/// The key that only the command line has.
const WRITE: &str = "write";

/// Reads the tasks of a file and notes what is wrong with them; where nothing is, all tasks come
/// back.
///
/// # Errors
/// The file cannot be read, or is not of its kind.
pub(super) fn read(path: &Path, problems: &mut Vec<String>) -> Result<Vec<TaskRequest>> {
    Ok(resolve(values("--tasks", path)?, problems))
}

/// The list of tasks in the file of an option, nothing in it checked yet; "-" is standard input.
///
/// # Errors
/// The file cannot be read, or is not of its kind.
pub(super) fn values(option: &str, path: &Path) -> Result<Vec<Value>> {
    let shown = path.display();
    let is_stdin = path == Path::new("-");
    let text = if is_stdin {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| {
        let message = format!("{option}: {shown}: {}", open_failure(path, &error));
        match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(message),
            io::ErrorKind::InvalidData => Error::usage(message),
            _ => Error::runtime(message),
        }
    })?;
    // It has no suffix, and no TOML is JSON.
    let path = match is_stdin {
        true if serde_json::from_str::<Value>(&text).is_ok() => Path::new("standard input.json"),
        true => Path::new("standard input.toml"),
        false => path,
    };
    parse(path, &text).map_err(|problem| Error::usage(format!("{option}: {problem}")))
}

/// The list of tasks in a file, nothing in it checked yet.
fn parse(path: &Path, text: &str) -> Result<Vec<Value>, String> {
    let shown = path.display();
    let suffix = path.extension().unwrap_or_default().to_ascii_lowercase();
    let value: Value = match suffix.to_str() {
        Some("toml") => toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            format!("{shown}, line {line}: {}", error.message())
        })?,
        Some("json") => {
            let read = serde_json::from_str::<UniqueJson>(text);
            read.map_err(|error| format!("{shown}: {error}"))?.0
        }
        _ => {
            return Err(format!(
                "{shown}: its suffix says neither .toml nor .json, so its form is not known"
            ));
        }
    };
    let tasks = match value {
        Value::Array(tasks) => tasks,
        Value::Object(mut object) => {
            let tasks = object.remove("tasks");
            if let Some(key) = object.keys().next() {
                return Err(format!(
                    "{shown}: {} is not known here; a file of tasks has `tasks` and nothing else",
                    quote(key)
                ));
            }
            match tasks {
                Some(Value::Array(tasks)) => tasks,
                Some(_) => return Err(format!("{shown}: `tasks` is not a list of tasks")),
                None => Vec::new(),
            }
        }
        _ => return Err(format!("{shown}: it holds no list of tasks")),
    };
    match tasks.len() {
        0 => Err(format!(
            "{shown}: there is no task in it; a task begins with [[tasks]] in TOML, and is an object in the list `tasks` in JSON"
        )),
        count if count > MAX_SLOTS => Err(format!(
            "{shown}: {count} tasks are too many; at most {MAX_SLOTS} run at once"
        )),
        _ => Ok(tasks),
    }
}

fn resolve(tasks: Vec<Value>, problems: &mut Vec<String>) -> Vec<TaskRequest> {
    let mut outputs = BTreeMap::new();
    let mut requests = Vec::new();
    for (index, task) in tasks.into_iter().enumerate() {
        let place = format!("tasks[{index}]");
        let Value::Object(fields) = task else {
            problems.push(no_table(&place));
            continue;
        };
        let task = Fields::read(fields, &place, problems);
        if let Some(path) = task.write.as_ref().and_then(path_of)
            && let Some(first) = outputs.insert(identity(path), index)
        {
            problems.push(format!(
                "{place}.{WRITE}: tasks[{first}] writes to {} already; give each task a file of its own",
                quote(&path.to_string_lossy())
            ));
        }
        if let Some(request) = task.request() {
            let faults = request.size_faults();
            problems.extend(faults.iter().map(|fault| in_place(&place, fault)));
            requests.push(request);
        }
    }
    requests
}

/// What is said of a task that is none.
pub(super) fn no_table(place: &str) -> String {
    format!("{place}: a task is a table of fields, as in {{ interfaces = [\"eth0\"] }}")
}

/// The fields of one task as far as each can be read on its own.
struct Fields {
    spec: TaskSpec,
    write: Option<Target>,
    plan: Option<Plan>,
}

impl Fields {
    /// Reads every field, and says all faults, each with its place in the task at `place`.
    fn read(mut fields: Map<String, Value>, place: &str, problems: &mut Vec<String>) -> Self {
        let write = fields.remove(WRITE);
        let JsonTask { spec, plan, faults } = JsonTask::read(fields, &[WRITE], RequestOrigin::Run);
        problems.extend(faults.iter().map(|fault| in_place(place, fault)));
        let write = write.and_then(|name| {
            let target = match &name {
                Value::String(name) => target_of(name),
                _ => Err("a file name is expected".to_owned()),
            };
            target
                .map_err(|problem| problems.push(format!("{place}.{WRITE}: {problem}")))
                .ok()
        });
        Self { spec, write, plan }
    }

    /// The request, where the fields make up a valid task.
    fn request(self) -> Option<TaskRequest> {
        Some(TaskRequest::new(self.spec, self.plan?, self.write))
    }
}

fn target_of(name: &str) -> Result<Target, String> {
    if name.is_empty() {
        return Err("the file's name is empty; name a file, or leave it out".to_owned());
    }
    let target = match name {
        "-" => Target::Stdout,
        _ => Target::named(PathBuf::from(name)).map_err(|error| Error::from(error).message)?,
    };
    if target == Target::Stdout {
        return Err(
            "standard output is for a single task, `capture-agent run -w -`; name a file"
                .to_owned(),
        );
    }
    Ok(target)
}

/// The name of what a task writes to.
fn path_of(target: &Target) -> Option<&Path> {
    match target {
        Target::File(path) => Some(path),
        Target::Open(open) => Some(open.name()),
        Target::Stdout => None,
    }
}

/// `tasks[3].ports[1]: what is wrong`.
pub(super) fn in_place(task: &str, fault: &Fault) -> String {
    let mut place = task.to_owned();
    for part in fault.pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => place.push_str(&format!("[{index}]")),
            Err(_) => place.push_str(&format!(".{}", part.escape_debug())),
        }
    }
    format!("{place}: {}", fault.kind.sentence(words::TASKS_FILE))
}

/// The same for two spellings of one file: absolute, with all links followed.
fn identity(path: &Path) -> PathBuf {
    let path = follow_links(path);
    let absolute = std::path::absolute(&path).unwrap_or(path);
    let directory = absolute.parent().map(fs::canonicalize);
    match (directory, absolute.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => absolute,
    }
}

#[cfg(test)]
mod tests;
