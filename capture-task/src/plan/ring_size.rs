//! The size of all rings together, as `--ring-size` and `capture.ring_size` give it. It is no part of a
//! plan, because all tasks of an engine share the rings.

use super::{fault::ValueError, limits::MAX_RING, units::size};
use crate::task::Quantity;

/// Bytes of all rings together, on a machine with `cpus` possible CPUs.
///
/// # Errors
/// The value is no size, is 0, or is more than [`MAX_RING`] for each CPU.
pub fn ring_size(value: &Quantity, cpus: u64) -> Result<u64, ValueError> {
    match size(value)? {
        0 => Err(ValueError::out_of_range("rings of 0 bytes hold no packet")),
        total if total > cpus.saturating_mul(MAX_RING) => Err(ValueError::out_of_range(format!(
            "that is more than rings can have; the most is {cpus} GiB, 1 GiB for each CPU"
        ))),
        total => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cpu_has_at_most_a_gibibyte() {
        let code = |text: &str| {
            ring_size(&Quantity::Text(text.to_owned()), 3).map_err(|problem| problem.code)
        };
        assert_eq!(code("64KiB"), Ok(64 << 10));
        assert_eq!(code("3GiB"), Ok(3 << 30));
        assert_eq!(code("3073MiB"), Err("out_of_range"));
        assert_eq!(code("0"), Err("out_of_range"));
        assert_eq!(code("large"), Err("invalid"));
        assert!(ring_size(&Quantity::Number(1 << 30), u64::MAX).is_ok());
    }
}
