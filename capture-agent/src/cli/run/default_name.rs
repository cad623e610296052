//! The names of files that the user has not named.

use std::path::{Path, PathBuf};

use capture_file::Target;
use capture_task::plan::{Format, Plan};
use jiff::Timestamp;

/// `NAME_TIMESTAMP.pcapng` in the working directory, or with a number where that is taken: by a file
/// that is there, or by one that another task of this run is about to write.
pub(super) fn free_file_name(plan: &Plan, now: Timestamp, promised: &[Target]) -> PathBuf {
    let stem = format!(
        "{}_{}",
        file_name_of(&plan.name),
        now.strftime("%Y%m%dT%H%M%SZ")
    );
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

/// A name as part of a file name: letters and digits of any script, `.`, `_`, `-`, `+` and `@`
/// stay, runs of anything else become one dash; not hidden, not an option, not too long.
pub(super) fn file_name_of(name: &str) -> String {
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
        "capture".to_owned()
    } else {
        text.to_owned()
    }
}
