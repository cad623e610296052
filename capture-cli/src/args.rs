//! The arguments as typed, in one plain structure for each command. Values of task options stay text:
//! [`request`](super::request) makes a task of them and reports all faults at once, in the words of options.

mod context;
mod extcap;
mod print;
mod service;
mod task;
mod texts;

use std::path::PathBuf;

use capture_file::KeepFree;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use super::completions::values;

pub(super) use self::{
    context::{ContextCommand, ContextCreateArgs},
    extcap::{ExtcapArgs, FieldArgs},
    print::{PrintArgs, StyleArgs},
    service::{
        ApplyArgs, AuditCommand, AuditListArgs, AuditVerifyArgs, BackupArgs, ConsoleArgs,
        CreateArgs, DatabaseArgs, DeleteArgs, DownloadArgs, ListArgs, OneTask, OnlyRun, QuotaArgs,
        SeveralTasks, StopArgs, TaskCommand, TokenCommand, TokenCreateArgs, TokenListArgs,
        TokenRevokeArgs, VersionArgs, WatchArgs,
    },
    task::{FormArgs, OutputForm, TaskArgs, WidthArgs},
};

/// Captures the packets of one address, pair or port, matched in the kernel by eBPF.
#[derive(Debug, Parser)]
#[command(name = "capture-agent", version, max_term_width = 100, after_long_help = texts::ROOT)]
pub(super) struct Arguments {
    /// Say more on stderr, twice for what the agent does.
    ///
    /// Once says what is captured and how.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Capture in the foreground, until a limit is reached or Ctrl-C.
    #[command(
        override_usage = "capture-agent run [-i IF…] [-w FILE|-] [filter options] [limits] [EXPRESSION]\n       \
                          capture-agent run --tasks FILE",
        after_help = texts::RUN_SHORT,
        after_long_help = texts::RUN
    )]
    Run(Box<RunArgs>),
    /// Run the daemon: capture tasks as a service, asked over its socket.
    ///
    /// Says "ready" on stderr when it answers, reads its configuration again on SIGHUP, and ends on
    /// SIGTERM or SIGINT.
    Daemon(DaemonArgs),
    /// Create, list, follow, stop and fetch the tasks of a daemon.
    #[command(subcommand)]
    Task(TaskCommand),
    /// Open the daemon's web console in a browser.
    ///
    /// Prints an address of this host that is good once, for a minute, and opens it where there is a desktop. The browser
    /// that opens it has the rights of this user on the daemon's socket, until Ctrl-C.
    Console(ConsoleArgs),
    /// Name daemons of other hosts, and choose the one that commands ask.
    #[command(subcommand)]
    Context(ContextCommand),
    /// Show how many tasks may still be created today.
    Quota(QuotaArgs),
    /// Make, list and revoke tokens for the API over TCP; as root or the daemon's user.
    #[command(subcommand)]
    Token(TokenCommand),
    /// List and verify the daemon's audit log; as root or the daemon's user.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Copy the daemon's database while it runs; as root or the daemon's user.
    ///
    /// The copy has tasks, tokens, quota and audit log as of one moment. Captures are files of their own.
    Backup(BackupArgs),
    /// List the network interfaces, and whether they can be captured on.
    Interfaces(InterfacesArgs),
    /// Check whether this machine can capture, as you and by the daemon, and say what is missing.
    ///
    /// Captures for a try. With -v all checks in full, not only those that ask for something.
    Doctor(DoctorArgs),
    /// Say what is wrong in capture files: losses, resets, silent servers, address conflicts and more.
    ///
    /// Reads pcap and pcapng, also compressed by gzip or zstd. Needs no privilege.
    Analyze(AnalyzeArgs),
    /// Print the packets of capture files, a line each in the manner of tcpdump, or as JSON.
    ///
    /// Reads pcap and pcapng, also compressed by gzip or zstd. Needs no privilege.
    #[command(after_help = texts::PRINT_EXAMPLES)]
    Print(Box<PrintArgs>),
    /// Make capture files of what killed captures left behind.
    Recover(RecoverArgs),
    /// Show the versions of this program, of the daemon, and of the kernel.
    Version(VersionArgs),
    /// Print a completion script for a shell.
    ///
    /// The script asks capture-agent at each tab key, and so also completes interfaces, namespaces, tasks and tokens.
    #[command(after_help = texts::COMPLETIONS_PLACES)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Be a source of packets of Wireshark's, which calls this by itself.
    ///
    /// A symlink to this program in its directory of extcaps is enough: packages have it. Wireshark then lists the interfaces
    /// and running tasks of the daemon of this host and of all contexts, and captures by tasks, without a privilege.
    Extcap(Box<ExtcapArgs>),
    /// Write the man pages into a directory.
    Man {
        /// The directory, as in /usr/local/share/man/man8.
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct DaemonArgs {
    /// Read this configuration; without it /etc/capture-agent/config.toml, which need not be there.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// Run as this user, in place of `access.user` or the owner of the daemon's files; as root.
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Username)]
    pub(super) user: Option<String>,
    /// Only check the configuration, with the rights that the daemon would have; nothing is started.
    #[arg(long, conflicts_with = "print_config")]
    pub(super) check: bool,
    /// Only print what the daemon would run on: every key, its value, and where that came from.
    #[arg(long)]
    pub(super) print_config: bool,
}

#[derive(Debug, Args)]
pub(super) struct InterfacesArgs {
    /// Look into another network namespace: a name of `ip netns`, a process by its number, or a path.
    #[arg(long, value_name = "NAME|PID|PATH", add = values::namespaces())]
    pub(super) netns: Option<String>,
    #[command(flatten)]
    pub(super) width: WidthArgs,
    #[command(flatten)]
    pub(super) form: FormArgs,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Write a report for a bug to a new file that ends in .tar.zst or .tar.gz; without packets, addresses and secrets.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) bundle: Option<PathBuf>,
    /// Configuration of the daemon, for the report [default: /etc/capture-agent/config.toml].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "bundle")]
    pub(super) config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) form: FormArgs,
    #[command(flatten)]
    pub(super) socket: service::SocketArgs,
}

