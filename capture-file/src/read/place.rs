//! A place in a file from which it can be read on without what comes before it, for who keeps an index of a file.

use super::pcapng::Progress;

/// A place between two records of a file that is not compressed, as [`Reader::place`](super::Reader::place) gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In bytes from the start of the file.
    pub offset: u64,
    /// Packets before it.
    pub packets: u64,
    /// Of pcapng.
    pub(super) progress: Option<Progress>,
}
