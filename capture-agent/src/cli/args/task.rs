//! The arguments that several commands share: the options that describe a task, and the form of what is
//! printed.

use capture_task::plan::{Directions, Format, Hook, Keyword, Oversize, Protocol};
use clap::{
    Args, ValueEnum,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
};

/// Form of the output: text for people, or one JSON value on one line. The words have no help of
/// their own, which would spread every option in `--help` over several lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum OutputForm {
    #[default]
    Table,
    Json,
}

/// The form of what is printed.
#[derive(Debug, Args)]
pub(in crate::cli) struct FormArgs {
    /// Form of the output.
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "table",
        hide_default_value = true
    )]
    pub(in crate::cli) output: OutputForm,
}

/// The options that describe a task.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct TaskArgs {
    /// Interface to capture on; repeat for several, "any" for all that are there and that come.
    #[arg(short, long, value_name = "IF", help_heading = "What to capture")]
    pub(in crate::cli) interface: Vec<String>,
    /// Which way the frames go, as the host sees it [default: both].
    #[arg(
        short = 'Q', long, value_name = "WAY", help_heading = "What to capture",
        value_parser = Words::of::<Directions>()
    )]
    pub(in crate::cli) direction: Option<String>,
    /// Where in the kernel frames are taken; auto never disturbs a link [default: auto].
    #[arg(
        long, value_name = "HOOK", help_heading = "What to capture",
        value_parser = Words::of::<Hook>()
    )]
    pub(in crate::cli) hook: Option<String>,

    /// Protocol; icmp is ICMP and ICMPv6 [default: all].
    #[arg(
        long, value_name = "NAME", help_heading = "Filter", value_parser = Words::of::<Protocol>()
    )]
    pub(in crate::cli) protocol: Option<String>,
    /// Address or prefix of one side of the conversation, sender or receiver.
    #[arg(long, value_name = "ADDRESS", help_heading = "Filter")]
    pub(in crate::cli) ip: Option<String>,
    /// Ports of that side (of any side without --ip), as in 443,8000-8100; may be repeated.
    #[arg(long, value_name = "PORTS", help_heading = "Filter")]
    pub(in crate::cli) port: Vec<String>,
    /// Address or prefix of the other side; needs --ip.
    #[arg(long, value_name = "ADDRESS", help_heading = "Filter")]
    pub(in crate::cli) peer_ip: Option<String>,
    /// Ports of the other side; needs --peer-ip.
    #[arg(long, value_name = "PORTS", help_heading = "Filter")]
    pub(in crate::cli) peer_port: Vec<String>,
    /// Also take ICMP and ICMPv6 errors about packets that match.
    #[arg(long, help_heading = "Filter")]
    pub(in crate::cli) icmp_errors: bool,

    /// Most bytes kept of a frame, link header included; 0 keeps whole frames [default: 0].
    #[arg(
        short = 's',
        long,
        value_name = "BYTES",
        help_heading = "Limits",
        visible_alias = "snapshot-length"
    )]
    pub(in crate::cli) max_bytes: Option<String>,
    /// What becomes of a frame longer than that [default: truncate].
    #[arg(
        long, value_name = "WHAT", help_heading = "Limits", value_parser = Words::of::<Oversize>()
    )]
    pub(in crate::cli) oversize: Option<String>,
    /// Stop after this time: seconds, or as in 90s, 10m, 1h30m, 1d.
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub(in crate::cli) duration: Option<String>,
    /// Stop after exactly so many written packets.
    #[arg(
        short = 'c',
        long,
        value_name = "COUNT",
        help_heading = "Limits",
        visible_alias = "count"
    )]
    pub(in crate::cli) max_packets: Option<String>,
    /// Stop before the output exceeds this size, as in 500MB or 2GiB.
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub(in crate::cli) max_file_bytes: Option<String>,

    /// File format [default: by the file's suffix, else pcapng].
    #[arg(
        long, value_name = "FORMAT", help_heading = "Output", value_parser = Words::of::<Format>()
    )]
    pub(in crate::cli) format: Option<String>,
    /// Begin a new file before this size is exceeded; a bare number counts 1,000,000 bytes.
    #[arg(short = 'C', long, value_name = "SIZE", help_heading = "Output")]
    pub(in crate::cli) rotate_bytes: Option<String>,
    /// Begin a new file every so many seconds, aligned to the clock.
    #[arg(short = 'G', long, value_name = "TIME", help_heading = "Output")]
    pub(in crate::cli) rotate_seconds: Option<String>,
    /// Keep so many files (with -C), or stop after so many (with -G alone).
    #[arg(short = 'W', long, value_name = "COUNT", help_heading = "Output")]
    pub(in crate::cli) rotate_files: Option<String>,
    /// Purpose of the capture, noted in the file and used for its name.
    #[arg(long, help_heading = "Output")]
    pub(in crate::cli) name: Option<String>,
}

/// Takes any text, and lists the words that are valid for help and completion.
#[derive(Clone)]
pub(super) struct Words(Vec<&'static str>);

impl Words {
    pub(super) fn of<T: Keyword>() -> Self {
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
