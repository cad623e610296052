//! The arguments of the commands that talk to a daemon, or open its database.

use std::path::PathBuf;

use capture_client::Location;
use capture_store::{Anchor, access::Role};
use capture_task::task::State;
use clap::{Args, Subcommand, ValueHint};

use super::task::{FormArgs, OutputForm, TaskArgs, WidthArgs, Words};
use crate::{client::Client, completions::values, error::Result};

const CREATE_EXAMPLES: &str = "\
Examples:
  The conversation of one service, for ten minutes, and then the file:
    id=$(capture-agent task create --name web -i eth0 --ip 10.0.0.5 --port 443 --duration 10m --wait)
    capture-agent task download \"$id\" -w web.pcapng
  Tonight, a thousand packets of DNS:
    capture-agent task create --name dns -i any --port 53 -c 1000 --start-at 2026-03-01T22:00:00Z";

const APPLY_EXAMPLES: &str = "\
Examples:
  The tasks of a file, on two hosts:
    capture-agent task apply -f night.toml --context lab
    capture-agent task apply -f night.toml --context prod
  What would change:
    capture-agent task apply -f night.toml --replace --dry-run";

const DOWNLOAD_EXAMPLES: &str = "\
Examples:
  The file of a task, under a name made of the task's:
    capture-agent task download web
  Straight into another program, also while the task runs:
    capture-agent task download web -w - | tshark -r -";

/// Which daemon is asked. One of the first three names it, before the environment, the context in use, and the daemon of
/// this host.
#[derive(Debug, Args)]
pub(crate) struct SocketArgs {
    /// Socket of the daemon [default: CAPTURE_AGENT_SOCKET, else that of the context in use].
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = "Daemon")]
    pub(crate) socket: Option<PathBuf>,
    /// Daemon of another host.
    #[arg(
        long, value_name = "URL", help_heading = "Daemon", conflicts_with_all = ["socket", "context"],
        help = "Daemon of another host: https://HOST:PORT, or ssh://[USER@]HOST[:PORT][/SOCKET] [default: CAPTURE_AGENT_URL]"
    )]
    pub(crate) url: Option<String>,
    /// Daemon of a context, see `context create` [default: CAPTURE_AGENT_CONTEXT].
    #[arg(
        long, value_name = "NAME", help_heading = "Daemon", conflicts_with = "socket", add = values::contexts()
    )]
    pub(crate) context: Option<String>,
    /// File with a token for https://, readable by nobody else [default: CAPTURE_AGENT_TOKEN_FILE, else the context's].
    #[arg(
        hide_short_help = true,
        long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Daemon"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates to trust for https:// in place of the system's, PEM [default: CAPTURE_AGENT_CA, else the context's].
    #[arg(
        hide_short_help = true,
        long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Daemon"
    )]
    pub(crate) ca: Option<PathBuf>,
}

