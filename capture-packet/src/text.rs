//! Text from packets, made safe to be shown: of bounded length, and without what a terminal or a page would obey.

use std::fmt::{self, Write as _};

/// Shows bytes of a packet as text: what is printed as it is, everything else escaped, and at most so many characters.
pub struct Escaped<'a> {
    bytes: &'a [u8],
    most: usize,
}

/// At most `most` characters of these bytes, then `…`.
pub fn escaped(bytes: &[u8], most: usize) -> Escaped<'_> {
    Escaped { bytes, most }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.most;
        for chunk in self.bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                if left == 0 {
                    return f.write_char('…');
                }
                left -= 1;
                if character == '\\' || !is_harmless(character) {
                    write!(f, "{}", character.escape_unicode())?;
                } else {
                    f.write_char(character)?;
                }
            }
            for byte in chunk.invalid() {
                if left == 0 {
                    return f.write_char('…');
                }
                left -= 1;
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Neither a control character nor one that reorders, hides or breaks text (Unicode TR 36, TR 9).
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Whether this can stand between quotes in a display filter as it is.
pub fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain)
}

/// A number of things as people say it: `1 packet`, `12 packets`.
pub fn several(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// A number of nanoseconds as people say it: `3 ms`, `1.2 s`.
pub fn duration(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        1_000_000_000..10_000_000_000 => format!("{:.1} s", ns as f64 / 1e9),
        _ => format!("{} s", ns / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_obeyed_is_escaped() {
        for (bytes, shown) in [
            (&b"www.example.org"[..], "www.example.org"),
            ("bücher".as_bytes(), "bücher"),
            (b"a\x1b[31mb", "a\\u{1b}[31mb"),
            ("a\u{202e}b".as_bytes(), "a\\u{202e}b"),
            ("a\u{200b}\n".as_bytes(), "a\\u{200b}\\u{a}"),
            (b"a\\b", "a\\u{5c}b"),
            (b"\xff\xc3", "\\xff\\xc3"),
            (b"1234567", "12345…"),
        ] {
            let most = if shown.ends_with('…') { 5 } else { 64 };
            assert_eq!(escaped(bytes, most).to_string(), shown);
        }
    }
}
