//! bpf(2) itself, for what aya has no function for.

use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{bpf_attr, bpf_cmd};

/// A number that no command of the kernel has, and that has no flag of a later kernel (bits 16 and above).
const NO_COMMAND: u32 = 0x7fff;

/// Why bpf(2) is refused as such, whatever it is asked for. The kernel answers a command that it does not know with
/// EINVAL, and what stands before it denies that like any other.
pub(crate) fn refusal() -> Option<io::Error> {
    let mut attr = empty();
    // SAFETY: arguments that are zero point to nothing.
    let error = unsafe { call(NO_COMMAND, &mut attr) }.err()?;
    let is_denied = matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS)
    );
    is_denied.then_some(error)
}

/// Arguments that are all zero.
pub(super) fn empty() -> bpf_attr {
    // SAFETY: a union of integers, for all of which zero is valid.
    unsafe { std::mem::zeroed() }
}

/// A command that makes a descriptor.
///
/// # Safety
/// The command must be one that does. Else as for [`bpf`].
pub(super) unsafe fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: as the caller says.
    let fd = unsafe { bpf(command, attr) }?;
    // SAFETY: the kernel has just made the descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A command.
///
/// # Safety
/// What the fields of this command point to must be there for it to read, and to write where the command does.
pub(super) unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: as the caller says.
    unsafe { call(command as u32, attr) }
}

/// # Safety
/// As for [`bpf`].
unsafe fn call(command: u32, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: `attr` is whole, and the caller vouches for what it points to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<bpf_attr>()) };
    Ok(nix::errno::Errno::result(result)? as i32)
}
