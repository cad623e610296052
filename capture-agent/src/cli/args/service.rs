//! The arguments of the commands that talk to a daemon, or open its database.

use std::path::PathBuf;

use capture_daemon::access::Role;
use capture_task::task::State;
use clap::{Args, Subcommand, ValueHint};

use super::task::{FormArgs, OutputForm, TaskArgs, Words};

const CREATE_EXAMPLES: &str = "\
Examples:
  The conversation of one service, for ten minutes, and then the file:
    id=$(capture-agent task create --name web -i eth0 --ip 10.0.0.5 --port 443 --duration 10m --wait)
    capture-agent task download \"$id\" -o web.pcapng
  Tonight, a thousand packets of DNS:
    capture-agent task create --name dns -i any --port 53 -c 1000 --start-at 2026-03-01T22:00:00Z";

const DOWNLOAD_EXAMPLES: &str = "\
Examples:
  The file of a task, under a name made of the task's:
    capture-agent task download web
  Straight into another program, also while the task runs:
    capture-agent task download web -o - | tshark -r -";

/// How the daemon is found.
#[derive(Debug, Args)]
pub(in crate::cli) struct SocketArgs {
    /// Socket of the daemon [default: CAPTURE_AGENT_SOCKET, else /run/capture-agent/api.sock].
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = "Daemon")]
    pub(in crate::cli) socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TaskCommand {
    /// Create a task and print its ID.
    ///
    /// The daemon keeps the packets; `task download` fetches them, also while the task runs. Unless the
    /// options say otherwise, a task ends after 60 seconds, and before its files exceed 1 GiB.
    #[command(
        override_usage = "capture-agent task create --name NAME -i IF [-i IF…] [filter options] [limits]",
        after_help = CREATE_EXAMPLES
    )]
    Create(Box<CreateArgs>),
    /// List tasks, newest first.
    List(ListArgs),
    /// Show all that is known of a task.
    Show(OneTask),
    /// Follow a task until it ends.
    ///
    /// Prints a line at every change of state and, every second, the figures; with "-o json" each time
    /// the whole task on one line. The exit code is 1 where the task fails. Ctrl-C ends only the watching.
    Watch(WatchArgs),
    /// Ask for the end of tasks, which keep what they have.
    Stop(SeveralTasks),
    /// Remove tasks and their files.
    ///
    /// What fails for one task keeps none of the others from being removed; the exit code is the highest of all.
    Delete(DeleteArgs),
    /// Fetch the files of a task, and print their names.
    ///
    /// A file grows as NAME.part and gets its name once it is whole and, where the task has ended, its SHA-256
    /// is right; a download that fails leaves nothing. That of a running task has what is there now.
    #[command(after_help = DOWNLOAD_EXAMPLES)]
    Download(DownloadArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CreateArgs {
    #[command(flatten)]
    pub(in crate::cli) task: TaskArgs,
    /// Start at this time, as in 2026-03-01T08:00:00Z [default: at once].
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub(in crate::cli) start_at: Option<String>,
    /// Only check the task; create nothing.
    #[arg(long, help_heading = "Daemon", conflicts_with = "wait")]
    pub(in crate::cli) dry_run: bool,
    /// Wait until the task ends; the exit code is 1 where it fails.
    #[arg(long, help_heading = "Daemon")]
    pub(in crate::cli) wait: bool,
    /// Name of this request: whoever repeats it within a day gets the same task again, and no second one.
    #[arg(long, value_name = "KEY", help_heading = "Daemon")]
    pub(in crate::cli) idempotency_key: Option<String>,
    /// Show no progress line and no closing table with --wait.
    #[arg(short, long, help_heading = "Output")]
    pub(in crate::cli) quiet: bool,
    /// Form of the output: the ID, or the task as JSON, with --wait as it is at the end.
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub(in crate::cli) output: OutputForm,
    #[command(flatten)]
    pub(in crate::cli) socket: SocketArgs,
    #[command(flatten)]
    pub(in crate::cli) only_run: OnlyRun,
}

/// Options that `run` has and the daemon cannot have. They are known so that they can be refused with a
/// reason.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct OnlyRun {
    #[arg(short, long, hide = true)]
    pub(in crate::cli) write: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub(in crate::cli) tasks: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub(in crate::cli) netns: Option<String>,
    #[arg(long, hide = true)]
    pub(in crate::cli) ring_size: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Only tasks in this state.
    #[arg(long, value_name = "STATE", value_parser = Words::of::<State>())]
    pub(in crate::cli) state: Option<String>,
    /// Most tasks to list.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) limit: u32,
    #[command(flatten)]
    pub(in crate::cli) form: FormArgs,
    #[command(flatten)]
    pub(in crate::cli) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct OneTask {
    /// ID of the task, the beginning of one, or the name of a task.
    #[arg(value_name = "TASK")]
    pub(in crate::cli) task: String,
    #[command(flatten)]
    pub(in crate::cli) form: FormArgs,
    #[command(flatten)]
    pub(in crate::cli) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SeveralTasks {
    /// IDs of tasks, beginnings of them, or names of tasks.
    #[arg(value_name = "TASK", required = true)]
    pub(in crate::cli) tasks: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) form: FormArgs,
    #[command(flatten)]
    pub(in crate::cli) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct WatchArgs {
    #[command(flatten)]
    pub(in crate::cli) one: OneTask,
    /// Only changes of state, no figures in between.
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteArgs {
    #[command(flatten)]
    pub(in crate::cli) tasks: SeveralTasks,
    /// Also those that have not ended: they are ended first.
    #[arg(short, long)]
    pub(in crate::cli) force: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DownloadArgs {
    /// ID of the task, the beginning of one, or the name of a task.
    #[arg(value_name = "TASK")]
    pub(in crate::cli) task: String,
    /// File or directory to write to, "-" for standard output; without it, into this directory, under
    /// names made of the task's.
    #[arg(short, long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Only the file with this number, counted from 0, where the task has several.
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) file: Option<u64>,
    /// Replace files that are there.
    #[arg(short, long)]
    pub(in crate::cli) force: bool,
    #[command(flatten)]
    pub(in crate::cli) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct QuotaArgs {
    #[command(flatten)]
    pub(in crate::cli) form: FormArgs,
    #[command(flatten)]
    pub(in crate::cli) socket: SocketArgs,
}

/// Where the database is.
#[derive(Debug, Args)]
pub(in crate::cli) struct DatabaseArgs {
    /// Configuration of the daemon, which names its database [default: /etc/capture-agent/config.toml].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) config: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) form: FormArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Make a token and print its secret, which cannot be shown again.
    Create(TokenCreateArgs),
    /// List tokens, also those that are over; never their secrets.
    List(DatabaseArgs),
    /// End a token at once.
    Revoke(TokenRevokeArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TokenCreateArgs {
    /// What it is called: 1 to 64 letters, digits, ".", "_", "-" or "@".
    #[arg(value_name = "NAME")]
    pub(in crate::cli) name: String,
    /// What its bearer may do: viewer sees lists and figures; operator also creates, stops, downloads,
    /// and deletes what is its account's; admin also deletes what is others'.
    #[arg(long, value_name = "ROLE", value_parser = Words::of::<Role>())]
    pub(in crate::cli) role: String,
    /// Account whose quota its tasks count against [default: one of the token's name].
    #[arg(long, value_name = "ACCOUNT")]
    pub(in crate::cli) account: Option<String>,
    /// When it ends by itself: a time as in 2026-03-01T08:00:00Z, or from now, as in 12h or 90d.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) expires: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) database: DatabaseArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TokenRevokeArgs {
    /// Its name or ID.
    #[arg(value_name = "TOKEN")]
    pub(in crate::cli) token: String,
    #[command(flatten)]
    pub(in crate::cli) database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// List who did what, newest first.
    List(AuditListArgs),
    /// Check that no line of the log was changed, put in or taken out; the exit code is 1 where one was.
    Verify(DatabaseArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AuditListArgs {
    /// Most lines to list, up to 1000.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(in crate::cli) limit: u32,
    /// Only lines before this number.
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) before: Option<i64>,
    #[command(flatten)]
    pub(in crate::cli) database: DatabaseArgs,
}
