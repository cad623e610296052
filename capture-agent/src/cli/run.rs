//! The foreground capture: everything that can be refused is refused first, then the engine gets
//! its one task, and this module waits for a signal, a limit or a fault, ends the task in order and
//! reports. [`request`] comes before, [`report`] after.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::time::{Instant as Deadline, MissedTickBehavior, interval, sleep_until};

use super::{
    args::{OutputForm, RunArgs},
    listing::json_line,
    print,
    progress::Progress,
    report,
    request::{self, RunOptions, RunRequest},
    say,
    signals::StopSignals,
};
use crate::{
    doctor,
    engine::{Attachment, Ended, Engine, EngineOptions, TaskId},
    error::{Error, Exit, Result},
    interfaces::{self, InterfaceEntry, LinkState},
    netns,
    output::{OutputConfig, Target, sha256},
    plan::{Format, InterfaceSelection, Plan, Word, nearest, quote},
    task::{FileRecord, State, TaskRecord, TaskSpec},
};

/// Captures as the arguments say.
pub(super) fn run(args: RunArgs) -> Result<Exit> {
    let RunRequest {
        spec,
        plan,
        options,
    } = request::resolve(args)?;
    request::refuse_terminal(options.target.as_ref())?;
    if let Some(namespace) = &options.netns {
        netns::enter(namespace)?;
    }
    doctor::preflight()?;
    check_interfaces(&plan.interfaces, &interfaces::list()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::runtime(format!("starting: {error}")))?;
    let capture = {
        let _context = runtime.enter();
        Capture::start(spec, plan, options)?
    };
    capture.finish(&runtime)
}

/// A capture that runs.
struct Capture {
    engine: Engine,
    task: TaskId,
    signals: StopSignals,
    record: TaskRecord,
    options: RunOptions,
    started: Instant,
    limit: Option<Duration>,
}

impl Capture {
    fn start(spec: TaskSpec, plan: Plan, options: RunOptions) -> Result<Self> {
        let created_at = Timestamp::now();
        let signals = StopSignals::install()?;
        let chosen = options.target.is_none();
        let target = options
            .target
            .clone()
            .unwrap_or_else(|| Target::File(free_file_name(&plan, created_at)));
        let id = ulid::Ulid::new().to_string();

        let mut engine = Engine::start(EngineOptions {
            ring_size: options.ring_size,
        })?;
        let config = OutputConfig {
            target: target.clone(),
            task_id: id.clone(),
        };
        let task = engine.add(&plan, config)?;
        let started = Instant::now();
        let started_at = Timestamp::now();

        for line in attachment_lines(&engine.attachments(task), &plan) {
            say(&line);
        }
        if let (true, Target::File(path)) = (chosen, &target) {
            say(&format!("writing to {}", path.display()));
        }
        let record = TaskRecord {
            id,
            name: plan.name,
            spec,
            state: State::Running,
            stop_reason: None,
            error: None,
            created_at: rfc3339(created_at),
            started_at: Some(rfc3339(started_at)),
            ended_at: None,
            expires_at: None,
            counters: engine.counters(task),
            verdict: None,
            files: Vec::new(),
        };
        Ok(Self {
            engine,
            task,
            signals,
            record,
            options,
            started,
            limit: plan.duration,
        })
    }

    /// Waits for the end and reports it.
    fn finish(mut self, runtime: &tokio::runtime::Runtime) -> Result<Exit> {
        let mut progress = Progress::new(self.options.quiet, self.started, self.limit);
        let reason = runtime.block_on(self.stopped(&mut progress));
        progress.clear();
        let elapsed = self.started.elapsed();
        let ended = self.engine.remove(self.task, reason)?;

        let Self {
            record, options, ..
        } = self;
        let failed = ended.stop_reason.final_state() == State::Failed;
        if let Some(error) = &ended.error {
            say(&format!("capture-agent: {error}"));
        }
        match options.form {
            OutputForm::Table if !options.quiet => {
                say(report::closing_table(&ended, elapsed).trim_end());
            }
            _ if ended.counters.dropped.total() > 0 => {
                say(&format!("capture-agent: {}", ended.counters.verdict()));
            }
            _ => {}
        }
        if options.form == OutputForm::Json {
            let line = json_line(&final_record(record, ended))?;
            if options.target == Some(Target::Stdout) {
                say(String::from_utf8_lossy(&line).trim_end());
            } else {
                print(&line)?;
            }
        }
        Ok(if failed { Exit::Runtime } else { Exit::Ok })
    }

    /// Waits for a reason to stop.
    async fn stopped(&mut self, progress: &mut Progress) -> crate::task::StopReason {
        use crate::task::StopReason;

        let changed = self.engine.changed();
        let deadline = self.limit.and_then(|limit| self.started.checked_add(limit));
        let mut ticks = interval(progress.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Listening begins before the question is asked, so that no change falls in between.
            let mut change = pin!(changed.notified());
            change.as_mut().enable();
            if let Some(reason) = self.engine.ended(self.task) {
                return reason;
            }
            progress.draw(&self.engine.counters(self.task));
            tokio::select! {
                biased;
                () = self.signals.received() => return StopReason::User,
                () = &mut change => {}
                () = reached(deadline) => return StopReason::Duration,
                _ = ticks.tick() => {}
            }
        }
    }
}

