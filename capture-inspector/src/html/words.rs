//! Amounts, times and sentences of the page.

use capture_analysis::{Finding, Severity};
use capture_task::printable;
pub(super) use capture_task::{bytes_text as bytes, count_text as count};
use jiff::Timestamp;

use crate::analysis::Analysis;

/// Files that are named.
pub(super) const MOST_FILES: usize = 8;

/// Text of others, as it may be shown.
pub(super) fn shown(text: &str) -> String {
    printable(text)
}

/// How many of which severity.
pub(super) fn verdict(findings: &[Finding]) -> String {
    let parts = [
        (Severity::High, "high"),
        (Severity::Warn, "warn"),
        (Severity::Info, "info"),
    ];
    let parts = parts.map(|(severity, word)| {
        let found = findings.iter().filter(|it| it.severity == severity).count();
        (found > 0).then(|| format!("{found} {word}"))
    });
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    match parts.as_slice() {
        [] => "Nothing found".to_owned(),
        parts => format!("Found: {}", parts.join(", ")),
    }
}

/// The name of the file, or how many there are.
pub(super) fn of_files(analysis: &Analysis) -> String {
    match analysis.files.as_slice() {
        [file] => shown(&file.name),
        files => format!("{} files", files.len()),
    }
}

pub(super) fn completeness(complete: Option<bool>) -> &'static str {
    match complete {
        Some(true) => "Complete: the capture lost nothing.",
        Some(false) => "NOT complete: the capture itself lost packets.",
        None => "It is not known whether the capture itself lost packets.",
    }
}

pub(super) fn completeness_class(complete: Option<bool>) -> &'static str {
    match complete {
        Some(true) => "good",
        Some(false) => "bad",
        None => "faint",
    }
}

pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "high",
        Severity::Warn => "warn",
        Severity::Info => "info",
    }
}

pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 10.0 => format!("{short:.3} s"),
        long if long < 600.0 => format!("{long:.1} s"),
        long => format!("{} s", count(long as u64)),
    }
}

pub(super) fn microseconds(us: u64) -> String {
    match us {
        us if us < 1000 => format!("{us} µs"),
        us if us < 1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        us => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// Bits in a second.
pub(super) fn rate(bits: f64) -> String {
    const UNITS: [&str; 5] = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
    let mut value = bits;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{value:.0} {}", UNITS[0]),
        unit => format!("{value:.1} {}", UNITS[unit]),
    }
}
