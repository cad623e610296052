//! A task as people see it: in lines, and what became of it.

use std::time::Duration;

use capture_task::{
    about_text, ago_text, bytes_text, count_text,
    interruption::{Interruption, InterruptionCause, gaps_text},
    plan::{Directions, InterfaceSelection, Keyword as _, Oversize, Plan, RequestOrigin, Rotate},
    printable,
    task::{FileRecord, State, StopReason, TaskRecord, TaskSpec},
};
use jiff::{Timestamp, Zoned};

use super::list::state_text;

use crate::report::{RingSize, duration_text, loss_text, packet_rows, reason_text};

/// Most files of a task that are shown one by one.
const MOST_FILES: usize = 20;

/// Lines of a label and a value.
type Rows = Vec<(String, String)>;

/// What is to be shown of a task beside its record.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Who created it, by name.
    pub(super) created_by: Option<String>,
    /// What was found in its packets.
    pub(super) findings: Option<String>,
    /// What its account has used of the quota.
    pub(super) quota: Option<String>,
}

/// All of a task.
pub(super) fn task(task: &TaskRecord, beside: Beside, now: &Zoned) -> String {
    let mut rows: Rows = Vec::new();
    let mut row = |label: &str, value: String| rows.push((label.to_owned(), value));
    row("id", printable(&task.id));
    row("name", printable(&task.name));
    row(
        "state",
        match task.state.is_final() {
            true => state(task),
            false => state_text(task, now),
        },
    );
    if let Some(error) = &task.error {
        row("error", printable(error));
    }
    let account = task.account.as_deref().map(printable);
    match (beside.created_by, account) {
        (Some(by), Some(account)) if by != account => row("by", format!("{by}, account {account}")),
        (Some(by), _) => row("by", by),
        (None, Some(account)) => row("by", format!("account {account}")),
        (None, None) => {}
    }
    // The daemon accepted it, so it is valid; but a newer one may know more.
    let plan = Plan::resolve(&task.spec, RequestOrigin::Daemon).ok();
    let at_the_latest = plan.as_ref().and_then(|plan| {
        let started: Timestamp = task.started_at.as_ref()?.parse().ok()?;
        let ends = started.checked_add(plan.duration?).ok()?;
        (task.state == State::Running).then(|| ends.to_string())
    });
    for (label, time) in [
        ("created", Some(&task.created_at)),
        ("starts", task.start_at.as_ref()),
        ("started", task.started_at.as_ref()),
        ("ends", at_the_latest.as_ref()),
        ("ended", task.ended_at.as_ref()),
        ("expires", task.expires_at.as_ref()),
    ] {
        if let Some(time) = time {
            row(label, time_text(time, now));
        }
    }
    if let Some(plan) = plan {
        rows.extend(plan_rows(&plan, &task.spec));
    }
    rows.extend(figures(task));
    rows.extend(beside.findings.map(|found| ("findings".to_owned(), found)));
    rows.extend(beside.quota.map(|used| ("quota".to_owned(), used)));
    rows.extend(gaps(task));
    rows.extend(files(&task.files, true));
    lines(&rows)
}

/// All that a task asks for, where nothing was asked for with the default.
fn plan_rows(plan: &Plan, spec: &TaskSpec) -> Rows {
    let Plan {
        name: _,
        interfaces,
        directions,
        hook,
        filter,
        max_bytes,
        oversize,
        duration,
        max_packets,
        max_file_bytes,
        format,
        rotate,
    } = plan;
    let names = match interfaces {
        InterfaceSelection::Any => "any".to_owned(),
        InterfaceSelection::Named(names) => printable(&names.join(", ")),
    };
    let way = match directions {
        Directions::Both => "both ways",
        only => only.keyword(),
    };
    let expression = match filter.to_string() {
        none if none.is_empty() => "everything".to_owned(),
        expression => printable(&expression),
    };
    let frames = match (max_bytes, oversize) {
        (None, _) => "whole".to_owned(),
        (Some(most), Oversize::Truncate) => format!("their first {most} bytes"),
        (Some(most), Oversize::Discard) => {
            format!("whole, those of more than {most} bytes left out")
        }
    };
    let no_limit = || "no limit".to_owned();
    let duration = duration.map_or_else(no_limit, duration_text);
    let max_packets = max_packets.map_or_else(no_limit, count_text);
    let size = max_file_bytes.map_or_else(no_limit, size_text);
    let format = match rotate {
        None => format.keyword().to_owned(),
        Some(rotate) => format!("{}, {}", format.keyword(), rotation(rotate)),
    };
    let rows = [
        ("interfaces", format!("{names}, {way}"), true),
        ("hook", hook.keyword().to_owned(), spec.hook.is_some()),
        ("filter", expression, true),
        ("frames", frames, spec.max_bytes.is_some()),
        ("duration", duration, spec.duration.is_some()),
        ("max packets", max_packets, spec.max_packets.is_some()),
        ("max size", size, spec.max_file_bytes.is_some()),
        (
            "format",
            format,
            spec.format.is_some() || spec.rotate.is_some(),
        ),
    ];
    let rows = rows.into_iter().map(|(label, value, is_given)| {
        let default = if is_given { "" } else { " (default)" };
        (label.to_owned(), format!("{value}{default}"))
    });
    rows.collect()
}

