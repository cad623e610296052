//! Timestamps of an interface into nanoseconds: `if_tsresol` and `if_tsoffset` of pcapng (section 4.2 of the
//! draft).

const NANOS: i128 = 1_000_000_000;

/// How an interface counts time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    /// Nanoseconds from the Unix epoch to the interface's zero.
    zero_ns: i128,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many nanoseconds.
    Nanos(u64),
    /// So many to a nanosecond.
    PerNano(u64),
    /// A second divided by two so many times.
    Binary(u8),
}

impl Default for Clock {
    /// Microseconds since the epoch.
    fn default() -> Self {
        Self {
            unit: Unit::Nanos(1000),
            zero_ns: 0,
        }
    }
}

impl Clock {
    /// `resolution` is the option's byte: the negative power of 10, or with the highest bit set, of 2.
    pub(super) fn with_resolution(self, resolution: u8) -> Self {
        let exponent = resolution & 0x7f;
        let unit = if resolution & 0x80 != 0 {
            Unit::Binary(exponent)
        } else {
            match 9_u32.checked_sub(u32::from(exponent)) {
                Some(power) => Unit::Nanos(10_u64.pow(power)),
                // Finer than 10^-28 s, a u64 does not reach one nanosecond.
                None => Unit::PerNano(
                    10_u64
                        .checked_pow(u32::from(exponent) - 9)
                        .unwrap_or(u64::MAX),
                ),
            }
        };
        Self { unit, ..self }
    }

    /// `seconds` are added to every timestamp.
    pub(super) fn with_offset(self, seconds: i64) -> Self {
        Self {
            zero_ns: i128::from(seconds) * NANOS,
            ..self
        }
    }

    /// Nanoseconds since the Unix epoch. A time before 1970 or after 2554 becomes the nearest one that there is.
    #[inline]
    pub(super) fn ns(&self, ticks: u64) -> u64 {
        if let Unit::Nanos(nanos) = self.unit
            && self.zero_ns == 0
        {
            return ticks.saturating_mul(nanos);
        }
        self.any_ns(ticks)
    }

    #[cold]
    fn any_ns(&self, ticks: u64) -> u64 {
        // None of these reaches 2^95, and neither does the offset.
        let since_zero = match self.unit {
            Unit::Nanos(nanos) => i128::from(ticks) * i128::from(nanos),
            Unit::PerNano(count) => i128::from(ticks / count),
            Unit::Binary(shift) => (i128::from(ticks) * NANOS) >> shift.min(126),
        };
        let ns = (self.zero_ns + since_zero).max(0);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(resolution: u8, offset: i64, ticks: u64) -> u64 {
        let clock = Clock::default().with_resolution(resolution);
        clock.with_offset(offset).ns(ticks)
    }

    #[test]
    fn resolutions_of_both_bases() {
        assert_eq!(Clock::default().ns(1_500_000), 1_500_000_000);
        assert_eq!(ns(0, 0, 7), 7_000_000_000);
        assert_eq!(ns(3, 0, 1500), 1_500_000_000);
        assert_eq!(ns(9, 0, 1_500_000_000), 1_500_000_000);
        assert_eq!(ns(12, 0, 1_500_000_000_999), 1_500_000_000);
        assert_eq!(ns(0x80, 0, 7), 7_000_000_000);
        assert_eq!(ns(0x80 | 10, 0, 1536), 1_500_000_000);
        assert_eq!(ns(0x80 | 32, 0, 3 << 31), 1_500_000_000);
    }

    #[test]
    fn offsets_are_added() {
        assert_eq!(ns(9, 10, 5), 10_000_000_005);
        assert_eq!(ns(6, -1, 1_500_000), 500_000_000);
        assert_eq!(ns(6, -2, 1_500_000), 0, "before 1970");
    }

    #[test]
    fn no_value_overflows() {
        for resolution in 0..=255 {
            for offset in [0, 1, -1, i64::MAX, i64::MIN] {
                for ticks in [0, 1, u64::MAX] {
                    ns(resolution, offset, ticks);
                }
            }
        }
        assert_eq!(ns(0, 0, u64::MAX), u64::MAX);
        assert_eq!(ns(127, 0, u64::MAX), 1);
        assert_eq!(ns(0xff, 0, u64::MAX), 0);
    }
}
