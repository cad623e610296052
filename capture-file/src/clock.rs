//! The wall clock as the data path counts it.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since the Unix epoch, UTC.
pub fn unix_ns() -> u64 {
    // Every Linux has this clock.
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(0, |time| {
        (time.tv_sec() as u64).wrapping_mul(1_000_000_000) + time.tv_nsec() as u64
    })
}
