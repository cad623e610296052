//! Names of capture files that nobody has named.

use jiff::Timestamp;

use crate::{
    short::{SHORT_ID, short_id},
    task::{FileRecord, TaskRecord},
};

/// Name of a file of the daemon before its number and suffix.
const STORED_STEM: &str = "capture";

/// A name as part of a file name: letters and digits of any script, `.`, `_`, `-`, `+` and `@`
/// stay, runs of anything else become one dash; not hidden, not an option, not too long.
pub fn file_name_of(name: &str) -> String {
    // File names have at most 255 bytes; the time, a rotation number and `.part` follow.
    const MOST_BYTES: usize = 180;
    let mut text = String::new();
    for character in name.chars() {
        let stays = character.is_alphanumeric() || "._-+@".contains(character);
        let character = if stays { character } else { '-' };
        if text.len() + character.len_utf8() > MOST_BYTES {
            break;
        }
        if character != '-' || !text.ends_with('-') {
            text.push(character);
        }
    }
    let text = text.trim_start_matches(['.', '-']).trim_end_matches('-');
    if text.is_empty() {
        STORED_STEM.to_owned()
    } else {
        text.to_owned()
    }
}

/// A time in a file name: `20260301T110000Z`.
pub fn file_time(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The name of a task's files where they are fetched, without suffix: `NAME_STARTED_ID`, the end of the ID.
pub fn download_stem(task: &TaskRecord) -> String {
    let name = file_name_of(&task.name);
    let started = task.started_at.as_ref().unwrap_or(&task.created_at);
    let started = started.parse::<Timestamp>().map(file_time);
    let id = short_id(&task.id, SHORT_ID);
    match started {
        Ok(started) => format!("{name}_{started}_{id}"),
        Err(_) => format!("{name}_{id}"),
    }
}

/// What follows that name: `.pcapng`, `_00001.pcapng`, and `.partial.pcapng` while the file grows.
pub fn download_suffix(task: &TaskRecord, file: &FileRecord) -> String {
    let name = file.name.strip_suffix(".part").unwrap_or(&file.name);
    let name = name.strip_prefix(STORED_STEM).unwrap_or(name);
    match name.rsplit_once('.') {
        Some((number, suffix)) if is_growing(task, file) => format!("{number}.partial.{suffix}"),
        _ => name.to_owned(),
    }
}

/// Whether a file may still get packets.
pub fn is_growing(task: &TaskRecord, file: &FileRecord) -> bool {
    !task.state.is_final() && !file.complete
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_downloads() {
        let mut task: TaskRecord = serde_json::from_value(json!({
            "id": "01M84KVPQ7BPADDYJBK1P0YEY6", "name": "inv 4711: slow/login", "spec": {},
            "state": "completed", "stop_reason": null, "error": null,
            "created_at": "2026-03-01T10:00:00.000Z", "started_at": "2026-03-01T10:00:01.500Z",
            "ended_at": null, "expires_at": null, "verdict": null, "files": [],
            "counters": {
                "matched": 0, "captured": 0, "bytes": 0, "oversize_discarded": 0, "over_limit": 0,
                "dropped": {"ring": 0, "queue": 0, "write": 0, "copy": 0}
            },
        }))
        .expect("a record");
        assert_eq!(
            download_stem(&task),
            "inv-4711-slow-login_20260301T100001Z_P0YEY6"
        );
        let file = |name: &str, complete| FileRecord {
            index: 0,
            name: name.to_owned(),
            size: 0,
            packets: 0,
            complete,
            sha256: None,
        };
        for (name, is_complete, ended, running) in [
            ("capture.pcapng", true, ".pcapng", ".pcapng"),
            ("capture.pcapng.part", false, ".pcapng", ".partial.pcapng"),
            (
                "capture_00012.pcap",
                false,
                "_00012.pcap",
                "_00012.partial.pcap",
            ),
            (
                "capture_interrupted.pcapng",
                false,
                "_interrupted.pcapng",
                "_interrupted.partial.pcapng",
            ),
        ] {
            let file = file(name, is_complete);
            task.state = crate::task::State::Completed;
            assert_eq!(download_suffix(&task, &file), ended);
            task.state = crate::task::State::Running;
            assert_eq!(download_suffix(&task, &file), running);
        }
    }

    #[test]
    fn names_become_file_names() {
        for (name, expected) in [
            ("web", "web"),
            ("../../etc/passwd", "etc-passwd"),
            ("-rf .", "rf-."),
            ("漢字", "漢字"),
            ("///", "capture"),
        ] {
            assert_eq!(file_name_of(name), expected, "{name}");
        }
    }
}
