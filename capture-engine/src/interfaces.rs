//! The network interfaces of the current network namespace: what the listing shows, and what the
//! engine must know of each before it attaches. It asks by netlink and ioctls and not `/sys`, which
//! goes on showing the namespace in which it was mounted.

use std::{
    ffi::c_int,
    io,
    net::IpAddr,
    os::fd::{AsRawFd, OwnedFd},
    thread,
    time::Duration,
};

use ipnet::IpNet;
use nix::{
    ifaddrs::{InterfaceAddress, getifaddrs},
    net::if_::{if_indextoname, if_nameindex},
    sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, socket},
};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// LINKTYPE_ETHERNET (tcpdump.org/linktypes.html).
pub const LINKTYPE_ETHERNET: u16 = 1;

/// LINKTYPE_RAW: the frame begins with the IPv4 or IPv6 header.
pub const LINKTYPE_RAW: u16 = 101;

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceEntry {
    /// Name.
    pub name: String,
    /// Index in the network namespace.
    pub ifindex: u32,
    /// Whether frames can pass.
    pub state: LinkState,
    /// Hardware type, an `ARPHRD_` value of `linux/if_arp.h`.
    pub arphrd: u16,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// Addresses with their prefix lengths, host bits kept.
    pub addresses: Vec<IpNet>,
}

/// Whether frames can pass an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkState {
    /// Up, and the layer below is too.
    Up,
    /// Up, but the layer below is not: no cable, no peer.
    NoCarrier,
    /// Administratively down.
    Down,
}

impl LinkState {
    fn from_flags(flags: c_int) -> Self {
        if flags & libc::IFF_UP == 0 {
            Self::Down
        } else if flags & libc::IFF_RUNNING != 0 {
            Self::Up
        } else {
            Self::NoCarrier
        }
    }

    /// The word for it, also in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::NoCarrier => "no-carrier",
            Self::Down => "down",
        }
    }
}

impl InterfaceEntry {
    fn ask(name: &str, ifindex: u32) -> io::Result<Self> {
        let mut request = interface_request(name)?;
        // SAFETY: writes into the request, no further.
        unsafe { interface_ioctl(libc::SIOCGIFFLAGS, &mut request) }?;
        // SAFETY: SIOCGIFFLAGS has filled this field of the union.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        // SAFETY: as above.
        unsafe { interface_ioctl(libc::SIOCGIFHWADDR, &mut request) }?;
        // SAFETY: SIOCGIFHWADDR has filled this field of the union.
        let arphrd = unsafe { request.ifr_ifru.ifru_hwaddr.sa_family };
        // SAFETY: as above.
        unsafe { interface_ioctl(libc::SIOCGIFMTU, &mut request) }?;
        // SAFETY: SIOCGIFMTU has filled this field of the union.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(Self {
            name: name.to_owned(),
            ifindex,
            state: LinkState::from_flags(flags.into()),
            arphrd,
            mtu: u32::try_from(mtu).map_err(io::Error::other)?,
            addresses: Vec::new(),
        })
    }

    /// The LINKTYPE_ value of the frames that a program on this interface sees; `None` where
    /// capturing is not supported.
    pub fn link_type(&self) -> Option<u16> {
        match self.arphrd {
            // ETHER, LOOPBACK.
            1 | 772 => Some(LINKTYPE_ETHERNET),
            // PPP, RAWIP, TUNNEL, TUNNEL6, SIT, IPGRE, IP6GRE, NONE (tun, WireGuard).
            512 | 519 | 768 | 769 | 776 | 778 | 823 | 0xfffe => Some(LINKTYPE_RAW),
            _ => None,
        }
    }

    /// The frames' kind for people, or why they cannot be captured.
    pub fn link_description(&self) -> String {
        let unsupported = match self.arphrd {
            1 | 772 => return "Ethernet".to_owned(),
            _ if self.link_type().is_some() => return "raw IP".to_owned(),
            32 => "InfiniBand",
            280 => "CAN",
            801..=803 => "Wi-Fi monitor mode",
            824 => "netlink monitor",
            826 => "vsock monitor",
            other => return format!("unsupported: hardware type {other}"),
        };
        format!("unsupported: {unsupported} frames")
    }
}

/// An interface in JSON, for `interfaces` and the API.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Interface)]
pub struct InterfaceJson {
    /// Name.
    name: String,
    /// Index in the network namespace.
    ifindex: u32,
    /// Whether frames can pass.
    state: LinkState,
    /// LINKTYPE_ value of the frames; null where capturing is not supported.
    #[schema(required = true)]
    link_type: Option<u16>,
    /// The frames' kind for people, or why they cannot be captured.
    link: String,
    /// Maximum transmission unit in bytes.
    mtu: u32,
    /// Addresses with their prefix lengths.
    addresses: Vec<String>,
}

