//! SHA-256 and size of what comes.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
};

use sha2::{Digest as _, Sha256};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// What came.
#[derive(Debug)]
pub struct Fetched {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of it, in lower-case hexadecimal.
    pub sha256: String,
}

/// The digest of what came so far.
#[derive(Default)]
pub struct Digest {
    hash: Sha256,
    size: u64,
}

impl Digest {
    /// Of a file, from its beginning.
    pub fn of(file: &mut File) -> io::Result<Self> {
        let mut digest = Self::default();
        let mut chunk = vec![0; CHUNK];
        file.seek(SeekFrom::Start(0))?;
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(digest),
                read => digest.take(&chunk[..read]),
            }
        }
    }

    pub fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub fn finish(self) -> Fetched {
        let found = self.hash.finalize();
        Fetched {
            size: self.size,
            sha256: found.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}
