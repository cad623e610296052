//! Numbers as people write them.

pub use crate::text::several;

/// "11 µs", "0.2 ms", "340 ms", "12.5 s".
pub fn duration(ns: u64) -> String {
    let ms = ns as f64 / 1e6;
    match ms {
        ..0.1 => format!("{:.0} µs", ms * 1e3),
        ..10.0 => format!("{ms:.1} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        ..100_000.0 => format!("{:.1} s", ms / 1e3),
        _ => format!("{:.0} s", ms / 1e3),
    }
}

/// "2.1 %".
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        small @ ..10.0 => format!("{small:.1} %"),
        large => format!("{large:.0} %"),
    }
}

/// "42 kB", "1.3 MB".
pub fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..1_000_000 => format!("{} kB", count / 1000),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// "1.4 Mbit/s", of bytes in a second.
pub fn rate(bytes_per_s: f64) -> String {
    format!("{:.1} Mbit/s", bytes_per_s * 8.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(duration(11_000), "11 µs");
        assert_eq!(duration(250_000), "0.2 ms");
        assert_eq!(duration(340_000_000), "340 ms");
        assert_eq!(duration(12_500_000_000), "12.5 s");
        assert_eq!(percent(0.0213), "2.1 %");
        assert_eq!(several(1, "packet"), "1 packet");
        assert_eq!(bytes(1_300_000), "1.3 MB");
    }
}
