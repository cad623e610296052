//! Text of others on a terminal or in a log.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_escaped_and_all_else_stays() {
        assert_eq!(printable("é \"a\"\\ \u{202e}"), "é \"a\"\\ \\u{202e}");
        assert_eq!(printable("a\u{1b}[31m\n\r\u{9b}"), r"a\u{1b}[31m\n\r\u{9b}");
    }
}
