//! What the daemon's tasks say that `guest/daemon.sh` had it capture: each has its pings, and its record says how it
//! ended: on request, over a step of the clock, with a kill of the daemon, with its orderly end. [`super::verdict`] asks.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    captures::{Captures, Content, check_record},
    clock::seconds_of,
};

/// Two pings, each with its answer.
const TWO_PINGS: Content = Content::Packets(4, "icmp");

/// Seconds that these two take at most, a slow machine included: far from the hour of the step.
const MOST: f64 = 60.0;

/// All checks, each by a function that takes it with its outcome. `pings` is what the other tasks have.
pub(super) fn judge(
    captures: &Captures,
    pings: &Content,
    mut check: impl FnMut(String, Result<()>),
) {
    for (task, reason, what) in [
        ("first", "user", "a task that was stopped"),
        ("last", "shutdown", "a task that ended with the daemon"),
    ] {
        let outcome = whole(captures, task, reason, pings);
        check(format!("daemon: {what} is complete"), outcome);
    }
    check(
        "daemon: a task keeps its time over a step of the clock".to_owned(),
        stepped(captures),
    );
    check(
        "daemon: a task is recovered after a kill".to_owned(),
        killed(captures, pings),
    );
}

fn record(captures: &Captures, task: &str) -> Result<Value> {
    captures.record(&format!("daemon-{task}"), task)
}

/// A task that lost nothing and ended well.
fn whole(captures: &Captures, task: &str, reason: &str, content: &Content) -> Result<()> {
    let packets = captures.check_content(&format!("daemon-{task}"), content)?;
    let record = record(captures, task)?;
    check_record(&record, packets)?;
    ensure!(
        record["stop_reason"] == reason,
        "stop_reason is {}",
        record["stop_reason"]
    );
    Ok(())
}

/// Beginning, packets and end are by one clock.
fn stepped(captures: &Captures) -> Result<()> {
    whole(captures, "stepped", "user", &TWO_PINGS)?;
    let times = captures.times("daemon-stepped.pcapng")?;
    let span = times[times.len() - 1] - times[0];
    let record = record(captures, "stepped")?;
    let of = |field: &str| -> Result<f64> {
        let text = record[field].as_str().context("a time is missing")?;
        seconds_of(text).with_context(|| format!("{field}: {text}"))
    };
    let took = of("ended_at")? - of("started_at")?;
    ensure!(
        (0.0..MOST).contains(&span) && (span..MOST).contains(&took),
        "the packets are {span} s apart, and from started_at to ended_at are {took} s"
    );
    Ok(())
}

/// What was captured is there, and nobody claims that it is all.
fn killed(captures: &Captures, content: &Content) -> Result<()> {
    let packets = captures.check_content("daemon-killed", content)?;
    let record = record(captures, "killed")?;
    let said = ["state", "stop_reason", "verdict"].map(|field| &record[field]);
    ensure!(
        said == [&Value::from("failed"), &"interrupted".into(), &Value::Null],
        "state, stop_reason and verdict are {said:?}"
    );
    ensure!(
        record["counters"]["captured"] == packets && record["files"][0]["packets"] == packets,
        "{packets} packets in the file: {record}"
    );
    Ok(())
}
