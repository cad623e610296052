//! From arguments to a request and its plan, with what only the command line has: the file, the namespace, the
//! form of the summary. All faults are collected, in the words of options ([`words`]).

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use capture_client::services;
use capture_engine::possible_cpus;
use capture_file::{KeepFree, Target};
use capture_task::{
    plan::{Field, MOST_FAULTS, Plan, RequestOrigin, quoted, ring_size as ring_size_of, typed},
    task::{Quantity, RotateSpec, TaskSpec},
};

use super::{
    args::{FailOn, OutputForm, RunArgs, StyleArgs, TaskArgs},
    print::Style,
    task_request::TaskRequest,
    tasks_file, tcpdump, words,
};
use crate::error::{Error, Result};

/// What `run` was asked for.
#[derive(Debug)]
pub(super) struct RunRequest {
    /// At least one.
    pub(super) tasks: Vec<TaskRequest>,
    pub(super) options: RunOptions,
}

/// What is the same for all tasks.
#[derive(Debug)]
pub(super) struct RunOptions {
    pub(super) netns: Option<String>,
    pub(super) ring_size: u64,
    pub(super) keep_free: Option<KeepFree>,
    pub(super) quiet: bool,
    pub(super) form: OutputForm,
    /// Whether the files are analyzed at the end, and from which severity on a finding is a failure.
    pub(super) analyze: bool,
    pub(super) fail_on: Option<FailOn>,
    /// The tasks are those of a file, and are told apart by their position in it.
    pub(super) from_file: bool,
    /// How the packets are printed, where they are.
    pub(super) print: Option<Style>,
    /// Whether it is explained at the start what is captured, and how.
    pub(super) verbose: bool,
}

impl RunOptions {
    /// What a message about a field of a task begins with: `--interface`, `tasks[3].interfaces`.
    pub(super) fn place_of(&self, task: usize, field: Field) -> String {
        match words::option(field) {
            Some(option) if !self.from_file => option.to_owned(),
            _ => format!("tasks[{task}].{}", field.name()),
        }
    }
}

/// Resolves the arguments of `run`; the error names every fault, one on each line.
pub(super) fn resolve(args: RunArgs) -> Result<RunRequest> {
    let RunArgs {
        task,
        tasks,
        write,
        print,
        style,
        quiet,
        output,
        analyze,
        fail_on,
        netns,
        ring_size,
        keep_free,
        dry_run: _,
        habits: _,
    } = args;
    let mut problems = Vec::new();
    let printed = printed(print, &style, write.as_deref(), output, &mut problems);
    let from_file = tasks.is_some();
    let tasks = match tasks {
        Some(path) => tasks_file::read(&path, &mut problems)?,
        None => single(task, write, &mut problems).into_iter().collect(),
    };
    let ring_size =
        ring_size_of(&Quantity::Text(ring_size), possible_cpus()).unwrap_or_else(|problem| {
            let sentence = problem.sentence(words::OPTIONS);
            problems.push(format!("--ring-size: {sentence}"));
            0
        });
    let is_file = |task: &TaskRequest| match task.target {
        Some(Target::File(_)) => true,
        Some(_) => false,
        None => printed.is_none(),
    };
    if keep_free.is_some() && !tasks.iter().all(is_file) {
        problems.push("--keep-free: the packets go to no file; name one with -w".to_owned());
    }
    if !problems.is_empty() {
        return Err(Error::usage(listed(problems)));
    }
    let options = RunOptions {
        netns,
        ring_size,
        keep_free,
        quiet,
        form: output,
        analyze,
        fail_on,
        from_file,
        print: printed,
        verbose: false,
    };
    if options.print.is_some()
        && let [task] = tasks.as_slice()
        && let (None, Some(rotate)) = (&task.target, &task.spec.rotate)
    {
        let given = given_of_rotation(rotate);
        return Err(Error::usage(format!(
            "--print: without -w there is no file to be rotated; name one, or leave {given} out"
        )));
    }
    Ok(RunRequest { tasks, options })
}

