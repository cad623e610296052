//! The tools: how each is told to do the same, when it is ready, and what it cannot do.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use capture_tests::netns::HOST_IF;
use clap::ValueEnum;
use serde::{Serialize, Serializer};

use crate::{
    case::{Share, Sink, Snap},
    generator::{Hook, MATCHING_PORT},
    reported_stats::{self, Claim},
};

/// Memory for packets on their way, the same for all: the agent's default.
const RING_MIB: usize = 64;

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Tool {
    /// No capture
    None,
    /// No capture, but a tc program that does nothing
    EmptyTc,
    /// No capture, but an XDP program that does nothing
    EmptyXdp,
    /// This agent by tc
    AgentTc,
    /// This agent by XDP
    AgentXdp,
    /// `tcpdump -B 65536`
    Tcpdump,
    /// `dumpcap -B 64`
    Dumpcap,
    /// `netsniff-ng -S 64MiB`
    NetsniffNg,
    /// `xdpdump`
    Xdpdump,
}

/// What a tool is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// A filter by port, unless all is wanted.
    pub(crate) share: Share,
    pub(crate) snap: Snap,
    /// The file; `/dev/null` where there is none.
    pub(crate) file: Option<PathBuf>,
    /// The agent's tasks, which take the place of all else.
    pub(crate) tasks: Option<PathBuf>,
}

impl Tool {
    /// All, in the order of the tables.
    pub(crate) const ALL: [Self; 9] = [
        Self::None,
        Self::EmptyTc,
        Self::EmptyXdp,
        Self::AgentTc,
        Self::AgentXdp,
        Self::Tcpdump,
        Self::Dumpcap,
        Self::NetsniffNg,
        Self::Xdpdump,
    ];

