//! Analysis in a process of its own that can do no harm: capture files come from anyone, and what reads them may have a
//! mistake that a packet makes use of.
//!
//! [`Inspector`] starts this program again with a hidden argument, which [`serve_if_asked`] recognises before anything
//! else does, and speaks with it over a socket: one request, one answer, each with a deadline. The child confines itself
//! before it reads a byte, and has then nothing but the descriptors that come with the requests.
//!
//! | in the order of flow | |
//! | --- | --- |
//! | `parent` | starts the child, asks, ends it |
//! | `wire` | requests and answers |
//! | `child` | the other side |
//! | `confine`, `system_calls` | what the child gives up |
//! | `error` | why there is no answer |

mod child;
pub(crate) mod confine;
mod error;
mod parent;
mod system_calls;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

pub use self::{
    child::{is_of_daemon, serve_if_asked},
    error::Error,
    parent::{Inspector, Stopper},
    wire::MAX_REPORT_BYTES,
};

/// Bounds of an inspector.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of its address space. The program itself takes some 50 MiB of them.
    pub memory: u64,
    /// Longest wait for an answer.
    pub answer: Duration,
    /// Most processor time; none for one that follows a file for as long as this grows.
    pub processor: Option<Duration>,
}

impl Default for Limits {
    /// Enough for the largest capture that a daemon makes by default, 1 GiB, on a slow machine.
    fn default() -> Self {
        Self {
            memory: 512 << 20,
            answer: Duration::from_secs(60),
            processor: Some(Duration::from_secs(60)),
        }
    }
}