/// Waits for an instant, or for ever.
async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(Deadline::from_std(deadline)).await,
        None => std::future::pending().await,
    }
}

/// The record with everything that the end has brought.
fn final_record(record: TaskRecord, ended: Ended) -> TaskRecord {
    let Ended {
        counters,
        mut files,
        stop_reason,
        error,
        malformed: _,
    } = ended;
    for file in &mut files {
        fill_digest(file);
    }
    TaskRecord {
        state: stop_reason.final_state(),
        stop_reason: Some(stop_reason),
        error,
        ended_at: Some(rfc3339(Timestamp::now())),
        counters,
        verdict: Some(counters.verdict()),
        files,
        ..record
    }
}

fn fill_digest(file: &mut FileRecord) {
    if file.sha256.is_none() && file.complete && file.name != "-" {
        match sha256(Path::new(&file.name)) {
            Ok(digest) => file.sha256 = Some(digest),
            Err(error) => log::warn!("{}: {error}; its digest is left out", file.name),
        }
    }
}

/// RFC 3339, UTC, milliseconds.
fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// Refuses interfaces that are not there or whose frames are not understood.
fn check_interfaces(selection: &InterfaceSelection, present: &[InterfaceEntry]) -> Result<()> {
    let InterfaceSelection::Named(names) = selection else {
        return Ok(());
    };
    let mut problems = Vec::new();
    for name in names {
        match present.iter().find(|entry| entry.name == *name) {
            None => problems.push(unknown_interface(name, present)),
            Some(entry) if entry.link_type().is_none() => problems.push(format!(
                "--interface: {} cannot be captured on: {}",
                quote(name),
                entry.link_description()
            )),
            Some(entry) if entry.state == LinkState::Down => {
                log::warn!(
                    "the interface {} is down; nothing passes until it is up",
                    quote(name)
                );
            }
            Some(_) => {}
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::usage(problems.join("\n")))
    }
}

fn unknown_interface(name: &str, present: &[InterfaceEntry]) -> String {
    const MOST: usize = 10;
    let names = present.iter().map(|entry| entry.name.as_str());
    let hint = nearest(name, names.clone())
        .map(|near| format!(" (did you mean {}?)", quote(near)))
        .unwrap_or_default();
    let mut listed: Vec<_> = names
        .take(MOST)
        .map(|name| name.escape_debug().to_string())
        .collect();
    if present.len() > MOST {
        listed.push("… (see `capture-agent interfaces`)".to_owned());
    }
    format!(
        "--interface: {} is not there{hint}; there are {}",
        quote(name),
        listed.join(", ")
    )
}

/// `capturing on IF (hook, mode)`, one line for each interface.
fn attachment_lines(attachments: &[Attachment], plan: &Plan) -> Vec<String> {
    if attachments.is_empty() {
        return vec![format!(
            "capturing on any ({}, no interface yet: waiting for one)",
            plan.hook.as_word()
        )];
    }
    attachments
        .iter()
        .map(
            |Attachment {
                 interface,
                 hook,
                 mode,
             }| format!("capturing on {interface} ({hook}, {mode})"),
        )
        .collect()
}

/// `NAME_TIMESTAMP.pcapng` in the working directory, or with a number where that is taken.
fn free_file_name(plan: &Plan, now: Timestamp) -> PathBuf {
    let stem = format!(
        "{}_{}",
        file_name_of(&plan.name),
        now.strftime("%Y%m%dT%H%M%SZ")
    );
    let suffix = match plan.format {
        Format::Pcapng => "pcapng",
        Format::Pcap => "pcap",
    };
    let is_free = |path: &PathBuf| {
        let part = PathBuf::from(format!("{}.part", path.display()));
        !path.exists() && !part.exists()
    };
    let numbered = (2..1000).map(|number| format!("{stem}-{number}.{suffix}").into());
    let first = PathBuf::from(format!("{stem}.{suffix}"));
    std::iter::once(first.clone())
        .chain(numbered)
        .find(is_free)
        .unwrap_or(first)
}

/// A name as part of a file name: letters and digits of any script, `.`, `_`, `-`, `+` and `@`
/// stay, runs of anything else become one dash; not hidden, not an option, not too long.
fn file_name_of(name: &str) -> String {
    // File names have at most 255 bytes; the time, a rotation number and `.part` follow.
    const MOST_BYTES: usize = 180;
    let mut text = String::new();
    for character in name.chars() {
        let stays = character.is_alphanumeric() || "._-+@".contains(character);
        let character = if stays { character } else { '-' };
        if text.len() + character.len_utf8() > MOST_BYTES {
            break;
        }
        if character != '-' || !text.ends_with('-') {
            text.push(character);
        }
    }
    let text = text.trim_start_matches(['.', '-']).trim_end_matches('-');
    if text.is_empty() {
        "capture".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests;
