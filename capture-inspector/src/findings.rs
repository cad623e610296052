//! The answer about a task of the daemon, in between or at the end.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::Analysis;

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnalysisState {
    /// The capture goes on: this is what there was to say a second ago.
    Live,
    /// The files are complete, and were read to their ends.
    Final,
}

/// Seconds that were left out of an analysis, as packets came faster than they could be looked at. The file has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Skipped {
    /// The first of these seconds, since the Unix epoch.
    pub since: u64,
    /// The second after the last.
    pub until: u64,
    /// Packets in them.
    pub packets: u64,
}

/// What was read of a file.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct WasRead {
    /// Packets of it.
    pub packets: u64,
    /// Why reading ended before the end of the file.
    pub damage: Option<String>,
}

/// What is in the files of a task.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Findings {
    /// Whether there is more to come.
    pub state: AnalysisState,
    /// What was not looked at, at most 64 stretches; the last has all that follow.
    pub skipped: Vec<Skipped>,
    /// Whether conversations, or the least of the findings, were left out as there were too many.
    pub shortened: bool,
    /// The report.
    #[serde(flatten)]
    pub analysis: Analysis,
}

impl Findings {
    /// Of complete files.
    pub(crate) fn of_files(analysis: Analysis) -> Self {
        Self {
            state: AnalysisState::Final,
            skipped: Vec::new(),
            shortened: false,
            analysis,
        }
    }

    /// As JSON of at most so many bytes. What does not fit is left out, the least important first.
    pub(crate) fn into_json(mut self, most: usize) -> serde_json::Result<Box<RawValue>> {
        loop {
            let json = serde_json::value::to_raw_value(&self)?;
            let report = &mut self.analysis.report;
            if json.get().len() <= most {
                return Ok(json);
            }
            self.shortened = true;
            match report.conversations.len() {
                // The worst findings come first.
                0 if report.findings.is_empty() => return Ok(json),
                0 => report.findings.truncate(report.findings.len() / 2),
                count => report.conversations.truncate(count / 2),
            }
        }
    }
}
