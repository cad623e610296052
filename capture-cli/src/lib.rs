//! The command line: arguments become a request (`args`, `request`), `run` executes it on the
//! engine, and `progress` and `report` are what people see of it. Errors end here: each becomes
//! a line or two on stderr and an exit code. `task` and `quota` ask a daemon through `client`, `console` lets a browser do so; `token`
//! and `audit` open its database.

mod analyze;
mod args;
mod audit;
mod client;
mod completions;
mod console;
mod context;
mod default_interface;
mod doctor;
mod error;
mod exit;
mod extcap;
#[cfg(test)]
mod golden;
mod journal;
mod listing;
mod logging;
mod man;
mod print;
mod problem;
mod progress;
mod quota;
mod recover;
mod report;
mod request;
mod run;
mod signals;
mod table;
mod task;
mod task_request;
mod tasks_file;
mod tcpdump;
mod terminal;
mod token;
mod usage;
mod version;
mod words;

use std::{env, path::Path, process::ExitCode, time::Duration};

pub(crate) use self::terminal::{print, report_error, say};
use self::{args::Command, exit::Exit};
use crate::error::{Error, Result};
use capture_engine::{netns, signals::catch_requests};
use capture_task::Cause;
use capture_tasks::{
    config::{Config, LogFormat},
    log_queue,
};

/// The daemon, which the binary brings along: the command line is compiled without its HTTP server.
#[derive(Clone, Copy, Debug)]
pub struct Daemon {
    /// Runs it with a configuration, as a user, until a signal ends it.
    pub run: RunDaemon,
    /// Checks a configuration for a user, and says what was read.
    pub check: fn(Option<&Path>, Option<&str>) -> Result<String, capture_tasks::error::Error>,
    /// The commit that all of this was built from, or nothing.
    pub commit: &'static str,
}

/// Takes the path of a configuration, the name of a user, and what sets the format of the log.
pub type RunDaemon =
    fn(Option<&Path>, Option<&str>, fn(LogFormat)) -> Result<(), capture_tasks::error::Error>;

/// Runs the command line of this process.
pub fn main(daemon: Daemon) -> ExitCode {
    completions::answer_if_asked();
    // First: somebody may ask for figures before there are any.
    if let Err(error) = catch_requests() {
        return report_error(error.into()).into();
    }
    let arguments = match tcpdump::parse(extcap::with_command(env::args_os().collect())) {
        Ok(arguments) => arguments,
        Err(error) => return usage::report(&error).into(),
    };
    // `print -v` says more of packets, `doctor -v` of the machine, and neither of itself.
    let verbose = arguments.verbose;
    let logged = match arguments.command {
        Command::Print(_) | Command::Doctor(_) => 0,
        _ => verbose,
    };
    logging::start(logged, matches!(arguments.command, Command::Daemon(_)));
    let exit = execute(arguments.command, daemon, verbose > 0).unwrap_or_else(report_error);
    // A reader that has hung up is not waited for.
    log_queue::flush(Duration::from_secs(1));
    exit.into()
}

fn execute(command: Command, daemon: Daemon, verbose: bool) -> Result<Exit> {
    match command {
        Command::Run(args) => run::run(*args, verbose),
        Command::Daemon(args) if args.check => {
            let checked = (daemon.check)(args.config.as_deref(), args.user.as_deref())?;
            print(format!("{checked}\n").as_bytes()).map(|()| Exit::Ok)
        }
        Command::Daemon(args) if args.print_config => {
            let shown = Config::shown(args.config.as_deref(), args.user.as_deref())?;
            print(shown.as_bytes()).map(|()| Exit::Ok)
        }
        Command::Daemon(args) => {
            let (config, user) = (args.config.as_deref(), args.user.as_deref());
            (daemon.run)(config, user, logging::set_format)?;
            Ok(Exit::Ok)
        }
        Command::Task(command) => task::execute(command),
        Command::Console(args) => console::execute(args),
        Command::Context(command) => context::execute(command),
        Command::Extcap(args) => extcap::execute(*args),
        Command::Quota(args) => quota::show(args),
        Command::Token(command) => token::execute(command),
        Command::Audit(command) => audit::execute(command),
        Command::Backup(args) => audit::backup(&args),
        Command::Interfaces(args) => {
            if let Some(namespace) = &args.netns {
                netns::enter(namespace)?;
            }
            listing::interfaces(args.form.output, args.width.no_trunc)
        }
        Command::Doctor(args) => doctor::doctor(args, verbose, daemon.commit),
        Command::Analyze(args) => analyze::analyze(&args),
        Command::Print(args) => print::print(*args),
        Command::Recover(args) => recover::recover(&args),
        Command::Version(args) => version::show(args, daemon.commit),
        Command::Completions { shell } => {
            let script = completions::script(shell).map_err(|error| {
                Error::runtime(format!("writing the script: {}", Cause(&error)))
            })?;
            print(&script).map(|()| Exit::Ok)
        }
        Command::Man { directory } => man::write(&directory).map(|()| Exit::Ok),
    }
}
