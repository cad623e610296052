//! The bytes of a capture file, read at any place. A descriptor is shared with whoever sent it, its offset too, so it is
//! read by offsets of our own.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use capture_file::read::decompressed;

/// Most bytes of a compressed file that are held, decompressed: it cannot be read from its middle. No file of a daemon is
/// compressed.
pub(super) const MOST_DECOMPRESSED: u64 = 128 << 20;

/// A file, or what was in a compressed one.
#[derive(Clone, Debug)]
pub(super) enum Content {
    File(Arc<File>),
    Memory(Arc<[u8]>),
}

/// A reader from a place of a content on.
#[derive(Debug)]
pub(super) struct At {
    content: Content,
    offset: u64,
}

impl Content {
    /// The content of a file. A compressed one is read now, as far as it may be.
    pub(super) fn of(file: File) -> io::Result<Self> {
        let plain = Self::File(Arc::new(file));
        match decompressed(plain.at(0))? {
            None => Ok(plain),
            Some(content) => {
                let mut bytes = Vec::new();
                // What is damaged or too long ends there: what was before stands.
                let _ = content.take(MOST_DECOMPRESSED).read_to_end(&mut bytes);
                Ok(Self::Memory(bytes.into()))
            }
        }
    }

    pub(super) fn at(&self, offset: u64) -> At {
        At {
            content: self.clone(),
            offset,
        }
    }
}

impl Read for At {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match &self.content {
            Content::File(file) => file.read_at(out, self.offset)?,
            Content::Memory(bytes) => {
                let start = usize::try_from(self.offset).unwrap_or(usize::MAX);
                bytes.get(start..).unwrap_or_default().read(out)?
            }
        };
        self.offset += count as u64;
        Ok(count)
    }
}
