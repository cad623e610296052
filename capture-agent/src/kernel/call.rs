//! bpf(2) itself, for what aya has no function for.

use std::{
    io,
    os::fd::{FromRawFd as _, OwnedFd},
};

use aya_obj::generated::{bpf_attr, bpf_cmd};

/// A number that no command of the kernel has.
const NO_COMMAND: u32 = u32::MAX;

/// Why bpf(2) is refused as such, whatever it is asked for. The kernel answers a command that it does not know with
/// EINVAL, and what stands before it denies that like any other.
pub(crate) fn refusal() -> Option<io::Error> {
    let mut attr = empty();
    let error = call(NO_COMMAND, &mut attr).err()?;
    (error.raw_os_error() != Some(libc::EINVAL)).then_some(error)
}

/// Arguments that are all zero.
pub(super) fn empty() -> bpf_attr {
    // SAFETY: a union of integers, for all of which zero is valid.
    unsafe { std::mem::zeroed() }
}

/// A command that gives a descriptor.
pub(super) fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel has just made the descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A command. What its arguments point to must be alive.
pub(super) fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    call(command as u32, attr)
}

fn call(command: u32, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: `attr` is whole, and what its fields point to is alive in the caller.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<bpf_attr>()) };
    Ok(nix::errno::Errno::result(result)? as i32)
}
