//! SMB over TCP ([MS-SMB], [MS-SMB2]): which version two ends agree on, and refused logins.

use crate::decode::be32;

/// Status of a login with a wrong name or password ([MS-ERREF] STATUS_LOGON_FAILURE).
pub const LOGON_FAILURE: u32 = 0xc000_006d;

/// Bytes of the header of NetBIOS sessions before each message (RFC 1002 section 4.3.1).
pub const SESSION_HEADER: usize = 4;

/// A message, of which the header is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// 1, or 2 for versions 2 and 3.
    pub version: u8,
    /// Command; of each version they have their own numbers.
    pub command: u16,
    /// Whether the server sent it.
    pub is_response: bool,
    /// Status of a response.
    pub status: u32,
    /// Of a response to a negotiation: the dialect. Of version 1 the place in the client's list.
    pub dialect: Option<u16>,
}

impl Message {
    /// The message that these bytes begin with, behind the header of its session.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let (session, message) = bytes.split_at_checked(SESSION_HEADER)?;
        let len = (be32(session, 0) & 0xff_ffff) as usize;
        if session[0] != 0 || len < 32 {
            return None;
        }
        match message.get(..4)? {
            b"\xffSMB" => Self::version_1(message),
            b"\xfeSMB" => Self::version_2(message),
            _ => None,
        }
    }

    fn version_1(message: &[u8]) -> Option<Self> {
        let header = message.first_chunk::<33>()?;
        let (command, is_response) = (header[4], header[9] & 0x80 != 0);
        let has_dialect = command == 0x72 && is_response && header[32] > 0;
        let dialect = has_dialect.then(|| le16(message, 33)).flatten();
        Some(Self {
            version: 1,
            command: command.into(),
            is_response,
            status: le32(message, 5)?,
            // All bits set: none of the client's.
            dialect: dialect.filter(|dialect| *dialect != 0xffff),
        })
    }

    fn version_2(message: &[u8]) -> Option<Self> {
        let command = le16(message, 12)?;
        let is_response = le32(message, 16)? & 1 != 0;
        let has_dialect = command == 0 && is_response;
        Some(Self {
            version: 2,
            command,
            is_response,
            status: le32(message, 8)?,
            dialect: has_dialect.then(|| le16(message, 68)).flatten(),
        })
    }

    /// Whether the server takes version 1 for what follows.
    pub fn is_version_1_agreed(&self) -> bool {
        self.version == 1 && self.dialect.is_some()
    }

    /// Whether it is a login, or the answer to one.
    pub fn is_login(&self) -> bool {
        matches!((self.version, self.command), (1, 0x73) | (2, 1))
    }

    /// Whether the server refuses a name or password.
    pub fn is_failed_login(&self) -> bool {
        self.is_login() && self.is_response && self.status == LOGON_FAILURE
    }
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes()[..], message].concat()
    }

    #[test]
    fn version_1() {
        let mut message = b"\xffSMB\x72\0\0\0\0\x98".to_vec();
        message.resize(32, 0);
        message.extend([17, 5, 0]);
        let found = Message::new(&session(&message)).expect("a message");
        assert_eq!(found.dialect, Some(5));
        assert!(found.is_version_1_agreed() && found.is_response);
        message[33..35].copy_from_slice(&[0xff; 2]);
        let none = Message::new(&session(&message)).expect("a message");
        assert!(!none.is_version_1_agreed());
        message[9] = 0;
        let request = Message::new(&session(&message)).expect("a message");
        assert!(!request.is_response && !request.is_version_1_agreed());
    }

    #[test]
    fn version_2() {
        let mut message = b"\xfeSMB\x40\0\0\0\x6d\0\0\xc0\x01\0\0\0\x01".to_vec();
        message.resize(72, 0);
        let failed = Message::new(&session(&message)).expect("a message");
        assert!(failed.is_failed_login());
        message[12] = 0;
        message[68..70].copy_from_slice(&[0x11, 3]);
        let negotiated = Message::new(&session(&message)).expect("a message");
        assert_eq!(negotiated.dialect, Some(0x0311));
        assert!(!negotiated.is_failed_login() && !negotiated.is_version_1_agreed());
        for len in 0..64 {
            let _ = Message::new(&session(&message)[..len]);
        }
    }
}
