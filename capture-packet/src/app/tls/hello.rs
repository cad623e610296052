//! The first messages of both ends.

use super::version;
use crate::decode::be16;

/// Types of extensions (IANA, TLS ExtensionType Values).
pub mod extension {
    /// The name of the server (RFC 6066 section 3).
    pub const SERVER_NAME: u16 = 0;
    /// Signatures that are understood.
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    /// Protocols of the application (RFC 7301).
    pub const ALPN: u16 = 16;
    /// Versions that are understood, and the one that is taken (RFC 8446 section 4.2.1).
    pub const SUPPORTED_VERSIONS: u16 = 43;
}

/// Whether a value means nothing and is there so that others get used to unknown ones (RFC 8701).
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Reads fields whose lengths stand before them.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(field)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| be16(bytes, 0))
    }

    /// A field of which one byte says how long it is.
    fn short(&mut self) -> Option<&'a [u8]> {
        let len = *self.take(1)?.first()?;
        self.take(len.into())
    }

    /// A field of which two bytes say how long it is.
    fn long(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(len.into())
    }
}

/// Numbers of two bytes each.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> + Clone + '_ {
    bytes.chunks_exact(2).map(|pair| be16(pair, 0))
}

/// Extensions, in the order in which they were sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extensions<'a>(&'a [u8]);

impl<'a> Extensions<'a> {
    fn read(fields: &mut Fields<'a>) -> Option<Self> {
        // Of TLS 1.2 and before they may be left out (RFC 5246 section 7.4.1.2).
        match fields.0.is_empty() {
            true => Some(Self::default()),
            false => fields.long().map(Self),
        }
    }

    /// Type and content of each, until one is not whole.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut fields = Fields(self.0);
        std::iter::from_fn(move || Some((fields.number()?, fields.long()?)))
    }

    /// The content of the first of a type.
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.iter()
            .find(|(there, _)| *there == kind)
            .map(|(_, content)| content)
    }

    /// The bytes of all.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// What a client offers.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    /// The version in front, 1.2 where a later one is meant.
    pub legacy_version: u16,
    /// Random bytes.
    pub random: &'a [u8],
    /// The session to be taken up.
    pub session_id: &'a [u8],
    /// Cipher suites, two bytes each.
    pub cipher_bytes: &'a [u8],
    /// Compression methods, one byte each.
    pub compression: &'a [u8],
    /// Extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> ClientHello<'a> {
    /// The body of a whole ClientHello.
    pub fn new(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let hello = Self {
            legacy_version: fields.number()?,
            random: fields.take(32)?,
            session_id: fields.short()?,
            cipher_bytes: fields.long()?,
            compression: fields.short()?,
            extensions: Extensions::read(&mut fields)?,
        };
        let is_possible =
            hello.session_id.len() <= 32 && hello.cipher_bytes.len().is_multiple_of(2);
        is_possible.then_some(hello)
    }

    /// Cipher suites, the preferred first.
    pub fn ciphers(&self) -> impl Iterator<Item = u16> + Clone + use<'a> {
        numbers(self.cipher_bytes)
    }

    /// The name of the server as it was sent.
    pub fn server_name(&self) -> Option<&'a [u8]> {
        let mut list = Fields(Fields(self.extensions.get(extension::SERVER_NAME)?).long()?);
        loop {
            let kind = *list.take(1)?.first()?;
            let name = list.long()?;
            if kind == 0 && !name.is_empty() {
                return Some(name);
            }
        }
    }

    /// Versions that the client understands, without those that mean nothing.
    pub fn versions(&self) -> impl Iterator<Item = u16> + use<'a> {
        let list = self.extensions.get(extension::SUPPORTED_VERSIONS);
        let list = list.and_then(|content| Fields(content).short());
        let only = match list {
            Some(_) => None,
            None => Some(self.legacy_version),
        };
        numbers(list.unwrap_or_default())
            .filter(|version| !is_grease(*version))
            .chain(only)
    }

    /// Protocols of the application, the preferred first.
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let list = self.extensions.get(extension::ALPN);
        let list = list.and_then(|content| Fields(content).long());
        let mut list = Fields(list.unwrap_or_default());
        std::iter::from_fn(move || list.short())
    }

    /// Signatures that the client understands.
    pub fn signature_algorithms(&self) -> impl Iterator<Item = u16> + use<'a> {
        let list = self.extensions.get(extension::SIGNATURE_ALGORITHMS);
        numbers(
            list.and_then(|content| Fields(content).long())
                .unwrap_or_default(),
        )
    }
}

/// What a server takes of it.
#[derive(Clone, Copy, Debug)]
pub struct ServerHello<'a> {
    /// The version in front.
    legacy_version: u16,
    /// Random bytes, or those that ask for another ClientHello.
    random: &'a [u8],
    /// The cipher suite.
    pub cipher: u16,
    /// Extensions.
    pub extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    /// The random bytes of a HelloRetryRequest (RFC 8446 section 4.1.3).
    const RETRY: [u8; 32] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];

    /// The body of a whole ServerHello.
    pub fn new(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let legacy_version = fields.number()?;
        let random = fields.take(32)?;
        fields.short()?;
        let cipher = fields.number()?;
        fields.take(1)?;
        Some(Self {
            legacy_version,
            random,
            cipher,
            extensions: Extensions::read(&mut fields)?,
        })
    }

    /// The version that is spoken from now on.
    pub fn version(&self) -> u16 {
        match self.extensions.get(extension::SUPPORTED_VERSIONS) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => self.legacy_version,
        }
    }

    /// Whether it asks for another ClientHello.
    pub fn is_retry(&self) -> bool {
        self.random == Self::RETRY && self.version() >= version::TLS_1_3
    }
}
