//! The file of `run --tasks`: TOML or JSON becomes requests with their plans. Faults of all tasks
//! are collected, each with its place as in `tasks[3].ip`, counted from 0. The keys of a task are
//! those of the API, and `write`, the name of its file.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use capture_common::MAX_SLOTS;
use serde_json::{Map, Value};

use super::request::TaskRequest;
use crate::{
    error::{Error, Result},
    output::Target,
    plan::{Face, Fault, Plan, nearest, quote},
    task::TaskSpec,
};

/// The keys of a task.
const KEYS: [&str; 19] = [
    "name",
    "interfaces",
    "direction",
    "hook",
    "protocol",
    "address_type",
    "ip",
    "ports",
    "peer_ip",
    "peer_ports",
    "icmp_errors",
    "max_bytes",
    "oversize",
    "duration",
    "max_packets",
    "max_file_bytes",
    "format",
    "rotate",
    WRITE,
];

/// The key that only the command line has.
const WRITE: &str = "write";

/// Reads the tasks of a file and notes what is wrong with them; where nothing is, all tasks come
/// back.
///
/// # Errors
/// The file cannot be read, or is not of its kind.
pub(super) fn read(path: &Path, problems: &mut Vec<String>) -> Result<Vec<TaskRequest>> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        let message = format!("--tasks: {shown}: {error}");
        match error.kind() {
            io::ErrorKind::NotFound => Error::not_found(message),
            io::ErrorKind::InvalidData => Error::usage(message),
            _ => Error::runtime(message),
        }
    })?;
    parse(path, &text).map_or_else(
        |problem| Err(Error::usage(format!("--tasks: {problem}"))),
        |tasks| Ok(resolve(tasks, problems)),
    )
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
        Some("json") => serde_json::from_str(text).map_err(|error| format!("{shown}: {error}"))?,
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
            problems.push(format!(
                "{place}: a task is a table of fields, as in {{ interfaces = [\"eth0\"] }}"
            ));
            continue;
        };
        let (task, faults) = Fields::read(fields);
        problems.extend(faults.iter().map(|fault| in_place(&place, fault)));
        if let Some(path) = &task.write
            && let Some(first) = outputs.insert(identity(path), index)
        {
            problems.push(format!(
                "{place}.{WRITE}: tasks[{first}] writes to {} already; give each task a file of its own",
                quote(&path.to_string_lossy())
            ));
        }
        requests.extend(task.request());
    }
    requests
}

/// The fields of one task as far as each can be read on its own.
struct Fields {
    spec: TaskSpec,
    write: Option<PathBuf>,
    plan: Option<Plan>,
}

impl Fields {
    /// Reads every field, and gives all faults. A field that cannot be read is left out, and then
    /// is not also said to be missing.
    fn read(fields: Map<String, Value>) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut readable = Map::new();
        let mut write = None;
        for (key, value) in fields {
            let fault = match (key.as_str(), &value) {
                (WRITE, Value::String(name)) => match check_file_name(name) {
                    Ok(path) => {
                        write = Some(path);
                        None
                    }
                    Err(fault) => Some(("invalid", fault)),
                },
                (WRITE, _) => Some(("invalid", "a file name is expected".to_owned())),
                (name, _) if !KEYS.contains(&name) => Some(("unknown", unknown(name))),
                _ => {
                    let alone = Map::from_iter([(key.clone(), value.clone())]);
                    match serde_json::from_value::<TaskSpec>(Value::Object(alone)) {
                        Ok(_) => {
                            readable.insert(key.clone(), value);
                            None
                        }
                        Err(error) => Some(("invalid", type_fault(&error, &value))),
                    }
                }
            };
            faults.extend(fault.map(|(code, detail)| Fault {
                pointer: format!("/{key}"),
                code,
                detail,
            }));
        }
        // Every field was read on its own, so that together they can be.
        let spec: TaskSpec = serde_json::from_value(Value::Object(readable)).unwrap_or_default();
        let plan = match Plan::resolve(&spec, Face::Run) {
            Ok(plan) => Some(plan),
            Err(more) => {
                let known: Vec<_> = faults.iter().map(|fault| fault.pointer.clone()).collect();
                faults.extend(
                    more.into_iter()
                        .filter(|fault| !known.contains(&fault.pointer)),
                );
                None
            }
        };
        (Self { spec, write, plan }, faults)
    }

    /// The request, where the fields make up a valid task.
    fn request(self) -> Option<TaskRequest> {
        let target = self.write.map(Target::File);
        Some(TaskRequest::new(self.spec, self.plan?, target))
    }
}

fn check_file_name(name: &str) -> Result<PathBuf, String> {
    match name {
        "" => Err("the file's name is empty; name a file, or leave it out".to_owned()),
        "-" => Err(
            "standard output is for a single task, `capture-agent run -w -`; name a file"
                .to_owned(),
        ),
        _ => Ok(PathBuf::from(name)),
    }
}

fn unknown(key: &str) -> String {
    let hint = nearest(key, KEYS)
        .map(|near| format!(" (did you mean `{near}`?)"))
        .unwrap_or_default();
    format!("a task has no such field{hint}")
}

/// What serde has against the type of a field, in words that do not presume Rust.
fn type_fault(error: &serde_json::Error, value: &Value) -> String {
    let text = error.to_string();
    if text.contains("untagged enum") {
        let value = quote(&value.to_string());
        return format!(
            "a whole number, or text such as \"10m\" or \"8000-8100\", is expected, not {value}"
        );
    }
    text.replace("a sequence", "a list").replace(
        "struct RotateSpec",
        "a table of `bytes`, `seconds` and `files`",
    )
}

/// `tasks[3].ports[1]: what is wrong`.
fn in_place(task: &str, fault: &Fault) -> String {
    let mut place = task.to_owned();
    for part in fault.pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => place.push_str(&format!("[{index}]")),
            Err(_) => place.push_str(&format!(".{}", part.escape_debug())),
        }
    }
    format!("{place}: {}", fault.detail)
}

/// The same for two spellings of one file: absolute, with links in its directory followed.
fn identity(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let directory = absolute.parent().map(fs::canonicalize);
    match (directory, absolute.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => absolute,
    }
}

#[cfg(test)]
mod tests;
