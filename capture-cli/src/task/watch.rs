//! Following a task by the daemon's events until it ends: lines for people, on a terminal one that is
//! rewritten, or the whole task as JSON each time.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use capture_task::{
    Cause,
    plan::{Plan, RequestOrigin},
    task::{Counters, State, StopReason, TaskRecord},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::tables;
use crate::{
    args::OutputForm,
    client::{Client, Events, SseEvent},
    error::{Error, ErrorKind, Result},
    exit::Exit,
    listing::json_line,
    print,
    progress::Progress,
    say,
};

/// After how long to listen again where the daemon ended the stream.
const AGAIN: Duration = Duration::from_millis(500);

/// How long a daemon may be gone that was there before: tasks outlive its restart.
const RESTART_TIMEOUT: Duration = Duration::from_secs(60);

/// The figures of running tasks.
#[derive(Debug, Deserialize)]
struct Stats {
    tasks: Vec<TaskStats>,
}

#[derive(Debug, Deserialize)]
struct TaskStats {
    id: String,
    counters: Counters,
}

/// Executes `task watch`.
pub(super) async fn watch(
    client: &Client,
    id: &str,
    quiet: bool,
    form: OutputForm,
) -> Result<Exit> {
    let mut view = View::new(form, quiet, true);
    match view.until_interrupted(client, id).await? {
        Some(Some(record)) => Ok(exit_of(&record)),
        Some(None) => Ok(Exit::Ok),
        None => {
            say(&format!(
                "the task goes on; `capture-agent task stop {id}` ends it"
            ));
            Ok(Exit::Ok)
        }
    }
}

/// `task create --wait`, whose output is the ID, or the task at its end.
pub(super) async fn wait(client: &Client, id: &str, quiet: bool, form: OutputForm) -> Result<Exit> {
    let mut view = View::new(OutputForm::Table, quiet, false);
    let Some(record) = view.until_interrupted(client, id).await? else {
        return Err(Error::runtime(format!(
            "not waiting any longer; task {id} goes on, and `capture-agent task stop {id}` ends it"
        )));
    };
    let Some(record) = record else {
        return Ok(Exit::Ok);
    };
    if form == OutputForm::Json {
        print(&json_line(&record)?)?;
    }
    Ok(exit_of(&record))
}

/// What the daemon's own end cut short is not what was asked for either.
fn exit_of(record: &TaskRecord) -> Exit {
    match (record.state, record.stop_reason) {
        (State::Failed, _) | (_, Some(StopReason::Shutdown)) => Exit::Runtime,
        _ => Exit::Ok,
    }
}

/// Shows the task until it has ended, or until nobody reads any more (`None`). A daemon that goes meanwhile is waited for.
async fn follow(client: &Client, id: &str, view: &mut View) -> Result<Option<TaskRecord>> {
    let mut was_there = false;
    let mut gone_since = None;
    loop {
        match follow_stream(client, id, view, &mut was_there, &mut gone_since).await {
            Ok(Some(end)) => return Ok(end),
            Ok(None) => {}
            Err(error) if was_there && error.kind == ErrorKind::Unreachable => {
                let since = *gone_since.get_or_insert_with(|| {
                    view.clear();
                    say("the daemon is gone; waiting for it to come back, as it then goes on with the task");
                    Instant::now()
                });
                if since.elapsed() >= RESTART_TIMEOUT {
                    return Err(Error::new(
                        ErrorKind::Unreachable,
                        format!(
                            "{error}; task {id} goes on when the daemon is back, if its time is not over then"
                        ),
                    ));
                }
            }
            Err(error) => return Err(error),
        }
        view.clear();
        tokio::time::sleep(AGAIN).await;
    }
}

/// The same until the stream of events is over, which is no end of the task.
async fn follow_stream(
    client: &Client,
    id: &str,
    view: &mut View,
    was_there: &mut bool,
    gone_since: &mut Option<Instant>,
) -> Result<Option<Option<TaskRecord>>> {
    // First, so that no change falls in between.
    let mut events = Events::listen(client).await?;
    let mut task = client.task(id).await?;
    *was_there = true;
    *gone_since = None;
    loop {
        if !view.task(&task)? {
            return Ok(Some(None));
        }
        if task.state.is_final() {
            view.end(&task)?;
            return Ok(Some(Some(task)));
        }
        match next(&mut events, id, &mut task).await? {
            Next::Changed => {}
            Next::Unknown => task = client.task(id).await?,
            Next::Over => return Ok(None),
        }
    }
}

/// The task at its end, for which it waits in silence.
pub(super) async fn end_of(client: &Client, id: &str) -> Result<TaskRecord> {
    let mut view = View::new(OutputForm::Table, true, false);
    match follow(client, id, &mut view).await? {
        Some(record) => Ok(record),
        None => Ok(client.task(id).await?),
    }
}

/// What an event did to what is known of a task.
enum Next {
    Changed,
    /// Events were missed, so that the task has to be asked for again.
    Unknown,
    /// There are no more.
    Over,
}

