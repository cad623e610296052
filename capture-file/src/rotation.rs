//! Which file the next packet goes to, and what the files are called. The sink asks, on packet time;
//! the writer then closes the one and opens the other.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
};

use capture_task::plan::Rotate;
use jiff::{Timestamp, fmt::strtime, tz::TimeZone};

use super::{
    error::{Error, Result},
    path::with_suffix,
};

const NANOS: u64 = 1_000_000_000;

/// A file to begin.
#[derive(Debug)]
pub(super) struct NextFile {
    /// Its name.
    pub(super) name: PathBuf,
    /// Files that leave the ring before.
    pub(super) evicted: Vec<PathBuf>,
}

/// The files of an output.
#[derive(Debug)]
pub(super) struct Rotation {
    rotate: Option<Rotate>,
    naming: Naming,
    /// Files begun.
    begun: u64,
    /// When the current file's period ends, nanoseconds since the epoch.
    boundary_ns: Option<u64>,
    current: PathBuf,
    /// Finished files of a ring that exist, oldest first, with their sizes. Others are never removed, and
    /// so need not be known.
    ring: VecDeque<(PathBuf, u64)>,
    /// Bytes of the finished files that exist, kept as they come and go: it is asked for with each packet.
    finished_bytes: u64,
}

impl Rotation {
    /// `name` is that of the only file, or the pattern of several.
    pub(super) fn new(name: &Path, rotate: Option<Rotate>) -> Self {
        Self {
            rotate,
            naming: Naming::new(name, rotate.is_some()),
            begun: 0,
            boundary_ns: None,
            current: PathBuf::new(),
            ring: VecDeque::new(),
            finished_bytes: 0,
        }
    }

    /// Most bytes of a file.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        self.rotate.and_then(|rotate| rotate.bytes)
    }

    /// Whether a packet of this time belongs to a later file.
    pub(super) fn is_over(&self, timestamp_ns: u64) -> bool {
        self.boundary_ns
            .is_some_and(|boundary| timestamp_ns >= boundary)
    }

    /// Whether the number of files is used up; with `bytes` it is the size of a ring instead.
    pub(super) fn is_used_up(&self) -> bool {
        self.ring_size().is_none()
            && self
                .rotate
                .and_then(|rotate| rotate.files)
                .is_some_and(|files| self.begun >= files)
    }

    /// Whether another file pushes one out of the ring.
    pub(super) fn is_ring_full(&self) -> bool {
        self.ring_size()
            .is_some_and(|files| self.ring.len() >= files)
    }

    /// Most files of a ring; `None` without one.
    fn ring_size(&self) -> Option<usize> {
        let rotate = self.rotate?;
        rotate.bytes?;
        rotate
            .files
            .map(|files| usize::try_from(files.max(1)).unwrap_or(usize::MAX))
    }

    /// Bytes of the finished files.
    pub(super) fn finished_bytes(&self) -> u64 {
        self.finished_bytes
    }

    /// Bytes that the finished files will have once another has begun, `closing` being the size of
    /// the one that is open now, if one is.
    pub(super) fn finished_bytes_then(&self, closing: Option<u64>) -> u64 {
        let total = self.finished_bytes + closing.unwrap_or(0);
        let files = self.ring.len() + usize::from(closing.is_some());
        // At most one has to go, the oldest: each file that was begun has made room for itself.
        let evicted = match self.ring_size() {
            Some(most) if files >= most => self.ring.front().map(|file| file.1).or(closing),
            _ => None,
        };
        total - evicted.unwrap_or(0)
    }

    /// The current file was finished with this size.
    pub(super) fn finished(&mut self, size: u64) {
        if self.ring_size().is_some() {
            self.ring
                .push_back((std::mem::take(&mut self.current), size));
        }
        self.finished_bytes += size;
    }

    /// Begins the file of a packet of this time.
    pub(super) fn begin(&mut self, timestamp_ns: u64) -> Result<NextFile> {
        let mut start_ns = timestamp_ns;
        if let Some(seconds) = self.rotate.and_then(|rotate| rotate.seconds) {
            let period = seconds.max(1).saturating_mul(NANOS);
            let aligned = timestamp_ns - timestamp_ns % period;
            // A file that a boundary began is named after the boundary.
            if self.is_over(timestamp_ns) {
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
    /// strftime(3), with the names in use and how often each was wanted.
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
                // A name made with a suffix is in use as well, should the pattern yield it.
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
