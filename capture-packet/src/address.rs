//! Addresses as values that are compared and hashed for each packet: 16 bytes and a version, in one word.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Serialize, Serializer};

/// An IPv4 or IPv6 address. IPv4 addresses are kept as IPv4-mapped ones (RFC 4291 section 2.5.5.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(u128);

const MAPPED: u128 = 0xffff << 32;

impl Address {
    /// The IPv4 address in these bytes of a header.
    #[inline]
    pub fn v4(bytes: [u8; 4]) -> Self {
        Self(MAPPED | u128::from(u32::from_be_bytes(bytes)))
    }

    /// The IPv6 address in these bytes of a header.
    #[inline]
    pub fn v6(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Whether it is an IPv4 address.
    #[inline]
    pub fn is_v4(self) -> bool {
        self.0 >> 32 == MAPPED >> 32
    }

    /// As the standard library has it.
    pub fn ip(self) -> IpAddr {
        if self.is_v4() {
            IpAddr::V4(Ipv4Addr::from_bits(self.0 as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(self.0))
        }
    }

    /// Whether it stands for several hosts: multicast, or the broadcast address of IPv4.
    pub fn is_group(self) -> bool {
        match self.ip() {
            IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_multicast(),
        }
    }

    /// Whether it may be the source of a packet on a network: neither multicast nor loopback nor reserved (RFC 6890).
    #[inline]
    pub fn is_ordinary(self) -> bool {
        match self.is_v4() {
            true => {
                let first = (self.0 as u32) >> 24;
                first < 224 && first != 127
            }
            false => self.0 >> 120 != 0xff && self.0 != 1,
        }
    }

    /// Whether it is of the host itself.
    pub fn is_loopback(self) -> bool {
        self.ip().is_loopback()
    }

    /// Whether it is 0.0.0.0 or `::`.
    pub fn is_unspecified(self) -> bool {
        self.ip().is_unspecified()
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::v4(ip.octets()),
            IpAddr::V6(ip) => Self::v6(ip.octets()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.ip())
    }
}

/// A hardware address of Ethernet.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether it is the broadcast address.
    pub fn is_broadcast(self) -> bool {
        self.0 == [0xff; 6]
    }

    /// Whether it stands for several stations, broadcast included (IEEE 802 group bit).
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_come_back() {
        for text in [
            "192.0.2.1",
            "255.255.255.255",
            "0.0.0.0",
            "2001:db8::1",
            "::",
            "::1",
        ] {
            let ip: IpAddr = text.parse().expect("an address");
            let address = Address::from(ip);
            assert_eq!(address.ip(), ip);
            assert_eq!(address.is_v4(), ip.is_ipv4(), "{text}");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn ordinary_sources() {
        for (text, is_ordinary) in [
            ("10.0.0.1", true),
            ("0.0.0.0", true),
            ("223.255.255.255", true),
            ("224.0.0.1", false),
            ("127.0.0.1", false),
            ("240.0.0.1", false),
            ("::", true),
            ("fe80::1", true),
            ("::1", false),
            ("ff02::1", false),
        ] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(Address::from(ip).is_ordinary(), is_ordinary, "{text}");
        }
    }

    #[test]
    fn groups() {
        for (text, is_group) in [
            ("224.0.0.251", true),
            ("255.255.255.255", true),
            ("10.0.0.255", false),
            ("ff02::1", true),
            ("fe80::1", false),
        ] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(Address::from(ip).is_group(), is_group, "{text}");
        }
        assert!(Mac([1, 0, 0x5e, 0, 0, 1]).is_group());
        assert!(!Mac([0, 0, 0x5e, 0, 0, 1]).is_group());
    }
}
