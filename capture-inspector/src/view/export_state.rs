//! What goes with the questions and answers of an export.

use serde::{Deserialize, Serialize};

/// How far an export is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct ExportState {
    /// Whether the file has begun.
    pub(super) has_begun: bool,
    /// Packets that pass before the next one.
    pub(super) rank: u64,
    /// The last number that it takes: what there was when it began.
    pub(super) last: Option<u64>,
    /// Interfaces of the files, by file and number, and their numbers in the export.
    pub(super) interfaces: Vec<(u64, u32, u32)>,
    /// One of those for each number in the export.
    pub(super) written: Vec<(u64, u32)>,
    pub(super) last_ns: u64,
}

/// A part of an export.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ExportPart {
    /// The bytes, in base 64.
    pub data: String,
    /// What to ask the next part with; `null` at the end.
    pub next: Option<ExportState>,
}
