//! Small files of `/proc`.

use std::{fs, io};

/// Why something of `/proc` is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file cannot be read.
    #[error("{path}: {cause}; is /proc mounted?")]
    Unreadable {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// `/proc/self/status` lacks a field.
    #[error("/proc/self/status has no field {0}")]
    NoField(String),
    /// What says the kernel's version says something else.
    #[error("the kernel's version is not understood: {0:?}")]
    OddVersion(String),
}

/// The text of a file, trimmed.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &str) -> Result<String, ReadError> {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|cause| ReadError::Unreadable {
            path: path.to_owned(),
            cause,
        })
}

/// A mask of `/proc/self/status`: `CapEff`, `CapBnd`, `SigIgn`. The file has them in hexadecimal.
///
/// # Errors
/// The file cannot be read, or has no such field.
pub fn status_mask(field: &str) -> Result<u64, ReadError> {
    let status = read("/proc/self/status")?;
    mask_from(&status, field).ok_or_else(|| ReadError::NoField(field.to_owned()))
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