/// How packets are printed, where they are.
fn printed(
    print: bool,
    style: &StyleArgs,
    write: Option<&Path>,
    form: OutputForm,
    problems: &mut Vec<String>,
) -> Option<Style> {
    if !print {
        let given = style.given();
        if !given.is_empty() {
            problems.push(format!("{}: only with --print", given.join(", ")));
        }
        return None;
    }
    if write.is_some_and(|path| path == Path::new("-")) {
        problems.push("--print: standard output has the file of -w -; name a file".to_owned());
    }
    let style = Style::new(style, false, form);
    style.map_err(|error| problems.push(error.message)).ok()
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
    let spec = spec_of(task, problems)?;
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
            .map(words::fault),
    );
    let unrotatable = match &target {
        Some(Target::Stdout) => Some("standard output".to_owned()),
        Some(Target::Open(open)) => Some(format!("the open descriptor {}", open.name().display())),
        Some(Target::File(_)) | None => None,
    };
    if let (Some(output), Some(rotate)) = (unrotatable, &spec.rotate) {
        problems.push(format!(
            "--write: {output} cannot be rotated; name a file, or leave {} out",
            given_of_rotation(rotate)
        ));
    }
    if let Some(Target::File(path)) = &target
        && let Some(problem) = compressed(path)
    {
        problems.push(format!("--write: {problem}"));
    }
    if let Some(Target::File(path)) = &target
        && path.as_os_str().is_empty()
    {
        problems.push("--write: the file's name is empty; name a file, or \"-\"".to_owned());
    }
    let request = TaskRequest::new(spec, resolved.ok()?, target);
    problems.extend(request.size_faults().iter().map(words::fault));
    Some(request)
}

/// Why the name of a compressed file is refused: what is in it would not be what the name says.
fn compressed(path: &Path) -> Option<String> {
    const PROGRAMS: [(&str, &str); 6] = [
        ("gz", "gzip"),
        ("zst", "zstd"),
        ("xz", "xz"),
        ("bz2", "bzip2"),
        ("lz4", "lz4"),
        ("zip", "zip"),
    ];
    let suffix = path.extension()?.to_str()?;
    let (_, program) = PROGRAMS
        .into_iter()
        .find(|(known, _)| suffix.eq_ignore_ascii_case(known))?;
    Some(format!(
        "captures are written without compression; write `-w - | {program} > {}`, or name {}",
        quoted(&path.to_string_lossy()),
        quoted(&path.with_extension("").to_string_lossy())
    ))
}

/// The options of rotation that are given: `-C`, `-C and -W`.
fn given_of_rotation(rotate: &RotateSpec) -> String {
    let RotateSpec {
        bytes,
        seconds,
        files,
    } = rotate;
    let options = [(bytes, "-C"), (seconds, "-G"), (files, "-W")];
    let given = options.into_iter().filter(|(value, _)| value.is_some());
    let given: Vec<_> = given.map(|(_, option)| option).collect();
    match given.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => String::new(),
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

/// The task that the options or the expression describe, in the words of the API. `None` where the expression is at
/// fault.
pub(super) fn spec_of(args: TaskArgs, problems: &mut Vec<String>) -> Option<TaskSpec> {
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
        expression: _,
    } = tcpdump::into_options(args)
        .map_err(|problem| problems.push(format!("expression: {problem}")))
        .ok()?;
    let is_discarding = oversize
        .as_ref()
        .is_some_and(|word| word.eq_ignore_ascii_case("discard"));
    if is_discarding && max_bytes.as_deref().is_none_or(|most| most == "0") {
        log::warn!(
            "--oversize discard does nothing without --max-bytes (-s): no frame is too long"
        );
    }
    let rotate = RotateSpec {
        bytes: rotate_bytes.map(typed::millions),
        seconds: rotate_seconds.map(typed::quantity),
        files: rotate_files.map(typed::quantity),
    };
    Some(TaskSpec {
        name,
        interfaces: typed::interfaces(&interface),
        direction: direction.map(typed::direction),
        hook,
        protocol,
        address_type: None,
        ip: typed::addresses(&ip),
        ports: typed::ports(&port, services::port),
        peer_ip: typed::addresses(&peer_ip),
        peer_ports: typed::ports(&peer_port, services::port),
        icmp_errors,
        max_bytes: max_bytes.map(typed::quantity),
        oversize,
        duration: duration.map(typed::quantity),
        max_packets: max_packets.map(typed::quantity),
        max_file_bytes: max_file_bytes.map(typed::quantity),
        format,
        rotate: (rotate != RotateSpec::default()).then_some(rotate),
    })
}

#[cfg(test)]
mod tests;
