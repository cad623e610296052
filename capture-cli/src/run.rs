//! The foreground capture: everything that can be refused is refused first, then the engine gets
//! the task or the tasks, and this module waits for a signal, limits or faults, ends each task in
//! order and reports. [`request`] comes before, [`report`](super::report) after.

mod analysis;
mod closing;
mod default_name;
mod dry_run;
mod explanation;
mod interface_check;
mod own_session;
mod printing;
mod readers;
mod record;
mod requester;
mod signals;
mod task;

use std::{path::PathBuf, pin::pin, task::Poll, time::Instant};

use capture_engine::{Engine, EngineOptions, doctor, interfaces, netns, signals::Request};
use capture_file::{DiskBudget, EarlierFiles, OutputConfig, Target};
use capture_task::{
    Cause,
    task::{Counters, State, StopReason, TaskRecord, rfc3339},
};
use jiff::Timestamp;
use tokio::time::{Instant as Deadline, MissedTickBehavior, interval, sleep_until};

pub(super) use self::requester::of_sudo;
use self::{
    default_name::free_file_name,
    interface_check::{attachment_lines, check_interfaces},
    printing::Printing,
    readers::wait_for_readers,
    signals::Signals,
    task::{End, Phase, Task},
};
use super::{
    args::RunArgs,
    default_interface,
    progress::Progress,
    request::{self, RunOptions, RunRequest},
    say,
    task_request::TaskRequest,
};
use crate::{
    error::{Error, Result},
    exit::Exit,
};

/// Captures as the arguments say.
pub(super) fn run(mut args: RunArgs, verbose: bool) -> Result<Exit> {
    let is_dry_run = args.dry_run;
    default_interface::of_run(&mut args)?;
    let RunRequest {
        mut tasks,
        mut options,
    } = request::resolve(args)?;
    options.verbose = verbose;
    for task in &tasks {
        request::refuse_terminal("-w", task.target.as_ref())?;
    }
    if options.analyze {
        analysis::refuse_streams(&tasks)?;
    }
    if let Some(namespace) = &options.netns {
        netns::enter(namespace)?;
    }
    doctor::preflight()?;
    let present = interfaces::list()?;
    check_interfaces(&tasks, &options, &present)?;
    own_session::warn(&tasks, &options, &present);
    if is_dry_run {
        let now = Timestamp::now();
        let (targets, _) = targets(&tasks, now);
        return dry_run::preview(&tasks, &targets, &options, now);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::runtime(format!("starting: {}", Cause(&error))))?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::install()?
    };
    runtime.block_on(wait_for_readers(&mut tasks, &mut signals))?;
    let has_file = options.print.is_none() || tasks.iter().any(|task| task.target.is_some());
    let printing = match options.print.take() {
        Some(style) => Some(Printing::start(style, &mut tasks)?),
        None => None,
    };
    let capture = {
        let _context = runtime.enter();
        Capture::start(tasks, options, signals)?
    };
    let capture = Capture {
        has_stdout: capture.has_stdout || printing.is_some(),
        prints_beside: has_file && printing.is_some(),
        ..capture
    };
    capture.finish(&runtime, printing)
}

/// A capture that runs.
struct Capture {
    engine: Engine,
    tasks: Vec<Task>,
    signals: Signals,
    options: RunOptions,
    started: Instant,
    /// Where one task has standard output, the summary goes to standard error.
    has_stdout: bool,
    /// The last task only prints what the one before it writes: it ends with that one, and is no part of the summary.
    prints_beside: bool,
}

impl Capture {
    fn start(requests: Vec<TaskRequest>, options: RunOptions, signals: Signals) -> Result<Self> {
        let created_at = Timestamp::now();
        let (targets, chosen) = targets(&requests, created_at);
        let config = |target: &Target| {
            let keep_free = options.keep_free;
            let space = keep_free.map(|keep_free| DiskBudget::for_target(target, keep_free));
            let space = space.transpose()?;
            Ok(OutputConfig {
                target: target.clone(),
                task_id: ulid::Ulid::new().to_string(),
                space: space.flatten(),
                owner: of_sudo(),
                earlier: EarlierFiles::default(),
            })
        };
        let configs: Vec<_> = targets.iter().map(config).collect::<Result<_>>()?;
        let labels: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(index, request)| match options.from_file {
                true => format!("tasks[{index}] {:?}: ", request.plan.name),
                false => String::new(),
            })
            .collect();

