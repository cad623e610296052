//! What the record of a task is held to wherever it comes from, written down once more from the contract:
//! its fields and their types, which of them go with which state, and what the figures have to do with the
//! verdict and the files.

use serde_json::Value;

/// The fields of a record; `start_at` besides, where a start was asked for, `findings`, where it was analyzed, and
/// `interruptions`, where it was interrupted.
const FIELDS: [&str; 15] = [
    "account",
    "counters",
    "created_at",
    "created_by",
    "ended_at",
    "error",
    "expires_at",
    "files",
    "id",
    "name",
    "spec",
    "started_at",
    "state",
    "stop_reason",
    "verdict",
];
const COUNTERS: [&str; 7] = [
    "bytes",
    "captured",
    "dropped",
    "matched",
    "over_limit",
    "oversize_discarded",
    "undecided",
];
const DROPPED: [&str; 4] = ["copy", "queue", "ring", "write"];
const FILE: [&str; 6] = ["complete", "index", "name", "packets", "sha256", "size"];

/// The reasons of a good end, and of one that is a failure.
const GOOD: [&str; 5] = [
    "duration",
    "max_packets",
    "max_file_bytes",
    "user",
    "interface_gone",
];
const BAD: [&str; 5] = ["disk_full", "io_error", "shutdown", "interrupted", "error"];

/// A record without its findings, which may come between two looks at a task that has ended.
pub fn unjudged(mut task: Value) -> Value {
    if let Some(fields) = task.as_object_mut() {
        fields.remove("findings");
    }
    task
}

/// Panics unless a task of the daemon has all that the contract says, and nothing else.
#[track_caller]
pub fn assert_whole(task: &Value) {
    let mut fields = names(task);
    fields.retain(|field| !["start_at", "findings", "interruptions"].contains(&field.as_str()));
    assert_eq!(fields, FIELDS, "{task}");
    assert!(is_ulid(&task["id"]), "{task}");
    let name = task["name"].as_str().unwrap_or_default();
    let length = name.chars().count();
    assert!((1..=128).contains(&length), "{task}");
    assert_eq!(task["spec"]["name"], task["name"], "{task}");
    assert_eq!(names(&task["counters"]), COUNTERS, "{task}");
    assert_eq!(names(&task["counters"]["dropped"]), DROPPED, "{task}");
    for counter in COUNTERS.iter().filter(|name| **name != "dropped") {
        number(&task["counters"][counter]);
    }
    assert_times(task);
    assert_state(task);
    assert_files(task);
}

/// Which times are there goes with the state, and none is before the one before it.
#[track_caller]
fn assert_times(task: &Value) {
    let order = ["created_at", "started_at", "ended_at", "expires_at"];
    let all = order.iter().chain(&["start_at"]);
    for value in all.map(|name| &task[name]).filter(|time| !time.is_null()) {
        assert!(is_time(value), "{value}: {task}");
    }
    // Of one length and in UTC, so that they can be compared as text.
    let times: Vec<_> = order
        .iter()
        .filter_map(|name| task[name].as_str())
        .collect();
    assert!(times.is_sorted(), "{task}");
    let (pending, ended) = (task["state"] == "pending", has_ended(task));
    assert!(task["created_at"].is_string(), "{task}");
    for name in ["ended_at", "expires_at"] {
        assert_eq!(task[name].is_string(), ended, "{name}: {task}");
    }
    if !ended {
        assert_eq!(task["started_at"].is_null(), pending, "{task}");
    } else if task["started_at"].is_null() {
        // It ended before it began.
        assert_eq!(number(&task["counters"]["matched"]), 0, "{task}");
        assert_eq!(task["files"].as_array().map(Vec::len), Some(0), "{task}");
    }
}

