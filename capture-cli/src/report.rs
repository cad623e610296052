//! The end of a foreground capture in figures: the closing table for people, and the record that
//! `-o json` prints.

use std::time::Duration;

pub(super) use capture_task::duration_text;

use capture_engine::Ended;
use capture_task::{
    bytes_text, count_text,
    task::{Counters, DropStage, Dropped, FileRecord, State, StopReason},
};
use jiff::Zoned;

use crate::table::{Column, Screen, Table};

/// The closing table. Lines whose figure is zero are left out, but never the one that says whether
/// something was lost.
pub(super) fn closing_table(ended: &Ended, elapsed: Duration) -> String {
    let Ended {
        counters,
        files,
        ended_ns: _,
        stop_reason,
        error: _,
        malformed,
    } = ended;
    let mut rows = packet_rows(counters);
    if *malformed > 0 {
        let frames = count_text(*malformed);
        rows.push((
            "malformed",
            format!("{frames} on the wire, too short to decide on"),
        ));
    }
    let lost = match (counters.dropped.total(), stop_reason.final_state()) {
        (0, State::Completed) => "0, the capture is complete".to_owned(),
        (0, _) => "0, but the capture failed".to_owned(),
        _ => loss_text(counters.dropped, counters.matched, RingSize::Option),
    };
    rows.push(("lost", lost));
    let elapsed = Duration::from_secs(elapsed.as_secs());
    let reason = reason_text(*stop_reason);
    rows.push((
        "ended",
        format!("{reason}, after {}", duration_text(elapsed)),
    ));
    rows.extend(file_rows(files));
    rows.iter()
        .map(|(label, value)| format!("{label:<11} {value}\n"))
        .collect()
}

/// What matched and what became of it, losses apart. Lines whose figure is zero are left out.
pub(super) fn packet_rows(counters: &Counters) -> Vec<(&'static str, String)> {
    let Counters {
        undecided: _,
        matched,
        captured,
        bytes,
        oversize_discarded,
        over_limit,
        dropped: _,
    } = *counters;
    let captured = format!("{} ({})", count_text(captured), bytes_text(bytes));
    let mut rows = vec![("matched", count_text(matched)), ("captured", captured)];
    for (label, count) in [("too long", oversize_discarded), ("over limit", over_limit)] {
        if count > 0 {
            rows.push((label, count_text(count)));
        }
    }
    rows
}

/// The figures of the moment in one line: `matched 36, captured 34 (3.3 kB), lost 0`.
pub(super) fn figures_line(counters: &Counters) -> String {
    let mut figures: Vec<_> = packet_rows(counters)
        .into_iter()
        .map(|(label, value)| format!("{label} {value}"))
        .collect();
    figures.push(match counters.dropped.total() {
        0 => "lost 0".to_owned(),
        _ => {
            let text = loss_text(counters.dropped, counters.matched, RingSize::Option);
            format!("lost {text}")
        }
    });
    figures.join(", ")
}

/// The closing table of several tasks, a row each.
pub(super) fn compact_table<'a>(tasks: impl IntoIterator<Item = (&'a str, &'a Ended)>) -> String {
    let mut table = Table::new([
        Column::new("TASK"),
        Column::new("MATCHED").right(),
        Column::new("CAPTURED").right(),
        Column::new("LOST").right(),
        Column::new("STOPPED"),
        Column::new("FILE"),
    ]);
    for (name, ended) in tasks {
        let Ended {
            counters,
            files,
            stop_reason,
            ..
        } = ended;
        let is_failed = stop_reason.final_state() == State::Failed;
        let failed = if is_failed { "FAILED: " } else { "" };
        let files = match files.as_slice() {
            [] => "none".to_owned(),
            [file] => file.name.escape_debug().to_string(),
            [first, ..] => {
                let more = files.len() - 1;
                format!("{} and {more} more", first.name.escape_debug())
            }
        };
        table.row([
            name.escape_debug().to_string(),
            count_text(counters.matched),
            count_text(counters.captured),
            count_text(counters.dropped.total()),
            format!("{failed}{}", reason_text(*stop_reason)),
            files,
        ]);
    }
    // On standard error, for whoever reads it later too.
    table.text(&Screen {
        width: None,
        now: Zoned::now(),
        color: false,
    })
}

/// How the size of the rings is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RingSize {
    /// By an option, for a capture in the foreground.
    Option,
    /// In the configuration of the daemon.
    Configuration,
}

/// How many of how many, and where.
pub(super) fn loss_text(dropped: Dropped, matched: u64, ring_size: RingSize) -> String {
    let ring_full = match ring_size {
        RingSize::Option => "ring full: raise --ring-size or narrow the filter",
        RingSize::Configuration => "ring full: raise `capture.ring_size` or narrow the filter",
    };
    let words = |stage| match stage {
        DropStage::Ring => ring_full,
        DropStage::Queue => "output too slow",
        DropStage::Write => "write failed",
        DropStage::Copy => "frame not readable in the kernel",
    };
    let stages: Vec<_> = dropped
        .stages()
        .filter(|(_, count)| *count > 0)
        .map(|(stage, count)| format!("{} {}", count_text(count), words(stage)))
        .collect();
    format!(
        "{} OF {}, the capture is NOT complete ({})",
        count_text(dropped.total()),
        count_text(matched),
        stages.join("; ")
    )
}

