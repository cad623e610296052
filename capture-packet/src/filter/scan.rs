//! Words, strings and signs off the front of a filter.

use super::fault::Fault;
use crate::text::escaped;

/// Most characters of a filter that a fault quotes.
const QUOTED: usize = 40;

/// A place in the text of a filter.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A literal before it has a type.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) form: Form,
    pub(super) column: usize,
}

/// How a literal was written.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// Without quotes.
    Word(String),
    /// Between double quotes, escapes resolved.
    Quoted(Vec<u8>),
    /// A character between single quotes.
    Character(u8),
}

/// What a literal is quoted as in a fault.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text.as_bytes(), QUOTED))
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte)
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut scanner = Self { text, at: 0 };
        scanner.skip_space();
        scanner
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// The character that is next, counted from 1.
    pub(super) fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    pub(super) fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault {
            column: self.column(),
            message: message.into(),
        })
    }

    /// What is next, as a fault quotes it.
    pub(super) fn found(&self) -> String {
        if self.is_at_end() {
            return "the end".to_owned();
        }
        match self.word() {
            Some(word) => quoted(word),
            None => {
                let character = self.rest().chars().next();
                quoted(&character.map_or(String::new(), String::from))
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.skip_space();
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes a sign if it is next.
    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let is_next = self.rest().starts_with(sign);
        if is_next {
            self.advance(sign.len());
        }
        is_next
    }

    /// The word that is next. Two dots end it: they are the sign between the ends of a range.
    pub(super) fn word(&self) -> Option<&'a str> {
        let rest = self.rest();
        let len = rest.bytes().take_while(|byte| is_of_word(*byte)).count();
        let word = &rest[..len];
        let word = word.find("..").map_or(word, |dots| &word[..dots]);
        (!word.is_empty()).then_some(word)
    }

    /// Takes a word that was looked at.
    pub(super) fn take(&mut self, word: &str) {
        self.advance(word.len());
    }

    /// Takes a word if it is next.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let is_next = self.word() == Some(word);
        if is_next {
            self.take(word);
        }
        is_next
    }

    /// A literal. In a pattern an escape that is not known is left to the regular expression.
    pub(super) fn literal(&mut self, is_pattern: bool) -> Result<Option<Raw>, Fault> {
        let column = self.column();
        let rest = self.rest();
        let form = if let Some(raw) = rest.strip_prefix("r\"") {
            let Some(len) = raw.find('"') else {
                return self.fault("the string has no closing quote");
            };
            self.advance(len + 3);
            Form::Quoted(raw.as_bytes()[..len].to_vec())
        } else if rest.starts_with('"') {
            Form::Quoted(self.string('"', is_pattern)?)
        } else if rest.starts_with('\'') {
            match *self.string('\'', false)? {
                [byte] => Form::Character(byte),
                _ => {
                    return Err(Fault {
                        column,
                        message: "one character belongs between single quotes".to_owned(),
                    });
                }
            }
        } else if let Some(word) = self.word() {
            self.take(word);
            Form::Word(word.to_owned())
        } else {
            return Ok(None);
        };
        Ok(Some(Raw { form, column }))
    }

    /// A string with escapes as in C.
    fn string(&mut self, quote: char, is_pattern: bool) -> Result<Vec<u8>, Fault> {
        let start = *self;
        let mut bytes = Vec::new();
        let mut rest = self.rest()[1..].chars();
        loop {
            match rest.next() {
                None => return start.fault("the string has no closing quote"),
                Some(end) if end == quote => break,
                Some('\\') => {
                    if let Err(unknown) = escape(&mut rest, &mut bytes) {
                        if !is_pattern {
                            let mut here = *self;
                            here.at =
                                self.text.len() - rest.as_str().len() - unknown.len_utf8() - 1;
                            return here.fault(format!(
                                "{} is no escape; a backslash itself is \\\\",
                                quoted_escape(unknown)
                            ));
                        }
                        bytes.push(b'\\');
                        push(&mut bytes, unknown);
                    }
                }
                Some(other) => push(&mut bytes, other),
            }
        }
        let len = self.rest().len() - rest.as_str().len();
        self.advance(len);
        Ok(bytes)
    }
}

fn quoted_escape(character: char) -> String {
    format!("\\{}", character.escape_debug())
}

fn push(bytes: &mut Vec<u8>, character: char) {
    bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
}

/// What follows a backslash; the character itself where it has no meaning there.
fn escape(rest: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) -> Result<(), char> {
    // The end of the text is found by the caller.
    let Some(character) = rest.next() else {
        return Ok(());
    };
    bytes.push(match character {
        '\\' | '"' | '\'' => character as u8,
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        'x' => match digits(rest, 16, 2) {
            Some(byte) => byte as u8,
            None => return Err('x'),
        },
        '0'..='7' => {
            let first = u32::from(character as u8 - b'0');
            let mut value = first;
            let mut more = rest.clone();
            for _ in 0..2 {
                match more.next().and_then(|digit| digit.to_digit(8)) {
                    Some(digit) if value * 8 + digit < 256 => {
                        value = value * 8 + digit;
                        *rest = more.clone();
                    }
                    _ => break,
                }
            }
            value as u8
        }
        unknown => return Err(unknown),
    });
    Ok(())
}

/// Up to `most` digits as a number; `None` without one.
fn digits(rest: &mut std::str::Chars<'_>, radix: u32, most: usize) -> Option<u32> {
    let mut value = None;
    for _ in 0..most {
        let mut ahead = rest.clone();
        let Some(digit) = ahead.next().and_then(|digit| digit.to_digit(radix)) else {
            break;
        };
        value = Some(value.unwrap_or(0) * radix + digit);
        *rest = ahead;
    }
    value
}