    /// Those of a run that does not ask for all.
    pub(crate) const USUAL: [Self; 5] = [
        Self::None,
        Self::AgentTc,
        Self::AgentXdp,
        Self::Tcpdump,
        Self::Dumpcap,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no capture",
            Self::EmptyTc => "empty tc program",
            Self::EmptyXdp => "empty XDP program",
            Self::AgentTc => "agent, tc",
            Self::AgentXdp => "agent, XDP",
            Self::Tcpdump => "tcpdump",
            Self::Dumpcap => "dumpcap",
            Self::NetsniffNg => "netsniff-ng",
            Self::Xdpdump => "xdpdump",
        }
    }

    /// Why the tool cannot do this, where it cannot.
    pub(crate) fn refuses(self, share: Share, snap: Snap, sink: Sink) -> Option<&'static str> {
        match self {
            Self::NetsniffNg if snap == Snap::Head => Some("it has no snap length"),
            Self::NetsniffNg if sink == Sink::Null => Some("it writes to regular files only"),
            Self::Xdpdump if share != Share::All => Some("it has no filter"),
            _ => None,
        }
    }

    /// The command line; empty for no tool.
    pub(crate) fn command(self, agent: &Path, order: &Order) -> Vec<OsString> {
        let words: Vec<OsString> = match self {
            Self::None | Self::EmptyTc | Self::EmptyXdp => Vec::new(),
            Self::AgentTc | Self::AgentXdp => self.agent(agent, order),
            Self::Tcpdump => {
                let ring = (RING_MIB << 10).to_string();
                words(&["tcpdump", "-i", HOST_IF, "-n", "-Z", "root", "-B", &ring])
            }
            Self::Dumpcap => {
                let ring = RING_MIB.to_string();
                words(&["dumpcap", "-q", "-i", HOST_IF, "-B", &ring])
            }
            Self::NetsniffNg => {
                let ring = format!("{RING_MIB}MiB");
                words(&["netsniff-ng", "-s", "-i", HOST_IF, "--ring-size", &ring])
            }
            Self::Xdpdump => words(&["xdpdump", "-i", HOST_IF, "--load-xdp-program"]),
        };
        if words.is_empty() || self.is_agent() {
            return words;
        }
        self.peer(words, order)
    }

    /// What all peers are told in nearly the same words: snap length, file and filter.
    fn peer(self, mut words: Vec<OsString>, order: &Order) -> Vec<OsString> {
        if order.snap == Snap::Head {
            words.extend(["-s".into(), order.snap.bytes().to_string().into()]);
        }
        let output = if self == Self::NetsniffNg { "-o" } else { "-w" };
        let null = PathBuf::from("/dev/null");
        words.push(output.into());
        words.push(order.file.as_ref().unwrap_or(&null).into());
        if order.share != Share::All {
            if self == Self::Dumpcap {
                words.push("-f".into());
            }
            words.push(format!("udp port {MATCHING_PORT}").into());
        }
        words
    }

    fn agent(self, agent: &Path, order: &Order) -> Vec<OsString> {
        let mut command = vec![agent.into()];
        if let Some(tasks) = &order.tasks {
            command.extend(words(&["run", "-q", "-o", "json", "--tasks"]));
            command.push(tasks.into());
            return command;
        }
        // Not as JSON, which says a digest of the file: no other tool reads its file once more at the end.
        command.extend(words(&["run", "-i", HOST_IF, "--hook", self.hook(), "-w"]));
        command.push(match &order.file {
            Some(file) => file.into(),
            None => "/dev/null".into(),
        });
        if order.snap == Snap::Head {
            command.extend(["-s".into(), order.snap.bytes().to_string().into()]);
        }
        if order.share != Share::All {
            let port = MATCHING_PORT.to_string();
            command.extend(words(&["--protocol", "udp", "--port", &port]));
        }
        command
    }

    /// Whether it is a tool at all.
    pub(crate) fn captures(self) -> bool {
        !matches!(self, Self::None | Self::EmptyTc | Self::EmptyXdp)
    }

    /// Where it has a program that does nothing.
    pub(crate) fn empty_hook(self) -> Option<Hook> {
        match self {
            Self::EmptyTc => Some(Hook::Tc),
            Self::EmptyXdp => Some(Hook::Xdp),
            _ => None,
        }
    }

    pub(crate) fn is_agent(self) -> bool {
        matches!(self, Self::AgentTc | Self::AgentXdp)
    }

    /// The agent's `--hook`.
    pub(crate) fn hook(self) -> &'static str {
        match self {
            Self::AgentXdp => "xdp",
            _ => "tc",
        }
    }

    /// What it says once it captures.
    pub(crate) fn ready_words(self) -> &'static str {
        match self {
            Self::None | Self::EmptyTc | Self::EmptyXdp => "",
            Self::AgentTc | Self::AgentXdp => "capturing on",
            Self::Tcpdump | Self::Xdpdump => "listening on",
            Self::Dumpcap => "File:",
            Self::NetsniffNg => "Running!",
        }
    }

    /// Its own figures from what it has written on both streams.
    pub(crate) fn claim(self, stdout: &str, stderr: &str) -> Claim {
        let both = || format!("{stdout}\n{stderr}");
        match self {
            Self::None | Self::EmptyTc | Self::EmptyXdp => Claim::default(),
            Self::AgentTc | Self::AgentXdp => reported_stats::agent(stdout, stderr),
            Self::Tcpdump => reported_stats::tcpdump(stderr),
            Self::Dumpcap => reported_stats::dumpcap(stderr),
            Self::NetsniffNg => reported_stats::netsniff_ng(&both()),
            Self::Xdpdump => reported_stats::xdpdump(&both()),
        }
    }

    /// The first line that it says of its version.
    pub(crate) fn version(self, agent: &Path) -> Option<String> {
        let program = self.command(agent, &Order::anything()).into_iter().next()?;
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        text.lines().next().map(|line| line.trim().to_owned())
    }

    /// Whether it is installed.
    pub(crate) fn is_there(self, agent: &Path) -> bool {
        !self.captures() || self.version(agent).is_some()
    }
}

impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Order {
    /// An order whose command is not carried out.
    fn anything() -> Self {
        Self {
            share: Share::All,
            snap: Snap::Whole,
            file: None,
            tasks: None,
        }
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