fn rotation(rotate: &Rotate) -> String {
    let Rotate {
        bytes,
        seconds,
        files,
    } = rotate;
    let mut parts = Vec::new();
    parts.extend(bytes.map(|bytes| format!("a file each {}", size_text(bytes))));
    parts.extend(seconds.map(|seconds| {
        format!(
            "a file each {}",
            duration_text(Duration::from_secs(seconds))
        )
    }));
    parts.extend(files.map(|files| match bytes {
        Some(_) => format!("the last {files} kept"),
        None => format!("{files} at most"),
    }));
    parts.join(", ")
}

/// A size as it is given: in whole binary units where it is one.
fn size_text(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    match unit {
        Some((unit, size)) => format!("{} {unit}", bytes / size),
        None => bytes_text(bytes),
    }
}

/// A time, and how far away it is.
fn time_text(time: &str, now: &Zoned) -> String {
    let Ok(at) = time.parse::<Timestamp>() else {
        return printable(time);
    };
    let passed = now.timestamp().duration_since(at).as_secs();
    let away = match u64::try_from(passed) {
        Ok(passed) => ago_text(passed),
        Err(_) => format!("in {}", about_text(passed.unsigned_abs())),
    };
    format!("{at:.0} ({away})")
}

/// What became of a task.
pub(super) fn outcome(task: &TaskRecord) -> String {
    let mut rows = figures(task);
    let elapsed = elapsed(task).filter(|_| task.stop_reason != Some(StopReason::Shutdown));
    let elapsed = elapsed.map(|elapsed| format!(", after {}", duration_text(elapsed)));
    let stopped = format!("{}{}", state(task), elapsed.unwrap_or_default());
    rows.push(("ended".to_owned(), stopped));
    if let Some(error) = &task.error {
        rows.push(("error".to_owned(), printable(error)));
    }
    rows.extend(gaps(task));
    rows.extend(files(&task.files, false));
    lines(&rows)
}

/// When it captured nothing though it had begun.
fn gaps(task: &TaskRecord) -> Rows {
    let row = |gap: &Interruption| {
        let why = match gap.cause {
            InterruptionCause::Shutdown => "the daemon ended",
            InterruptionCause::Interrupted => "the daemon was killed, or the host went down",
        };
        let times = match &gap.until {
            Some(until) => format!("from {} to {until}", gap.from),
            None => format!("since {}", gap.from),
        };
        ("gap".to_owned(), format!("nothing captured {times}: {why}"))
    };
    task.interruptions.iter().map(row).collect()
}

/// The state, and why it came to it.
pub(super) fn state(task: &TaskRecord) -> String {
    let word = task.state.keyword();
    match task.stop_reason {
        Some(StopReason::Shutdown) => format!("{word}: {}", cut_short(task)),
        Some(reason) if task.state.is_final() => format!("{word}: {}", reason_text(reason)),
        _ => word.to_owned(),
    }
}

/// How much there is of a task that the daemon's own end cut short.
fn cut_short(task: &TaskRecord) -> String {
    let by = reason_text(StopReason::Shutdown);
    let asked = Plan::resolve(&task.spec, RequestOrigin::Daemon).ok();
    let asked = asked.and_then(|plan| plan.duration);
    match (elapsed(task).map(duration_text), asked.map(duration_text)) {
        (Some(elapsed), Some(asked)) => format!("cut short, {elapsed} of {asked}; {by}"),
        (Some(elapsed), None) => format!("cut short after {elapsed}; {by}"),
        (None, _) => format!("cut short; {by}"),
    }
}

