//! Faults on their way to the caller: what a parser found wrong, the collector that gives each its
//! field, and the words of the messages. [`Plan::resolve`](super::Plan::resolve) collects, so that
//! people see all faults of a request at once.
//!
//! In every message the user's own text stands in double quotes and a field's name in backticks;
//! the command line replaces the latter by its option.

use super::Fault;

/// Most faults that an answer lists. Beyond them it says how many more there are.
pub const MOST_FAULTS: usize = 100;

/// What is wrong with a value, before it is known which field it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// As [`Fault::code`].
    pub code: &'static str,
    /// As [`Fault::detail`].
    pub detail: String,
}

impl ValueError {
    /// The value cannot be read.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self {
            code: "invalid",
            detail: detail.into(),
        }
    }

    /// The value can be read, and is too small or too large.
    pub fn out_of_range(detail: impl Into<String>) -> Self {
        Self {
            code: "out_of_range",
            detail: detail.into(),
        }
    }

    pub(super) fn required(detail: impl Into<String>) -> Self {
        Self {
            code: "required",
            detail: detail.into(),
        }
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self {
            code: "conflict",
            detail: detail.into(),
        }
    }

    /// The value is none of the words that are allowed.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self {
            code: "unknown",
            detail: detail.into(),
        }
    }
}

/// Collects the faults of one request.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault of the field at `pointer`.
    pub(super) fn add(&mut self, pointer: impl Into<String>, problem: ValueError) {
        let ValueError { code, detail } = problem;
        self.0.push(Fault {
            pointer: pointer.into(),
            code,
            detail,
        });
    }

    /// The value, or nothing and a fault noted.
    pub(super) fn check<T>(
        &mut self,
        pointer: impl Into<String>,
        value: Result<T, ValueError>,
    ) -> Option<T> {
        value.map_err(|problem| self.add(pointer, problem)).ok()
    }

    /// [`Self::check`] for a field that may be absent.
    pub(super) fn check_given<T, U>(
        &mut self,
        pointer: &str,
        field: Option<&T>,
        parse: impl FnOnce(&T) -> Result<U, ValueError>,
    ) -> Option<U> {
        field.and_then(|value| self.check(pointer, parse(value)))
    }

    /// Everything noted.
    pub(super) fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

/// The user's own text for a message: quoted, control characters escaped, and not endless.
pub fn quote(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// The candidate that the user most likely meant, if any is near.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let chars = text.chars().count();
    let distance = |candidate: &'a str| {
        let lower = candidate.to_lowercase();
        if text.len() >= 2 && lower.starts_with(&text) {
            return Some((1, candidate));
        }
        // The distance costs the product of both lengths, and is their difference at least.
        let length = lower.chars().count();
        let most = (length / 3).max(1);
        if length.abs_diff(chars) > most {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&text, &lower);
        (distance <= most).then_some((distance, candidate))
    };
    candidates
        .into_iter()
        .filter_map(distance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_needs_to_be_near() {
        let words = ["both", "ingress", "egress"];
        assert_eq!(nearest("in", words), Some("ingress"));
        assert_eq!(nearest("Egres", words), Some("egress"));
        assert_eq!(nearest("xyz", words), None);
        assert_eq!(nearest("", words), None);
    }

    #[test]
    fn quote_escapes_and_shortens() {
        assert_eq!(quote("a\u{1b}[31m\"b"), r#""a\u{1b}[31m\"b""#);
        assert_eq!(quote(&"é".repeat(100)), format!("\"{}\"…", "é".repeat(60)));
    }
}
