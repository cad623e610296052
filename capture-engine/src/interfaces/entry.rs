//! An interface as it is listed: for people, in JSON, and for whoever captures on it.

use ipnet::IpNet;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

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
    /// What is known beyond that; only where it was asked for.
    pub details: InterfaceDetails,
}

/// What is known of an interface beyond what a capture needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceDetails {
    /// Speed of the link in Mbit/s, where its driver tells.
    pub speed_mbps: Option<u32>,
    /// What came in since the interface was made, as the kernel counts.
    pub rx: LinkCounters,
    /// What went out.
    pub tx: LinkCounters,
    /// Whether a default route leads out here.
    pub default_route: bool,
}

/// What the kernel has counted in one direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct LinkCounters {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Packets with errors.
    pub errors: u64,
    /// Packets that were dropped.
    pub dropped: u64,
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
    /// From the flags of a device, `IFF_…`.
    pub(super) fn from_flags(flags: u32) -> Self {
        if flags & libc::IFF_UP as u32 == 0 {
            Self::Down
        } else if flags & libc::IFF_RUNNING as u32 != 0 {
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
    /// Whether its frames can be captured.
    capturable: bool,
    /// Speed of the link in Mbit/s; null where its driver does not tell.
    #[schema(required = true)]
    speed_mbps: Option<u32>,
    /// What came in since the interface was made.
    rx: LinkCounters,
    /// What went out.
    tx: LinkCounters,
    /// Whether a default route leads out here.
    default_route: bool,
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
            details,
        } = entry;
        let InterfaceDetails {
            speed_mbps,
            rx,
            tx,
            default_route,
        } = *details;
        Self {
            name: name.clone(),
            ifindex: *ifindex,
            state: *state,
            link_type: entry.link_type(),
            link: entry.link_description(),
            mtu: *mtu,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            capturable: entry.link_type().is_some(),
            speed_mbps,
            rx,
            tx,
            default_route,
        }
    }
}

impl Serialize for InterfaceEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        InterfaceJson::from(self).serialize(serializer)
    }
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
            details: InterfaceDetails {
                speed_mbps: Some(10),
                tx: LinkCounters {
                    packets: 1,
                    bytes: 60,
                    errors: 2,
                    dropped: 3,
                },
                ..InterfaceDetails::default()
            },
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
            r#"{"name":"x0","ifindex":7,"state":"no-carrier","link_type":1,"link":"Ethernet","mtu":1500,"addresses":["10.0.0.1/8"],"capturable":true,"speed_mbps":10,"rx":{"packets":0,"bytes":0,"errors":0,"dropped":0},"tx":{"packets":1,"bytes":60,"errors":2,"dropped":3},"default_route":false}"#
        );
    }
}
