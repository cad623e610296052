//! What was read of one file.

use serde::Serialize;
use utoipa::ToSchema;

/// What was read of a file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AnalyzedFile {
    /// As it was given; `-` is standard input.
    pub name: String,
    /// Packets that were read.
    pub packets: u64,
    /// Why reading ended before the end of the file.
    pub damage: Option<String>,
}
