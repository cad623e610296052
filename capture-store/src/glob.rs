//! Patterns of names, as in a shell: `*` is any text, `?` any character, and `\\` takes the one behind it as it is.

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    AnyChar,
    AnyText,
}

impl Glob {
    /// The pattern that a text is.
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text.chars();
        while let Some(char) = rest.next() {
            parts.push(match char {
                '*' => Part::AnyText,
                '?' => Part::AnyChar,
                '\\' => Part::Char(rest.next().unwrap_or('\\')),
                other => Part::Char(other),
            });
        }
        Self(parts)
    }

    /// Whether it is about all of a text. Takes at most the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<_> = text.chars().collect();
        let (mut at, mut part) = (0, 0);
        // Behind the last `*`, and where the text goes on there.
        let mut again: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.0.get(part) {
                Some(Part::AnyText) => {
                    part += 1;
                    again = Some((part, at));
                    continue;
                }
                Some(Part::AnyChar) => {}
                Some(Part::Char(char)) if *char == text[at] => {}
                _ => {
                    let Some((behind, from)) = again else {
                        return false;
                    };
                    (part, at) = (behind, from + 1);
                    again = Some((behind, at));
                    continue;
                }
            }
            (part, at) = (part + 1, at + 1);
        }
        self.0[part..].iter().all(|rest| *rest == Part::AnyText)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The plain one, of exponential cost.
    fn holds(pattern: &[Part], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            ([Part::AnyText, rest @ ..], text) => {
                (0..=text.len()).any(|skipped| holds(rest, &text[skipped..]))
            }
            ([Part::AnyChar, rest @ ..], [_, more @ ..]) => holds(rest, more),
            ([Part::Char(char), rest @ ..], [first, more @ ..]) => {
                char == first && holds(rest, more)
            }
            (_, []) => false,
        }
    }

    #[test]
    fn names() {
        for (pattern, text, is_so) in [
            ("web", "web", true),
            ("web", "web2", false),
            ("web*", "web2", true),
            ("*eb*", "web2", true),
            ("w?b", "wüb", true),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a\\", "a\\", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), is_so, "{pattern} {text}");
        }
        // In no time.
        let pattern = Glob::new(&"*a".repeat(64));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(127))));
    }

    proptest! {
        #[test]
        fn as_the_plain_one(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let glob = Glob::new(&pattern);
            let chars: Vec<_> = text.chars().collect();
            prop_assert_eq!(glob.matches(&text), holds(&glob.0, &chars));
        }
    }
}
