//! The validated task. [`Plan::resolve`] turns a [`TaskSpec`] into a plan
//! that cannot be invalid, or into all of its faults at once; what comes after (tables, hooks,
//! output) trusts it and knows nothing of flags or JSON.

mod address;
mod display;
mod fault;
mod json;
mod keyword;
mod ports;
mod resolve;
mod ring_size;
pub mod schema;
mod units;

use std::{ops::RangeInclusive, time::Duration};

use capture_common::Direction;
pub use fault::{MOST_FAULTS, ValueError, nearest, quote};
use ipnet::IpNet;
pub use json::{ParsedTask, add_new};
pub use keyword::{Keyword, parse as parse_keyword};
pub use resolve::MAX_INTERFACES;
pub use ring_size::{MAX_RING, ring_size};
pub use units::{seconds, size};

use crate::task::TaskSpec;

/// Who asks: it decides the defaults, and whether a task needs a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOrigin {
    /// The foreground capture: no limits unless asked for, named after its interfaces.
    Run,
    /// The daemon: 60 seconds and 1 GiB unless asked otherwise, and a name is required.
    Daemon,
}

/// Brings the lists of a request into their shortest form, in which it is kept and shown.
pub fn normalise(spec: &mut TaskSpec) {
    ports::normalise(&mut spec.ports);
    ports::normalise(&mut spec.peer_ports);
}

/// A task that can be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Purpose, 1–128 printable characters.
    pub name: String,
    /// Where to capture.
    pub interfaces: InterfaceSelection,
    /// Which way the frames go.
    pub directions: Directions,
    /// Which kind of program takes them.
    pub hook: Hook,
    /// Which packets.
    pub filter: Filter,
    /// Most bytes kept of a frame, 1–65535; `None` is the whole frame.
    pub max_bytes: Option<u16>,
    /// What becomes of a longer frame.
    pub oversize: Oversize,
    /// Most time from the attachment of the last hook.
    pub duration: Option<Duration>,
    /// Most packets written, at least 1.
    pub max_packets: Option<u64>,
    /// Most bytes of output, all files together.
    pub max_file_bytes: Option<u64>,
    /// File format.
    pub format: Format,
    /// Several files instead of one.
    pub rotate: Option<Rotate>,
}

/// Interfaces of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterfaceSelection {
    /// All that there are, and those that come.
    Any,
    /// These, at least one, no name twice.
    Named(Vec<String>),
}

/// Directions of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// Both.
    Both,
    /// One of them.
    Only(Direction),
}

/// Kind of program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// tc, which disturbs no link.
    Auto,
    /// tc.
    Tc,
    /// Native XDP for ingress, tc for egress.
    Xdp,
    /// Generic XDP for ingress, tc for egress.
    XdpGeneric,
}

/// The matching criteria; [`std::fmt::Display`] writes them as a filter expression that tcpdump
/// takes, and that matches the same packets as far as the expression language can say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Protocol.
    pub protocol: Protocol,
    /// `ip` and `ports`.
    pub local: Endpoint,
    /// `peer_ip` and `peer_ports`; everything where the task is not a pair.
    pub peer: Endpoint,
    /// Also ICMP and ICMPv6 errors about packets that match.
    pub icmp_errors: bool,
}

/// Protocol of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Every frame.
    #[default]
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
}

/// One side of the conversation. An absent part matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Address or prefix, host bits cleared.
    pub address: Option<IpNet>,
    /// Ports, sorted, disjoint and not adjacent; `None` matches every packet, also one without ports.
    pub ports: Option<Vec<RangeInclusive<u16>>>,
}

/// What becomes of a frame longer than `max_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// It is cut.
    Truncate,
    /// It is left out and counted.
    Discard,
}

/// File format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// pcapng (draft-ietf-opsawg-pcapng), nanosecond resolution.
    Pcapng,
    /// Nanosecond pcap (magic 0xa1b23c4d).
    Pcap,
}

/// Rotation; at least one of `bytes` and `seconds` is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// Most bytes of a file.
    pub bytes: Option<u64>,
    /// Seconds between files, aligned to multiples since the epoch.
    pub seconds: Option<u64>,
    /// Files kept as a ring (with `bytes`), or written before the task ends (with `seconds` alone).
    pub files: Option<u64>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer (RFC 6901) of the field, `/peer_ip`.
    pub pointer: String,
    /// Stable word for programs: `required`, `invalid`, `out_of_range`, `conflict`, `unknown`.
    pub code: &'static str,
    /// One sentence for people: what is wrong, and what to do about it.
    pub detail: String,
}
