//! The names of files that the user has not named.

use std::path::{Path, PathBuf};

use capture_file::Target;
use capture_task::{
    file_name_of, file_time,
    plan::{Format, Plan},
};
use jiff::Timestamp;

/// `NAME_TIMESTAMP.pcapng` in the working directory, or with a number where that is taken: by a file
/// that is there, or by one that another task of this run is about to write.
pub(super) fn free_file_name(plan: &Plan, now: Timestamp, promised: &[Target]) -> PathBuf {
    let stem = format!("{}_{}", file_name_of(&plan.name), file_time(now));
    let suffix = match plan.format {
        Format::Pcapng => "pcapng",
        Format::Pcap => "pcap",
    };
    let is_free = |path: &PathBuf| {
        let part = PathBuf::from(format!("{}.part", path.display()));
        let promised = promised
            .iter()
            .any(|target| matches!(target, Target::File(other) if other == path));
        !promised && is_unused(path) && is_unused(&part)
    };
    let numbered = (2..1000).map(|number| format!("{stem}-{number}.{suffix}").into());
    let first = PathBuf::from(format!("{stem}.{suffix}"));
    std::iter::once(first.clone())
        .chain(numbered)
        .find(is_free)
        .unwrap_or(first)
}

/// Whether nothing has a name, not even a link that leads nowhere.
fn is_unused(path: &Path) -> bool {
    path.symlink_metadata().is_err()
}
