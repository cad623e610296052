//! Text for messages: the user's own, quoted, and what was probably meant by a word that is not known.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// Most characters of the user's text in a message.
const MOST_QUOTED: usize = 60;

/// Text of the user as far as a message shows it, and one character more where there is more. [`Display`] quotes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Excerpt(String);

impl Excerpt {
    /// Most characters.
    pub(super) const MOST: usize = MOST_QUOTED + 1;

    /// The text itself, not safe to show.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Excerpt {
    fn from(text: &str) -> Self {
        Self(text.chars().take(Self::MOST).collect())
    }
}

impl Display for Excerpt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.0))
    }
}

/// The user's own text for a message: quoted, control characters escaped, and not endless.
pub fn quote(text: &str) -> String {
    match text.char_indices().nth(MOST_QUOTED) {
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

    #[test]
    fn an_excerpt_is_quoted_as_its_text() {
        for count in [0, 59, 60, 61, 1000] {
            let text = "é\u{1b}".repeat(count);
            assert_eq!(Excerpt::from(text.as_str()).to_string(), quote(&text));
        }
    }
}
