//! The validated task. What comes after (tables, hooks, output) trusts it and knows nothing of flags or JSON.

use std::time::Duration;

use super::{
    filter::Filter,
    keyword::{Directions, Format, Hook, Oversize},
};

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
