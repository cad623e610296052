//! Times as people write them (systemd.time(7), at(1)): `22:00`, `tomorrow 06:00`, `2026-03-01 22:00`, `+5m`, or with
//! an offset as in RFC 3339. Without an offset they are local.

use std::time::Duration;

use crate::{plan::seconds, task::Quantity};
use jiff::{Timestamp, ToSpan as _, Zoned, civil};

/// The time that is meant; `None` where the text is none.
pub fn parse(text: &str, now: &Zoned) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    if text.eq_ignore_ascii_case("now") {
        return Some(now.timestamp());
    }
    if let Some(span) = text.strip_prefix('+') {
        let seconds = seconds(&Quantity::Text(span.to_owned())).ok()?;
        let later = now.timestamp().checked_add(Duration::from_secs(seconds));
        return later.ok();
    }
    let local = local(text, now)?;
    let zoned = local.to_zoned(now.time_zone().clone()).ok()?;
    Some(zoned.timestamp())
}

/// The time that is meant where it has passed: an age as in `2h`, or as [`parse`] has it; `06:00` is the last one.
pub fn parse_past(text: &str, now: &Zoned) -> Option<Timestamp> {
    let text = text.trim();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if let Ok(age) = seconds(&Quantity::Text(text.to_owned()))
        && !is_number
    {
        let earlier = now.timestamp().checked_sub(Duration::from_secs(age));
        return earlier.ok();
    }
    let time = parse(text, now)?;
    if is_clock(text) && time > now.timestamp() {
        let day_before = time.to_zoned(now.time_zone().clone()).checked_sub(1.day());
        return Some(day_before.ok()?.timestamp());
    }
    Some(time)
}

/// A time as near as its reader needs it: `15:22`, of another day `Mar 02 06:00`, of another year the date.
pub fn near(time: Timestamp, now: &Zoned) -> String {
    let time = time.to_zoned(now.time_zone().clone());
    let form = match (time.date() == now.date(), time.year() == now.year()) {
        (true, _) => "%H:%M",
        (false, true) => "%b %d %H:%M",
        (false, false) => "%Y-%m-%d",
    };
    time.strftime(form).to_string()
}

/// A time of the clock on the wall.
fn local(text: &str, now: &Zoned) -> Option<civil::DateTime> {
    let (day, clock) = match text.split_once(' ') {
        Some((day, clock)) => (day, Some(clock.trim().parse::<civil::Time>().ok()?)),
        None => (text, None),
    };
    let midnight = civil::Time::midnight();
    let date = match day.to_ascii_lowercase().as_str() {
        "today" => now.date(),
        "yesterday" => now.date().checked_sub(1.day()).ok()?,
        "tomorrow" => now.date().checked_add(1.day()).ok()?,
        _ if clock.is_none() && is_clock(text) => {
            // The next time that the clock shows it.
            let time: civil::Time = text.parse().ok()?;
            let date = match time > now.time() {
                true => now.date(),
                false => now.date().checked_add(1.day()).ok()?,
            };
            return Some(date.to_datetime(time));
        }
        _ => match day.parse::<civil::Date>() {
            // `2026-03-01T22:00` has its time within.
            Ok(_) if clock.is_none() => return text.parse().ok(),
            Ok(date) => date,
            Err(_) => return None,
        },
    };
    Some(date.to_datetime(clock.unwrap_or(midnight)))
}

/// `22:00`, `22:00:30`.
fn is_clock(text: &str) -> bool {
    let mut parts = text.split(':');
    (2..=3).contains(&text.split(':').count())
        && parts.all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_passed() {
        let now: Zoned = "2026-03-01T12:30:00+01:00[Europe/Berlin]"
            .parse()
            .expect("a time");
        for (text, expected) in [
            ("2h", "2026-03-01T09:30:00Z"),
            ("7d", "2026-02-22T11:30:00Z"),
            ("06:00", "2026-03-01T05:00:00Z"),
            ("22:00", "2026-02-28T21:00:00Z"),
            ("yesterday", "2026-02-27T23:00:00Z"),
            ("today", "2026-02-28T23:00:00Z"),
            ("2026-02-01", "2026-01-31T23:00:00Z"),
            ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z"),
        ] {
            let expected: Timestamp = expected.parse().expect("a time");
            assert_eq!(parse_past(text, &now), Some(expected), "{text}");
        }
        for text in ["", "5", "soon", "-2h"] {
            assert_eq!(parse_past(text, &now), None, "{text}");
        }
        for (time, expected) in [
            ("2026-03-01T14:22:50Z", "15:22"),
            ("2026-03-02T05:00:00Z", "Mar 02 06:00"),
            ("2027-03-02T05:00:00Z", "2027-03-02"),
        ] {
            assert_eq!(near(time.parse().expect("a time"), &now), expected);
        }
    }

    #[test]
    fn times_of_people() {
        let now: Zoned = "2026-03-01T12:30:00+01:00[Europe/Berlin]"
            .parse()
            .expect("a time");
        for (text, expected) in [
            ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z"),
            ("2026-03-01T08:00:00+01:00", "2026-03-01T07:00:00Z"),
            ("now", "2026-03-01T11:30:00Z"),
            ("+5m", "2026-03-01T11:35:00Z"),
            ("+1h 30min", "2026-03-01T13:00:00Z"),
            ("22:00", "2026-03-01T21:00:00Z"),
            ("22:00:30", "2026-03-01T21:00:30Z"),
            ("06:00", "2026-03-02T05:00:00Z"),
            ("today 06:00", "2026-03-01T05:00:00Z"),
            ("tomorrow", "2026-03-01T23:00:00Z"),
            ("Tomorrow 06:00", "2026-03-02T05:00:00Z"),
            ("2026-07-01 22:00", "2026-07-01T20:00:00Z"),
            ("2026-07-01T22:00", "2026-07-01T20:00:00Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
        ] {
            let expected: Timestamp = expected.parse().expect("a time");
            assert_eq!(parse(text, &now), Some(expected), "{text}");
        }
        for text in [
            "",
            "22",
            "25:00",
            "someday",
            "+",
            "+x",
            "5m",
            "tomorrow x",
            "2026-13-01",
            "1:2:3:4",
            "06:00 today",
        ] {
            assert_eq!(parse(text, &now), None, "{text}");
        }
    }
}