/// Waits until an event is about the task.
async fn next(events: &mut Events<'_>, id: &str, task: &mut TaskRecord) -> Result<Next> {
    while let Some(SseEvent { name, data }) = events.next().await? {
        match name.as_str() {
            "task" => {
                let changed: TaskRecord = read(&data)?;
                if changed.id == id {
                    *task = changed;
                    return Ok(Next::Changed);
                }
            }
            "stats" => {
                let Stats { tasks } = read(&data)?;
                if let Some(stats) = tasks.into_iter().find(|stats| stats.id == id) {
                    task.counters = stats.counters;
                    return Ok(Next::Changed);
                }
            }
            "deleted" => {
                #[derive(Deserialize)]
                struct Deleted {
                    id: String,
                }
                let deleted: Deleted = read(&data)?;
                if deleted.id == id {
                    return Err(Error::not_found(format!("task {id} was deleted meanwhile")));
                }
            }
            "missed" | "lagged" => return Ok(Next::Unknown),
            _ => {}
        }
    }
    Ok(Next::Over)
}

fn read<'a, T: Deserialize<'a>>(data: &'a str) -> Result<T> {
    serde_json::from_str(data).map_err(|error| {
        Error::runtime(format!(
            "an event is not as those of this version are: {error}"
        ))
    })
}

/// What is seen of a task.
#[derive(Debug)]
struct View {
    form: OutputForm,
    quiet: bool,
    /// Lines go to standard output, which otherwise is for something else.
    on_stdout: bool,
    state: Option<State>,
    progress: Option<Progress>,
}

impl View {
    fn new(form: OutputForm, quiet: bool, on_stdout: bool) -> Self {
        Self {
            form,
            quiet,
            on_stdout,
            state: None,
            progress: None,
        }
    }

    /// [`follow`]; `None` where Ctrl-C comes first. Whatever is said next has a line of its own.
    async fn until_interrupted(
        &mut self,
        client: &Client,
        id: &str,
    ) -> Result<Option<Option<TaskRecord>>> {
        let outcome = tokio::select! {
            followed = follow(client, id, self) => followed.map(Some),
            interrupted = tokio::signal::ctrl_c() => match interrupted {
                Ok(()) => Ok(None),
                Err(error) => Err(Error::runtime(format!("taking over signals: {}", Cause(&error)))),
            },
        };
        self.clear();
        outcome
    }

    /// Shows the task as it is now; `false` where nobody reads any more.
    fn task(&mut self, task: &TaskRecord) -> Result<bool> {
        let is_new_state = self.state.replace(task.state) != Some(task.state);
        if self.form == OutputForm::Json {
            return if is_new_state || !self.quiet {
                put(&json_line(task)?)
            } else {
                Ok(true)
            };
        }
        if is_new_state {
            self.clear();
            if !self.line(&tables::state(task))? {
                return Ok(false);
            }
        }
        match task.state {
            State::Running | State::Stopping if !self.quiet => self.figures(task),
            _ => Ok(true),
        }
    }

    /// On a terminal in place; else, a line.
    fn figures(&mut self, task: &TaskRecord) -> Result<bool> {
        let progress = self.progress.get_or_insert_with(|| progress(task));
        if progress.is_shown() && (!self.on_stdout || io::stdout().is_terminal()) {
            progress.draw(&task.counters, None);
            return Ok(true);
        }
        if !self.on_stdout {
            return Ok(true);
        }
        put(format!("{}\n", progress.plain(&task.counters)).as_bytes())
    }

    /// Shows what became of it.
    fn end(&mut self, task: &TaskRecord) -> Result<()> {
        self.clear();
        if self.form == OutputForm::Table && !self.quiet {
            for line in tables::outcome(task).lines() {
                self.line(line)?;
            }
        }
        Ok(())
    }

    fn line(&self, text: &str) -> Result<bool> {
        if self.on_stdout {
            return put(format!("{text}\n").as_bytes());
        }
        if !self.quiet {
            say(text);
        }
        Ok(true)
    }

    /// Takes the progress line away.
    fn clear(&self) {
        if let Some(progress) = &self.progress {
            progress.clear();
        }
    }
}

/// A line of progress that began when the task did, by the clocks of daemon and client.
fn progress(task: &TaskRecord) -> Progress {
    let started = task
        .started_at
        .as_ref()
        .and_then(|time| time.parse::<Timestamp>().ok());
    let elapsed = started.map(|started| Timestamp::now().duration_since(started));
    let elapsed = elapsed.and_then(|elapsed| Duration::try_from(elapsed).ok());
    let now = Instant::now();
    let began = now.checked_sub(elapsed.unwrap_or_default()).unwrap_or(now);
    let plan = Plan::resolve(&task.spec, RequestOrigin::Daemon).ok();
    Progress::new(false, began, plan.and_then(|plan| plan.duration))
}

/// Writes to standard output; `false` where nobody reads any more.
fn put(text: &[u8]) -> Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Error::runtime(format!(
            "writing to standard output: {}",
            Cause(&error)
        ))),
    }
}
