//! The daemon: capture tasks as a service. [`run`] starts its parts in the order of need (configuration,
//! privileges, captures, store, tasks, API) and ends them in reverse, each with a deadline.

pub mod api;
mod check;
mod confinement;
#[cfg(test)]
mod inspector_of_tests;
mod metrics;
mod modes;
mod privileges;
mod sd_notify;
mod start_line;
mod supervisor;
mod user;

use std::{
    path::Path,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use capture_engine::{
    doctor,
    loader::StartLoader,
    remove_orphaned_filters,
    signals::{Request, Requests},
};
use capture_store::{
    Action, Store,
    access::{Actor, SocketAccess},
    clock::SystemClock,
    ownership,
};
use capture_task::{Cause, plan::quote};
use capture_tasks::{self as tasks, events, log_queue, storage};
pub use capture_tasks::{config, error};

pub use self::check::check;
use nix::unistd::{Group, getgid};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    task::{JoinHandle, spawn_blocking},
    time::{Interval, MissedTickBehavior, interval},
};

use self::{
    api::{About, Server},
    config::{Config, LiveConfig, LogFormat},
    storage::Storage,
    tasks::Tasks,
};
use crate::error::{Error, Result};

/// Threads for what does not wait for the disk.
const WORKERS: usize = 2;

/// How long the end may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// The requests that are under way.
    pub requests: Duration,
    /// Then the tasks, until their files are closed.
    pub tasks: Duration,
}

impl Default for Deadlines {
    /// Together less than a service manager waits (90 s with systemd) before it kills.
    fn default() -> Self {
        Self {
            requests: Duration::from_secs(5),
            tasks: Duration::from_secs(60),
        }
    }
}

/// What the process that a daemon runs in decides.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// The configuration; by default [`config::DEFAULT_PATH`].
    pub config: Option<&'a Path>,
    /// The user to run as, in place of `access.user`.
    pub user: Option<&'a str>,
    /// The commit that this program was built from, or nothing.
    pub commit: &'static str,
    /// Sets the format of the log, which belongs to the process.
    pub set_log_format: fn(LogFormat),
    /// How long the end may take.
    pub deadlines: Deadlines,
}

/// Runs the daemon until a signal ends it.
///
/// # Errors
/// What keeps it from starting; at the end, what hung.
pub fn run(options: Options<'_>) -> Result<()> {
    let config = Arc::new(LiveConfig::load(options.config)?);
    let now = config.get();
    (options.set_log_format)(now.log.format);
    let user = options.user.or(now.access.user.as_deref());
    let new_user = user::wanted(&now.paths, user)?;
    modes::warn(&config);
    doctor::preflight()?;
    privileges::give_up(&now.paths, new_user, socket_group(&now)?)?;
    doctor::programs_load()?;
    let loader = supervisor::part()?;
    privileges::leave_to_supervisor()?;
    confine(&config)?;
    // Not before, as a thread has the privileges that there were when it began.
    log_queue::start()?;

    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Error::runtime(format!("starting: {}", Cause(&error))))?;
    // Before anything that must not be left half done.
    let signals = {
        let _context = runtime.enter();
        Signals::install()?
    };
    let daemon = Daemon::start(&runtime, config, loader, options)?;
    confinement::of_serving_daemon().map_err(unconfined)?;
    // Scripts and tests wait for this line.
    log_queue::write(b"ready\n");
    sd_notify::ready();
    let hanging = runtime.block_on(daemon.serve(signals));
    // What hangs in the disk would be waited for here.
    runtime.shutdown_background();
    if hanging.is_empty() {
        return Ok(());
    }
    Err(Error::runtime(format!(
        "not everything has ended in time: {}",
        hanging.join("; ")
    )))
}

/// Leaves this process what a daemon needs beside its supervisor.
fn confine(config: &LiveConfig) -> Result<()> {
    let now = config.get();
    user::make_own_directories(&now.paths);
    // What the C library loads for names of users is loaded here, as no code can be later.
    let _ = (ownership::own_name(), Group::from_gid(getgid()));
    let missing = confinement::of_daemon(&now, config.file()).map_err(unconfined)?;
    for layer in missing {
        log::info!("the daemon is confined without {layer}");
    }
    Ok(())
}

fn unconfined(error: String) -> Error {
    Error::runtime(format!(
        "cannot confine itself, and goes no further: {error}"
    ))
}

/// The group whose members may use the socket; a warning where there is none.
fn socket_group(config: &Config) -> Result<Option<u32>> {
    let name = &config.access.socket_group;
    let access = SocketAccess::of_group(name)?;
    if access.gid().is_none() {
        log::warn!(
            "there is no group {} (`access.socket_group`), so only root and the daemon's own user may use the socket; \
             `groupadd --system` makes one, and a reload takes it over",
            quote(name)
        );
    }
    Ok(access.gid())
}

/// A daemon that runs.
struct Daemon {
    config: Arc<LiveConfig>,
    tasks: Tasks,
    server: Server,
    set_log_format: fn(LogFormat),
    deadlines: Deadlines,
}

