//! Numbers with units: sizes, durations and counts, as text or as bare numbers.
//!
//! A size is a whole number of bytes with an optional unit in either case: `kB`, `MB`, `GB`, `TB`
//! are powers of 1,000; `KiB`, `MiB`, `GiB`, `TiB` and, as in tcpdump and systemd, the bare letters
//! `k`, `M`, `G`, `T` are powers of 1,024. A number with a unit may have decimals, as in `1.5GiB`. A duration is whole
//! seconds, or numbers with `d`, `h`, `m` and `s` or systemd's words for them (systemd.time(7)), largest unit first.

use std::num::IntErrorKind;

use super::{
    fault::{Counted, FaultKind},
    limits::MAX_SECONDS,
};
use crate::task::Quantity;

const SIZE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

/// Most decimals of a size.
const MOST_DECIMALS: usize = 9;

const TIME_UNITS: &[(&[&str], u64)] = &[
    (&["w", "week", "weeks"], 604_800),
    (&["d", "day", "days"], 86_400),
    (&["h", "hr", "hour", "hours"], 3_600),
    (&["m", "min", "minute", "minutes"], 60),
    (&["s", "sec", "second", "seconds"], 1),
];

/// A size in bytes, which may be 0.
pub fn size(value: &Quantity) -> Result<u64, FaultKind> {
    match value {
        Quantity::Number(number) => {
            u64::try_from(*number).map_err(|_| negative(&number.to_string()))
        }
        Quantity::Text(text) => size_from_text(text),
    }
}

/// [`size`] of text, where a unit may stand behind the number.
fn size_from_text(text: &str) -> Result<u64, FaultKind> {
    let (digits, rest) = split_number(text.trim());
    let (decimals, unit) = match rest.strip_prefix('.') {
        Some(rest) => split_number(rest),
        None => ("0", rest),
    };
    let unit = unit.trim_start().to_ascii_lowercase();
    let factor = SIZE_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor);
    // Half a byte is no size.
    let is_whole = !rest.starts_with('.');
    let has_decimals = (1..=MOST_DECIMALS).contains(&decimals.len());
    let factor = factor.filter(|factor| is_whole || *factor > 1 && has_decimals);
    let (false, Some(factor)) = (digits.is_empty(), factor) else {
        return Err(if text.trim_start().starts_with('-') {
            negative(text)
        } else {
            FaultKind::NotASize { text: text.into() }
        });
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .and_then(|bytes| bytes.checked_add(part_of(factor, decimals)))
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| FaultKind::SizeTooLarge { text: text.into() })
}

/// The bytes of the decimals behind a number, rounded down: of `5` in `1.5k`, 512.
fn part_of(factor: u64, decimals: &str) -> u64 {
    let scale = 10_u128.pow(decimals.len() as u32);
    let part = decimals.parse::<u128>().unwrap_or(0);
    // Less than the factor.
    (u128::from(factor) * part / scale) as u64
}

/// A size of at least one byte.
pub(super) fn positive_size(value: &Quantity) -> Result<u64, FaultKind> {
    size(value).and_then(|bytes| match bytes {
        0 => Err(FaultKind::ZeroSize),
        bytes => Ok(bytes),
    })
}

/// Whole seconds, at least one.
pub fn seconds(value: &Quantity) -> Result<u64, FaultKind> {
    let (text, total) = match value {
        Quantity::Number(number) => {
            let text = number.to_string();
            let total = u64::try_from(*number).map_err(|_| negative(&text))?;
            (text, Some(total))
        }
        Quantity::Text(text) => (text.clone(), seconds_from_text(text)?),
    };
    match total {
        Some(0) => Err(FaultKind::ZeroDuration),
        Some(total) if total <= MAX_SECONDS => Ok(total),
        _ => Err(FaultKind::DurationTooLong {
            text: text.as_str().into(),
            most: MAX_SECONDS,
        }),
    }
}

/// `None` where the sum is beyond 64 bits.
fn seconds_from_text(text: &str) -> Result<Option<u64>, FaultKind> {
    let trimmed = text.trim();
    let malformed = || FaultKind::NotADuration { text: text.into() };
    if trimmed.starts_with('-') {
        return Err(negative(text));
    }
    let (digits, unit) = split_number(trimmed);
    if digits.is_empty() {
        return Err(malformed());
    }
    if unit.is_empty() {
        return Ok(digits.parse().ok());
    }

    let mut total = Some(0_u64);
    let mut smaller_units = TIME_UNITS;
    let mut rest = trimmed;
    while !rest.is_empty() {
        let (digits, after) = split_number(rest);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic());
        let (word, after) = after.split_at(end.unwrap_or(after.len()));
        let is_unit = |(words, _): &(&[&str], u64)| words.contains(&word);
        let position = smaller_units.iter().position(is_unit);
        let (false, Some(position)) = (digits.is_empty(), position) else {
            return Err(malformed());
        };
        let (_, factor) = smaller_units[position];
        let part = digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor));
        total = total
            .zip(part)
            .and_then(|(total, part)| total.checked_add(part));
        smaller_units = &smaller_units[position + 1..];
        rest = after.trim_start();
    }
    Ok(total)
}

