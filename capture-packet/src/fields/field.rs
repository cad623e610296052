//! A field: its name, what it says, and where it stands.

use std::fmt;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::address::{Address, Mac};

/// A layer, or a field of one.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Field {
    /// Wireshark's name: `ip`, `ip.src`.
    pub name: &'static str,
    /// What it says; of a layer its title.
    #[schema(value_type = String)]
    pub value: Value,
    /// Where it begins in the frame.
    pub offset: u32,
    /// Bytes that it lies in. Fields of some bits share theirs with others.
    pub len: u32,
    /// The fields in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub fields: Vec<Self>,
}

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The title of a layer.
    Title(&'static str),
    /// A number.
    Number(u64),
    /// A number that people read in base 16, with so many digits.
    Hex(u64, usize),
    /// A bit.
    Flag(bool),
    /// An address of IP.
    Address(Address),
    /// A hardware address.
    Mac(Mac),
    /// Text, what cannot be shown escaped.
    Text(String),
    /// Bytes without a meaning that is known here.
    Bytes,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Title(title) => f.write_str(title),
            Self::Number(number) => number.fmt(f),
            Self::Hex(number, digits) => write!(f, "0x{number:0digits$x}"),
            Self::Flag(is_set) => u8::from(*is_set).fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Bytes => Ok(()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