        let engine = Engine::start(EngineOptions {
            ring_size: options.ring_size,
        })?;
        let plans = requests.iter().map(|request| &request.plan);
        let added: Vec<_> = plans.zip(configs.iter().cloned()).collect();
        let ids = engine.add_all(&added).map_err(|(index, error)| {
            let Error { kind, message } = error.into();
            Error::new(kind, format!("{}{message}", labels[index]))
        })?;
        let started = Instant::now();
        let started_at = rfc3339(Timestamp::now());

        if let Some(hint) = capture_file::leftovers_hint(&targets) {
            log::warn!("{hint}");
        }
        let attachments: Vec<_> = ids.iter().flat_map(|id| engine.attachments(*id)).collect();
        for line in attachment_lines(&attachments, requests[0].plan.hook) {
            say(&line);
        }
        if options.verbose {
            let lines = explanation::lines(&requests, &labels, &targets, &options);
            lines.iter().for_each(|line| say(line));
        }
        for path in chosen {
            say(&format!("writing to {}", path.display()));
        }
        let parts = ids.into_iter().zip(labels).zip(configs);
        let tasks = requests.into_iter().zip(parts);
        let tasks = tasks.map(|(request, ((id, label), config))| Task {
            id,
            label,
            limit: request.plan.duration,
            record: TaskRecord {
                id: config.task_id,
                name: request.plan.name,
                spec: request.spec,
                state: State::Running,
                stop_reason: None,
                error: None,
                created_at: rfc3339(created_at),
                start_at: None,
                started_at: Some(started_at.clone()),
                ended_at: None,
                expires_at: None,
                counters: Counters::default(),
                verdict: None,
                interruptions: Vec::new(),
                files: Vec::new(),
                created_by: None,
                account: None,
                findings: None,
            },
            phase: Phase::Running,
        });
        Ok(Self {
            tasks: tasks.collect(),
            engine,
            signals,
            options,
            started,
            has_stdout: targets.contains(&Target::Stdout),
            prints_beside: false,
        })
    }

    /// Waits for the end of all tasks, and of what is printed, and reports it.
    fn finish(
        mut self,
        runtime: &tokio::runtime::Runtime,
        printing: Option<Printing>,
    ) -> Result<Exit> {
        let limits = self.tasks.iter().map(|task| task.limit);
        // Of all of them, if all have one.
        let limit = limits
            .reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)))
            .flatten();
        // The reader of standard output has the screen.
        let quiet = self.options.quiet || self.has_stdout;
        let mut progress = Progress::new(quiet, self.started, limit);
        runtime.block_on(self.all_ended(&mut progress));
        progress.clear();
        let printed = printing.map_or(Ok(()), Printing::finish);
        // Its rings are not needed any more.
        drop(self.engine);
        let beside = self.prints_beside.then(|| self.tasks.pop()).flatten();
        if let Some(Phase::Ended(end)) = beside.map(|task| task.phase) {
            say_unprinted(&end);
        }
        let exit = closing::report(self.tasks, &self.options, self.has_stdout)?;
        printed.map(|()| exit)
    }

    /// Ends each task when there is a reason to, and all of them on a signal; until the files of all
    /// are closed.
    async fn all_ended(&mut self, progress: &mut Progress) {
        let changed = self.engine.changed();
        let mut ticks = interval(progress.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_interrupted = false;
        loop {
            // Listening begins before the question is asked, so that no change falls in between.
            let mut change = pin!(changed.notified());
            change.as_mut().enable();
            self.end_those_with_a_reason(progress);
            for task in &mut self.tasks {
                tell(task.settle(), progress);
            }
            if self.tasks.iter().all(Task::has_ended) {
                return;
            }
            let running = self.running().count();
            let of_many = self.options.from_file.then_some(running);
            progress.draw(&self.counters(), of_many);
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                // A second one ends the process where it is received.
                () = self.signals.stop.received(), if !is_interrupted => {
                    is_interrupted = true;
                    self.end_all(progress);
                }
                request = self.signals.requests.received() => match request {
                    Request::Figures => self.say_figures(progress),
                    Request::Flush => self.engine.flush(),
                },
                () = &mut change => {}
                () = some_closed(&mut self.tasks) => {}
                () = reached(deadline) => {}
                _ = ticks.tick() => {}
            }
        }
    }

    fn end_those_with_a_reason(&mut self, progress: &Progress) {
        let elapsed = self.started.elapsed();
        for task in self.tasks.iter_mut().filter(|task| task.is_running()) {
            if let Some(reason) = self.engine.ended(task.id) {
                tell(task.leave(&mut self.engine, reason, elapsed), progress);
            }
        }
        // What is printed is what is written, and the other way round.
        let running = self.running().count();
        if self.prints_beside && (1..self.tasks.len()).contains(&running) {
            self.end_all(progress);
        }
    }

    fn end_all(&mut self, progress: &Progress) {
        let elapsed = self.started.elapsed();
        self.engine.halt(
            self.tasks
                .iter()
                .filter(|task| task.is_running())
                .map(|task| task.id),
        );
        for task in self.tasks.iter_mut().filter(|task| task.is_running()) {
            let message = task.leave(&mut self.engine, StopReason::User, elapsed);
            tell(message, progress);
        }
    }

    /// Says the figures of each task, also where no progress is shown: somebody has asked.
    fn say_figures(&self, progress: &Progress) {
        let elapsed = self.started.elapsed();
        for task in self.told() {
            tell(Some(task.figures_line(&self.engine, elapsed)), progress);
        }
    }

    /// The tasks that are told of.
    fn told(&self) -> &[Task] {
        match self.tasks.as_slice() {
            [told @ .., _] if self.prints_beside => told,
            all => all,
        }
    }

    fn running(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.is_running())
    }

    /// The figures of all tasks together.
    fn counters(&self) -> Counters {
        let each = self.told().iter().map(|task| task.counters(&self.engine));
        each.fold(Counters::default(), |sum, counters| sum + counters)
    }

    /// When the next task is over by its duration, as the engine will say.
    fn next_deadline(&self) -> Option<Instant> {
        self.running()
            .filter_map(|task| self.started.checked_add(task.limit?))
            .min()
    }
}

