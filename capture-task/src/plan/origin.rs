//! Who asks for a task. The daemon has other defaults than a capture in the foreground, and limits of its own.

/// Who asks: it decides the defaults, and whether a task needs a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOrigin {
    /// The foreground capture: no limits unless asked for, named after its interfaces.
    Run,
    /// The daemon: 60 seconds and 1 GiB unless asked otherwise, and a name is required.
    Daemon,
}
