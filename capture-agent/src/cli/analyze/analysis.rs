//! What `analyze` prints as JSON, and shows as text.

use capture_analysis::Report;
use serde::Serialize;

/// What the files say, and what was read of them.
#[derive(Serialize)]
pub(super) struct Analysis {
    pub(super) files: Vec<AnalyzedFile>,
    #[serde(flatten)]
    pub(super) report: Report,
}

/// What was read of a file.
#[derive(Serialize)]
pub(super) struct AnalyzedFile {
    /// As it was given; `-` is standard input.
    pub(super) name: String,
    pub(super) packets: u64,
    /// Why reading ended before the end of the file.
    pub(super) damage: Option<String>,
}