fn figures(task: &TaskRecord) -> Rows {
    let counters = &task.counters;
    let lost = match (counters.dropped.total(), &task.verdict) {
        (0, Some(_)) if task.stop_reason == Some(StopReason::Shutdown) => {
            "0, the capture is complete until the daemon shut down".to_owned()
        }
        (0, Some(_)) if !task.interruptions.is_empty() => {
            "0 while it captured, and what passed in the gaps".to_owned()
        }
        (0, Some(_)) => "0, the capture is complete".to_owned(),
        (0, None) if task.state == State::Failed => "0 known, but the capture failed".to_owned(),
        (0, None) => "0 until now".to_owned(),
        _ => loss_text(counters.dropped, counters.matched, RingSize::Configuration),
    };
    let mut rows = packet_rows(counters);
    if counters.undecided > 0 {
        let frames = count_text(counters.undecided);
        rows.push((
            "undecided",
            format!("{frames} frames, too short to decide on"),
        ));
    }
    rows.push(("lost", lost));
    let rows = rows.into_iter();
    rows.map(|(label, value)| (label.to_owned(), value))
        .collect()
}

/// The files, with their digests where these are wanted.
fn files(files: &[FileRecord], with_digests: bool) -> Rows {
    let row = |file: &FileRecord| {
        let FileRecord {
            index,
            name,
            size,
            packets,
            complete,
            sha256,
        } = file;
        let unfinished = if *complete { "" } else { ", NOT finished" };
        let packets = count_text(*packets);
        let value = format!(
            "{} ({packets} packets, {}{unfinished})",
            printable(name),
            bytes_text(*size)
        );
        let digest = sha256.as_ref().filter(|_| with_digests);
        let digest = digest.map(|sha256| ("sha256".to_owned(), printable(sha256)));
        [Some((format!("file {index}"), value)), digest]
    };
    let hidden = files.len().saturating_sub(MOST_FILES);
    let mut rows: Rows = Vec::new();
    if hidden > 0 {
        let size = files.iter().map(|file| file.size).sum();
        let value = format!(
            "{} ({}), the last {MOST_FILES}:",
            files.len(),
            bytes_text(size)
        );
        rows.push(("files".to_owned(), value));
    }
    rows.extend(files[hidden..].iter().flat_map(row).flatten());
    rows
}

/// How long it captured.
fn elapsed(task: &TaskRecord) -> Option<Duration> {
    let time = |text: &Option<String>| text.as_ref()?.parse::<Timestamp>().ok();
    let elapsed = time(&task.ended_at)?.duration_since(time(&task.started_at)?);
    Duration::try_from(elapsed).ok()
}

fn lines(rows: &[(String, String)]) -> String {
    let rows = rows.iter();
    rows.map(|(label, value)| format!("{label:<11} {value}\n"))
        .collect()
}

