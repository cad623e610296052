//! DHCP (RFC 2131, options RFC 2132).

use crate::{
    address::{Address, Mac},
    decode::be32,
};

/// Port of servers.
pub const SERVER_PORT: u16 = 67;
/// Port of clients.
pub const CLIENT_PORT: u16 = 68;

/// Most options that are looked at.
const MAX_OPTIONS: usize = 128;

/// Types of messages.
pub mod kind {
    /// A client looks for servers.
    pub const DISCOVER: u8 = 1;
    /// A server offers an address.
    pub const OFFER: u8 = 2;
    /// A client asks for it, or for more time.
    pub const REQUEST: u8 = 3;
    /// The server agrees.
    pub const ACK: u8 = 5;
    /// The server refuses.
    pub const NAK: u8 = 6;
}

/// A message, with the options that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Identifier of the transaction.
    pub transaction: u32,
    /// Hardware address of the client.
    pub client: Mac,
    /// The address that is given to the client.
    pub given: Address,
    /// The relay, 0.0.0.0 without one.
    pub relay: Address,
    /// Option 53.
    pub kind: u8,
    /// Option 54.
    pub server: Option<Address>,
    /// Option 1.
    pub mask: Option<Address>,
    /// The first of option 3.
    pub router: Option<Address>,
    /// The first of option 6.
    pub name_server: Option<Address>,
    /// Option 50.
    pub requested: Option<Address>,
}

impl Message {
    /// A message of DHCP; `None` for BOOTP, which has no type, and for other hardware than Ethernet.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (header, mut options) = bytes.split_at_checked(240)?;
        let is_ethernet = header[1] == 1 && header[2] == 6;
        if !matches!(header[0], 1 | 2) || !is_ethernet || be32(header, 236) != 0x6382_5363 {
            return None;
        }
        let address = |at: usize| Address::v4(be32(header, at).to_be_bytes());
        let mut message = Self {
            transaction: be32(header, 4),
            client: Mac(*header[28..].first_chunk()?),
            given: address(16),
            relay: address(24),
            kind: 0,
            server: None,
            mask: None,
            router: None,
            name_server: None,
            requested: None,
        };
        for _ in 0..MAX_OPTIONS {
            let [code, rest @ ..] = options else { break };
            match code {
                0 => options = rest,
                255 => break,
                code => {
                    let Some((len, rest)) = rest.split_first() else {
                        break;
                    };
                    let Some((value, rest)) = rest.split_at_checked(usize::from(*len)) else {
                        break;
                    };
                    message.option(*code, value);
                    options = rest;
                }
            }
        }
        (message.kind != 0).then_some(message)
    }

    fn option(&mut self, code: u8, value: &[u8]) {
        let address = value.first_chunk::<4>().map(|bytes| Address::v4(*bytes));
        match code {
            1 => self.mask = address,
            3 => self.router = address,
            6 => self.name_server = address,
            50 => self.requested = address,
            53 => self.kind = value.first().copied().unwrap_or(0),
            54 => self.server = address,
            _ => {}
        }
    }
}