#[track_caller]
fn assert_state(task: &Value) {
    let counters = &task["counters"];
    let dropped: u64 = DROPPED
        .iter()
        .map(|stage| number(&counters["dropped"][stage]))
        .sum();
    let reason = task["stop_reason"].as_str();
    let verdict = match (task["state"].as_str(), reason) {
        (Some("pending" | "running" | "stopping"), None) => {
            assert!(task["error"].is_null(), "{task}");
            None
        }
        (Some("completed"), Some(reason)) => {
            assert!(GOOD.contains(&reason), "{task}");
            assert!(task["error"].is_null(), "{task}");
            // Of one that never began there is nothing to say.
            task["started_at"].is_string().then_some("complete")
        }
        (Some("failed"), Some(reason)) => {
            assert!(BAD.contains(&reason), "{task}");
            let error = task["error"].as_str().unwrap_or_default();
            assert!(!error.trim().is_empty() && !error.contains('\n'), "{task}");
            None
        }
        _ => panic!("{task}"),
    };
    // What was lost is said, and one that failed without a count is not said to be complete.
    let lost = format!("lost {dropped} of {}", counters["matched"]);
    let is_counted = dropped > 0 && has_ended(task) && reason != Some("interrupted");
    let verdict = is_counted.then_some(&*lost).or(verdict);
    let gaps = gaps(task);
    let interrupted = match (gaps, dropped) {
        (1, 0) => "interrupted: 1 gap".to_owned(),
        (_, 0) => format!("interrupted: {gaps} gaps"),
        (1, _) => format!("interrupted: 1 gap, {lost}"),
        (_, _) => format!("interrupted: {gaps} gaps, {lost}"),
    };
    let was_interrupted = gaps > 0 && has_ended(task);
    let verdict = was_interrupted.then_some(&*interrupted).or(verdict);
    let undecided = match number(&counters["undecided"]) {
        0 => String::new(),
        undecided => format!("; {undecided} undecided"),
    };
    let verdict = verdict.map(|verdict| format!("{verdict}{undecided}"));
    assert_eq!(task["verdict"].as_str(), verdict.as_deref(), "{task}");
}

/// How often the daemon's end interrupted it. Each gap is one in time, and only the last can be open.
#[track_caller]
fn gaps(task: &Value) -> usize {
    let Some(gaps) = task["interruptions"].as_array() else {
        return 0;
    };
    assert!(!gaps.is_empty(), "{task}");
    let mut times = vec![&task["started_at"]];
    for (number, gap) in (1..).zip(gaps) {
        assert_eq!(names(gap), ["cause", "from", "until"], "{task}");
        assert!(
            gap["cause"] == "shutdown" || gap["cause"] == "interrupted",
            "{task}"
        );
        assert!(gap["until"].is_string() || number == gaps.len(), "{task}");
        times.extend([&gap["from"], &gap["until"]]);
    }
    times.push(&task["ended_at"]);
    let times: Vec<_> = times.into_iter().filter_map(Value::as_str).collect();
    assert!(times.is_sorted(), "{task}");
    gaps.len()
}

#[track_caller]
fn assert_files(task: &Value) {
    let files = task["files"].as_array().expect("a list");
    let mut before = None;
    for file in files {
        assert_eq!(names(file), FILE, "{task}");
        let index = number(&file["index"]);
        assert!(before.is_none_or(|before| before < index), "{task}");
        before = Some(index);
        number(&file["size"]);
        number(&file["packets"]);
        let name = file["name"].as_str().expect("a name");
        assert!(name.starts_with("capture") && !name.contains('/'), "{task}");
        assert!(file["complete"].is_boolean(), "{task}");
        let digest = file["sha256"].as_str();
        let is_hex = |digest: &str| {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            digest.len() == 64 && digest.bytes().all(hex)
        };
        assert!(digest.is_none_or(is_hex), "{task}");
        if task["state"] == "completed" {
            assert!(digest.is_some(), "{task}");
        }
    }
    // Only what a kill left is not finished.
    if task["state"] == "completed" {
        let unfinished = files.iter().filter(|file| file["complete"] == false);
        assert!(unfinished.count() <= gaps(task), "{task}");
    }
    // A ring of files forgets the oldest.
    if has_ended(task) && task["spec"]["rotate"].is_null() {
        let packets = files
            .iter()
            .map(|file| number(&file["packets"]))
            .sum::<u64>();
        assert_eq!(packets, number(&task["counters"]["captured"]), "{task}");
    }
}

fn has_ended(task: &Value) -> bool {
    task["state"] == "completed" || task["state"] == "failed"
}

#[track_caller]
fn names(value: &Value) -> Vec<String> {
    let fields = value.as_object().unwrap_or_else(|| panic!("{value}"));
    let mut names: Vec<_> = fields.keys().cloned().collect();
    names.sort();
    names
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

/// Crockford's base 32, without I, L, O and U.
fn is_ulid(value: &Value) -> bool {
    let known = |byte| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(&byte);
    value
        .as_str()
        .is_some_and(|id| id.len() == 26 && id.bytes().all(known))
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn is_time(value: &Value) -> bool {
    is_like(value, b"0000-00-00T00:00:00.000Z")
}

/// The same with nanoseconds.
pub(crate) fn is_packet_time(value: &Value) -> bool {
    is_like(value, b"0000-00-00T00:00:00.000000000Z")
}

fn is_like(value: &Value, shape: &[u8]) -> bool {
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    };
    value
        .as_str()
        .is_some_and(|time| time.len() == shape.len() && time.bytes().zip(shape).all(fits))
}