/// What became of a task that was to stop.
pub(super) fn stopped(record: &TaskRecord) -> String {
    let name = printable(&record.name);
    if !record.state.is_final() {
        return format!("{} ({name}) is being stopped", record.id);
    }
    let counters = &record.counters;
    format!(
        "{} ({name}) {}, {} packets captured ({}), {} lost{}",
        record.id,
        state(record),
        count_text(counters.captured),
        bytes_text(counters.bytes),
        count_text(counters.dropped.total()),
        gaps_text(&record.interruptions).map_or_else(String::new, |gaps| format!(", {gaps}"))
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(change: impl FnOnce(&mut TaskRecord)) -> TaskRecord {
        let record = json!({
            "id": "01M84KVPQ7BPADDYJBK1P0YEY6",
            "name": "web",
            "spec": {"name": "web", "interfaces": ["eth0"], "ip": "10.0.0.5", "ports": [443], "duration": "10m"},
            "state": "completed",
            "stop_reason": "duration",
            "error": null,
            "created_at": "2026-11-23T16:29:38.407Z",
            "started_at": "2026-11-23T16:29:38.730Z",
            "ended_at": "2026-11-23T16:39:38.985Z",
            "expires_at": "2026-11-30T16:39:38.985Z",
            "created_by": "uid 0", "account": "team",
            "counters": {
                "matched": 1200, "captured": 1200, "bytes": 90_000, "oversize_discarded": 0, "over_limit": 0,
                "dropped": {"ring": 0, "queue": 0, "write": 0, "copy": 0}
            },
            "verdict": "complete",
            "files": [{"index": 0, "name": "capture.pcapng", "size": 99_000, "packets": 1200,
                "complete": true, "sha256": "abcdef"}],
        });
        let mut record = serde_json::from_value(record).expect("a record");
        change(&mut record);
        record
    }

    fn now() -> Zoned {
        "2026-11-23T20:00:00+01:00[Europe/Berlin]"
            .parse()
            .expect("a time")
    }

    #[test]
    fn what_was_asked_for_is_shown_and_what_goes_on() {
        let asked = record(|record| {
            record.state = State::Running;
            record.stop_reason = None;
            record.ended_at = None;
            record.started_at = Some("2026-11-23T18:55:00Z".to_owned());
            record.spec = serde_json::from_value(json!({
                "name": "web", "interfaces": ["any"], "direction": "ingress", "max_bytes": 128,
                "oversize": "discard", "duration": "10m", "max_packets": 5000, "max_file_bytes": "500MB",
                "rotate": {"bytes": "1MiB", "files": 3}, "hook": "tc"
            }))
            .expect("a request");
        });
        let text = task(&asked, Beside::default(), &now());
        for line in [
            "state       running 5 min of 10 min\n",
            "ends        2026-11-23T19:05:00Z (in 5 min)\n",
            "interfaces  any, ingress\n",
            "hook        tc\n",
            "filter      everything\n",
            "frames      whole, those of more than 128 bytes left out\n",
            "max packets 5,000\n",
            "max size    500.0 MB\n",
            "format      pcapng, a file each 1 MiB, the last 3 kept\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn a_task_that_was_to_stop() {
        let running = record(|task| task.state = State::Running);
        assert_eq!(
            stopped(&running),
            format!("{} (web) is being stopped", running.id)
        );
        let ended = record(|_| ());
        assert_eq!(
            stopped(&ended),
            format!(
                "{} (web) completed: duration reached, 1,200 packets captured (90.0 kB), 0 lost",
                ended.id
            )
        );
    }

    #[test]
    fn a_task_in_lines() {
        let beside = Beside {
            created_by: Some("root".to_owned()),
            findings: Some("found: 1 high".to_owned()),
            quota: Some("3 of 14".to_owned()),
        };
        let text = task(&record(|_| ()), beside, &now());
        for line in [
            "state       completed: duration reached\n",
            "by          root, account team\n",
            "created     2026-11-23T16:29:38Z (2 h ago)\n",
            "started     2026-11-23T16:29:38Z (2 h ago)\n",
            "expires     2026-11-30T16:39:38Z (in 6 d)\n",
            "interfaces  eth0, both ways\n",
            "hook        auto (default)\n",
            "frames      whole (default)\n",
            "duration    10m\n",
            "max packets no limit (default)\n",
            "max size    1 GiB (default)\n",
            "format      pcapng (default)\n",
            "quota       3 of 14\n",
            "sha256      abcdef\n",
            "captured    1,200 (90.0 kB)\n",
            "lost        0, the capture is complete\n",
            "findings    found: 1 high\n",
            "file 0      capture.pcapng (1,200 packets, 99.0 kB)\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        let expression = text.lines().find(|line| line.starts_with("filter "));
        assert!(
            expression.is_some_and(|filter| filter.contains("host 10.0.0.5")),
            "{text}"
        );
        assert!(outcome(&record(|_| ())).contains("completed: duration reached, after 10m\n"));
    }

    #[test]
    fn what_is_lost_or_not_over_does_not_look_complete() {
        let lossy = record(|record| {
            record.counters.dropped.ring = 7;
            record.verdict = Some("lost 7 of 1200".to_owned());
        });
        let text = task(&lossy, Beside::default(), &now());
        assert!(
            text.contains("7 OF 1,200") && text.contains("`capture.ring_size`"),
            "{text}"
        );
        let running = record(|record| {
            record.state = State::Running;
            record.stop_reason = None;
            record.verdict = None;
        });
        let failed = record(|record| {
            record.state = State::Failed;
            record.verdict = None;
        });
        let cut = record(|record| {
            record.stop_reason = Some(StopReason::Shutdown);
            record.ended_at = Some("2026-11-23T16:29:40Z".to_owned());
        });
        let expected = "completed: cut short, 1s of 10m; daemon shut down before its end\n";
        for text in [task(&cut, Beside::default(), &now()), outcome(&cut)] {
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("the capture is complete\n"), "{text}");
        }
        for task_ in [&lossy, &running, &failed] {
            assert!(!task(task_, Beside::default(), &now()).contains("is complete"));
        }
    }
}
