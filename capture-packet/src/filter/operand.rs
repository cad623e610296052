//! The grammar below operators: fields, functions, slices, masks, and what they are compared with.

use regex::bytes::{Regex, RegexBuilder};

use super::{
    fault::Fault,
    hint, literal,
    parse::Parser,
    scan::{Form, Raw, quoted},
    tree::{Function, Literal, Operand, Range, Slice, SliceEnd, Source},
};
use crate::fields::known::{self, Kind};

/// Most parts of one slice, masks of one field, and regular expressions of one filter.
const MAX_PARTS: usize = 16;

/// Most memory of a compiled regular expression: half as much for each of the next three, as a client waits for them.
const MAX_PATTERN: usize = 128 * 1024;

/// Words that cannot be an operand.
const RESERVED: [&str; 6] = ["and", "or", "xor", "not", "any", "all"];

/// The right side of an operator: a field or something computed, or a literal without a type.
enum Right {
    Operand(Operand),
    Raw(Raw),
}

impl<'a> Parser<'a> {
    pub(super) fn refuse_without_bytes(operand: &Operand, operator: &str) -> Result<(), Fault> {
        if matches!(operand.kind, Kind::Text | Kind::Bytes | Kind::Layer) {
            return Ok(());
        }
        let message = format!(
            "{operator} is for text, bytes and layers, and {} is none ({})",
            name_of(operand),
            operand.kind
        );
        Err(Fault {
            column: operand.column,
            message,
        })
    }

    /// What may stand on the left, alone or before an operator.
    pub(super) fn left(&mut self) -> Result<Operand, Fault> {
        let column = self.scanner.column();
        let Some(word) = self.scanner.word().filter(|word| !RESERVED.contains(word)) else {
            return match self.scanner.literal(false)? {
                Some(raw) if matches!(raw.form, Form::Quoted(_) | Form::Character(_)) => {
                    let message = "a field belongs on the left of an operator".to_owned();
                    Err(Fault { column, message })
                }
                _ => self.unexpected("a field"),
            };
        };
        let Some(operand) = self.field_or_call(word)? else {
            let is_number = word.starts_with(|first: char| first.is_ascii_digit());
            return self.scanner.fault(match is_number {
                true => "a field belongs on the left of an operator".to_owned(),
                false => hint::unknown_field(word),
            });
        };
        self.masks(operand)
    }

    /// A field or a function with its slice; `None` where the word is neither.
    fn field_or_call(&mut self, word: &'a str) -> Result<Option<Operand>, Fault> {
        let column = self.scanner.column();
        let mut operand = if let Some(known) = known::find(word) {
            self.scanner.take(word);
            Operand::of(Source::Field(known), known.kind, column)
        } else {
            let function = match word {
                "len" => Function::Len,
                "count" => Function::Count,
                "lower" => Function::Lower,
                "upper" => Function::Upper,
                _ => return Ok(None),
            };
            self.scanner.take(word);
            self.call(function, column)?
        };
        if self.scanner.rest().starts_with('[') {
            if matches!(operand.kind, Kind::Number(_) | Kind::Flag | Kind::Seconds) {
                let message = format!("{word} has no bytes to be sliced ({})", operand.kind);
                return self.scanner.fault(message);
            }
            operand.slice = Some(self.slices()?);
            operand.kind = Kind::Bytes;
        }
        Ok(Some(operand))
    }

    fn call(&mut self, function: Function, column: usize) -> Result<Operand, Fault> {
        if !self.scanner.take_sign("(") {
            return self.unexpected("`(`");
        }
        let inner = self.deeper(Self::left)?;
        if !self.scanner.take_sign(")") {
            return self.unexpected("`)`");
        }
        let kind = match function {
            Function::Len | Function::Count => Kind::Number(32),
            Function::Lower | Function::Upper if inner.kind != Kind::Text => {
                let message = format!("lower and upper are of text ({})", inner.kind);
                return Err(Fault {
                    column: inner.column,
                    message,
                });
            }
            Function::Lower | Function::Upper => Kind::Text,
        };
        Ok(Operand::of(
            Source::Call(function, Box::new(inner)),
            kind,
            column,
        ))
    }

