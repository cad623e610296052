//! Sets an interface up.

use std::io;

use super::driver::{interface_ioctl, interface_request};

/// Sets an interface of the calling thread's namespace up.
///
/// # Errors
/// It is not there; the process may not.
pub(crate) fn set_up(name: &str) -> io::Result<()> {
    let mut request = interface_request(name)?;
    // SAFETY: writes the flags into the request, and uses no pointer in it.
    unsafe { interface_ioctl(libc::SIOCGIFFLAGS as _, &mut request) }?;
    // SAFETY: the kernel has just written this member.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    // SAFETY: reads the flags of the request, and uses no pointer in it.
    unsafe { interface_ioctl(libc::SIOCSIFFLAGS as _, &mut request) }
}
