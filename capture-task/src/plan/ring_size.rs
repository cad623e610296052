//! The size of all rings together, as `--ring-size` and `capture.ring_size` give it. It is no part of a
//! plan, because all tasks of an engine share the rings.

use super::{fault::FaultKind, limits::MAX_RING, sentences::Wording, units::size};
use crate::task::Quantity;

/// Why rings cannot have a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RingSizeError {
    /// It is not a size.
    Size(FaultKind),
    /// Rings of 0 bytes.
    Zero,
    /// More than [`MAX_RING`] for each CPU.
    TooLarge {
        /// Possible CPUs.
        cpus: u64,
    },
}

impl RingSizeError {
    /// One sentence: what is wrong, and what to do about it.
    pub fn sentence(&self, wording: Wording) -> String {
        match self {
            Self::Size(kind) => kind.sentence(wording),
            Self::Zero => "rings of 0 bytes hold no packet".to_owned(),
            Self::TooLarge { cpus } => format!(
                "that is more than rings can have; the most is {cpus} GiB, 1 GiB for each CPU"
            ),
        }
    }
}

/// Bytes of all rings together, on a machine with `cpus` possible CPUs.
///
/// # Errors
/// The value is no size, is 0, or is more than [`MAX_RING`] for each CPU.
pub fn ring_size(value: &Quantity, cpus: u64) -> Result<u64, RingSizeError> {
    match size(value).map_err(RingSizeError::Size)? {
        0 => Err(RingSizeError::Zero),
        total if total > cpus.saturating_mul(MAX_RING) => Err(RingSizeError::TooLarge { cpus }),
        total => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cpu_has_at_most_a_gibibyte() {
        let size = |text: &str| ring_size(&Quantity::Text(text.to_owned()), 3);
        assert_eq!(size("64KiB"), Ok(64 << 10));
        assert_eq!(size("3GiB"), Ok(3 << 30));
        assert_eq!(size("3073MiB"), Err(RingSizeError::TooLarge { cpus: 3 }));
        assert_eq!(size("0"), Err(RingSizeError::Zero));
        assert!(matches!(size("large"), Err(RingSizeError::Size(_))));
        assert!(ring_size(&Quantity::Number(1 << 30), u64::MAX).is_ok());
    }
}