/// A whole number of at least one.
pub(super) fn count(value: &Quantity, of: Counted) -> Result<u64, FaultKind> {
    let number = match value {
        Quantity::Number(number) => {
            u64::try_from(*number).map_err(|_| negative(&number.to_string()))?
        }
        Quantity::Text(text) => match text.trim().parse::<u64>() {
            Ok(number) if i64::try_from(number).is_ok() => number,
            _ if text.trim_start().starts_with('-') => return Err(negative(text)),
            Ok(_) => return Err(too_many(text)),
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => return Err(too_many(text)),
            _ => {
                return Err(FaultKind::NotACount {
                    text: text.as_str().into(),
                    of,
                });
            }
        },
    };
    match number {
        0 => Err(FaultKind::ZeroCount { of }),
        number => Ok(number),
    }
}

/// Leading ASCII digits, and what follows them.
fn split_number(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

fn too_many(text: &str) -> FaultKind {
    FaultKind::CountTooLarge {
        text: text.into(),
        most: i64::MAX.cast_unsigned(),
    }
}

fn negative(text: &str) -> FaultKind {
    FaultKind::Negative { text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            (" 10MB ", 10_000_000),
            ("10 mb", 10_000_000),
            ("64MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("1k", 1024),
            ("1K", 1024),
            ("2M", 2 << 20),
            ("3G", 3 << 30),
            ("1TB", 1_000_000_000_000),
            ("5B", 5),
            ("1.5GiB", 1_610_612_736),
            ("1.5 kB", 1_500),
            ("0.1k", 102),
            ("2.000000001GB", 2_000_000_001),
        ] {
            assert_eq!(size_from_text(text), Ok(bytes), "{text}");
        }
        for (text, code) in [
            ("", "invalid"),
            ("MB", "invalid"),
            ("1.5", "invalid"),
            ("1.5B", "invalid"),
            ("1.GiB", "invalid"),
            (".5GiB", "invalid"),
            ("1.5.5GiB", "invalid"),
            ("1.0000000000GB", "invalid"),
            ("9999999.9TiB", "out_of_range"),
            ("1 0", "invalid"),
            ("1XB", "invalid"),
            ("-1", "out_of_range"),
            ("9223372036854775808", "out_of_range"),
            ("99999999999999999999999", "out_of_range"),
            ("99999999TiB", "out_of_range"),
        ] {
            assert_eq!(size_from_text(text).expect_err(text).code(), code, "{text}");
        }
    }

    #[test]
    fn counts() {
        let parse = |text: &str| count(&Quantity::Text(text.to_owned()), Counted::Packets);
        for (text, number) in [
            ("1", 1),
            (" +5 ", 5),
            ("9223372036854775807", i64::MAX.cast_unsigned()),
        ] {
            assert_eq!(parse(text), Ok(number), "{text}");
        }
        for (text, code) in [
            ("", "invalid"),
            ("1k", "invalid"),
            ("1.5", "invalid"),
            ("0", "out_of_range"),
            ("-1", "out_of_range"),
            ("9223372036854775808", "out_of_range"),
            ("99999999999999999999", "out_of_range"),
        ] {
            assert_eq!(parse(text).expect_err(text).code(), code, "{text}");
        }
    }

    #[test]
    fn durations() {
        let parse = |text: &str| seconds(&Quantity::Text(text.to_owned()));
        for (text, expected) in [
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("1h30m", 5400),
            ("1d", 86_400),
            ("1d1s", 86_401),
            ("10 s", 10),
            ("10min", 600),
            ("1 h 30 min", 5400),
            ("1hour 30minutes", 5400),
            ("2 weeks", 1_209_600),
            ("1w1d", 691_200),
            ("90sec", 90),
            ("36500d", MAX_SECONDS),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for (text, code) in [
            ("", "invalid"),
            ("s", "invalid"),
            ("1h30", "invalid"),
            ("30m1h", "invalid"),
            ("1m1m", "invalid"),
            ("1.5h", "invalid"),
            ("500ms", "invalid"),
            ("10M", "invalid"),
            ("1 0", "invalid"),
            ("10 s 5", "invalid"),
            ("1 month", "invalid"),
            ("1µ", "invalid"),
            ("0", "out_of_range"),
            ("0h0m", "out_of_range"),
            ("-5", "out_of_range"),
            ("36501d", "out_of_range"),
            ("99999999999999999999", "out_of_range"),
            ("99999999999999999999d", "out_of_range"),
            ("18446744073709551615s1", "invalid"),
        ] {
            assert_eq!(parse(text).expect_err(text).code(), code, "{text}");
        }
        assert_eq!(seconds(&Quantity::Number(60)), Ok(60));
        assert!(seconds(&Quantity::Number(-1)).is_err());
    }
}
