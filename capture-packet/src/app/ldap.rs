//! LDAP (RFC 4511): logins with a password, and their results.

use super::ber::{Reader, tag};

/// Port.
pub const PORT: u16 = 389;

/// Result code of a wrong name or password (RFC 4511 appendix A).
const INVALID_CREDENTIALS: u32 = 49;

/// What matters here of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A login with a password.
    SimpleBind,
    /// A login without a name or with a mechanism that shows no password.
    OtherBind,
    /// A name or password was refused.
    Refused,
    /// A login worked.
    Bound,
    /// Anything else.
    Other,
}

/// Bytes of the message that these begin with; `None` where there are too few of them to tell.
pub fn len(bytes: &[u8]) -> Option<usize> {
    Reader(bytes).len()
}

impl Message {
    /// The message that these bytes begin with.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let message = Reader(bytes).value()?;
        let mut fields = Reader(message.bytes);
        if message.tag != tag::SEQUENCE {
            return None;
        }
        fields.number()?;
        let operation = fields.value()?;
        let mut inner = Reader(operation.bytes);
        Some(match operation.tag {
            0x60 => {
                inner.number().filter(|version| (2..=3).contains(version))?;
                inner.expect(tag::OCTETS)?;
                let login = inner.value()?;
                match login.tag == 0x80 && !login.bytes.is_empty() {
                    true => Self::SimpleBind,
                    false => Self::OtherBind,
                }
            }
            0x61 => match inner.number()? {
                INVALID_CREDENTIALS => Self::Refused,
                0 => Self::Bound,
                // Among them that it goes on.
                _ => Self::Other,
            },
            // Application tags (RFC 4511 section 4.2 to 4.14).
            0x42 | 0x4a | 0x50 | 0x63..=0x79 => Self::Other,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins() {
        for (bytes, found) in [
            (
                &b"\x30\x14\x02\x01\x01\x60\x0f\x02\x01\x03\x04\x04cn=a\x80\x04pass"[..],
                Message::SimpleBind,
            ),
            (
                b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00",
                Message::OtherBind,
            ),
            (
                b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\xa3\x00",
                Message::OtherBind,
            ),
            (
                b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00",
                Message::Refused,
            ),
            (
                b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
                Message::Bound,
            ),
            (b"\x30\x05\x02\x01\x02\x42\x00", Message::Other),
        ] {
            assert_eq!(Message::new(bytes), Some(found));
            for len in 0..bytes.len() {
                let _ = Message::new(&bytes[..len]);
            }
        }
        assert_eq!(Message::new(b"\x30\x26\x02\x01\x01\x04\x06public"), None);
    }
}
