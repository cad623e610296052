//! Rotation: when a file ends, what the next one is called, and which files leave the ring. Decided on the reader's
//! side by the time stamps of packets; the writer then closes and opens the files.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
};

use capture_task::plan::Rotate;
use jiff::{Timestamp, fmt::strtime, tz::TimeZone};

use super::{
    config::EarlierFiles,
    error::{Error, Result},
    path::with_suffix,
};

const NANOS: u64 = 1_000_000_000;

/// A file to begin.
#[derive(Debug)]
pub(super) struct NextFile {
    /// Its name.
    pub(super) name: PathBuf,
    /// Files that leave the ring before, to be removed.
    pub(super) evicted: Vec<PathBuf>,
}

/// The rotation of an output; without one, its single file.
#[derive(Debug)]
pub(super) struct Rotation {
    rotate: Option<Rotate>,
    naming: Naming,
    /// Number of files begun.
    begun: u64,
    /// How many of them do not count for the most that may begin.
    uncounted: u64,
    /// When the current file's period ends, nanoseconds since the epoch.
    boundary_ns: Option<u64>,
    current: PathBuf,
    /// Finished files in the ring, oldest first, with their sizes. Empty without a ring, which removes no file.
    ring: VecDeque<(PathBuf, u64)>,
    /// Bytes of the finished files that exist. A running sum, as every packet needs it.
    finished_bytes: u64,
}

impl Rotation {
    /// `name` is that of the only file, or the pattern for the names of a rotation.
    pub(super) fn new(name: &Path, rotate: Option<Rotate>, earlier: &EarlierFiles) -> Self {
        let begun = earlier.files.last().map_or(0, |last| last.index + 1);
        let several = rotate.is_some() || begun > 0;
        let mut rotation = Self {
            rotate,
            naming: Naming::new(name, several),
            begun,
            uncounted: earlier.unfinished,
            boundary_ns: None,
            current: PathBuf::new(),
            ring: VecDeque::new(),
            finished_bytes: 0,
        };
        for file in &earlier.files {
            rotation.current = PathBuf::from(&file.name);
            rotation.finished(file.size);
        }
        rotation
    }

    /// Size limit of a file.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        self.rotate.and_then(|rotate| rotate.bytes)
    }

    /// Whether a packet of this time belongs to a later file.
    pub(super) fn is_due(&self, timestamp_ns: u64) -> bool {
        self.boundary_ns
            .is_some_and(|boundary| timestamp_ns >= boundary)
    }

    /// Whether no further file may begin. With `bytes` never: `files` is the size of a ring then.
    pub(super) fn is_exhausted(&self) -> bool {
        self.ring_size().is_none()
            && self
                .rotate
                .and_then(|rotate| rotate.files)
                .is_some_and(|files| self.begun.saturating_sub(self.uncounted) >= files)
    }

    /// Whether the next file pushes one out of the ring.
    pub(super) fn is_ring_full(&self) -> bool {
        self.ring_size()
            .is_some_and(|files| self.ring.len() >= files)
    }

    /// Number of files in the ring; `None` without one.
    fn ring_size(&self) -> Option<usize> {
        let rotate = self.rotate?;
        rotate.bytes?;
        rotate
            .files
            .map(|files| usize::try_from(files.max(1)).unwrap_or(usize::MAX))
    }

    /// Bytes of the finished files that exist.
    pub(super) fn finished_bytes(&self) -> u64 {
        self.finished_bytes
    }

    /// The same once the next file has begun, `closing` being the size of the file that is open now, if any.
    pub(super) fn finished_bytes_after_next(&self, closing: Option<u64>) -> u64 {
        let total = self.finished_bytes + closing.unwrap_or(0);
        let files = self.ring.len() + usize::from(closing.is_some());
        // At most one leaves the ring, the oldest, as each file made room for itself when it began.
        let evicted = match self.ring_size() {
            Some(most) if files >= most => self.ring.front().map(|file| file.1).or(closing),
            _ => None,
        };
        total - evicted.unwrap_or(0)
    }

    /// Notes that the current file is finished, with its size.
    pub(super) fn finished(&mut self, size: u64) {
        if self.ring_size().is_some() {
            self.ring
                .push_back((std::mem::take(&mut self.current), size));
        }
        self.finished_bytes += size;
    }

    /// Begins the file for a packet of this time.
    pub(super) fn begin(&mut self, timestamp_ns: u64) -> Result<NextFile> {
        let mut start_ns = timestamp_ns;
        if let Some(seconds) = self.rotate.and_then(|rotate| rotate.seconds) {
            let period = seconds.max(1).saturating_mul(NANOS);
            let aligned = timestamp_ns - timestamp_ns % period;
            // A file that begins at a boundary is named after it.
            if self.is_due(timestamp_ns) {
                start_ns = aligned;
            }
            self.boundary_ns = Some(aligned.saturating_add(period));
        }
        let mut evicted = Vec::new();
        while self.is_ring_full()
            && let Some((path, size)) = self.ring.pop_front()
        {
            self.naming.forget(&path);
            self.finished_bytes -= size;
            evicted.push(path);
        }
        self.begun += 1;
        let name = self.naming.next(self.begun, start_ns)?;
        self.current.clone_from(&name);
        Ok(NextFile { name, evicted })
    }
}

#[derive(Debug)]
enum Naming {
    /// One file of this name.
    Single(PathBuf),
    /// `STEM_00001.EXT`.
    Numbered(PathBuf),
    /// A pattern for strftime(3), the names in use, and how often each was asked for.
    Pattern {
        pattern: String,
        used: HashMap<PathBuf, u64>,
    },
}

impl Naming {
    fn new(name: &Path, several: bool) -> Self {
        match name.to_str() {
            _ if !several => Self::Single(name.to_owned()),
            Some(pattern) if pattern.contains('%') => Self::Pattern {
                pattern: pattern.to_owned(),
                used: HashMap::new(),
            },
            _ => Self::Numbered(name.to_owned()),
        }
    }

    fn next(&mut self, number: u64, start_ns: u64) -> Result<PathBuf> {
        match self {
            Self::Single(name) => Ok(name.clone()),
            Self::Numbered(name) => Ok(with_suffix(name, &format!("{number:05}"))),
            Self::Pattern { pattern, used } => {
                let name = expand(pattern, start_ns)?;
                // The pattern may also yield a name that was made with a suffix.
                let mut candidate = name.clone();
                while used.contains_key(&candidate) {
                    let times = used.entry(name.clone()).or_default();
                    *times += 1;
                    candidate = with_suffix(&name, &times.to_string());
                }
                used.insert(candidate.clone(), 1);
                Ok(candidate)
            }
        }
    }

    fn forget(&mut self, name: &Path) {
        if let Self::Pattern { used, .. } = self {
            used.remove(name);
        }
    }
}

fn expand(pattern: &str, start_ns: u64) -> Result<PathBuf> {
    let time = Timestamp::from_nanosecond(i128::from(start_ns))
        .map_err(|cause| Error::FileTime { cause })?
        .to_zoned(TimeZone::UTC);
    let name = strtime::format(pattern, &time).map_err(|cause| Error::Pattern {
        pattern: pattern.to_owned(),
        cause,
    })?;
    Ok(name.into())
}