/// Says how many packets could not be printed. What a reader that went away has not read, it does not want.
fn say_unprinted(end: &End) {
    let dropped = end.ended.counters.dropped;
    let unprinted = dropped.total() - dropped.write;
    if unprinted > 0 {
        say(&format!(
            "capture-agent: {unprinted} packets were not printed, as standard output is slow"
        ));
    }
}

/// Where each task writes to, and the names among them that were chosen here.
fn targets(requests: &[TaskRequest], now: Timestamp) -> (Vec<Target>, Vec<PathBuf>) {
    let mut promised: Vec<_> = requests
        .iter()
        .filter_map(|request| request.target.clone())
        .collect();
    let mut chosen = Vec::new();
    let targets = requests
        .iter()
        .map(|request| {
            request.target.clone().unwrap_or_else(|| {
                let path = free_file_name(&request.plan, now, &promised);
                chosen.push(path.clone());
                promised.push(Target::File(path.clone()));
                Target::File(path)
            })
        })
        .collect();
    (targets, chosen)
}

/// Says something about a task. A fault of one is said; the others go on.
fn tell(message: Option<String>, progress: &Progress) {
    if let Some(message) = message {
        progress.clear();
        say(&format!("capture-agent: {message}"));
    }
}

/// Waits until the files of a task are closed.
async fn some_closed(tasks: &mut [Task]) {
    std::future::poll_fn(|context| {
        let closed = tasks
            .iter_mut()
            .any(|task| task.poll_closed(context).is_ready());
        if closed {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Waits for an instant, or for ever.
async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(Deadline::from_std(deadline)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