    /// `& MASK`, as often as it is there.
    fn masks(&mut self, mut operand: Operand) -> Result<Operand, Fault> {
        while self.scanner.rest().starts_with('&') && !self.scanner.rest().starts_with("&&") {
            if !matches!(
                operand.kind,
                Kind::Number(_) | Kind::Ipv4 | Kind::Ipv6 | Kind::Bytes
            ) {
                let message = format!(
                    "a mask is for numbers and addresses, not for {}",
                    operand.kind
                );
                return self.scanner.fault(message);
            }
            if operand.masks.len() >= MAX_PARTS {
                return self.scanner.fault(format!("more than {MAX_PARTS} masks"));
            }
            self.scanner.take_sign("&");
            let right = self.primary(false)?;
            let mask = self.typed(right, &operand)?;
            operand.masks.push(mask);
        }
        Ok(operand)
    }

    /// The right side of an operator, of the type of the left one.
    pub(super) fn right(&mut self, left: &Operand, is_pattern: bool) -> Result<Operand, Fault> {
        let right = self.primary(is_pattern)?;
        let right = self.typed(right, left)?;
        match right.source {
            Source::Literal(_) => Ok(right),
            _ => self.masks(right),
        }
    }

    fn primary(&mut self, is_pattern: bool) -> Result<Right, Fault> {
        if let Some(word) = self.scanner.word() {
            if RESERVED.contains(&word) {
                return self.unexpected("a value");
            }
            // A word is the value that it looks like where it has a colon before it, even if there is a field of its name.
            if let Some(operand) = self.field_or_call(word)? {
                return Ok(Right::Operand(operand));
            }
        }
        match self.scanner.literal(is_pattern)? {
            Some(mut raw) => {
                if let Form::Word(word) = &mut raw.form
                    && word.starts_with(':')
                    && !word.starts_with("::")
                {
                    word.remove(0);
                }
                Ok(Right::Raw(raw))
            }
            None => self.unexpected("a value"),
        }
    }

    fn typed(&self, right: Right, left: &Operand) -> Result<Operand, Fault> {
        let subject = name_of(left);
        match right {
            Right::Raw(raw) => {
                let literal = literal::typed(&raw, left.kind, &subject)?;
                Ok(Operand::of(Source::Literal(literal), left.kind, raw.column))
            }
            Right::Operand(right) if are_comparable(left.kind, right.kind) => Ok(right),
            Right::Operand(right) => Err(Fault {
                column: right.column,
                message: format!(
                    "{subject} ({}) and {} ({}) cannot be compared",
                    left.kind,
                    name_of(&right),
                    right.kind
                ),
            }),
        }
    }

    /// A regular expression, in quotes. Case does not matter, as in Wireshark.
    pub(super) fn pattern(&mut self) -> Result<Regex, Fault> {
        if self.patterns >= MAX_PARTS {
            let many = format!("more than {MAX_PARTS} regular expressions");
            return self.scanner.fault(many);
        }
        let column = self.scanner.column();
        let literal = self.scanner.literal(true)?;
        let Some(Form::Quoted(text)) = literal.map(|raw| raw.form) else {
            let message = "a regular expression belongs here, in double quotes".to_owned();
            return Err(Fault { column, message });
        };
        let limit = MAX_PATTERN >> self.patterns.min(3);
        self.patterns += 1;
        let text = String::from_utf8_lossy(&text);
        RegexBuilder::new(&text)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(limit)
            .dfa_size_limit(limit)
            .build()
            .map_err(|error| Fault {
                column,
                message: match error {
                    regex::Error::CompiledTooBig(_) => "regular expression too large".to_owned(),
                    error => {
                        // The last line says what is wrong; those before it draw the place.
                        let text = error.to_string();
                        let why = text.lines().last().unwrap_or_default();
                        let why = why.trim_start_matches("error: ");
                        format!(
                            "invalid regular expression {}: {why}",
                            quoted(&text_of(&text))
                        )
                    }
                },
            })
    }

