//! What is said of an engine whose findings are in an answer.

use capture_task::{count_text, printable};
use serde::Serialize;
use utoipa::ToSchema;

/// An engine that looked at the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EngineReport {
    /// `suricata`, `ndpi`.
    pub name: &'static str,
    /// As it says itself.
    pub version: String,
    /// Rules that it has loaded; `null` for one without rules.
    pub rules: Option<u64>,
    /// Alerts, or flows with a risk; several are one finding.
    pub alerts: u64,
    /// What else is to be known, as that there are no rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why its findings are not all there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl EngineReport {
    /// What is to be said of it, in a sentence that can be shown.
    pub fn sentence(&self) -> String {
        let count = |count: u64, one: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{} {one}s", count_text(count)),
        };
        let Self { name, version, .. } = self;
        let mut text = format!("{name} {version}: {}", count(self.alerts, "alert"));
        if let Some(rules) = self.rules {
            text.push_str(&format!(" by {}", count(rules, "rule")));
        }
        if let Some(note) = &self.note {
            text.push_str(&format!("; {note}"));
        }
        if let Some(error) = &self.error {
            text.push_str(&format!("; FAILED: {error}"));
        }
        printable(&text)
    }
}
