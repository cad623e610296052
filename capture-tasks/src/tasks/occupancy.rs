//! What captures and database take of the disk, and how much may come.

use std::fs;

use capture_file::DiskSpace;
use capture_store::KeptFiles;

use super::inner::Inner;
use crate::error::Result;

/// What is on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Occupancy {
    /// Bytes of all captures, those of running tasks among them.
    pub captures_bytes: u64,
    /// The most that these may be.
    pub budget: u64,
    /// The file system of the captures, where it can be asked.
    pub disk: Option<DiskSpace>,
    /// The files of tasks that have ended.
    pub kept: KeptFiles,
    /// For how many seconds files are kept.
    pub retention: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
}

impl Inner {
    pub(super) fn occupancy(&self) -> Result<Occupancy> {
        let config = self.config();
        let space = self.storage.space();
        let database = &config.paths.database;
        let parts = ["", "-wal", "-shm"].map(|suffix| {
            let mut part = database.clone().into_os_string();
            part.push(suffix);
            fs::metadata(part).map_or(0, |part| part.len())
        });
        Ok(Occupancy {
            captures_bytes: space.used(),
            budget: space.limit(),
            disk: space.disk(),
            kept: self.store.kept_files()?,
            retention: config.limits.retention.as_secs(),
            database_bytes: parts.iter().sum(),
        })
    }
}
