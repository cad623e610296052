//! The time before a line, in the forms of tcpdump's `-t`.

use std::fmt::Write as _;

use capture_packet::frame::Time;
use jiff::{Timestamp, tz::TimeZone};

const SECOND: i128 = 1_000_000_000;

/// As JSON has it.
pub(super) fn rfc3339(timestamp_ns: u64) -> Option<String> {
    let stamp = Timestamp::from_nanosecond(timestamp_ns.into()).ok()?;
    Some(stamp.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string())
}

/// What is said of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeForm {
    /// The time of day.
    Clock,
    Nothing,
    /// Seconds since 1970.
    Epoch,
    /// Since the packet before, of those printed.
    Delta,
    DateAndClock,
    /// Since the first packet that was printed.
    Relative,
}

impl TimeForm {
    /// By how often `-t` was given.
    pub(super) fn of(count: u8) -> Self {
        match count {
            0 => Self::Clock,
            1 => Self::Nothing,
            2 => Self::Epoch,
            3 => Self::Delta,
            4 => Self::DateAndClock,
            _ => Self::Relative,
        }
    }
}

/// Adds the time and a blank. `time` is measured from the packets that were printed; `None` where the file has none.
pub(super) fn push(text: &mut String, form: TimeForm, time: Option<Time>, zone: &TimeZone) {
    let Some(time) = time else {
        if form != TimeForm::Nothing {
            text.push_str("(no time) ");
        }
        return;
    };
    let _ = match form {
        TimeForm::Nothing => Ok(()),
        TimeForm::Epoch => write!(text, "{}.{:09} ", time.epoch / SECOND, time.epoch % SECOND),
        TimeForm::Delta => span(text, time.delta),
        TimeForm::Relative => span(text, time.relative),
        TimeForm::Clock | TimeForm::DateAndClock => {
            let Ok(stamp) = Timestamp::from_nanosecond(time.epoch) else {
                text.push_str("(impossible time) ");
                return;
            };
            let form = match form {
                TimeForm::Clock => "%H:%M:%S.%9f ",
                _ => "%Y-%m-%d %H:%M:%S.%9f ",
            };
            write!(text, "{}", stamp.to_zoned(zone.clone()).strftime(form))
        }
    };
}

/// A span as tcpdump has it: ` 00:00:01.000000000`, with a minus where the clock went back.
fn span(text: &mut String, ns: i128) -> std::fmt::Result {
    let sign = if ns < 0 { '-' } else { ' ' };
    let ns = ns.unsigned_abs();
    let (seconds, fraction) = (ns / SECOND.unsigned_abs(), ns % SECOND.unsigned_abs());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    write!(
        text,
        "{sign}{hours:02}:{minutes:02}:{:02}.{fraction:09} ",
        seconds % 60
    )
}
