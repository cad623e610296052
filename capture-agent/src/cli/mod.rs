//! The command line: arguments become a request (`args`, `request`), `run` executes it on the
//! engine, and `progress` and `report` are what people see of it. Errors end here: each becomes
//! a line or two on stderr and an exit code. `task` and `quota` ask a daemon through `client`; `token`
//! and `audit` open its database.

mod analyze;
mod args;
mod audit;
mod client;
mod completions;
mod error;
mod exit;
mod journal;
mod listing;
mod progress;
mod quota;
mod recover;
mod report;
mod request;
mod run;
mod signals;
mod task;
mod task_request;
mod tasks_file;
mod terminal;
mod token;
mod usage;
mod words;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use capture_daemon as daemon;
use capture_daemon::Deadlines;
use capture_engine::{netns, signals::catch_requests};
use clap::Parser;

pub(crate) use self::terminal::{print, report_error, say};
use self::{
    args::{Arguments, Command},
    exit::Exit,
};
use crate::cli::error::Result;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // First: somebody may ask for figures before there are any.
    if let Err(error) = catch_requests() {
        return report_error(error.into()).into();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::report(&error).into(),
    };
    start_log(arguments.verbose, default_log(&arguments.command));
    execute(arguments.command)
        .unwrap_or_else(report_error)
        .into()
}

fn execute(command: Command) -> Result<Exit> {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Daemon(args) if args.check => {
            daemon::check(args.config.as_deref())?;
            Ok(Exit::Ok)
        }
        Command::Daemon(args) => {
            daemon::run(args.config.as_deref(), Deadlines::default())?;
            Ok(Exit::Ok)
        }
        Command::Task(command) => task::execute(command),
        Command::Quota(args) => quota::show(args),
        Command::Token(command) => token::execute(command),
        Command::Audit(command) => audit::execute(command),
        Command::Interfaces(args) => {
            if let Some(namespace) = &args.netns {
                netns::enter(namespace)?;
            }
            listing::interfaces(args.form.output)
        }
        Command::Doctor(args) => listing::doctor(args.form.output),
        Command::Analyze(args) => analyze::analyze(&args),
        Command::Recover(args) => recover::recover(&args),
        Command::Completions { shell } => print(&completions::script(shell)).map(|()| Exit::Ok),
    }
}

/// What is logged unless somebody says otherwise: of the daemon, also what it does.
fn default_log(command: &Command) -> &'static str {
    match command {
        Command::Daemon(_) => "warn,capture_daemon=info,capture_engine=info",
        _ => "warn",
    }
}

/// Logs go to stderr: warnings, or what is the default; with `-v` also what the agent does; with `-vv`
/// everything. `CAPTURE_AGENT_LOG`, or else `RUST_LOG`, says it in more detail.
fn start_log(verbose: u8, default: &str) {
    let filter = match verbose {
        0 => std::env::var("CAPTURE_AGENT_LOG")
            .or_else(|_| std::env::var("RUST_LOG"))
            .ok(),
        1 => Some(
            "warn,capture_agent=debug,capture_daemon=debug,capture_engine=debug,capture_file=debug"
                .to_owned(),
        ),
        _ => Some("trace".to_owned()),
    };
    // A log line takes the place of the progress line, which is drawn again below it.
    let clear = if io::stderr().is_terminal() {
        progress::CLEAR_LINE
    } else {
        ""
    };
    let is_journal = journal::is_behind(io::stderr());
    env_logger::Builder::new()
        .parse_filters(filter.as_deref().unwrap_or(default))
        .format(move |buffer, record| {
            let level = record.level().as_str().to_lowercase();
            let level = level.replace("warn", "warning");
            let start = match is_journal {
                true => journal::priority(record.level()),
                false => clear,
            };
            writeln!(buffer, "{start}capture-agent: {level}: {}", record.args())
        })
        .init();
}
