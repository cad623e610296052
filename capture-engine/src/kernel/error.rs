//! What the kernel says against a program or a map, as an error.

use super::denial::why_denied;
use crate::error::Error;

/// A load that failed: for lack of a permission, of memory, or in the kernel's own words.
pub(super) fn load_error(error: anyhow::Error) -> Error {
    let os = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::raw_os_error);
    match os {
        Some(libc::EPERM | libc::ENOSYS) => Error::LoadDenied {
            cause: error,
            denial: why_denied(),
        },
        Some(libc::ENOMEM) => Error::OutOfMemory,
        _ => Error::Load(error),
    }
}
