//! What people say of single packets.

use serde::{Deserialize, Serialize};

/// What somebody noted about a packet.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub struct ViewNote {
    /// Its number in the capture.
    pub number: u64,
    /// Whether it is marked.
    pub marked: bool,
    /// What was said about it.
    pub comment: Option<String>,
}
