//! The arguments that several commands share: the options that describe a task, and the form of what is
//! printed.

use capture_task::plan::{Directions, Format, Hook, Keyword, Oversize, Protocol};
use clap::{
    Args, ValueEnum,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};

use crate::completions::values;

/// Form of the output: text for people, or one JSON value on one line. The words have no help of
/// their own, which would spread every option in `--help` over several lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    #[default]
    Table,
    Json,
}

/// The form of what is printed.
#[derive(Debug, Args)]
pub(crate) struct FormArgs {
    /// Form of the output.
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true
    )]
    pub(crate) output: OutputForm,
}

/// How wide a table may be.
#[derive(Debug, Args)]
pub(crate) struct WidthArgs {
    /// Cut nothing to the width of the terminal: all columns, whole IDs and names, times; as in a pipe.
    #[arg(long)]
    pub(crate) no_trunc: bool,
}

/// The options that describe a task.
#[derive(Debug, Default, Args)]
pub(crate) struct TaskArgs {
    /// Interfaces to capture on, as in eth0,eth1; "any" for all.
    ///
    /// May be repeated. "any" takes those that are there and those that come. Where none is given, it is that of the default
    /// route; for `task create` that of the daemon's host.
    #[arg(
        short, long, value_name = "IF", help_heading = "What to capture", add = values::interfaces()
    )]
    pub(crate) interface: Vec<String>,
    /// Which way the frames go, as the host sees it [default: both].
    #[arg(
        hide_short_help = true,
        short = 'Q', long, value_name = "WAY", help_heading = "What to capture",
        value_parser = Words::of::<Directions>()
    )]
    pub(crate) direction: Option<String>,
    /// Where in the kernel frames are taken; auto never disturbs a link [default: auto].
    #[arg(
        hide_short_help = true,
        long, value_name = "HOOK", help_heading = "What to capture",
        value_parser = Words::of::<Hook>()
    )]
    pub(crate) hook: Option<String>,

    /// Protocol [default: all].
    ///
    /// icmp is ICMP and ICMPv6.
    #[arg(
        long, value_name = "NAME", help_heading = "What to capture", value_parser = Words::of::<Protocol>()
    )]
    pub(crate) protocol: Option<String>,
    /// Addresses or prefixes of one side, as in 10.0.0.5,10.1.0.0/16.
    ///
    /// Sender or receiver: both ways are taken. IPv4 and IPv6, also ranges as in 10.0.0.5-10.0.0.9; may be repeated.
    #[arg(long, value_name = "ADDRS", help_heading = "What to capture")]
    pub(crate) ip: Vec<String>,
    /// Ports of that side (of any side without --ip), as in 443,https.
    ///
    /// Numbers, ranges as in 8000-8100, and names of services; may be repeated.
    #[arg(long, value_name = "PORTS", help_heading = "What to capture", add = values::services())]
    pub(crate) port: Vec<String>,
    /// Addresses or prefixes of the other side; needs --ip.
    #[arg(long, value_name = "ADDRS", help_heading = "What to capture")]
    pub(crate) peer_ip: Vec<String>,
    /// Ports of the other side; needs --peer-ip.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "PORTS",
        help_heading = "What to capture",
        add = values::services()
    )]
    pub(crate) peer_port: Vec<String>,
    /// Also take ICMP and ICMPv6 errors about packets that match.
    #[arg(hide_short_help = true, long, help_heading = "What to capture")]
    pub(crate) icmp_errors: bool,

    /// Most bytes kept of a frame [default: whole].
    ///
    /// The link header is included; 0 is the whole frame.
    #[arg(
        short = 's',
        long,
        value_name = "BYTES",
        help_heading = "Limits",
        visible_alias = "snapshot-length"
    )]
    pub(crate) max_bytes: Option<String>,
    /// What becomes of a frame longer than that [default: truncate].
    #[arg(
        hide_short_help = true,
        long, value_name = "WHAT", help_heading = "Limits", value_parser = Words::of::<Oversize>()
    )]
    pub(crate) oversize: Option<String>,
    /// Stop after this time: seconds, or as in 90s, 10m, 1h30m, 1d.
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub(crate) duration: Option<String>,
    /// Stop after exactly so many written packets.
    #[arg(
        short = 'c',
        long,
        value_name = "COUNT",
        help_heading = "Limits",
        visible_alias = "count"
    )]
    pub(crate) max_packets: Option<String>,
    /// Stop before the output exceeds this size, as in 500MB or 2GiB.
    #[arg(
        hide_short_help = true,
        long,
        value_name = "SIZE",
        help_heading = "Limits"
    )]
    pub(crate) max_file_bytes: Option<String>,

    /// File format [default: by the file's suffix, else pcapng].
    #[arg(
        hide_short_help = true,
        long, value_name = "FORMAT", help_heading = "Output", value_parser = Words::of::<Format>()
    )]
    pub(crate) format: Option<String>,
    /// Begin a new file before this size is exceeded; a bare number counts 1,000,000 bytes.
    #[arg(
        hide_short_help = true,
        short = 'C',
        long,
        value_name = "SIZE",
        help_heading = "Output"
    )]
    pub(crate) rotate_bytes: Option<String>,
    /// Begin a new file every so many seconds, aligned to the clock.
    #[arg(
        hide_short_help = true,
        short = 'G',
        long,
        value_name = "TIME",
        help_heading = "Output"
    )]
    pub(crate) rotate_seconds: Option<String>,
    /// Keep so many files (with -C), or stop after so many (with -G alone).
    #[arg(
        hide_short_help = true,
        short = 'W',
        long,
        value_name = "COUNT",
        help_heading = "Output"
    )]
    pub(crate) rotate_files: Option<String>,
    /// Purpose of the capture, noted in the file and used for its name.
    #[arg(hide_short_help = true, long, help_heading = "Output")]
    pub(crate) name: Option<String>,

    /// Filter in the language of tcpdump, as in "tcp port 443".
    ///
    /// Where options can say the same.
    #[arg(value_name = "EXPRESSION", help_heading = "What to capture")]
    pub(crate) expression: Vec<String>,
}

/// Takes any text, and lists the words that are valid for help and completion.
#[derive(Clone)]
pub(super) struct Words(Vec<&'static str>);

impl Words {
    pub(super) fn of<T: Keyword>() -> Self {
        Self(T::words().collect())
    }

    pub(super) fn of_texts(words: &[&'static str]) -> Self {
        Self(words.to_vec())
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
