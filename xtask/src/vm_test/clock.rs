//! What captures say during which the guest set its wall clock, by `guest/clock.sh`: their packets are in
//! order and as far apart as they were sent, their summaries say how long they took, and a capture that
//! begins later has the time that the clock then shows. [`super::verdict`] asks.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::captures::{Captures, check_record};

/// Five steps, each with a ping before and after it, and its answer.
const PACKETS: usize = 20;

/// Seconds that all of this takes at most, a slow machine included: far from the hour of a step.
const MOST: f64 = 60.0;

/// All checks, each by a function that takes it with its outcome.
pub(super) fn judge(captures: &Captures, mut check: impl FnMut(String, Result<()>)) {
    for (name, what) in [
        ("clock-duration", "one file"),
        ("clock-rotated", "a rotation by time"),
    ] {
        let outcome = steps(captures, name);
        check(format!("clock is set: {what} keeps its time"), outcome);
    }
    check(
        "clock was set: the next capture has the new time".to_owned(),
        after(captures),
    );
}

/// A capture under which the clock was set.
fn steps(captures: &Captures, name: &str) -> Result<()> {
    let record = captures.record("clock", name)?;
    let files = record["files"].as_array().context("no files")?;
    let rotates = name.ends_with("rotated");
    // Two seconds each, or more for a file after which nothing came for a while.
    let most = if rotates { MOST as usize / 2 } else { 1 };
    ensure!(
        (1..=most).contains(&files.len()) && (!rotates || files.len() > 1),
        "{} files",
        files.len()
    );
    let mut times = Vec::new();
    for file in files {
        let file = file["name"].as_str().context("a file without a name")?;
        times.extend(captures.times(file)?);
    }
    ensure!(times.len() == PACKETS, "{} packets", times.len());
    check_record(&record, times.len(), "complete")?;
    let goes_back = times.windows(2).find(|pair| pair[0] > pair[1]);
    ensure!(goes_back.is_none(), "time goes back: {goes_back:?}");
    let span = times[PACKETS - 1] - times[0];
    ensure!(span < MOST, "the packets are {span} s apart");
    let of = |field: &str| -> Result<f64> {
        let text = record[field].as_str().context("a time is missing")?;
        seconds_of(text).with_context(|| format!("{field}: {text}"))
    };
    let took = of("ended_at")? - of("started_at")?;
    ensure!(
        (span..MOST).contains(&took),
        "from started_at to ended_at are {took} s"
    );
    Ok(())
}

/// The capture that began when the clock had been set for good.
fn after(captures: &Captures) -> Result<()> {
    let file = captures.path("clock-after.txt");
    let shown =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let shown: f64 = shown.trim().parse().context("no time was noted")?;
    let times = captures.times("clock-after.pcapng")?;
    ensure!(times.len() == 2, "{} packets", times.len());
    let apart = times[0] - shown;
    // The clock is read in whole seconds.
    ensure!(
        (-0.5..MOST).contains(&apart),
        "{apart} s after the clock was read"
    );
    Ok(())
}

/// Seconds of the month in RFC 3339 with UTC, of which only differences are asked for.
pub(super) fn seconds_of(time: &str) -> Option<f64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let day: f64 = date.rsplit('-').next()?.parse().ok()?;
    let parts: Vec<f64> = clock
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts.as_slice() else {
        return None;
    };
    Some(((day * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let apart = |one: &str, other: &str| Some(seconds_of(other)? - seconds_of(one)?);
        let found = apart("2026-11-23T23:59:59.500Z", "2026-11-24T01:00:00.000Z");
        assert_eq!(found, Some(3600.5));
        assert_eq!(seconds_of("2026-11-23"), None);
    }
}
