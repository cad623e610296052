//! TLS (RFC 8446, RFC 5246): records, handshake messages as far as they are not encrypted, and alerts.

mod alert;
mod hello;
mod ja4;
mod suites;

pub use self::{
    alert::{Alert, alert_name},
    hello::{ClientHello, Extensions, ServerHello, extension, is_grease},
    ja4::{Ja4, Transport},
    suites::{Weakness, suite_name, weakness},
};
use crate::decode::be16;

/// Types of records.
pub mod content {
    /// The keys change.
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// An alert.
    pub const ALERT: u8 = 21;
    /// A part of one or several handshake messages.
    pub const HANDSHAKE: u8 = 22;
    /// Data, and in TLS 1.3 everything that is encrypted.
    pub const APPLICATION_DATA: u8 = 23;
    /// A heartbeat (RFC 6520).
    pub const HEARTBEAT: u8 = 24;
}

/// Types of handshake messages.
pub mod handshake {
    /// The client's first message.
    pub const CLIENT_HELLO: u8 = 1;
    /// The server's answer to it.
    pub const SERVER_HELLO: u8 = 2;
    /// A chain of certificates.
    pub const CERTIFICATE: u8 = 11;
    /// The largest of those that are in use.
    pub const LAST: u8 = 24;
}

/// Versions.
pub mod version {
    /// SSL 3.0 (RFC 6101).
    pub const SSL_3: u16 = 0x0300;
    /// TLS 1.0 (RFC 2246).
    pub const TLS_1_0: u16 = 0x0301;
    /// TLS 1.1 (RFC 4346).
    pub const TLS_1_1: u16 = 0x0302;
    /// TLS 1.2 (RFC 5246).
    pub const TLS_1_2: u16 = 0x0303;
    /// TLS 1.3 (RFC 8446).
    pub const TLS_1_3: u16 = 0x0304;
}

/// What a version is called.
pub fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0002 => "SSL 2.0",
        version::SSL_3 => "SSL 3.0",
        version::TLS_1_0 => "TLS 1.0",
        version::TLS_1_1 => "TLS 1.1",
        version::TLS_1_2 => "TLS 1.2",
        version::TLS_1_3 => "TLS 1.3",
        _ => return None,
    })
}

/// Most bytes of the payload of a record: 2^14, and what encryption may add (RFC 5246 section 6.2.3).
const MOST_IN_RECORD: usize = (1 << 14) + 2048;

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// See [`content`].
    pub content: u8,
    /// What its sender wrote there, which means little (RFC 8446 section 5.1).
    pub version: u16,
    /// Bytes behind the header.
    pub len: usize,
}

impl Record {
    /// Bytes of the header.
    pub const HEADER: usize = 5;

    /// The record at the front of these bytes; `None` where none can be, or too few bytes are there.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<{ Self::HEADER }>()?;
        let record = Self {
            content: header[0],
            version: be16(header, 1),
            len: be16(header, 3).into(),
        };
        record.is_possible().then_some(record)
    }

    fn is_possible(&self) -> bool {
        let is_known = (content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT).contains(&self.content);
        is_known && self.version >> 8 == 3 && self.version & 0xff <= 4 && self.len <= MOST_IN_RECORD
    }
}

/// Type and length of the handshake message at the front of these bytes, and its body as far as it is there.
pub fn message(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let ([kind, len @ ..], body) = bytes.split_first_chunk::<4>()?;
    let len = len
        .iter()
        .fold(0, |len, byte| len << 8 | usize::from(*byte));
    Some((*kind, len, &body[..len.min(body.len())]))
}

/// The certificates of a Certificate message up to TLS 1.2 (RFC 5246 section 7.4.2), that of the sender first, until one is
/// not whole.
pub fn certificates(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body.get(3..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (len, behind) = rest.split_first_chunk::<3>()?;
        let len = len
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte));
        let (certificate, behind) = behind.split_at_checked(len)?;
        rest = behind;
        Some(certificate)
    })
}

#[cfg(test)]
mod tests;