#[derive(Debug, Args)]
pub(super) struct AnalyzeArgs {
    /// The capture, "-" for standard input; several files are one capture, merged by time.
    #[arg(required = true, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
    /// End with exit code 7 if there is a finding of this severity or worse.
    #[arg(long, value_name = "SEVERITY")]
    pub(super) fail_on: Option<FailOn>,
    /// Only packets that pass this display filter; they keep their numbers.
    #[arg(short = 'Y', long, value_name = "FILTER", conflicts_with = "compare")]
    pub(super) display_filter: Option<String>,
    /// Say too what differs from this capture, as one of a good day; may be repeated, as FILE.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) compare: Vec<PathBuf>,
    /// Also ask an engine that is installed, confined; may be repeated.
    #[arg(long, value_name = "ENGINE", conflicts_with = "display_filter")]
    pub(super) engine: Vec<EngineName>,
    /// Rules for Suricata in place of those that are installed.
    #[arg(long, value_name = "FILE", requires = "engine", value_hint = ValueHint::FilePath)]
    pub(super) engine_rules: Option<PathBuf>,
    /// Form of the output; html is one page without scripts, which can be mailed.
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true
    )]
    pub(super) output: AnalysisForm,
    /// Write it to this file instead of standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) write: Option<PathBuf>,
}

/// Form of an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AnalysisForm {
    Table,
    Json,
    Html,
}

/// Engines of others. The words have no help of their own, see [`OutputForm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EngineName {
    Suricata,
    Ndpi,
}

/// From which severity on a finding is a failure: `warn` is also `high`. The words have no help of their own, see
/// [`OutputForm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Warn,
    High,
}

#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    /// What to recover: NAME.part, which is cut back to its last whole packet and becomes
    /// STEM_interrupted.EXT.
    #[arg(required = true, value_name = "FILE.part", value_hint = ValueHint::FilePath)]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) task: TaskArgs,
    /// Run the tasks of a file, TOML or JSON by its suffix, at once and instead of the one that the
    /// options describe.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "FILE",
        help_heading = "What to capture",
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["TaskArgs", "write"]
    )]
    pub(super) tasks: Option<PathBuf>,
    /// File to write, "-" for standard output [default: a new file here].
    ///
    /// The new file is NAME-or-interface_TIMESTAMP.pcapng.
    #[arg(short, long, value_name = "FILE", help_heading = "Output", value_hint = ValueHint::FilePath)]
    pub(super) write: Option<PathBuf>,
    /// Print the packets, a line each; write a file only with -w.
    #[arg(long, help_heading = "Output", conflicts_with = "tasks")]
    pub(super) print: bool,
    #[command(flatten)]
    pub(super) style: StyleArgs,
    /// Show neither the progress line nor the closing table.
    #[arg(hide_short_help = true, short, long, help_heading = "Output")]
    pub(super) quiet: bool,
    /// Form of the summary at the end; JSON goes to stdout, or to stderr with "-w -".
    #[arg(
        hide_short_help = true,
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub(super) output: OutputForm,
    /// Say at the end what is wrong in what was captured, as `analyze` does.
    #[arg(hide_short_help = true, long, help_heading = "Output")]
    pub(super) analyze: bool,
    /// With --analyze: end with exit code 7 if there is a finding of this severity or worse.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "SEVERITY",
        help_heading = "Output",
        requires = "analyze"
    )]
    pub(super) fail_on: Option<FailOn>,
    /// Capture in another network namespace: a name of `ip netns`, a process by its number, or a path.
    #[arg(
        hide_short_help = true,
        long, value_name = "NAME|PID|PATH", help_heading = "What to capture", add = values::namespaces()
    )]
    pub(super) netns: Option<String>,
    /// Memory for packets on their way from the kernel, all CPUs together; each has 1MiB to 1GiB of it.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "SIZE",
        default_value = "64MiB",
        help_heading = "Output"
    )]
    pub(super) ring_size: String,
    /// Leave so much of the file's disk free, a size or as in 5%: the capture ends before.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "SIZE|PERCENT",
        help_heading = "Limits"
    )]
    pub(super) keep_free: Option<KeepFree>,
    /// Capture nothing: check the task, and say what it would be and do.
    #[arg(hide_short_help = true, long, help_heading = "Output")]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) habits: HabitArgs,
}

/// What people type out of habit from tcpdump and dumpcap, and what is so here anyway. Of the style of printing, -n and
/// -l are such too.
#[derive(Debug, Default, Args)]
pub(super) struct HabitArgs {
    /// Packets reach the file within some 10 ms.
    #[arg(short = 'U', long = "packet-buffered", action = ArgAction::Count, hide = true)]
    packet_buffered: u8,
    /// Interfaces are not put into promiscuous mode.
    #[arg(short = 'p', long = "no-promiscuous-mode", action = ArgAction::Count, hide = true)]
    not_promiscuous: u8,
    /// Packets are taken as they come.
    #[arg(long, action = ArgAction::Count, hide = true)]
    immediate_mode: u8,
    /// Checksums are not verified while capturing.
    #[arg(short = 'K', long = "dont-verify-checksums", action = ArgAction::Count, hide = true)]
    unverified: u8,
    /// Filters are not made of libpcap's instructions.
    #[arg(short = 'O', long = "no-optimize", action = ArgAction::Count, hide = true)]
    not_optimized: u8,
}

#[cfg(test)]
mod tests;
