//! From arguments to a request and its plan. Here, and nowhere else, is known which option stands
//! for which field of a task, and what only the command line has: the file, the namespace, the form
//! of the summary.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use capture_engine::possible_cpus;
use capture_file::{Target, size_faults};
use capture_task::{
    plan::{Fault, Format, MOST_FAULTS, Plan, RequestOrigin, normalise, ring_size as ring_size_of},
    task::{Quantity, RotateSpec, TaskSpec},
};

use super::{
    args::{OutputForm, RunArgs, TaskArgs},
    tasks_file,
};
use crate::cli::error::{Error, Result};

/// Fields of a task and the options that set them.
const OPTIONS: &[(&str, &str)] = &[
    ("name", "--name"),
    ("interfaces", "--interface"),
    ("direction", "--direction"),
    ("hook", "--hook"),
    ("protocol", "--protocol"),
    ("ip", "--ip"),
    ("ports", "--port"),
    ("peer_ip", "--peer-ip"),
    ("peer_ports", "--peer-port"),
    ("icmp_errors", "--icmp-errors"),
    ("max_bytes", "--max-bytes"),
    ("oversize", "--oversize"),
    ("duration", "--duration"),
    ("max_packets", "--max-packets"),
    ("max_file_bytes", "--max-file-bytes"),
    ("format", "--format"),
    ("rotate.bytes", "--rotate-bytes"),
    ("rotate.seconds", "--rotate-seconds"),
    ("rotate.files", "--rotate-files"),
    // Only `files` without the two others makes this one a fault.
    ("rotate", "--rotate-files"),
    // Of `task create` and `task list`.
    ("start_at", "--start-at"),
    ("state", "--state"),
    ("limit", "--limit"),
];

/// What `run` was asked for.
#[derive(Debug)]
pub(super) struct RunRequest {
    /// The tasks, at least one.
    pub(super) tasks: Vec<TaskRequest>,
    /// How.
    pub(super) options: RunOptions,
}

/// One task, with where its packets go.
#[derive(Debug)]
pub(super) struct TaskRequest {
    /// The task as asked for.
    pub(super) spec: TaskSpec,
    /// The task as it will be executed.
    pub(super) plan: Plan,
    /// Where the packets go; `None` is a file named by us.
    pub(super) target: Option<Target>,
}

/// What is the same for all tasks.
#[derive(Debug)]
pub(super) struct RunOptions {
    pub(super) netns: Option<String>,
    pub(super) ring_size: u64,
    pub(super) quiet: bool,
    pub(super) form: OutputForm,
    /// The tasks are those of a file, and are told apart by their position in it.
    pub(super) from_file: bool,
}

impl RunOptions {
    /// What a message about a field of a task begins with: `--interface`, `tasks[3].interfaces`.
    pub(super) fn place_of(&self, task: usize, field: &str) -> String {
        if self.from_file {
            return format!("tasks[{task}].{field}");
        }
        option_of(field).to_owned()
    }
}

/// Resolves the arguments of `run`; the error names every fault, one on each line.
pub(super) fn resolve(args: RunArgs) -> Result<RunRequest> {
    let RunArgs {
        task,
        tasks,
        write,
        quiet,
        output,
        netns,
        ring_size,
    } = args;
    let mut problems = Vec::new();
    let from_file = tasks.is_some();
    let tasks = match tasks {
        Some(path) => tasks_file::read(&path, &mut problems)?,
        None => single(task, write, &mut problems).into_iter().collect(),
    };
    let ring_size =
        ring_size_of(&Quantity::Text(ring_size), possible_cpus()).unwrap_or_else(|problem| {
            problems.push(format!("--ring-size: {}", problem.detail));
            0
        });
    if !problems.is_empty() {
        return Err(Error::usage(listed(problems)));
    }
    let options = RunOptions {
        netns,
        ring_size,
        quiet,
        form: output,
        from_file,
    };
    Ok(RunRequest { tasks, options })
}

/// One on each line, as many as people read.
fn listed(mut problems: Vec<String>) -> String {
    let more = problems.len().saturating_sub(MOST_FAULTS);
    problems.truncate(MOST_FAULTS);
    if more > 0 {
        problems.push(format!("{more} more faults are not listed"));
    }
    problems.join("\n")
}

/// The task that the options describe, where nothing is wrong with it.
fn single(
    task: TaskArgs,
    write: Option<PathBuf>,
    problems: &mut Vec<String>,
) -> Option<TaskRequest> {
    let spec = spec_of(task);
    let resolved = Plan::resolve(&spec, RequestOrigin::Run);
    let target = write.and_then(|path| match path.to_str() {
        Some("-") => Some(Target::Stdout),
        _ => Target::named(path)
            .map_err(|error| problems.push(format!("--write: {}", Error::from(error))))
            .ok(),
    });
    problems.extend(
        resolved
            .as_ref()
            .err()
            .into_iter()
            .flatten()
            .map(|fault| in_words_of_options(&fault.pointer, &fault.detail)),
    );
    match &target {
        Some(Target::Stdout) if spec.rotate.is_some() => problems.push(
            "--write: standard output cannot be rotated; name a file, or leave -C, -G and -W out"
                .to_owned(),
        ),
        Some(Target::Open(open)) if spec.rotate.is_some() => problems.push(format!(
            "--write: the open descriptor {} cannot be rotated; name a file, or leave -C, -G and -W out",
            open.name().display()
        )),
        Some(Target::File(path)) if path.as_os_str().is_empty() => {
            problems.push("--write: the file's name is empty; name a file, or \"-\"".to_owned());
        }
        _ => {}
    }
    let request = TaskRequest::new(spec, resolved.ok()?, target);
    let faults = request.size_faults();
    let lines = faults
        .iter()
        .map(|fault| in_words_of_options(&fault.pointer, &fault.detail));
    problems.extend(lines);
    Some(request)
}

