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

/// The release of the running kernel, as uname(2) has it: also where `/proc/sys` is hidden.
///
/// # Errors
/// It cannot be read.
pub fn release() -> Result<String, ReadError> {
    read("/proc/sys/kernel/osrelease").or_else(|error| uname(|name| &name.release).ok_or(error))
}

/// The build of the running kernel, the same way: `#1 SMP PREEMPT_DYNAMIC Debian 6.12.57-1`.
///
/// # Errors
/// It cannot be read.
pub fn build() -> Result<String, ReadError> {
    read("/proc/sys/kernel/version").or_else(|error| uname(|name| &name.version).ok_or(error))
}

/// A field of what uname(2) says.
fn uname(field: fn(&libc::utsname) -> &[libc::c_char; 65]) -> Option<String> {
    // SAFETY: all zero is a valid `utsname`: arrays of bytes.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: writes a `utsname`.
    if unsafe { libc::uname(&raw mut name) } != 0 {
        return None;
    }
    // `c_char` is signed on some architectures and unsigned on others.
    let bytes = field(&name).iter().map(|byte| byte.to_ne_bytes()[0]);
    String::from_utf8(bytes.take_while(|byte| *byte != 0).collect()).ok()
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
    fn the_kernel_says_the_same_without_proc() {
        let told = |field| uname(field).expect("uname(2)");
        assert_eq!(release().expect("a release"), told(|name| &name.release));
        assert_eq!(build().expect("a build"), told(|name| &name.version));
    }

    #[test]
    fn masks() {
        let status = "Name:\tx\nCapEff:\t000001ffffffffff\nSigIgn:\t0000000000000001\n";
        assert_eq!(mask_from(status, "CapEff"), Some(0x1ff_ffff_ffff));
        assert_eq!(mask_from(status, "SigIgn"), Some(1));
        assert_eq!(mask_from(status, "CapBnd"), None);
    }
}
