//! The arguments of `print`, and those by which `run --print` prints.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};

use super::task::FormArgs;

#[derive(Debug, Args)]
pub(crate) struct PrintArgs {
    /// The captures, "-" for standard input.
    #[arg(value_name = "FILE|-", value_hint = ValueHint::FilePath, required_unless_present = "read")]
    pub(crate) files: Vec<PathBuf>,
    /// The capture, as tcpdump and tshark take it.
    #[arg(
        short,
        long,
        value_name = "FILE",
        hide = true,
        conflicts_with = "files"
    )]
    pub(crate) read: Option<PathBuf>,
    /// Stop after so many packets.
    #[arg(short = 'c', long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) style: StyleArgs,
    /// Show the fields of each packet below its line.
    // The same name as of the option of every command, whose place it takes here.
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(flatten)]
    pub(crate) form: FormArgs,
}

/// How packets are printed.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct StyleArgs {
    /// Only packets that pass this display filter, as in "tcp.port == 443 and ip.addr == 10.0.0.0/8".
    #[arg(
        hide_short_help = true,
        short = 'Y',
        long,
        value_name = "FILTER",
        help_heading = "Packets"
    )]
    pub(crate) display_filter: Option<String>,
    /// Time: none with -t, seconds since 1970 with -tt, since the packet before with -ttt, with the date
    /// with -tttt, since the first packet with -ttttt.
    #[arg(hide_short_help = true, short = 't', action = ArgAction::Count, help_heading = "Packets")]
    pub(crate) time: u8,
    /// Begin each line with the number of the packet.
    #[arg(hide_short_help = true, short = '#', long, help_heading = "Packets")]
    pub(crate) number: bool,
    /// Show the link header.
    #[arg(hide_short_help = true, short = 'e', long, help_heading = "Packets")]
    pub(crate) link_header: bool,
    /// Sequence numbers of TCP as they are in the header, not counted from the start of the connection.
    #[arg(hide_short_help = true, short = 'S', long, help_heading = "Packets")]
    pub(crate) absolute_sequence_numbers: bool,
    /// Show the bytes behind the link header in base 16; -xx shows the link header too.
    #[arg(hide_short_help = true, short = 'x', action = ArgAction::Count, help_heading = "Packets")]
    pub(crate) hex: u8,
    /// As -x and -xx, with the characters beside them.
    #[arg(hide_short_help = true, short = 'X', action = ArgAction::Count, help_heading = "Packets")]
    pub(crate) hex_and_text: u8,
    /// Show the bytes behind the link header as text; -AA shows the link header too.
    #[arg(hide_short_help = true, short = 'A', action = ArgAction::Count, help_heading = "Packets")]
    pub(crate) text: u8,
    /// Lines are always written as soon as there are no further packets.
    #[arg(short = 'l', hide = true)]
    pub(crate) line_buffered: bool,
    /// Addresses and ports are always numbers.
    #[arg(short = 'n', action = ArgAction::Count, hide = true)]
    pub(crate) numeric: u8,
}

impl StyleArgs {
    /// The options that were given, but for those that change nothing.
    pub(crate) fn given(&self) -> Vec<&'static str> {
        let counts = [
            (u8::from(self.display_filter.is_some()), "-Y"),
            (self.time, "-t"),
            (self.number.into(), "-#"),
            (self.link_header.into(), "-e"),
            (self.absolute_sequence_numbers.into(), "-S"),
            (self.hex, "-x"),
            (self.hex_and_text, "-X"),
            (self.text, "-A"),
        ];
        let given = counts.into_iter().filter(|(count, _)| *count > 0);
        given.map(|(_, option)| option).collect()
    }
}