/// The files by name, or in sum where they are many.
pub(super) fn file_rows(files: &[FileRecord]) -> Vec<(&'static str, String)> {
    const MOST: usize = 8;
    let row = |file: &FileRecord| {
        let unfinished = if file.complete || file.name == "-" {
            ""
        } else {
            ", NOT finished"
        };
        let name = if file.name == "-" {
            "standard output"
        } else {
            &file.name
        };
        (
            "file",
            format!("{name} ({}{unfinished})", bytes_text(file.size)),
        )
    };
    if files.len() <= MOST {
        return files.iter().map(row).collect();
    }
    let size = files.iter().map(|file| file.size).sum();
    let mut rows = vec![(
        "files",
        format!("{} ({}), the last ones:", files.len(), bytes_text(size)),
    )];
    rows.extend(files[files.len() - 3..].iter().map(row));
    rows
}

pub(super) fn reason_text(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Duration => "duration reached",
        StopReason::MaxPackets => "packet limit reached",
        StopReason::MaxFileBytes => "size limit reached",
        StopReason::User => "stopped by user",
        StopReason::InterfaceGone => "interface is gone",
        StopReason::DiskFull => "disk is full",
        StopReason::IoError => "writing failed",
        StopReason::Shutdown => "daemon shut down before its end",
        StopReason::Interrupted => "interrupted",
        StopReason::Error => "error",
    }
}

/// The same in a word or two, for tables.
pub(super) fn reason_word(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Duration => "duration",
        StopReason::MaxPackets => "packet limit",
        StopReason::MaxFileBytes => "size limit",
        StopReason::User => "stopped",
        StopReason::InterfaceGone => "interface gone",
        StopReason::DiskFull => "disk full",
        StopReason::IoError => "writing failed",
        StopReason::Shutdown => "cut short",
        StopReason::Interrupted => "interrupted",
        StopReason::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        for (seconds, text) in [(0, "0s"), (60, "1m"), (5400, "1h30m"), (90_061, "1d1h1m1s")] {
            assert_eq!(duration_text(Duration::from_secs(seconds)), text);
        }
    }

    fn ended(counters: Counters) -> Ended {
        let file = FileRecord {
            index: 0,
            name: "eth0.pcapng".into(),
            size: 1234,
            packets: 10,
            complete: true,
            sha256: None,
        };
        Ended {
            counters,
            files: vec![file],
            ended_ns: 0,
            stop_reason: StopReason::User,
            error: None,
            malformed: 0,
        }
    }

    #[test]
    fn a_complete_capture() {
        let counters = Counters {
            matched: 10,
            captured: 10,
            bytes: 900,
            ..Counters::default()
        };
        assert_eq!(
            closing_table(&ended(counters), Duration::from_millis(12_700)),
            "matched     10\n\
             captured    10 (900 B)\n\
             lost        0, the capture is complete\n\
             ended       stopped by user, after 12s\n\
             file        eth0.pcapng (1.2 kB)\n"
        );
    }

    #[test]
    fn figures_in_a_line() {
        let mut counters = Counters {
            matched: 1036,
            captured: 1034,
            bytes: 3300,
            over_limit: 2,
            ..Counters::default()
        };
        assert_eq!(
            figures_line(&counters),
            "matched 1,036, captured 1,034 (3.3 kB), over limit 2, lost 0"
        );
        counters.matched += 7;
        counters.dropped.queue = 7;
        assert_eq!(
            figures_line(&counters),
            "matched 1,043, captured 1,034 (3.3 kB), over limit 2, \
             lost 7 OF 1,043, the capture is NOT complete (7 output too slow)"
        );
    }

    #[test]
    fn several_tasks_in_rows() {
        let counters = Counters {
            matched: 12_345,
            captured: 12_340,
            dropped: Dropped {
                ring: 5,
                ..Dropped::default()
            },
            ..Counters::default()
        };
        let mut full = ended(Counters::default());
        full.stop_reason = StopReason::DiskFull;
        full.files.clear();
        let tasks = [("dns", &ended(counters)), ("everything", &full)];
        assert_eq!(
            compact_table(tasks),
            "TASK        MATCHED  CAPTURED  LOST  STOPPED               FILE\n\
             dns          12,345    12,340     5  stopped by user       eth0.pcapng\n\
             everything        0         0     0  FAILED: disk is full  none\n"
        );
    }

    #[test]
    fn losses_are_said_loudly() {
        let dropped = Dropped {
            ring: 3,
            write: 1,
            ..Dropped::default()
        };
        let counters = Counters {
            matched: 2000,
            captured: 1996,
            dropped,
            ..Counters::default()
        };
        let table = closing_table(&ended(counters), Duration::ZERO);
        assert!(table.contains("lost        4 OF 2,000, the capture is NOT complete (3 ring full"));
        assert!(table.contains("1 write failed"));
    }

    #[test]
    fn a_failed_capture_does_not_look_complete() {
        let mut ended = ended(Counters::default());
        ended.stop_reason = StopReason::DiskFull;
        let table = closing_table(&ended, Duration::ZERO);
        assert!(
            table.contains("lost        0, but the capture failed\n"),
            "{table}"
        );
        assert!(!table.contains("complete"), "{table}");
    }

    #[test]
    fn many_files_in_sum() {
        let mut ended = ended(Counters::default());
        let file = ended.files[0].clone();
        ended.files = vec![file; 20];
        ended.files[19].complete = false;
        let table = closing_table(&ended, Duration::ZERO);
        assert_eq!(table.matches("\nfile ").count(), 3);
        assert!(table.contains("files       20 (24.7 kB)"));
        assert!(table.ends_with("eth0.pcapng (1.2 kB, NOT finished)\n"));
    }
}
