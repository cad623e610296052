//! Recovery at a start: files of tasks that were running, unfinished removals, directories without a task.
//!
//! | the agent was killed | found at the next start | done |
//! | --- | --- | --- |
//! | before a task's start | row `pending` | waits on |
//! | while capturing | row `running` | `.part` recovered; taken up again, or `failed` where its time is over |
//! | while ending | row `stopping` | `.part` recovered; `failed`, `interrupted` |
//! | while deleting | `.removed-ID` | comes back if there is a row, else goes |
//! | with an unstored end | `.ended-ID`, or sidecars | stored as noted |
//! | with an unstored removal | `.deleted-ID` | files, then row, then directory go |
//! | – | a directory without a task | left alone, logged |

use std::{fs, io, path::Path};

use capture_file::{recover, scan, sha256};
use capture_store::{TaskEnd, TaskId};
use capture_task::{
    Cause,
    task::{Counters, FileRecord, State},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{HIDDEN_PREFIX, STEM, Storage, id_of, size_below};
use crate::error::{Error, Result};

/// How a file is called that was not finished.
const INTERRUPTED_SUFFIX: &str = "_interrupted";

/// What a task that was running has left.
#[derive(Clone, Debug, Default)]
pub struct Leftover {
    /// The files, in order.
    pub files: Vec<FileRecord>,
    /// What is known of the figures: what is in the files.
    pub counters: Counters,
    /// When the last of it was written, by the file system's clock: later than that, nothing is known of the task.
    pub written_at: Option<Timestamp>,
    /// How it ended, where the record beside a file says so. Then only the store missed that.
    pub ended: Option<TaskEnd>,
}

/// What the record beside a file says of the end. What else is in it may be of a newer version.
#[derive(Deserialize)]
struct Sidecar {
    id: String,
    state: State,
    #[serde(flatten)]
    end: TaskEnd,
}

impl Storage {
    /// Finishes removals, and says what lies around: called once, before any task runs. `is_known` tells
    /// whether there is a task with such an ID.
    pub fn tidy(&self, is_known: impl Fn(&TaskId) -> Result<bool>) -> Result<()> {
        let failed = |error: io::Error| {
            Error::runtime(format!(
                "the directory of captures {}: {}",
                self.root.display(),
                Cause(&error)
            ))
        };
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(id) = name.strip_prefix(HIDDEN_PREFIX).and_then(id_of) {
                // The record goes between hiding and purging.
                if is_known(&id)? {
                    self.restore(&id).map_err(failed)?;
                } else {
                    self.purge(&id)?;
                }
            } else if let Some(id) = id_of(name)
                && !is_known(&id)?
            {
                let bytes = size_below(&entry.path()).unwrap_or(0);
                log::warn!(
                    "{} holds {bytes} bytes of a task that the database does not know; they count \
                     for the disk budget until somebody moves or removes them",
                    entry.path().display()
                );
            }
        }
        Ok(())
    }

    /// Recovers what a task has left that nobody ended. Files that are `known` are taken as they are, and the figures
    /// are without them.
    pub fn recover(&self, id: &TaskId, known: &[FileRecord]) -> Leftover {
        let directory = self.directory(id);
        let mut left = Leftover::default();
        let names = match names(&directory) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return left,
            Err(error) => {
                log::warn!("{}: {error}", directory.display());
                return left;
            }
        };
        let of_known = |name: &String| known.iter().find(|file| file.name == *name);
        left.files
            .extend(names.iter().filter_map(of_known).cloned());
        for name in &names {
            if let Some((file, ended)) = self.beside(id, &directory, name) {
                left.files.retain(|known| known.name != file.name);
                left.files.push(file);
                left.ended = Some(ended);
            }
        }
        let is_known =
            |left: &Leftover, name: &String| left.files.iter().any(|file| file.name == *name);
        let parts = names.iter().filter(|name| name.ends_with(".part"));
        for name in parts.filter(|name| !is_known(&left, name)) {
            let path = directory.join(name);
            let before = fs::metadata(&path).map_or(0, |there| there.len());
            match recover(&path) {
                Ok(recovered) => {
                    log::info!("{recovered}");
                    let kept = recovered.path.map_or(0, |_| recovered.size);
                    self.space.give_back(before.saturating_sub(kept));
                }
                Err(error) => log::warn!("cannot recover {}: {error}", path.display()),
            }
        }
        for name in self::names(&directory).unwrap_or_default() {
            let is_capture = name.ends_with(".pcapng") || name.ends_with(".pcap");
            if name.starts_with(STEM) && is_capture && !is_known(&left, &name) {
                self.register(&directory, name, &mut left);
            }
        }
        // Names in order of writing have numbers, and only the last one can be unfinished.
        left.files.sort_by_key(|file| (file.index, !file.complete));
        for at in 1..left.files.len() {
            let least = left.files[at - 1].index + 1;
            left.files[at].index = left.files[at].index.max(least);
        }
        left.counters.matched = left.counters.captured;
        left
    }

    /// A finished file with what its sidecar says of the end, where this is a sidecar that is whole and true.
    fn beside(&self, id: &TaskId, directory: &Path, name: &str) -> Option<(FileRecord, TaskEnd)> {
        let capture = name.strip_suffix(".json")?;
        let text = fs::read(directory.join(name)).ok()?;
        let mut sidecar: Sidecar = serde_json::from_slice(&text).ok()?;
        let file = sidecar.end.files.pop()?;
        let size = fs::metadata(directory.join(capture)).ok()?.len();
        let is_final = sidecar.state == sidecar.end.reason.final_state();
        let is_true = sidecar.id == id.to_string() && file.name == capture && file.size == size;
        (is_final && is_true).then_some((file, sidecar.end))
    }

    /// Takes a file into the list.
    fn register(&self, directory: &Path, name: String, left: &mut Leftover) {
        let path = directory.join(&name);
        let scanned = fs::File::open(&path).and_then(|file| Ok((scan(&file)?, file.metadata()?)));
        let (scan, metadata) = match scanned {
            Ok(scanned) => scanned,
            Err(error) => {
                log::warn!("cannot read {}: {error}", path.display());
                return;
            }
        };
        if metadata.len() == 0 {
            // A name that was reserved for a recovery that did not come to its end.
            if let Err(error) = fs::remove_file(&path) {
                log::warn!("cannot remove {}: {error}", path.display());
            }
            return;
        }
        let digest = sha256(&path)
            .inspect_err(|error| log::warn!("cannot read {}: {error}", path.display()));
        left.counters.captured += scan.packets;
        left.counters.bytes += scan.bytes;
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|at| Timestamp::try_from(at).ok());
        left.written_at = left.written_at.max(modified);
        left.files.push(FileRecord {
            index: number(&name).unwrap_or(0),
            complete: !name.contains(INTERRUPTED_SUFFIX) && scan.size == metadata.len(),
            name,
            size: metadata.len(),
            packets: scan.packets,
            sha256: digest.ok(),
        });
    }
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}

/// Position of a file of a rotation, by its name: `capture_00001.pcapng` is the first.
fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(STEM)?.strip_prefix('_')?;
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse::<u64>().ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_by_their_names() {
        assert_eq!(number("capture.pcapng"), None);
        assert_eq!(number("capture_interrupted.pcapng"), None);
        assert_eq!(number("capture_00001.pcapng"), Some(0));
        assert_eq!(number("capture_123456_interrupted.pcap"), Some(123_455));
    }

    #[test]
    fn only_what_we_write_is_an_id() {
        let text = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(id_of(text).map(|id| id.to_string()).as_deref(), Some(text));
        for other in ["01arz3ndektsv4rrffq69g5fav", "lost+found", "", "../x"] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}
