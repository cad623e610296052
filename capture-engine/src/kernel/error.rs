//! What the kernel says against a program, a map or a hook, as an error.

use std::io;

use capture_task::plan::Hook;

use super::denial::why_denied;
use crate::error::{AttachError, Error};

/// A load that failed: for lack of a permission, of memory, or in the kernel's own words.
pub(super) fn load_error(error: anyhow::Error) -> Error {
    let os = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error);
    match os {
        Some(libc::EPERM | libc::ENOSYS) => Error::LoadDenied {
            cause: error,
            denial: why_denied(),
        },
        Some(libc::ENOMEM) => Error::OutOfMemory,
        _ => Error::Load(error),
    }
}

/// Why a hook could not be attached.
pub(super) fn attach_error(error: &io::Error, interface: &str, hook: Hook) -> Error {
    let xdp = hook != Hook::Tc;
    let cause = match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => AttachError::Vanished,
        Some(libc::EOPNOTSUPP) if xdp => AttachError::NoNativeXdp,
        Some(libc::EBUSY | libc::EEXIST) if xdp => AttachError::XdpTaken,
        Some(libc::EINVAL | libc::ERANGE) if xdp => AttachError::XdpMisfit,
        Some(libc::EPERM | libc::EACCES) => AttachError::NoPrivilege,
        _ => AttachError::Other(error.to_string()),
    };
    Error::Attach {
        interface: interface.to_owned(),
        hook,
        cause,
    }
}