    pub(super) fn set(&mut self, left: &Operand) -> Result<Vec<Range>, Fault> {
        if !self.scanner.take_sign("{") {
            return self.unexpected("`{`");
        }
        let mut ranges = Vec::new();
        loop {
            let from = self.member(left)?;
            let to = match self.scanner.take_sign("..") {
                true => Some(self.member(left)?),
                false => None,
            };
            ranges.push(Range { from, to });
            if self.scanner.take_sign("}") {
                return Ok(ranges);
            }
            if !self.scanner.take_sign(",") {
                return self.unexpected("`,`, `..` or `}`");
            }
        }
    }

    fn member(&mut self, left: &Operand) -> Result<Literal, Fault> {
        match self.scanner.literal(false)? {
            Some(raw) => literal::typed(&raw, left.kind, &name_of(left)),
            None => self.unexpected("a value"),
        }
    }

    /// `[START:LEN]`, `[FIRST-LAST]`, `[BYTE]`, `[:LEN]`, `[START:]`, or several of them.
    fn slices(&mut self) -> Result<Vec<Slice>, Fault> {
        let column = self.scanner.column();
        let fault = |message: &str| {
            let message = message.to_owned();
            Err(Fault { column, message })
        };
        let rest = self.scanner.rest();
        let Some(len) = rest.find(']') else {
            return fault("the slice has no `]`");
        };
        let parts: Vec<_> = rest[1..len].split(',').map(slice).collect();
        if parts.len() > MAX_PARTS {
            return fault("too many parts in a slice");
        }
        let Some(slices) = parts.into_iter().collect() else {
            return fault("a slice is [start:length], [first-last] or [byte]");
        };
        self.scanner.take_sign(&rest[..=len]);
        Ok(slices)
    }
}

fn text_of(error: &str) -> String {
    error.lines().nth(1).unwrap_or_default().trim().to_owned()
}

fn slice(text: &str) -> Option<Slice> {
    let text = text.trim();
    let number = |text: &str| text.trim().parse::<i32>().ok();
    let (start, end) = if let Some((start, len)) = text.split_once(':') {
        let start = match start.trim() {
            "" => 0,
            start => number(start)?,
        };
        let end = match len.trim() {
            "" => SliceEnd::Field,
            len => SliceEnd::Len(number(len).filter(|len| *len > 0)?),
        };
        (start, end)
    } else if let Some((first, last)) = text
        .char_indices()
        .skip(1)
        .find_map(|(at, character)| (character == '-').then(|| (&text[..at], &text[at + 1..])))
    {
        let (first, last) = (number(first)?, number(last)?);
        if (first < 0) == (last < 0) && first > last {
            return None;
        }
        (first, SliceEnd::At(last))
    } else {
        (number(text)?, SliceEnd::Len(1))
    };
    Some(Slice { start, end })
}

fn are_comparable(one: Kind, other: Kind) -> bool {
    let is_bytes = |kind| matches!(kind, Kind::Bytes | Kind::Layer);
    match (one, other) {
        (Kind::Number(_), Kind::Number(_)) => true,
        (one, other) => one == other || (is_bytes(one) && is_bytes(other)),
    }
}

fn name_of(operand: &Operand) -> String {
    match &operand.source {
        Source::Field(known) if operand.slice.is_some() => format!("{}[…]", known.name),
        Source::Field(known) => known.name.to_owned(),
        Source::Call(function, _) => format!("{function:?}()").to_lowercase(),
        Source::Literal(_) => "the value".to_owned(),
    }
}
