//! DHCPv6 (RFC 8415).

use super::dns::hash;
use crate::decode::{be16, be32};

/// Port of clients.
pub const CLIENT_PORT: u16 = 546;
/// Port of servers and relays.
pub const SERVER_PORT: u16 = 547;

/// Most relays around a message that are looked through (RFC 8415 section 7.6 has 8).
const MAX_RELAYS: usize = 8;

/// Most options that are looked at.
const MAX_OPTIONS: usize = 64;

/// Types of messages.
pub mod kind {
    /// A client looks for servers.
    pub const SOLICIT: u8 = 1;
    /// A server offers addresses.
    pub const ADVERTISE: u8 = 2;
    /// A server answers.
    pub const REPLY: u8 = 7;
    /// A relay passes on what a client sent.
    pub const RELAY_FORWARD: u8 = 12;
    /// A server answers through a relay.
    pub const RELAY_REPLY: u8 = 13;
}

/// A message, with the options that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Type.
    pub kind: u8,
    /// Identifier of the transaction.
    pub transaction: u32,
    /// A number for the DUID of the client.
    pub client: Option<u64>,
    /// A number for the DUID of the server.
    pub server: Option<u64>,
}

impl Message {
    /// A message; that within the relays where there are some.
    pub fn new(mut bytes: &[u8]) -> Option<Self> {
        for _ in 0..=MAX_RELAYS {
            let header = bytes.first_chunk::<4>()?;
            match header[0] {
                kind::RELAY_FORWARD | kind::RELAY_REPLY => {
                    bytes = options(bytes.get(34..)?).find(|(code, _)| *code == 9)?.1;
                }
                1..=11 => {
                    let mut message = Self {
                        kind: header[0],
                        transaction: be32(header, 0) & 0xff_ffff,
                        client: None,
                        server: None,
                    };
                    for (code, value) in options(&bytes[4..]) {
                        match code {
                            1 => message.client = Some(hash(value)),
                            2 => message.server = Some(hash(value)),
                            _ => {}
                        }
                    }
                    return Some(message);
                }
                _ => return None,
            }
        }
        None
    }
}

fn options(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let next = move || {
        let (header, rest) = bytes.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(usize::from(be16(header, 2)))?;
        bytes = rest;
        Some((be16(header, 0), value))
    };
    std::iter::from_fn(next).take(MAX_OPTIONS)
}
