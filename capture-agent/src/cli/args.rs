//! The arguments as typed, in one plain structure for each command. Values of task options stay text:
//! [`request`](super::request) makes a task of them and reports all faults at once, in the words of options.

mod service;
mod task;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

pub(super) use self::{
    service::{
        AuditCommand, AuditListArgs, CreateArgs, DatabaseArgs, DeleteArgs, DownloadArgs, ListArgs,
        OneTask, OnlyRun, QuotaArgs, SeveralTasks, TaskCommand, TokenCommand, TokenCreateArgs,
        TokenRevokeArgs, WatchArgs,
    },
    task::{FormArgs, OutputForm, TaskArgs},
};

const EXAMPLES: &str = "\
Examples:
  The conversation of one service, for a minute:
    capture-agent run -i eth0 --ip 10.0.0.5 --port 443 --protocol tcp --duration 1m -w tls.pcapng
  DNS on every interface, only what arrives:
    capture-agent run -i any --protocol udp --port 53 -Q ingress
  Two hosts, the first 128 bytes of each frame, in ten files of 100 MB:
    capture-agent run -i eth0 --ip 10.0.0.5 --peer-ip 10.0.0.9 -s 128 -C 100 -W 10 -w ring.pcapng
  Straight into another program:
    capture-agent run -i eth0 --ip 10.0.0.5 -w - | tshark -r -";

/// Captures the packets of one address, pair or port, matched in the kernel by eBPF.
#[derive(Debug, Parser)]
#[command(name = "capture-agent", version, max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Say more on stderr: once for what the agent does, twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Capture in the foreground, until a limit is reached or Ctrl-C.
    #[command(
        override_usage = "capture-agent run -i IF [-i IF…] [-w FILE|-] [filter options] [limits]\n       \
                          capture-agent run --tasks FILE",
        after_help = EXAMPLES
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
    /// Show how many tasks may still be created today.
    Quota(QuotaArgs),
    /// Make, list and revoke tokens for the API over TCP; as root or the daemon's user.
    #[command(subcommand)]
    Token(TokenCommand),
    /// List and verify the daemon's audit log; as root or the daemon's user.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// List the network interfaces, and whether they can be captured on.
    Interfaces(InterfacesArgs),
    /// Check whether this machine can capture, and say what is missing.
    Doctor(DoctorArgs),
    /// Say what is wrong in a capture file: losses, resets, silent servers, address conflicts and more.
    ///
    /// Reads pcap and pcapng, also compressed by gzip or zstd. Needs no privilege.
    Analyze(AnalyzeArgs),
    /// Make capture files of what killed captures left behind.
    Recover(RecoverArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct DaemonArgs {
    /// Read this configuration; without it /etc/capture-agent/config.toml, which need not be there.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// Only check the configuration: what is wrong with it is said, and nothing is started.
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Debug, Args)]
pub(super) struct InterfacesArgs {
    /// Look into another network namespace: a name of `ip netns`, or a path.
    #[arg(long, value_name = "NAME|PATH")]
    pub(super) netns: Option<String>,
    #[command(flatten)]
    pub(super) form: FormArgs,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) form: FormArgs,
}

#[derive(Debug, Args)]
pub(super) struct AnalyzeArgs {
    /// The capture, "-" for standard input.
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// End with exit code 7 if there is a finding of this severity or worse.
    #[arg(long, value_name = "SEVERITY")]
    pub(super) fail_on: Option<FailOn>,
    #[command(flatten)]
    pub(super) form: FormArgs,
}

/// From which severity on a finding is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// `warn` and `high`.
    Warn,
    /// `high`.
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
        long,
        value_name = "FILE",
        help_heading = "What to capture",
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["TaskArgs", "write"]
    )]
    pub(super) tasks: Option<PathBuf>,
    /// File to write, "-" for standard output; without it NAME-or-interface_TIMESTAMP.pcapng here.
    #[arg(short, long, value_name = "FILE", help_heading = "Output", value_hint = ValueHint::FilePath)]
    pub(super) write: Option<PathBuf>,
    /// Show neither the progress line nor the closing table.
    #[arg(short, long, help_heading = "Output")]
    pub(super) quiet: bool,
    /// Form of the summary at the end; JSON goes to stdout, or to stderr with "-w -".
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub(super) output: OutputForm,
    /// Capture in another network namespace: a name of `ip netns`, or a path.
    #[arg(long, value_name = "NAME|PATH", help_heading = "What to capture")]
    pub(super) netns: Option<String>,
    /// Memory for packets on their way from the kernel, all CPUs together; each has 1MiB to 1GiB of it.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "64MiB",
        help_heading = "Output"
    )]
    pub(super) ring_size: String,
}

#[cfg(test)]
mod tests;
