//! Text of others on a terminal or in a log.

use unicode_width::UnicodeWidthChar as _;

/// A text on one line that can do a terminal no harm: control characters, and those that reorder the text around
/// them, are escaped as in Rust.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) {
            printable.push(character);
        } else {
            printable.extend(character.escape_default());
        }
    }
    printable
}

/// Neither a control character, nor one that breaks lines or reorders the text around it.
pub(crate) fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Whether something is seen of a character by itself: combining marks need another, spaces, fillers and tags show
/// nothing, and what private characters show nobody knows. Control characters are seen, as they are refused by name.
pub(crate) fn is_visible(character: char) -> bool {
    // Widths are by Unicode's properties; these have one and show nothing.
    let is_blank = matches!(
        character,
        '\u{ad}' | '\u{2800}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
    );
    let is_private = matches!(character,
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}');
    let is_shown = character.width().is_none_or(|width| width > 0);
    is_shown && !is_blank && !is_private && !character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_escaped_and_all_else_stays() {
        assert_eq!(printable("é \"a\"\\ \u{202e}"), "é \"a\"\\ \\u{202e}");
        assert_eq!(printable("a\u{1b}[31m\n\r\u{9b}"), r"a\u{1b}[31m\n\r\u{9b}");
    }

    #[test]
    fn words_of_all_scripts_are_seen_and_fillers_are_not() {
        for text in [
            "a",
            "é",
            "e\u{301}",
            "हिन्दी",
            "ไทย",
            "한국어",
            "မြန်မာ",
            "עִבְרִית",
            "日本",
            "👩\u{200d}💻",
            "-",
            "\u{1b}",
        ] {
            assert!(text.chars().any(is_visible), "{text:?}");
        }
        for text in [
            "",
            " ",
            "\u{200b}",
            "\u{3164}",
            "\u{2800}",
            "\u{ad}",
            "\u{e0041}\u{e0042}",
            "\u{301}\u{308}",
            "\u{fe0f}",
            "\u{20e3}",
            "\u{a0}\u{2003}",
            "\u{e000}",
            "\u{180e}",
            "\u{2063}",
        ] {
            assert!(!text.chars().any(is_visible), "{text:?}");
        }
    }
}
