//! The archive: a directory of text files, compressed, that only its owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::Path,
};

use capture_file::{Owner, open_failure};
use capture_task::{Cause, bytes_text, error::ErrorKind};
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use tar::{Builder, Header};

use crate::redact::redacted;

/// The directory in the archive.
const ROOT: &str = "capture-agent-report";

/// What the first file says of the others.
const README: &str = "\nLeft out: packets, files, tokens, keys, the filters and names of tasks. Addresses are [address], but for loopback\n\
    ones. The log has names of users and of tasks.\n";

/// What compresses the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suffix {
    Gzip,
    Zstd,
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// One sentence.
    pub message: String,
}

type Result<T> = std::result::Result<T, Error>;

/// A file of the archive.
#[derive(Debug)]
struct Part {
    name: String,
    what: String,
    text: String,
}

/// What is to be in an archive.
#[derive(Debug, Default)]
pub struct Report(Vec<Part>);

impl Report {
    /// Adds a file: its name, what it is, and its text, of which addresses and secrets are taken out.
    pub fn add(&mut self, name: &str, what: &str, text: &str) {
        self.0.push(Part {
            name: name.to_owned(),
            what: what.to_owned(),
            text: redacted(text),
        });
    }

    /// Writes a new file, compressed as its suffix says, for its owner alone or for one who has called sudo. Gives a line
    /// for each file in it.
    ///
    /// # Errors
    /// The suffix is another, the file is there already, or cannot be written; then nothing is left of it.
    pub fn write(mut self, path: &Path, owner: Option<Owner>) -> Result<String> {
        let suffix = suffix_of(path)?;
        let file = create(path)?;
        let mut readme = "A report of capture-agent for a bug.\n\n".to_owned();
        for Part { name, what, .. } in &self.0 {
            readme.push_str(&format!("{name:<22} {what}\n"));
        }
        self.0.insert(
            0,
            Part {
                name: "README.txt".to_owned(),
                what: "what is what".to_owned(),
                text: readme + README,
            },
        );
        let written = archive(&file, suffix, &self.0).and_then(|()| {
            if let Some(owner) = owner {
                give(&file, path, owner)?;
            }
            file.sync_all()
        });
        if let Err(error) = written {
            // It is ours, and nobody could read it.
            let _ = fs::remove_file(path);
            return Err(failed(path, &Cause(&error)));
        }
        let lines = self.0.iter().map(|Part { name, what, text }| {
            let size = bytes_text(text.len() as u64);
            format!("  {name:<22} {size:>9}  {what}\n")
        });
        Ok(lines.collect())
    }
}

fn suffix_of(path: &Path) -> Result<Suffix> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let ends = |suffixes: [&str; 2]| suffixes.into_iter().any(|suffix| name.ends_with(suffix));
    match () {
        () if ends([".tar.zst", ".tzst"]) => Ok(Suffix::Zstd),
        () if ends([".tar.gz", ".tgz"]) => Ok(Suffix::Gzip),
        () => Err(Error {
            kind: ErrorKind::Usage,
            message: "name a file that ends in .tar.zst or .tar.gz".to_owned(),
        }),
    }
}

/// Only for its owner: it tells of a machine.
fn create(path: &Path) -> Result<File> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error {
            kind: ErrorKind::Conflict,
            message: format!("{} is there already; name another file", path.display()),
        },
        _ => failed(path, &open_failure(path, &error)),
    })
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error {
        kind: ErrorKind::Runtime,
        message: format!("cannot write {}: {why}", path.display()),
    }
}

fn archive(file: &File, suffix: Suffix, parts: &[Part]) -> io::Result<()> {
    let out = BufWriter::new(file);
    match suffix {
        Suffix::Gzip => {
            let encoder = GzEncoder::new(out, Compression::default());
            fill(encoder, parts)?.finish()?.flush()
        }
        Suffix::Zstd => {
            let encoder = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            fill(encoder, parts)?.finish()?.flush()
        }
    }
}

fn fill<W: Write>(out: W, parts: &[Part]) -> io::Result<W> {
    let mut builder = Builder::new(out);
    let now = u64::try_from(Timestamp::now().as_second()).unwrap_or(0);
    for Part { name, text, .. } in parts {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(now);
        builder.append_data(&mut header, format!("{ROOT}/{name}"), text.as_bytes())?;
    }
    builder.into_inner()
}

/// To whoever typed sudo, in a directory of theirs.
fn give(file: &File, path: &Path, owner: Owner) -> io::Result<()> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let directory = fs::metadata(parent.unwrap_or(Path::new(".")))?;
    match directory.uid() == owner.uid {
        true => fchown(file, Some(owner.uid), Some(owner.gid)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_suffix_says_how_it_is_compressed() {
        for (name, suffix) in [
            ("a.tar.zst", Some(Suffix::Zstd)),
            ("d/A.TAR.GZ", Some(Suffix::Gzip)),
            ("a.tgz", Some(Suffix::Gzip)),
            ("a.zip", None),
            ("a.gz", None),
            ("", None),
        ] {
            assert_eq!(suffix_of(Path::new(name)).ok(), suffix, "{name}");
        }
    }

    #[test]
    fn an_archive_has_all_parts() {
        let mut report = Report::default();
        report.add("a.txt", "one", "first of 10.0.0.5");
        report.add("b.json", "two", "{}");
        let Report(parts) = report;
        assert_eq!(parts[0].text, "first of [address]");
        for suffix in [Suffix::Gzip, Suffix::Zstd] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("x");
            archive(&create(&path).expect("a file"), suffix, &parts).expect("it is written");
            let file = File::open(&path).expect("it is there");
            let plain: Box<dyn io::Read> = match suffix {
                Suffix::Gzip => Box::new(flate2::read::GzDecoder::new(file)),
                Suffix::Zstd => Box::new(zstd::Decoder::new(file).expect("zstd")),
            };
            let mut archive = tar::Archive::new(plain);
            let entries = archive.entries().expect("entries").map(|entry| {
                let mut entry = entry.expect("an entry");
                let name = entry.path().expect("a path").display().to_string();
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                (name, text)
            });
            let found: Vec<_> = entries.collect();
            let expected = parts
                .iter()
                .map(|part| (format!("{ROOT}/{}", part.name), part.text.clone()));
            assert_eq!(found, expected.collect::<Vec<_>>());
            assert!(create(&path).is_err(), "nothing is replaced");
        }
    }
}
