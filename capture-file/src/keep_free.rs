//! What captures leave free on a file system: a size, or a part of the whole. `disk_budget` keeps to it.

use std::{fmt, str::FromStr};

use capture_task::{
    plan::{Wording, quote, size},
    task::Quantity,
};

/// Least free space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepFree {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the file system, at most 99.
    Percent(u8),
}

impl KeepFree {
    /// Reads a size, or a percentage as in `5%`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(value: &Quantity) -> Result<Self, String> {
        let Quantity::Text(text) = value else {
            return bytes(value);
        };
        let Some(number) = text.trim().strip_suffix('%') else {
            return bytes(value);
        };
        let number = number.trim_end();
        let percent = number.parse().ok().filter(|percent| *percent <= 99);
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        percent
            .filter(|_| is_number)
            .map(Self::Percent)
            .ok_or_else(|| {
                format!(
                    "{} is no part of a file system; give a whole number from 0% to 99%, or a size",
                    quote(text)
                )
            })
    }

    /// Bytes of a file system of `total` bytes.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            // Less than the whole.
            Self::Percent(percent) => (u128::from(total) * u128::from(percent) / 100) as u64,
        }
    }
}

impl Default for KeepFree {
    /// What a daemon leaves free.
    fn default() -> Self {
        Self::Percent(5)
    }
}

fn bytes(value: &Quantity) -> Result<KeepFree, String> {
    match size(value) {
        Ok(bytes) => Ok(KeepFree::Bytes(bytes)),
        Err(kind) => Err(kind.sentence(Wording::API)),
    }
}

impl FromStr for KeepFree {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(&Quantity::Text(text.to_owned()))
    }
}

impl fmt::Display for KeepFree {
    /// As it is read: bytes, or `5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_size_or_a_part_of_the_file_system() {
        for (text, bytes) in [
            ("0", 0),
            ("1GiB", 1 << 30),
            ("5%", 50),
            (" 12 %", 120),
            ("0%", 0),
            ("99%", 990),
        ] {
            let read: KeepFree = text.parse().expect(text);
            assert_eq!(read.of(1000), bytes, "{text}");
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
        assert_eq!(KeepFree::Percent(99).of(u64::MAX), u64::MAX / 100 * 99 + 14);
    }

    #[test]
    fn what_is_neither_is_refused_in_one_sentence() {
        for text in ["100%", "-5%", "+5%", "5.5%", "%", "five", "", "300%"] {
            let refused = text.parse::<KeepFree>().expect_err(text);
            assert!(!refused.contains('\n') && refused.len() > 10, "{refused}");
        }
        assert_eq!(
            "100%".parse::<KeepFree>(),
            Err(
                "\"100%\" is no part of a file system; give a whole number from 0% to 99%, or a size"
                    .to_owned()
            )
        );
    }
}
