//! What all connections of a console share.

use std::sync::atomic::AtomicU64;

use super::gate::Gate;
use crate::client::Client;

/// A console.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) gate: Gate,
    /// The daemon, of this host or another.
    pub(super) client: Client,
    /// Those that were passed on.
    pub(super) requests: AtomicU64,
}

impl Console {
    pub(super) fn new(gate: Gate, client: Client) -> Self {
        Self {
            gate,
            client,
            requests: AtomicU64::new(0),
        }
    }
}
