//! Limits and defaults of a task, for the rules in [`resolve`](super::resolve) and for the OpenAPI types in
//! [`schema`](super::schema).

use std::time::Duration;

/// `duration` of a daemon's task that gives none.
pub(super) const DAEMON_DURATION: Duration = Duration::from_secs(60);

/// `max_file_bytes` of a daemon's task that gives none.
pub(super) const DAEMON_MAX_FILE_BYTES: u64 = 1 << 30;

/// Least `rotate.bytes` of a daemon's task: a file costs more than its bytes, and whoever may create tasks
/// shall not take the disk's inodes, or the time of the writer, by millions of small ones.
pub(super) const DAEMON_LEAST_ROTATE_BYTES: u64 = 64 << 10;

/// Most files of a daemon's task that are there at once.
pub(super) const DAEMON_MAX_FILES: u64 = 10_000;

/// Most characters of a name.
pub(super) const MAX_NAME_CHARS: usize = 128;

/// Most interfaces by name.
pub const MAX_INTERFACES: usize = 256;

/// Most bytes of an interface name (`IFNAMSIZ` without the final NUL).
pub(super) const MAX_INTERFACE_NAME: usize = 15;

/// Longest duration, 36,500 days: far from where nanoseconds in 64 bits end.
pub(super) const MAX_SECONDS: u64 = 36_500 * 86_400;

/// Most items of a list of ports, as it is given.
pub(super) const MAX_PORTS: usize = 1024;

/// Most items of a list of addresses, as it is given.
pub(super) const MAX_ADDRESS_ITEMS: usize = 1024;

/// Most addresses and prefixes of one endpoint. Any range of IPv4 addresses is within it: one of those takes 62 prefixes
/// at most. The kernel's tables have room for as many of every task.
pub(super) const MAX_ADDRESSES: usize = capture_common::MAX_ENDPOINT_ADDRESSES;

/// Most bytes of one CPU's ring. Counts of chunks stay within 32 bits.
pub const MAX_RING: u64 = 1 << 30;

/// Most faults that an answer lists. Beyond them it says how many more there are.
pub const MOST_FAULTS: usize = 100;
