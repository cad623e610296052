//! What the kernel says against a program or a map, as an error.

use capture_task::error::Error;

use super::denial::why_denied;

/// A sentence for a failed load: a privilege that is lacking, memory, or the kernel's own words.
pub(super) fn load_error(error: &anyhow::Error) -> Error {
    let os = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::raw_os_error);
    match os {
        Some(libc::EPERM | libc::ENOSYS) => Error::missing(format!(
            "the kernel refuses to load programs: {error:#}; {}",
            why_denied()
        )),
        Some(libc::ENOMEM) => Error::runtime(
            "not enough memory for the kernel tables and rings; try a smaller --ring-size",
        ),
        _ => Error::runtime(format!("{error:#}")),
    }
}