impl SocketArgs {
    /// The daemon that is meant.
    pub(crate) fn client(self) -> Result<Client> {
        let Self {
            socket,
            url,
            context,
            token_file,
            ca,
        } = self;
        let location = Location {
            socket,
            url,
            context,
            token_file,
            ca,
        };
        Ok(location.client()?)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Create a task and print its ID.
    ///
    /// The daemon keeps the packets; `task download` fetches them, also while the task runs. Unless the
    /// options say otherwise, a task ends after 60 seconds, and before its files exceed 1 GiB.
    #[command(
        override_usage = "capture-agent task create --name NAME [-i IF…] [filter options] [limits]",
        after_help = CREATE_EXAMPLES
    )]
    Create(Box<CreateArgs>),
    /// Make the tasks of a file tasks of the daemon, by name; may be repeated.
    ///
    /// A task whose name has none that waits or runs is created; one that is there with the same fields stays as it is. One
    /// with other fields is refused, or with --replace stopped and created anew. A file with a fault changes nothing.
    #[command(after_help = APPLY_EXAMPLES)]
    Apply(ApplyArgs),
    /// List tasks, newest first.
    ///
    /// On a terminal a task is a line that fits: IDs by their end, ages in place of times, and columns left out where there
    /// is no room. In a pipe, as with --no-trunc, all is there in full.
    List(ListArgs),
    /// Show all that is known of a task.
    Show(OneTask),
    /// Show what is wrong in the packets of a task, so far or at the end.
    ///
    /// "-o json" prints what `analyze -o json` prints of its files, with "state" and "skipped". The exit code is 4 where the
    /// task is not analyzed.
    Findings(OneTask),
    /// Follow a task until it ends.
    ///
    /// Prints a line at every change of state and, every second, the figures; with "-o json" each time
    /// the whole task on one line. The exit code is 1 where the task fails, or the daemon's end cuts it short. Ctrl-C ends only the watching.
    Watch(WatchArgs),
    /// End tasks, which keep what they have, and say what became of them.
    #[command(mut_arg("tasks", |tasks| tasks.add(values::unended_tasks())))]
    Stop(StopArgs),
    /// Remove tasks and their files.
    ///
    /// What fails for one task keeps none of the others from being removed; the exit code is the highest of all.
    Delete(DeleteArgs),
    /// Fetch the files of a task, and print their names.
    ///
    /// A file grows as NAME.part and gets its name once it is whole and, where the task has ended, its SHA-256
    /// is right; one that broke off is gone on with by --resume. That of a running task has what is there now, and is named
    /// NAME.partial.pcapng.
    #[command(after_help = DOWNLOAD_EXAMPLES)]
    Download(DownloadArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Start at this time, as in 22:00, +5m, "tomorrow 06:00", 2026-03-01T08:00:00Z [default: at once].
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub(crate) start_at: Option<String>,
    /// Create nothing: check the task, and say what it would be and do.
    #[arg(long, help_heading = "Daemon", conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Wait until the task ends; the exit code is 1 where it fails, or the daemon's end cuts it short.
    #[arg(long, help_heading = "Daemon")]
    pub(crate) wait: bool,
    /// Name of this request: whoever repeats it within a day gets the same task again, and no second one.
    #[arg(long, value_name = "KEY", help_heading = "Daemon")]
    pub(crate) idempotency_key: Option<String>,
    /// Show no progress line and no closing table with --wait.
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Form of the output: the ID, or the task as JSON, with --wait as it is at the end.
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub(crate) output: OutputForm,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    #[command(flatten)]
    pub(crate) only_run: OnlyRun,
}

