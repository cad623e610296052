//! The driver of an interface and the speed of its link, which only an ioctl tells in every network namespace: `/sys` goes on showing the one
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

/// The speed of an interface's link in Mbit/s, where its driver tells. Drivers of virtual links make one up.
pub(super) fn speed_mbps(name: &str) -> Option<u32> {
    /// `struct ethtool_cmd` of `linux/ethtool.h`, of which only the two halves of the speed matter here.
    #[repr(C)]
    struct Settings {
        command: u32,
        modes: [u32; 2],
        speed: u16,
        ways: [u8; 6],
        most_packets: [u32; 2],
        speed_high: u16,
        rest: [u8; 14],
    }
    const ETHTOOL_GSET: u32 = 1;
    /// SPEED_UNKNOWN is -1.
    const UNKNOWN: u32 = u32::MAX;
    const _: () = assert!(size_of::<Settings>() == 44);

    let mut settings = Settings {
        command: ETHTOOL_GSET,
        modes: [0; 2],
        speed: 0,
        ways: [0; 6],
        most_packets: [0; 2],
        speed_high: 0,
        rest: [0; 14],
    };
    let mut request = interface_request(name).ok()?;
    request.ifr_ifru.ifru_data = (&raw mut settings).cast();
    // SAFETY: writes a `struct ethtool_cmd`, which `settings` is for this command.
    unsafe { interface_ioctl(libc::SIOCETHTOOL as _, &mut request) }.ok()?;
    let speed = u32::from(settings.speed_high) << 16 | u32::from(settings.speed);
    // Some drivers leave one half of "unknown" out.
    (speed != 0 && speed != UNKNOWN && speed != UNKNOWN >> 16).then_some(speed)
}

pub(super) fn interface_request(name: &str) -> io::Result<libc::ifreq> {
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
pub(super) unsafe fn interface_ioctl(
    code: libc::Ioctl,
    request: &mut libc::ifreq,
) -> io::Result<()> {
    let any_socket: OwnedFd = socket(
        AddressFamily::Unix,
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
