//! What the doctor reports: checks, and what each came to.

use serde::Serialize;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Capturing is possible, but slower or with less to choose from.
    Warn,
    /// Capturing is not possible.
    Fail,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it came out.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// What that means for a capture.
    pub meaning: String,
    /// What to do about it, where something can be done.
    pub remedy: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether capturing is possible: no check failed.
    pub can_capture: bool,
    /// Every check, in the order in which a capture depends on it.
    pub checks: Vec<Check>,
}

impl Check {
    pub(super) fn new(name: &str, status: Status, found: impl Into<String>, meaning: &str) -> Self {
        Self {
            name: name.to_owned(),
            status,
            found: found.into(),
            meaning: meaning.to_owned(),
            remedy: None,
        }
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
