//! Gaps in a task that the daemon took up again: it had begun, and for some time nothing captured for it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::plan::Keyword;

/// A time in which a task captured nothing, between the end of one daemon and the start of the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Interruption {
    /// When it stopped matching. After a kill the last moment at which its files grew: later than that nothing is
    /// known. RFC 3339, UTC, milliseconds.
    #[schema(format = DateTime)]
    pub from: String,
    /// When every hook was attached again; null as long as they are not.
    #[schema(required = true, format = DateTime)]
    pub until: Option<String>,
    /// Why it stopped.
    pub cause: InterruptionCause,
}

/// Why a task was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InterruptionCause {
    /// The daemon ended in order; the figures until then are exact.
    Shutdown,
    /// The daemon was killed, or the host went down: what is in the files is known, and no more. Also what only a
    /// later version knows.
    #[serde(other)]
    Interrupted,
}

impl Keyword for InterruptionCause {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("shutdown", Self::Shutdown),
        ("interrupted", Self::Interrupted),
    ];
}

/// How many gaps a task has, in words; none where it has none.
pub fn gaps_text(interruptions: &[Interruption]) -> Option<String> {
    match interruptions.len() {
        0 => None,
        1 => Some("1 gap".to_owned()),
        count => Some(format!("{count} gaps")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::task::Counters;

    #[test]
    fn a_gap_is_never_complete() {
        let gap = Interruption {
            from: "2026-01-01T00:00:00.000Z".to_owned(),
            until: None,
            cause: InterruptionCause::Shutdown,
        };
        let of = |ring: u64, gaps: usize| {
            let mut counters = Counters {
                matched: 10,
                ..Counters::default()
            };
            counters.dropped.ring = ring;
            counters.verdict_with(&vec![gap.clone(); gaps])
        };
        assert_eq!(of(0, 0), None);
        assert_eq!(of(0, 1).as_deref(), Some("interrupted: 1 gap"));
        assert_eq!(
            of(3, 2).as_deref(),
            Some("interrupted: 2 gaps, lost 3 of 10")
        );
    }

    #[test]
    fn a_cause_of_a_later_version_is_read() {
        let read = |cause: &str| {
            serde_json::from_value::<Interruption>(json!({
                "from": "2026-01-01T00:00:00.000Z", "until": null, "cause": cause, "more": 1
            }))
            .map(|it| it.cause)
        };
        assert_eq!(read("shutdown").ok(), Some(InterruptionCause::Shutdown));
        assert_eq!(read("moved").ok(), Some(InterruptionCause::Interrupted));
    }
}
