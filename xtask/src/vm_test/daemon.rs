//! What the daemon's tasks say that `guest/daemon.sh` had it capture: each has its pings, and its record says how it
//! ended: on request, over a step of the clock, after a kill of the daemon, after its orderly end. [`super::verdict`] asks.

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
    check(
        "daemon: a task that was stopped is complete".to_owned(),
        whole(captures, "first", pings, "complete"),
    );
    check(
        "daemon: a task keeps its time over a step of the clock".to_owned(),
        stepped(captures),
    );
    for (task, what) in [("killed", "kill"), ("last", "restart")] {
        check(
            format!("daemon: a task is taken up after a {what}"),
            whole(captures, task, pings, "interrupted: 1 gap"),
        );
    }
}

fn record(captures: &Captures, task: &str) -> Result<Value> {
    captures.record(&format!("daemon-{task}"), task)
}

/// A task that lost nothing while it captured, and was then stopped.
fn whole(captures: &Captures, task: &str, content: &Content, verdict: &str) -> Result<()> {
    let packets = captures.check_content(&format!("daemon-{task}"), content)?;
    let record = record(captures, task)?;
    check_record(&record, packets, verdict)?;
    ensure!(
        record["stop_reason"] == "user",
        "stop_reason is {}",
        record["stop_reason"]
    );
    Ok(())
}

/// Beginning, packets and end are by one clock.
fn stepped(captures: &Captures) -> Result<()> {
    whole(captures, "stepped", &TWO_PINGS, "complete")?;
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
