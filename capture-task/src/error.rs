//! Kinds of failures. Each crate has its own errors, and the command line and the daemon the words for them.

/// What kind of failure an error is. The command line makes exit codes of kinds, the API statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// A failure at run time.
    Runtime,
    /// Wrong usage, or an invalid task.
    Usage,
    /// A named thing is not there.
    NotFound,
    /// In conflict with something that exists, or beyond a quota.
    Conflict,
    /// The daemon cannot be reached.
    Unreachable,
    /// A privilege or a kernel feature is missing.
    Missing,
}
