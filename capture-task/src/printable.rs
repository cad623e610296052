//! Text of others on a terminal or in a log.

/// A text on one line that can do a terminal no harm: control characters are escaped as in Rust.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_all_else_stays() {
        assert_eq!(printable("é \"a\"\\ \u{202e}"), "é \"a\"\\ \u{202e}");
        assert_eq!(printable("a\u{1b}[31m\n\r\u{9b}"), r"a\u{1b}[31m\n\r\u{9b}");
    }
}
