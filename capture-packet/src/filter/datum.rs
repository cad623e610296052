//! A value of a field or a literal, and how two of them compare.

use std::{borrow::Cow, cmp::Ordering, net::IpAddr};

use crate::address::{Address, Mac};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Datum<'a> {
    /// A number or a flag.
    Number(u64),
    /// An address.
    Address(Address),
    /// A hardware address.
    Mac(Mac),
    /// Text or bytes. Text of packets is compared by its bytes.
    Bytes(Cow<'a, [u8]>),
    /// Nanoseconds.
    Nanoseconds(i128),
}

impl Datum<'_> {
    /// How it compares with another of its type; `None` for another type.
    pub(super) fn compare(&self, other: &Datum<'_>) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Number(one), Datum::Number(other)) => one.cmp(other),
            (Self::Address(one), Datum::Address(other)) => one.cmp(other),
            (Self::Mac(one), Datum::Mac(other)) => one.cmp(other),
            (Self::Bytes(one), Datum::Bytes(other)) => one.cmp(other),
            (Self::Nanoseconds(one), Datum::Nanoseconds(other)) => one.cmp(other),
            _ => return None,
        })
    }

    /// The bits that are also in a mask of its type.
    pub(super) fn masked(self, mask: &Datum<'_>) -> Self {
        match (self, mask) {
            (Self::Number(number), Datum::Number(mask)) => Self::Number(number & mask),
            (Self::Address(address), Datum::Address(mask)) => Self::Address(and(address, *mask)),
            (Self::Bytes(bytes), Datum::Bytes(mask)) => {
                let pairs = bytes.iter().zip(mask.iter());
                Self::Bytes(pairs.map(|(byte, mask)| byte & mask).collect())
            }
            (other, _) => other,
        }
    }

    /// Whether a bit is set, which is what a mask alone asks.
    pub(super) fn is_nonzero(&self) -> bool {
        match self {
            Self::Number(number) => *number != 0,
            Self::Address(address) => !address.is_unspecified(),
            Self::Mac(mac) => mac.0 != [0; 6],
            Self::Bytes(bytes) => bytes.iter().any(|byte| *byte != 0),
            Self::Nanoseconds(time) => *time != 0,
        }
    }

    /// The bytes that a slice is taken of.
    pub(super) fn to_bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Number(number) => number.to_be_bytes().to_vec().into(),
            Self::Address(address) => match address.ip() {
                IpAddr::V4(ip) => ip.octets().to_vec().into(),
                IpAddr::V6(ip) => ip.octets().to_vec().into(),
            },
            Self::Mac(mac) => Cow::Borrowed(&mac.0),
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Nanoseconds(time) => time.to_be_bytes().to_vec().into(),
        }
    }
}

/// The common bits of two addresses of one version.
fn and(one: Address, other: Address) -> Address {
    match (one.ip(), other.ip()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => Address::from(IpAddr::V4(one & other)),
        (IpAddr::V6(one), IpAddr::V6(other)) => Address::from(IpAddr::V6(one & other)),
        _ => one,
    }
}