impl Daemon {
    /// Starts everything, in the order in which one needs the other.
    fn start(
        runtime: &Runtime,
        config: Arc<LiveConfig>,
        loader: StartLoader,
        options: Options<'_>,
    ) -> Result<Self> {
        let now = config.get();
        let clock = Arc::new(SystemClock);
        let _context = runtime.enter();
        // First, as they tell whether another daemon is there.
        let storage = Storage::open(
            &now.paths.captures,
            now.limits.disk_budget,
            now.capture.keep_free,
        )?;
        let store = Store::open_for_daemon(&now.paths.database, clock.clone())?;
        // A daemon that was killed may have left filters, and perhaps no task comes that would meet them.
        remove_orphaned_filters()?;
        let tasks = Tasks::start(Arc::clone(&config), store, storage, clock, Some(loader))?;
        let Options {
            commit,
            set_log_format,
            deadlines,
            ..
        } = options;
        let about = About::now(commit);
        match runtime.block_on(Server::start(&now, tasks.clone(), about)) {
            Ok(server) => {
                start_line::write(&config, about, server.addresses(), tasks.stored_bytes());
                Ok(Self {
                    config,
                    tasks,
                    server,
                    set_log_format,
                    deadlines,
                })
            }
            Err(error) => {
                // Tasks that waited may have begun.
                for hanging in runtime.block_on(tasks.shutdown(deadlines.tasks)) {
                    log::error!("{hanging}");
                }
                Err(error)
            }
        }
    }

    /// Serves until a signal, and ends in order. Gives what did not end.
    async fn serve(self, mut signals: Signals) -> Vec<String> {
        let mut watchdog = Watchdog::new();
        let mut answers = Answers::default();
        loop {
            tokio::select! {
                _ = signals.reload.recv() => self.reload().await,
                name = signals.stop.received() => {
                    log::info!("{name}: ending");
                    break;
                }
                request = signals.requests.received() => answers.give(request, &self.tasks),
                () = watchdog.due() => watchdog.tell(&self.tasks),
            }
        }
        sd_notify::stopping();
        let began = Instant::now();
        let tasks = self.tasks.clone();
        let mut end = pin!(self.stop());
        loop {
            tokio::select! {
                hanging = &mut end => {
                    log::info!("ended in {:.1} s", began.elapsed().as_secs_f64());
                    return hanging;
                }
                name = signals.stop.received() => {
                    let mut hanging = vec![format!("{name} came before the end")];
                    hanging.extend(tasks.hanging());
                    return hanging;
                }
                request = signals.requests.received() => answers.give(request, &tasks),
            }
        }
    }

    /// The API first, so that nobody asks for what is about to end; then the tasks.
    async fn stop(self) -> Vec<String> {
        let Self {
            tasks,
            server,
            deadlines,
            ..
        } = self;
        tasks.close();
        let mut hanging = server.stop(deadlines.requests).await;
        hanging.extend(tasks.shutdown(deadlines.tasks).await);
        hanging
    }

    /// Reads the configuration again. What is wrong with it is said, and changes nothing.
    async fn reload(&self) {
        sd_notify::reloading();
        let config = Arc::clone(&self.config);
        let read = spawn_blocking(move || config.read_again()).await;
        let read = read.unwrap_or_else(|error| Err(Error::runtime(error.to_string())));
        let reloaded = read.and_then(|(config, kept)| {
            // First, as it may refuse.
            self.server.reload(&config)?;
            socket_group(&config)?;
            (self.set_log_format)(config.log.format);
            self.config.set(config);
            modes::warn(&self.config);
            self.tasks.reconfigured();
            Ok(kept)
        });
        match &reloaded {
            Ok(kept) => {
                for key in kept {
                    log::warn!("`{key}` has changed, and is heeded at the next start");
                }
                log::info!("the configuration is read again");
            }
            Err(error) => {
                // A fault a line, as each line of a log stands alone.
                for fault in error.message.lines() {
                    log::error!("the configuration stays as it was: {fault}");
                }
            }
        }
        let outcome = reloaded.map(|_| ()).map_err(|error| error.message);
        self.tasks
            .note(&Actor::daemon(), Action::ConfigReload, outcome)
            .await;
        sd_notify::ready();
    }
}

/// The signals that the daemon heeds.
struct Signals {
    reload: Signal,
    stop: EndSignals,
    requests: Requests,
}

struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> Result<Self> {
        let install = |kind| {
            signal(kind)
                .map_err(|error| Error::runtime(format!("taking over signals: {}", Cause(&error))))
        };
        Ok(Self {
            reload: install(SignalKind::hangup())?,
            stop: EndSignals {
                interrupt: install(SignalKind::interrupt())?,
                terminate: install(SignalKind::terminate())?,
            },
            requests: Requests::install()?,
        })
    }
}

impl EndSignals {
    async fn received(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// The answers to requests by signal, one at a time: figures wait for the kernel, and nothing waits for them.
#[derive(Default)]
struct Answers(Option<JoinHandle<()>>);

impl Answers {
    fn give(&mut self, request: Request, tasks: &Tasks) {
        match request {
            Request::Flush => tasks.flush(),
            Request::Figures if self.0.as_ref().is_some_and(|last| !last.is_finished()) => {}
            Request::Figures => {
                let tasks = tasks.clone();
                self.0 = Some(spawn_blocking(move || tasks.log_figures()));
            }
        }
    }
}

/// Tells the service manager that tasks are still taken care of, where it wants to know.
struct Watchdog {
    interval: Option<Interval>,
    pulse: u64,
    turned: Instant,
}

/// How long the scheduler of tasks may take for a turn, of which it does one a second.
const SCHEDULER_STALL_TIMEOUT: Duration = Duration::from_secs(10);

impl Watchdog {
    fn new() -> Self {
        let period = sd_notify::watchdog().map(|period| (period / 2).max(Duration::from_millis(1)));
        let interval = period.map(|period| {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self {
            interval,
            pulse: 0,
            turned: Instant::now(),
        }
    }

    async fn due(&mut self) {
        match &mut self.interval {
            Some(interval) => {
                interval.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Only while the scheduler turns.
    fn tell(&mut self, tasks: &Tasks) {
        let pulse = tasks.pulse();
        if pulse != self.pulse {
            self.pulse = pulse;
            self.turned = Instant::now();
        }
        if self.turned.elapsed() < SCHEDULER_STALL_TIMEOUT {
            sd_notify::alive();
        }
    }
}
