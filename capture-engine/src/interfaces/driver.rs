//! The driver of an interface, which only an ioctl tells in every network namespace: `/sys` goes on showing the one
//! in which it was mounted.

use std::{
    ffi::c_int,
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// The name of the driver behind an interface (`ethtool -i`), where it has one.
pub fn driver(name: &str) -> Option<String> {
    /// `struct ethtool_drvinfo` of `linux/ethtool.h`, of which only the driver's name matters here.
    #[repr(C)]
    struct DriverInfo {
        command: u32,
        driver: [u8; 32],
        rest: [u8; 160],
    }
    const ETHTOOL_GDRVINFO: u32 = 3;
    const _: () = assert!(size_of::<DriverInfo>() == 196);

    let mut info = DriverInfo {
        command: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        rest: [0; 160],
    };
    let mut request = interface_request(name).ok()?;
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: writes a `struct ethtool_drvinfo`, which `info` is for this command.
    unsafe { interface_ioctl(libc::SIOCETHTOOL as _, &mut request) }.ok()?;
    let driver = info.driver.split(|byte| *byte == 0).next()?;
    (!driver.is_empty()).then(|| String::from_utf8_lossy(driver).into_owned())
}

fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all zero is a valid `ifreq`: bytes, integers and null pointers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// An ioctl for an interface.
///
/// # Safety
/// Where `code` uses a pointer in the request, that must be to what `code` has the kernel read and write.
unsafe fn interface_ioctl(code: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    let any_socket: OwnedFd = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: `request` is an `ifreq`, and the caller vouches for what is in it.
    let result: c_int = unsafe { libc::ioctl(any_socket.as_raw_fd(), code, request) };
    nix::errno::Errno::result(result)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_has_no_driver() {
        assert_eq!(driver("sixteen-bytes-xx"), None);
    }
}
