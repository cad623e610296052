//! What the table says of a field.

use std::fmt;

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A layer. Its value is the bytes from its header to the end of what it carries.
    Layer,
    /// An unsigned number of so many bits.
    Number(u8),
    /// A bit.
    Flag,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A hardware address.
    Mac,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A span of time in seconds.
    Seconds,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer => f.write_str("layer"),
            Self::Number(bits) => write!(f, "number, {bits} bits"),
            Self::Flag => f.write_str("flag"),
            Self::Ipv4 => f.write_str("IPv4 address"),
            Self::Ipv6 => f.write_str("IPv6 address"),
            Self::Mac => f.write_str("MAC address"),
            Self::Text => f.write_str("text"),
            Self::Bytes => f.write_str("bytes"),
            Self::Seconds => f.write_str("seconds"),
        }
    }
}

/// A field.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Wireshark's name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The fields that the name stands for, where it is one for several: `ip.addr`.
    pub stands_for: &'static [&'static str],
}

pub(super) const fn known(name: &'static str, kind: Kind, about: &'static str) -> Known {
    Known {
        name,
        kind,
        about,
        stands_for: &[],
    }
}

/// One name for several fields.
pub(super) const fn either(
    name: &'static str,
    kind: Kind,
    about: &'static str,
    stands_for: &'static [&'static str],
) -> Known {
    Known {
        name,
        kind,
        about,
        stands_for,
    }
}
