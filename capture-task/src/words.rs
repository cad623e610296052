//! Words that every face uses alike: why a system call failed, and how long something takes.

use std::{fmt, io};

/// Why a system call failed, in the system's words and without its number, which tells a reader nothing more.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a>(pub &'a io::Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        // The standard library has no other way to the words of the system.
        let number = self.0.raw_os_error().map(|n| format!(" (os error {n})"));
        let words = number.and_then(|number| text.strip_suffix(&number));
        f.write_str(words.unwrap_or(&text))
    }
}

/// A time to wait, as people say it: `9 h 35 min`, of the two largest units, rounded up.
pub fn wait_text(seconds: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let largest = UNITS.iter().position(|(_, size)| seconds >= *size);
    let largest = largest.unwrap_or(UNITS.len() - 1);
    let (unit, size) = UNITS[largest];
    let Some((smaller_unit, smaller_size)) = UNITS.get(largest + 1) else {
        return format!("{seconds} {unit}");
    };
    let rounded = seconds.div_ceil(*smaller_size) * smaller_size;
    match (rounded / size, rounded % size / smaller_size) {
        (count, 0) => format!("{count} {unit}"),
        (count, smaller) => format!("{count} {unit} {smaller} {smaller_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_no_number() {
        let missing = io::Error::from_raw_os_error(2);
        assert_eq!(Cause(&missing).to_string(), "No such file or directory");
        let own = io::Error::other("the file ends (os error 2)");
        assert_eq!(Cause(&own).to_string(), "the file ends (os error 2)");
    }

    #[test]
    fn waits_have_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (3601, "1 h 1 min"),
            (34_553, "9 h 36 min"),
            (7199, "2 h"),
            (86_400, "1 d"),
            (90_001, "1 d 2 h"),
        ] {
            assert_eq!(wait_text(seconds), text);
        }
    }
}
