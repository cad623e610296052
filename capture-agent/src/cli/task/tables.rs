//! Tasks as people see them: many in rows, one in lines, and what became of it.

use std::time::Duration;

use capture_task::{
    plan::{Directions, InterfaceSelection, Keyword as _, Plan, RequestOrigin},
    printable,
    task::{FileRecord, State, TaskRecord},
};
use comfy_table::CellAlignment;
use jiff::Timestamp;

use crate::cli::{
    listing::{finished, plain_table},
    report::{
        RingSize, bytes_text, count_text, duration_text, loss_text, packet_rows, reason_text,
    },
};

/// Most files of a task that are shown one by one.
const MOST_FILES: usize = 20;

/// Lines of a label and a value.
type Rows = Vec<(String, String)>;

/// Tasks in rows.
pub(super) fn list(tasks: &[TaskRecord]) -> String {
    let mut table = plain_table();
    table.set_header(["ID", "NAME", "STATE", "CAPTURED", "LOST", "SIZE", "CREATED"]);
    for task in tasks {
        let size = task.files.iter().map(|file| file.size).sum();
        table.add_row([
            printable(&task.id),
            printable(&task.name),
            state(task),
            count_text(task.counters.captured),
            count_text(task.counters.dropped.total()),
            bytes_text(size),
            seconds(&task.created_at),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        if (3..=5).contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    finished(table)
}

/// All of a task.
pub(super) fn task(task: &TaskRecord) -> String {
    let mut rows: Rows = Vec::new();
    let mut row = |label: &str, value: String| rows.push((label.to_owned(), value));
    row("id", printable(&task.id));
    row("name", printable(&task.name));
    row("state", state(task));
    if let Some(error) = &task.error {
        row("error", printable(error));
    }
    // The daemon accepted it, so it is valid; but a newer one may know more.
    if let Ok(plan) = Plan::resolve(&task.spec, RequestOrigin::Daemon) {
        row("interfaces", interfaces(&plan));
        row("filter", printable(&plan.filter.to_string()));
        if let Some(limit) = plan.duration {
            row("duration", duration_text(limit));
        }
    }
    for (label, time) in [
        ("created", Some(&task.created_at)),
        ("starts", task.start_at.as_ref()),
        ("started", task.started_at.as_ref()),
        ("ended", task.ended_at.as_ref()),
        ("expires", task.expires_at.as_ref()),
    ] {
        if let Some(time) = time {
            row(label, seconds(time));
        }
    }
    rows.extend(figures(task));
    rows.extend(files(&task.files));
    lines(&rows)
}

/// What became of a task.
pub(super) fn outcome(task: &TaskRecord) -> String {
    let mut rows = figures(task);
    let elapsed = elapsed(task).map(|elapsed| format!(", after {}", duration_text(elapsed)));
    let stopped = format!("{}{}", state(task), elapsed.unwrap_or_default());
    rows.push(("ended".to_owned(), stopped));
    if let Some(error) = &task.error {
        rows.push(("error".to_owned(), printable(error)));
    }
    rows.extend(files(&task.files));
    lines(&rows)
}

/// The state, and why it came to it.
pub(super) fn state(task: &TaskRecord) -> String {
    let word = task.state.keyword();
    match task.stop_reason {
        Some(reason) if task.state.is_final() => format!("{word}: {}", reason_text(reason)),
        _ => word.to_owned(),
    }
}

fn interfaces(plan: &Plan) -> String {
    let names = match &plan.interfaces {
        InterfaceSelection::Any => "any".to_owned(),
        InterfaceSelection::Named(names) => names.join(", "),
    };
    let way = match plan.directions {
        Directions::Both => String::new(),
        only => format!(", {}", only.keyword()),
    };
    printable(&format!("{names}{way}"))
}

fn figures(task: &TaskRecord) -> Rows {
    let counters = &task.counters;
    let lost = match (counters.dropped.total(), &task.verdict) {
        (0, Some(_)) => "0, the capture is complete".to_owned(),
        (0, None) if task.state == State::Failed => "0 known, but the capture failed".to_owned(),
        (0, None) => "0 until now".to_owned(),
        _ => loss_text(counters.dropped, counters.matched, RingSize::Configuration),
    };
    let mut rows = packet_rows(counters);
    rows.push(("lost", lost));
    let rows = rows.into_iter();
    rows.map(|(label, value)| (label.to_owned(), value))
        .collect()
}

fn files(files: &[FileRecord]) -> Rows {
    let row = |file: &FileRecord| {
        let FileRecord {
            index,
            name,
            size,
            packets,
            complete,
            sha256: _,
        } = file;
        let unfinished = if *complete { "" } else { ", NOT finished" };
        let packets = count_text(*packets);
        let value = format!(
            "{} ({packets} packets, {}{unfinished})",
            printable(name),
            bytes_text(*size)
        );
        (format!("file {index}"), value)
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
    rows.extend(files[hidden..].iter().map(row));
    rows
}

/// How long it captured.
fn elapsed(task: &TaskRecord) -> Option<Duration> {
    let time = |text: &Option<String>| text.as_ref()?.parse::<Timestamp>().ok();
    let elapsed = time(&task.ended_at)?.duration_since(time(&task.started_at)?);
    Duration::try_from(elapsed).ok()
}

/// A time without its milliseconds.
fn seconds(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => format!("{time:.0}"),
        Err(_) => printable(time),
    }
}

fn lines(rows: &[(String, String)]) -> String {
    let rows = rows.iter();
    rows.map(|(label, value)| format!("{label:<11} {value}\n"))
        .collect()
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
            "expires_at": null,
            "counters": {
                "matched": 1200, "captured": 1200, "bytes": 90_000, "oversize_discarded": 0, "over_limit": 0,
                "dropped": {"ring": 0, "queue": 0, "write": 0, "copy": 0}
            },
            "verdict": "complete",
            "files": [{"index": 0, "name": "capture.pcapng", "size": 99_000, "packets": 1200,
                "complete": true, "sha256": null}],
        });
        let mut record = serde_json::from_value(record).expect("a record");
        change(&mut record);
        record
    }

    #[test]
    fn a_task_in_lines() {
        let text = task(&record(|_| ()));
        for line in [
            "state       completed: duration reached\n",
            "interfaces  eth0\n",
            "duration    10m\n",
            "started     2026-11-23T16:29:38Z\n",
            "captured    1,200 (90.0 kB)\n",
            "lost        0, the capture is complete\n",
            "file 0      capture.pcapng (1,200 packets, 99.0 kB)\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(outcome(&record(|_| ())).contains("completed: duration reached, after 10m\n"));
    }

    #[test]
    fn what_is_lost_or_not_over_does_not_look_complete() {
        let lossy = record(|record| {
            record.counters.dropped.ring = 7;
            record.verdict = Some("lost 7 of 1200".to_owned());
        });
        let text = task(&lossy);
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
        for task_ in [&lossy, &running, &failed] {
            assert!(!task(task_).contains("is complete"));
        }
    }

    #[test]
    fn tasks_in_rows() {
        let text = list(&[record(|record| record.name = "a\u{1b}[2Jb".to_owned())]);
        let mut rows = text.lines();
        assert!(rows.next().expect("a header").starts_with("ID "));
        let row = rows.next().expect("a row");
        assert!(
            row.contains("a\\u{1b}[2Jb") && row.contains("99.0 kB"),
            "{row}"
        );
        assert_eq!(list(&[]).lines().count(), 1);
    }
}
