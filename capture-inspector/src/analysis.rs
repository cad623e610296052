//! The answer about one capture, which may be in several files.

use capture_analysis::Report;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{analyzed_file::AnalyzedFile, comparison::Comparison, engine_report::EngineReport};

/// What the files say, and what was read of them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Analysis {
    /// The files, as they were given.
    pub files: Vec<AnalyzedFile>,
    /// What is in them.
    #[serde(flatten)]
    pub report: Report,
    /// Other engines whose findings are among these; left out where none was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<EngineReport>,
    /// What differs from another capture; left out where there is none to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}
