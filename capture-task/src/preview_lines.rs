//! A task before it is one, in lines for people: what `task create --dry-run` and `run --dry-run` say alike.

use std::time::Duration;

use crate::{
    bytes_text, count_text, duration_text,
    plan::{Format, Keyword as _, Oversize},
    preview::PlannedHook,
    printable,
    task::{Quantity, RotateSpec, TaskSpec},
};

/// Interfaces whose hooks are shown.
const MOST_HOOKS: usize = 10;

/// A label and what stands beside it. Lines without one go on with the line above.
pub type Line = (&'static str, String);

/// What the task would take, and where: all of it with the defaults filled in.
pub fn capture_lines(
    spec: &TaskSpec,
    summary: String,
    expression: String,
    caveats: Vec<String>,
    hooks: &[PlannedHook],
) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.extend(spec.name.clone().map(|name| ("name", name)));
    lines.push(("filter", summary));
    if !expression.is_empty() {
        lines.push(("tcpdump", expression));
    }
    lines.extend(caveats.into_iter().map(|caveat| ("", caveat)));
    if hooks.is_empty() {
        lines.push(("on", spec.interfaces.join(", ")));
    }
    for (index, hook) in hooks.iter().take(MOST_HOOKS).enumerate() {
        let label = if index == 0 { "on" } else { "" };
        lines.push((label, hook_text(hook)));
    }
    if hooks.len() > MOST_HOOKS {
        let more = format!("{} more interfaces", hooks.len() - MOST_HOOKS);
        lines.push(("", more));
    }
    lines.push(("frames", frames_text(spec)));
    lines
}

/// The lines as they are printed.
pub fn text(lines: &[Line]) -> String {
    let lines = lines.iter();
    lines
        .map(|(label, text)| format!("{label:<9}{}\n", printable(text)))
        .collect()
}

fn hook_text(hook: &PlannedHook) -> String {
    let PlannedHook {
        interface,
        hook,
        mode,
        conflict,
    } = hook;
    match conflict {
        None => format!("{interface} ({hook}, {mode})"),
        Some(why) => format!("{interface} ({hook}) is not possible: {why}"),
    }
}

/// `both ways, the first 96 bytes of each, longer ones discarded, pcapng`
fn frames_text(spec: &TaskSpec) -> String {
    let mut parts = vec![match spec.direction.as_deref() {
        Some("ingress") => "ingress".to_owned(),
        Some("egress") => "egress".to_owned(),
        _ => "both ways".to_owned(),
    }];
    let is_discarded = spec.oversize.as_deref() == Some(Oversize::Discard.keyword());
    parts.push(match number(&spec.max_bytes) {
        None | Some(0) => "whole".to_owned(),
        Some(bytes) if is_discarded => format!("longer than {bytes} bytes discarded"),
        Some(bytes) => format!("the first {bytes} bytes of each"),
    });
    if spec.icmp_errors {
        parts.push("with ICMP errors about them".to_owned());
    }
    let format = spec.format.clone();
    parts.push(format.unwrap_or_else(|| Format::Pcapng.keyword().to_owned()));
    if let Some(RotateSpec {
        bytes,
        seconds,
        files,
    }) = &spec.rotate
    {
        let every = [
            number(bytes).map(bytes_text),
            number(seconds).map(seconds_text),
        ];
        let every: Vec<_> = every.into_iter().flatten().collect();
        parts.push(format!("a new file every {}", every.join(" or ")));
        if let (Some(_), Some(files)) = (bytes, number(files)) {
            parts.push(format!("the last {} of them kept", count_text(files)));
        }
    }
    parts.join(", ")
}

/// When a task ends, and by which limits. `ends_at` is the time by its duration, where its start is known.
pub fn ends_text(spec: &TaskSpec, ends_at: Option<&str>, else_by: &str) -> String {
    let mut limits = Vec::new();
    if let Some(seconds) = number(&spec.duration) {
        let lasts = seconds_text(seconds);
        limits.push(match ends_at {
            Some(at) => format!("{at} (duration {lasts})"),
            None => format!("{lasts} after its start"),
        });
    }
    if let Some(packets) = number(&spec.max_packets) {
        limits.push(format!("after {} packets", count_text(packets)));
    }
    if let Some(bytes) = number(&spec.max_file_bytes) {
        limits.push(format!("before {} are exceeded", bytes_text(bytes)));
    }
    if let Some(RotateSpec {
        bytes: None,
        files: Some(files),
        ..
    }) = &spec.rotate
        && let Some(files) = number(&Some(files.clone()))
    {
        limits.push(format!("after {} files", count_text(files)));
    }
    match limits.as_slice() {
        [] => else_by.to_owned(),
        [one] => one.clone(),
        _ => format!("{}, whichever comes first", limits.join(", or ")),
    }
}

/// A spec with its defaults has numbers alone.
fn number(quantity: &Option<Quantity>) -> Option<u64> {
    match quantity {
        Some(Quantity::Number(number)) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn seconds_text(seconds: u64) -> String {
    duration_text(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(value: Value) -> TaskSpec {
        serde_json::from_value(value).expect("a task")
    }

    #[test]
    fn frames_in_words() {
        for (task, expected) in [
            (json!({}), "both ways, whole, pcapng"),
            (
                json!({"direction": "ingress", "max_bytes": 96, "oversize": "truncate", "format": "pcap"}),
                "ingress, the first 96 bytes of each, pcap",
            ),
            (
                json!({"max_bytes": 96, "oversize": "discard", "icmp_errors": true}),
                "both ways, longer than 96 bytes discarded, with ICMP errors about them, pcapng",
            ),
            (
                json!({"rotate": {"bytes": 100_000_000, "files": 10}}),
                "both ways, whole, pcapng, a new file every 100.0 MB, the last 10 of them kept",
            ),
            (
                json!({"rotate": {"seconds": 60, "files": 10}}),
                "both ways, whole, pcapng, a new file every 1m",
            ),
        ] {
            assert_eq!(frames_text(&spec(task.clone())), expected, "{task}");
        }
    }

    #[test]
    fn ends_in_words() {
        for (task, at, expected) in [
            (json!({}), None, "on Ctrl-C"),
            (json!({"duration": 90}), None, "1m30s after its start"),
            (
                json!({"duration": 60, "max_file_bytes": 1_000, "max_packets": 1_000}),
                Some("2026-03-01T12:01:00.000Z"),
                "2026-03-01T12:01:00.000Z (duration 1m), or after 1,000 packets, or before 1.0 kB are exceeded, \
                 whichever comes first",
            ),
            (
                json!({"rotate": {"seconds": 60, "files": 10}}),
                None,
                "after 10 files",
            ),
            (
                json!({"rotate": {"bytes": 1000, "files": 10}}),
                None,
                "on Ctrl-C",
            ),
        ] {
            assert_eq!(
                ends_text(&spec(task.clone()), at, "on Ctrl-C"),
                expected,
                "{task}"
            );
        }
    }
}