impl TaskRequest {
    /// A task whose format, unless given, follows from its file.
    pub(super) fn new(mut spec: TaskSpec, mut plan: Plan, target: Option<Target>) -> Self {
        normalise(&mut spec);
        if spec.format.is_none()
            && let Some(Target::File(path)) = &target
        {
            plan.format = format_of(path);
        }
        Self { spec, plan, target }
    }

    /// Limits that no file of this format could keep.
    pub(super) fn size_faults(&self) -> Vec<Fault> {
        size_faults(&self.plan)
    }
}

/// Refuses to fill a terminal with packets, in the words of the option that named it.
pub(super) fn refuse_terminal(option: &str, target: Option<&Target>) -> Result<()> {
    match target {
        Some(Target::Stdout) if std::io::stdout().is_terminal() => Err(Error::usage(format!(
            "{option} -: standard output is a terminal; pipe it into a program, or name a file"
        ))),
        Some(Target::Open(open)) if open.is_terminal() => Err(Error::usage(format!(
            "{option} {0}: {0} is a terminal; name a file",
            open.name().display()
        ))),
        _ => Ok(()),
    }
}

/// The task that the options describe, in the words of the API.
pub(super) fn spec_of(args: TaskArgs) -> TaskSpec {
    let TaskArgs {
        interface,
        direction,
        hook,
        protocol,
        ip,
        port,
        peer_ip,
        peer_port,
        icmp_errors,
        max_bytes,
        oversize,
        duration,
        max_packets,
        max_file_bytes,
        format,
        rotate_bytes,
        rotate_seconds,
        rotate_files,
        name,
    } = args;
    let rotate = RotateSpec {
        bytes: rotate_bytes.map(|text| millions(quantity(text))),
        seconds: rotate_seconds.map(quantity),
        files: rotate_files.map(quantity),
    };
    TaskSpec {
        name,
        interfaces: interface,
        direction: direction.map(tcpdump_direction),
        hook,
        protocol,
        address_type: None,
        ip,
        ports: port_list(&port),
        peer_ip,
        peer_ports: port_list(&peer_port),
        icmp_errors,
        max_bytes: max_bytes.map(quantity),
        oversize,
        duration: duration.map(quantity),
        max_packets: max_packets.map(quantity),
        max_file_bytes: max_file_bytes.map(quantity),
        format,
        rotate: (rotate != RotateSpec::default()).then_some(rotate),
    }
}

/// A number where the text is one, so that the request reads as if it had come as JSON.
fn quantity(text: String) -> Quantity {
    match text.parse() {
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Quantity::Number(number),
        _ => Quantity::Text(text),
    }
}

/// tcpdump's unit of `-C` for a bare number.
fn millions(value: Quantity) -> Quantity {
    match value {
        Quantity::Number(number) => number
            .checked_mul(1_000_000)
            .map_or_else(|| Quantity::Text(format!("{number}MB")), Quantity::Number),
        text => text,
    }
}

fn port_list(options: &[String]) -> Vec<Quantity> {
    let items = options.iter().flat_map(|option| option.split(','));
    items.map(|item| quantity(item.trim().to_owned())).collect()
}

/// tcpdump's words for the directions are taken too.
fn tcpdump_direction(word: String) -> String {
    match word.as_str() {
        "in" => "ingress".to_owned(),
        "out" => "egress".to_owned(),
        "inout" => "both".to_owned(),
        _ => word,
    }
}

/// A fault, in front of it the option that it is about, with options for the fields in its text.
pub(super) fn in_words_of_options(pointer: &str, detail: &str) -> String {
    let path = pointer.trim_start_matches('/').replace('/', ".");
    let mut detail = detail.to_owned();
    for (field, option) in OPTIONS {
        detail = detail.replace(&format!("`{field}`"), option);
    }
    if path.is_empty() {
        return detail;
    }
    format!("{}: {detail}", option_of(&path))
}

/// The option that sets a field.
fn option_of(path: &str) -> &'static str {
    OPTIONS
        .iter()
        .find(|(field, _)| {
            path.strip_prefix(field)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
        .map_or("task", |(_, option)| option)
}

/// The suffix of the name decides, as nobody expects pcapng in a `.pcap`.
fn format_of(path: &Path) -> Format {
    let is_pcap = path
        .extension()
        .is_some_and(|suffix| suffix.eq_ignore_ascii_case("pcap"));
    if is_pcap {
        Format::Pcap
    } else {
        Format::Pcapng
    }
}

#[cfg(test)]
mod tests;
