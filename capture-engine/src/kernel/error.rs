//! What the kernel says against a program, a map or a hook, as an error.

use aya::programs::{ProgramError, tc::TcError};
use capture_task::plan::Hook;

use super::denial::why_denied;
use crate::error::{AttachError, Error};

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

/// Why a hook could not be attached.
pub(super) fn attach_error(error: &ProgramError, interface: &str, hook: Hook) -> Error {
    let os = match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::TcError(TcError::IoError(error)) => error.raw_os_error(),
        _ => root_os_error(error),
    };
    let xdp = hook != Hook::Tc;
    let cause = match os {
        Some(libc::ENODEV | libc::ENXIO) => AttachError::Vanished,
        Some(libc::EOPNOTSUPP) if xdp => AttachError::NoNativeXdp,
        Some(libc::EBUSY | libc::EEXIST) if xdp => AttachError::XdpTaken,
        Some(libc::EINVAL | libc::ERANGE) if xdp => AttachError::XdpMisfit,
        Some(libc::EPERM | libc::EACCES) => AttachError::NoPrivilege,
        _ => AttachError::Other(chain(error)),
    };
    Error::Attach {
        interface: interface.to_owned(),
        hook,
        cause,
    }
}

fn root_os_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(os) = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::raw_os_error)
        {
            return Some(os);
        }
        next = error.source();
    }
    None
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = error.source();
    }
    text
}