impl From<&InterfaceEntry> for InterfaceJson {
    fn from(entry: &InterfaceEntry) -> Self {
        let InterfaceEntry {
            name,
            ifindex,
            state,
            arphrd: _,
            mtu,
            addresses,
        } = entry;
        Self {
            name: name.clone(),
            ifindex: *ifindex,
            state: *state,
            link_type: entry.link_type(),
            link: entry.link_description(),
            mtu: *mtu,
            addresses: addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Serialize for InterfaceEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        InterfaceJson::from(self).serialize(serializer)
    }
}

/// All interfaces of the calling thread's network namespace, by index.
///
/// Names and types do not come from getifaddrs, whose glibc version leaves the link of interfaces
/// without a hardware address (tun, WireGuard) empty.
pub fn list() -> Result<Vec<InterfaceEntry>> {
    let failed = Error::system::<nix::Error>("list the interfaces");
    let mut entries: Vec<InterfaceEntry> = if_nameindex()
        .map_err(&failed)?
        .iter()
        .filter_map(|interface| {
            let name = interface.name().to_string_lossy().into_owned();
            ask(name, interface.index())
        })
        .collect();
    entries.sort_by_key(|entry| entry.ifindex);
    for found in getifaddrs().map_err(&failed)? {
        let InterfaceAddress {
            interface_name,
            address,
            netmask,
            ..
        } = found;
        let Some(ip) = address.as_ref().and_then(ip_of) else {
            continue;
        };
        let length = netmask.as_ref().and_then(ip_of).map_or(0, leading_ones);
        let entry = entries
            .iter_mut()
            .find(|entry| entry.name == interface_name);
        if let (Some(entry), Ok(address)) = (entry, IpNet::new(ip, length)) {
            entry.addresses.push(address);
        }
    }
    Ok(entries)
}

/// Looks at an interface that is being renamed, and the time between two of them.
const LOOKS: usize = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// The interface of an index, which had this name a moment ago; `None` where there is none any more.
fn ask(mut name: String, ifindex: u32) -> Option<InterfaceEntry> {
    for _ in 0..LOOKS {
        if let Ok(entry) = InterfaceEntry::ask(&name, ifindex) {
            return Some(entry);
        }
        name = if_indextoname(ifindex).ok()?.to_string_lossy().into_owned();
        // Between the old name and the new one it is found by neither, for as long as the kernel waits for
        // readers (dev_change_name in net/core/dev.c).
        thread::sleep(BETWEEN_LOOKS);
    }
    None
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

fn leading_ones(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => u32::from(mask).leading_ones(),
        IpAddr::V6(mask) => u128::from(mask).leading_ones(),
    };
    ones as u8
}

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

    fn entry(arphrd: u16) -> InterfaceEntry {
        InterfaceEntry {
            name: "x0".into(),
            ifindex: 7,
            state: LinkState::NoCarrier,
            arphrd,
            mtu: 1500,
            addresses: vec!["10.0.0.1/8".parse().expect("a prefix")],
        }
    }

    #[test]
    fn loopback_is_listed() {
        let entries = list().expect("interfaces can be listed");
        let lo = entries
            .iter()
            .find(|entry| entry.name == "lo")
            .expect("lo exists");
        assert_eq!(
            (lo.ifindex, lo.arphrd, lo.link_type()),
            (1, 772, Some(LINKTYPE_ETHERNET))
        );
        assert!(lo.mtu > 0);
        if lo.state == LinkState::Up {
            assert!(
                lo.addresses
                    .contains(&"127.0.0.1/8".parse().expect("a prefix"))
            );
        }
    }

    #[test]
    fn link_types() {
        assert_eq!(entry(1).link_type(), Some(LINKTYPE_ETHERNET));
        assert_eq!(entry(65534).link_type(), Some(LINKTYPE_RAW));
        assert_eq!(entry(32).link_type(), None);
        assert_eq!(
            entry(32).link_description(),
            "unsupported: InfiniBand frames"
        );
        assert_eq!(
            entry(9999).link_description(),
            "unsupported: hardware type 9999"
        );
    }

    #[test]
    fn json() {
        let json = serde_json::to_string(&entry(1)).expect("serializes");
        assert_eq!(
            json,
            r#"{"name":"x0","ifindex":7,"state":"no-carrier","link_type":1,"link":"Ethernet","mtu":1500,"addresses":["10.0.0.1/8"]}"#
        );
    }

    #[test]
    fn a_name_that_is_too_long_is_no_interface() {
        assert_eq!(driver("sixteen-bytes-xx"), None);
        assert!(InterfaceEntry::ask("sixteen-bytes-xx", 1).is_err());
    }

    /// What needs root.
    mod privileged {
        use capture_tests::{netns::Netns, rights};

        use super::*;

        #[test]
        fn an_interface_that_is_being_renamed_is_not_gone() {
            let namespace = Netns::new();
            namespace.ip("link add here type veth peer name other");
            let mut renames = String::new();
            for _ in 0..500 {
                renames.push_str("link set here name there\nlink set there name here\n");
            }
            thread::scope(|scope| {
                let renaming = scope.spawn(|| namespace.ip(&renames));
                rights::within_as_unit(&namespace, || {
                    while !renaming.is_finished() {
                        let entries = list().expect("interfaces can be listed");
                        assert_eq!(entries.len(), 3, "{entries:?}");
                    }
                });
            });
        }
    }
}
