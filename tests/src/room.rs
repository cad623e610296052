//! Room for traffic between the kernel and a file. A test that sends at full speed, and counts on nothing being lost, must
//! not count on the agent being run in time: on a busy machine it stands still for as long as others run. What the ring and
//! the queue of the output hold is safe however long that is.

use crate::cpus;

/// Bytes of packets that find room in the queue of an output: 64 buffers of 1 MiB, of which a record past the end of
/// one takes the next.
pub const QUEUE: usize = 55_000_000;

/// Files of a rotation by size that find room there: each has a buffer of its own.
pub const QUEUED_FILES: usize = 60;

/// The value of `--ring-size` by which so many bytes of packets find room in the ring of each CPU, whichever they arrive on.
pub fn ring_size(bytes: usize) -> String {
    // Records have headers, and none lies over the end of a chunk: of 512 KiB, a super-frame of 64 KiB leaves up to an eighth.
    let ring = (bytes + bytes / 4).next_power_of_two().max(1 << 20);
    format!("{}KiB", (ring >> 10) * cpus::possible())
}
