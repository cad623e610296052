//! SNMP (RFC 1157, RFC 1901, RFC 3412): the version, and whether a community stands in it for a password.

use super::ber::{Reader, tag};

/// Port of agents.
pub const PORT: u16 = 161;
/// Port of those that are told.
pub const TRAP_PORT: u16 = 162;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// As in the message: 0 is version 1, 1 is 2c, 3 is 3.
    pub version: u32,
    /// The community of versions 1 and 2c.
    pub community: &'a [u8],
    /// Tag of the operation; 0xa2 is a response. 0 of version 3.
    pub operation: u8,
}

impl<'a> Message<'a> {
    /// A message, of which the end need not be there.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let message = Reader(bytes).value()?;
        if message.tag != tag::SEQUENCE {
            return None;
        }
        let mut fields = Reader(message.bytes);
        match fields.number()? {
            version @ (0 | 1) => Some(Self {
                version,
                community: fields.expect(tag::OCTETS)?,
                operation: fields.value().map(|value| value.tag)?,
            })
            .filter(|message| matches!(message.operation, 0xa0..=0xa8)),
            3 => Some(Self {
                version: 3,
                community: &[],
                operation: 0,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let get = b"\x30\x26\x02\x01\x01\x04\x06secret\xa0\x19\x02\x01\x01";
        let message = Message::new(get).expect("a message");
        assert_eq!((message.version, message.community), (1, &b"secret"[..]));
        assert_eq!(message.operation, 0xa0);
        let newer = Message::new(b"\x30\x3e\x02\x01\x03\x30\x11").expect("a message");
        assert_eq!((newer.version, newer.community), (3, &b""[..]));
        for bytes in [
            &b"\x30\x26\x02\x01\x02"[..],
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x85\0",
            b"\x04\0",
            b"",
        ] {
            assert_eq!(Message::new(bytes), None);
        }
        for len in 0..get.len() {
            let _ = Message::new(&get[..len]);
        }
    }
}
