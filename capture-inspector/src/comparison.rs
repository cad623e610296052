//! What differs from another capture, as a value.

use capture_analysis::{Finding, Subject};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::analyzed_file::AnalyzedFile;

/// What differs from another capture.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Comparison {
    /// The other capture.
    pub baseline: Baseline,
    /// Findings that the other capture does not have: none of this code about this subject.
    pub new: Vec<Finding>,
    /// Findings of the other capture alone. Their packets are of its files.
    pub gone: Vec<Finding>,
    /// Figures that have changed by a factor of 2 or more, and findings that have another severity.
    pub changed: Vec<Change>,
}

/// What is compared with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Baseline {
    /// Its files, as they were given.
    pub files: Vec<AnalyzedFile>,
    /// Packets that were read.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Time of the earliest packet.
    #[schema(value_type = Option<String>)]
    pub first: Option<Timestamp>,
    /// Seconds from the first to the last.
    pub duration: f64,
    /// Whether the capture lost nothing; `null` where the file does not say.
    pub complete: Option<bool>,
}

/// A figure that has changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Change {
    /// Which figure.
    pub figure: Figure,
    /// The finding whose severity has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What it is about; nothing where it is of all traffic.
    pub subject: Subject,
    /// In the other capture: a share of segments, microseconds, or how often there was the finding.
    pub before: f64,
    /// In this one.
    pub after: f64,
    /// In one sentence.
    pub summary: String,
}

/// A figure that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Share of TCP segments that were sent again.
    Loss,
    /// Round trip of TCP, the median.
    RoundTrip,
    /// From SYN to the end of the handshake, the median.
    Handshake,
    /// From a DNS query to its answer, the median.
    DnsLatency,
    /// The severity of a finding.
    Severity,
}

impl Comparison {
    /// Whether a finding is one of the new ones.
    pub fn is_new(&self, finding: &Finding) -> bool {
        self.new.contains(finding)
    }
}