/// Options that `run` has and the daemon cannot have. They are known so that they can be refused with a
/// reason.
#[derive(Debug, Default, Args)]
pub(crate) struct OnlyRun {
    #[arg(short, long, hide = true)]
    pub(crate) write: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub(crate) tasks: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub(crate) netns: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) ring_size: Option<String>,
    #[arg(long, hide = true)]
    pub(crate) keep_free: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The tasks, TOML or JSON by the suffix, as `run --tasks` takes them and with start_at; "-" for standard input.
    #[arg(short, long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Stop tasks that have other fields, and create them anew.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Change nothing: check the tasks, and say what would be done.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    /// Wait until all of them have ended; the exit code is 1 where one fails.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Form of the output: a line a task, or a list in JSON.
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true
    )]
    pub(crate) output: OutputForm,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only tasks in this state, or in one of several with commas between.
    #[arg(long, value_name = "STATE", value_parser = Words::of::<State>())]
    pub(crate) state: Option<String>,
    /// Only tasks of this name, as in "web" or "web*".
    #[arg(long, value_name = "GLOB")]
    pub(crate) name: Option<String>,
    /// Only tasks created since then: an age as in 2h or 7d, or a time as in 06:00, yesterday, 2026-03-01.
    #[arg(long, value_name = "AGE|TIME")]
    pub(crate) since: Option<String>,
    /// Most tasks to list; what is left out is counted on stderr.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// List all, without a limit.
    #[arg(short, long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Print only the IDs, a line each.
    #[arg(short, long, conflicts_with = "output")]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) width: WidthArgs,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OneTask {
    /// Name of the task, or its ID, or the end or beginning of that.
    #[arg(value_name = "TASK", add = values::tasks())]
    pub(crate) task: String,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SeveralTasks {
    /// Names of tasks, or their IDs, or ends or beginnings of these.
    #[arg(value_name = "TASK", required = true, add = values::tasks())]
    pub(crate) tasks: Vec<String>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    pub(crate) tasks: SeveralTasks,
    /// Do not wait for the end.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) one: OneTask,
    /// Only changes of state, no figures in between.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) tasks: SeveralTasks,
    /// Also those that have not ended: they are ended first.
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DownloadArgs {
    /// Name of the task, or its ID, or the end or beginning of that.
    #[arg(value_name = "TASK", add = values::tasks())]
    pub(crate) task: String,
    /// File to write to, "-" for standard output; without it NAME_STARTED_ID.pcapng, the end of the ID.
    #[arg(short, long, value_name = "FILE|-", value_hint = ValueHint::FilePath, conflicts_with = "directory")]
    pub(crate) write: Option<PathBuf>,
    /// Directory for the files, made where it is not there [default: this one].
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: Option<PathBuf>,
    /// Only the file with this number, counted from 0, where the task has several.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) file: Option<u64>,
    /// Of several tasks of a name the one that has not ended, and what there is of it.
    #[arg(long)]
    pub(crate) part: bool,
    /// Go on with what an earlier download left, as NAME.part or of a task that was running.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Leave the payload out, and put pseudonyms in the place of addresses.
    #[arg(long)]
    pub(crate) anonymise: bool,
    /// Leave out what is behind the headers.
    #[arg(long)]
    pub(crate) strip_payload: bool,
    /// Replace files that are there.
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Form of the output: names, or as JSON also size, packets and SHA-256.
    // A file here is answered with what to type instead.
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true,
        value_parser = Words::of_texts(&["table", "json"])
    )]
    pub(crate) output: String,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct QuotaArgs {
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    #[command(flatten)]
    pub(crate) form: FormArgs,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// Port of 127.0.0.1 [default: one that is free].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Only print the address.
    #[arg(long)]
    pub(crate) no_browser: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// Where the database is.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// Configuration of the daemon, which names its database [default: /etc/capture-agent/config.toml].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print its secret, which cannot be shown again.
    Create(TokenCreateArgs),
    /// List tokens, also those that are over; never their secrets.
    List(TokenListArgs),
    /// End a token at once.
    Revoke(TokenRevokeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TokenListArgs {
    #[command(flatten)]
    pub(crate) width: WidthArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreateArgs {
    /// What it is called: 1 to 64 letters, digits, ".", "_", "-" or "@".
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What its bearer may do: viewer sees lists and figures; operator also creates, stops, downloads,
    /// and deletes what is its account's; admin also deletes what is others'.
    #[arg(long, value_name = "ROLE", value_parser = Words::of::<Role>())]
    pub(crate) role: String,
    /// Account whose quota its tasks count against [default: one of the token's name].
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// When it ends by itself: a time as in 2026-03-01T08:00:00Z, or from now, as in 12h or 90d.
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TokenRevokeArgs {
    /// Its name or ID.
    #[arg(value_name = "TOKEN", add = values::tokens())]
    pub(crate) token: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who did what, newest first.
    List(AuditListArgs),
    /// Check that no line of the log was changed, put in or taken out; the exit code is 1 where one was.
    Verify(AuditVerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct AuditVerifyArgs {
    /// A line that was noted down elsewhere: it must still be the same one.
    #[arg(long, value_name = "NUMBER:HASH")]
    pub(crate) anchor: Option<Anchor>,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// File to make, readable by its owner alone.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AuditListArgs {
    /// Most lines to list, up to 1000.
    #[arg(long, value_name = "COUNT", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Only lines before this number.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<i64>,
    #[command(flatten)]
    pub(crate) width: WidthArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
}
