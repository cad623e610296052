//! Small files of `/proc`.

use std::fs;

use capture_task::error::{Error, Result};

/// The text of a file, trimmed.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &str) -> Result<String> {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| Error::runtime(format!("{path}: {error}; is /proc mounted?")))
}

/// A mask of `/proc/self/status`: `CapEff`, `CapBnd`, `SigIgn`. The file has them in hexadecimal.
///
/// # Errors
/// The file cannot be read, or has no such field.
pub fn status_mask(field: &str) -> Result<u64> {
    let status = read("/proc/self/status")?;
    mask_from(&status, field)
        .ok_or_else(|| Error::runtime(format!("/proc/self/status has no field {field}")))
}

/// A mask in the text of a `status` file.
pub(crate) fn mask_from(status: &str, field: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        let status = "Name:\tx\nCapEff:\t000001ffffffffff\nSigIgn:\t0000000000000001\n";
        assert_eq!(mask_from(status, "CapEff"), Some(0x1ff_ffff_ffff));
        assert_eq!(mask_from(status, "SigIgn"), Some(1));
        assert_eq!(mask_from(status, "CapBnd"), None);
    }
}
