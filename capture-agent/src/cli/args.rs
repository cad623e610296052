//! The arguments as typed, in one plain structure for each command. Values of task options are kept
//! as text: [`request`](super::request) turns them into a task, so that all that is wrong with them
//! is said at once and in the words of the API.

mod service;

use std::path::PathBuf;

use capture_task::plan::{Directions, Format, Hook, Oversize, Protocol, Word};
use clap::{
    ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};
use clap_complete::Shell;

pub(super) use self::service::{
    AuditCommand, AuditListArgs, CreateArgs, DatabaseArgs, DeleteArgs, DownloadArgs, ListArgs,
    OneTask, OnlyRun, QuotaArgs, SeveralTasks, TaskCommand, TokenCommand, TokenCreateArgs,
    TokenRevokeArgs, WatchArgs,
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
    /// Make capture files of what killed captures left behind.
    Recover(RecoverArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Form of the output: text for people, or one JSON value on one line. The words have no help of
/// their own, which would spread every option in `--help` over several lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputForm {
    #[default]
    Table,
    Json,
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

/// The form of what is printed.
#[derive(Debug, Args)]
pub(super) struct FormArgs {
    /// Form of the output.
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true
    )]
    pub(super) output: OutputForm,
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

/// The options that describe a task.
#[derive(Debug, Default, Args)]
pub(super) struct TaskArgs {
    /// Interface to capture on; repeat for several, "any" for all that are there and that come.
    #[arg(short, long, value_name = "IF", help_heading = "What to capture")]
    pub(super) interface: Vec<String>,
    /// Which way the frames go, as the host sees it [default: both].
    #[arg(
        short = 'Q', long, value_name = "WAY", help_heading = "What to capture",
        value_parser = Words::of::<Directions>()
    )]
    pub(super) direction: Option<String>,
    /// Where in the kernel frames are taken; auto never disturbs a link [default: auto].
    #[arg(
        long, value_name = "HOOK", help_heading = "What to capture",
        value_parser = Words::of::<Hook>()
    )]
    pub(super) hook: Option<String>,

    /// Protocol; icmp is ICMP and ICMPv6 [default: all].
    #[arg(
        long, value_name = "NAME", help_heading = "Filter", value_parser = Words::of::<Protocol>()
    )]
    pub(super) protocol: Option<String>,
    /// Address or prefix of one side of the conversation, sender or receiver.
    #[arg(long, value_name = "ADDRESS", help_heading = "Filter")]
    pub(super) ip: Option<String>,
    /// Ports of that side (of any side without --ip), as in 443,8000-8100; may be repeated.
    #[arg(long, value_name = "PORTS", help_heading = "Filter")]
    pub(super) port: Vec<String>,
    /// Address or prefix of the other side; needs --ip.
    #[arg(long, value_name = "ADDRESS", help_heading = "Filter")]
    pub(super) peer_ip: Option<String>,
    /// Ports of the other side; needs --peer-ip.
    #[arg(long, value_name = "PORTS", help_heading = "Filter")]
    pub(super) peer_port: Vec<String>,
    /// Also take ICMP and ICMPv6 errors about packets that match.
    #[arg(long, help_heading = "Filter")]
    pub(super) icmp_errors: bool,

    /// Most bytes kept of a frame, link header included; 0 keeps whole frames [default: 0].
    #[arg(
        short = 's',
        long,
        value_name = "BYTES",
        help_heading = "Limits",
        visible_alias = "snapshot-length"
    )]
    pub(super) max_bytes: Option<String>,
    /// What becomes of a frame longer than that [default: truncate].
    #[arg(
        long, value_name = "WHAT", help_heading = "Limits", value_parser = Words::of::<Oversize>()
    )]
    pub(super) oversize: Option<String>,
    /// Stop after this time: seconds, or as in 90s, 10m, 1h30m, 1d.
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub(super) duration: Option<String>,
    /// Stop after exactly so many written packets.
    #[arg(
        short = 'c',
        long,
        value_name = "COUNT",
        help_heading = "Limits",
        visible_alias = "count"
    )]
    pub(super) max_packets: Option<String>,
    /// Stop before the output exceeds this size, as in 500MB or 2GiB.
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub(super) max_file_bytes: Option<String>,

    /// File format [default: by the file's suffix, else pcapng].
    #[arg(
        long, value_name = "FORMAT", help_heading = "Output", value_parser = Words::of::<Format>()
    )]
    pub(super) format: Option<String>,
    /// Begin a new file before this size is exceeded; a bare number counts 1,000,000 bytes.
    #[arg(short = 'C', long, value_name = "SIZE", help_heading = "Output")]
    pub(super) rotate_bytes: Option<String>,
    /// Begin a new file every so many seconds, aligned to the clock.
    #[arg(short = 'G', long, value_name = "TIME", help_heading = "Output")]
    pub(super) rotate_seconds: Option<String>,
    /// Keep so many files (with -C), or stop after so many (with -G alone).
    #[arg(short = 'W', long, value_name = "COUNT", help_heading = "Output")]
    pub(super) rotate_files: Option<String>,
    /// Purpose of the capture, noted in the file and used for its name.
    #[arg(long, help_heading = "Output")]
    pub(super) name: Option<String>,
}

/// Takes any text, and lists the words that are valid for help and completion.
#[derive(Clone)]
struct Words(Vec<&'static str>);

impl Words {
    fn of<T: Word>() -> Self {
        Self(T::words().collect())
    }
}

impl TypedValueParser for Words {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

#[cfg(test)]
mod tests;
