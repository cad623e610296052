//! QUIC of versions 1 and 2 (RFC 9000, 9369): the headers of packets that say their version, and what is in Initial packets,
//! whose keys everybody can derive (RFC 9001 section 5.2).

use std::iter;

use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic},
    hkdf::{self, HKDF_SHA256, Salt},
};

use crate::decode::be32;

/// Fewest bytes of a datagram with an Initial packet of a client (RFC 9000 section 14.1).
pub const FEWEST_BYTES: usize = 1200;

/// Fewest bytes of the identifier that a client invents for its server (RFC 9000 section 7.2).
pub const FEWEST_ID_BYTES: usize = 8;

/// Most bytes of an identifier (RFC 9000 section 17.2).
const MOST_ID_BYTES: usize = 20;

/// What differs between the versions.
struct Version {
    number: u32,
    salt: [u8; 20],
    labels: [&'static str; 3],
    /// Types of Initial, 0-RTT, Handshake and Retry packets.
    kinds: [u8; 4],
}

const VERSIONS: [Version; 2] = [
    Version {
        number: 1,
        salt: [
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
            0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
        ],
        labels: ["quic key", "quic iv", "quic hp"],
        kinds: [0, 1, 2, 3],
    },
    Version {
        number: 0x6b33_43cf,
        salt: [
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
            0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
        ],
        labels: ["quicv2 key", "quicv2 iv", "quicv2 hp"],
        kinds: [1, 2, 3, 0],
    },
];

/// Types of packets that say their version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first ones of both ends.
    Initial,
    /// Early data.
    ZeroRtt,
    /// The rest of the handshake.
    Handshake,
    /// The server wants to know that the address of the client is its own.
    Retry,
}

/// A packet that says its version.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Version.
    pub version: u32,
    /// Type.
    pub kind: Kind,
    /// Identifier that the receiver chose; in the first packets of a client, one that it invented.
    pub destination: &'a [u8],
    /// Identifier that the sender chose.
    pub source: &'a [u8],
    /// Of Initial packets: what the server gave to the client earlier.
    pub token: &'a [u8],
    /// All of it, up to the next packet of the datagram.
    bytes: &'a [u8],
    /// Where its number is.
    number_at: usize,
}

/// Who sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Who opened the connection.
    Client,
    /// The other one.
    Server,
}

/// Reads on from a place.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    /// A number of variable length (RFC 9000 section 16).
    fn number(&mut self) -> Option<u64> {
        let first = *self.bytes.get(self.at)?;
        let bytes = self.take(1 << (first >> 6))?;
        let rest = bytes[1..].iter();
        Some(rest.fold(u64::from(first & 0x3f), |number, byte| {
            number << 8 | u64::from(*byte)
        }))
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(usize::try_from(len).ok()?)
    }

    fn id(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(*self.take(1)?.first()?);
        if len > MOST_ID_BYTES {
            return None;
        }
        self.take(len)
    }
}

impl<'a> Packet<'a> {
    /// The packet at the front of these bytes, and those behind it. `None` where it does not say its version, or another
    /// one, or is not whole.
    pub fn new(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let first = *bytes.first()?;
        let version = be32(bytes.get(1..5)?, 0);
        let of_version = VERSIONS.iter().find(|known| known.number == version)?;
        if first >> 6 != 3 {
            return None;
        }
        let kind = (first >> 4) & 3;
        let kinds = [Kind::Initial, Kind::ZeroRtt, Kind::Handshake, Kind::Retry];
        let place = of_version.kinds.iter().position(|there| *there == kind)?;
        let mut reader = Reader { bytes, at: 5 };
        let mut packet = Self {
            version,
            kind: kinds[place],
            destination: reader.id()?,
            source: reader.id()?,
            token: &[],
            bytes,
            number_at: 0,
        };
        if packet.kind == Kind::Retry {
            return Some((packet, &[]));
        }
        if packet.kind == Kind::Initial {
            packet.token = reader.counted()?;
        }
        let len = usize::try_from(reader.number()?).ok()?;
        packet.number_at = reader.at;
        let end = reader.at.checked_add(len)?;
        let (own, rest) = bytes.split_at_checked(end)?;
        packet.bytes = own;
        Some((packet, rest))
    }

    /// The packets of a datagram, until one that does not say its version.
    pub fn all(datagram: &'a [u8]) -> impl Iterator<Item = Self> + use<'a> {
        let mut rest = datagram;
        iter::from_fn(move || {
            let (packet, behind) = Self::new(rest)?;
            rest = behind;
            Some(packet)
        })
    }

    /// Bytes up to the number of the packet, which is encrypted.
    pub fn header_len(&self) -> usize {
        self.number_at
    }

    /// All bytes of it.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Keys of the Initial packets of one end.
pub struct Keys {
    packet: LessSafeKey,
    iv: [u8; 12],
    header: quic::HeaderProtectionKey,
}

impl Keys {
    /// The keys of a version and of the identifier in the first packet of the client.
    pub fn new(version: u32, id: &[u8], sender: Sender) -> Option<Self> {
        let Version { salt, labels, .. } = VERSIONS.iter().find(|known| known.number == version)?;
        let initial = Salt::new(HKDF_SHA256, salt).extract(id);
        let label = match sender {
            Sender::Client => "client in",
            Sender::Server => "server in",
        };
        let mut secret = [0; 32];
        expand(&initial, label, &mut secret)?;
        let secret = hkdf::Prk::new_less_safe(HKDF_SHA256, &secret);
        let (mut key, mut iv, mut header) = ([0; 16], [0; 12], [0; 16]);
        expand(&secret, labels[0], &mut key)?;
        expand(&secret, labels[1], &mut iv)?;
        expand(&secret, labels[2], &mut header)?;
        Some(Self {
            packet: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?),
            iv,
            header: quic::HeaderProtectionKey::new(&quic::AES_128, &header).ok()?,
        })
    }

    /// The frames in an Initial packet; `None` where it was encrypted with other keys.
    pub fn open(&self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        let at = packet.number_at;
        // RFC 9001 section 5.4.2: as if the number had four bytes.
        let sample = packet.bytes.get(at + 4..at + 20)?;
        let mask = self.header.new_mask(sample).ok()?;
        let mut bytes = packet.bytes.to_vec();
        bytes[0] ^= mask[0] & 0x0f;
        let number_len = usize::from(bytes[0] & 3) + 1;
        let mut nonce = self.iv;
        for place in 0..number_len {
            bytes[at + place] ^= mask[1 + place];
            nonce[12 - number_len + place] ^= bytes[at + place];
        }
        let mut content = bytes.split_off(at + number_len);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self
            .packet
            .open_in_place(nonce, Aad::from(&bytes), &mut content);
        let len = opened.ok()?.len();
        content.truncate(len);
        Some(content)
    }
}

/// HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1), without a context.
fn expand(secret: &hkdf::Prk, label: &str, into: &mut [u8]) -> Option<()> {
    struct Len(usize);

    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }

    let prefix = "tls13 ";
    let len = (into.len() as u16).to_be_bytes();
    let label_len = [(prefix.len() + label.len()) as u8];
    let info = [
        &len[..],
        &label_len,
        prefix.as_bytes(),
        label.as_bytes(),
        &[0],
    ];
    let expanded = secret.expand(&info, Len(into.len())).ok()?;
    expanded.fill(into).ok()
}

/// What an Initial packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A part of the TLS handshake.
    Crypto {
        /// Where in the handshake.
        offset: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// The connection ends.
    Close {
        /// Why (RFC 9000 section 20.1); from 0x100 on an alert of TLS.
        code: u64,
    },
}

/// The frames that say something, until one that cannot be in an Initial packet.
pub fn frames(content: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut reader = Reader {
        bytes: content,
        at: 0,
    };
    iter::from_fn(move || {
        loop {
            match reader.number()? {
                // Padding, and a ping.
                0 | 1 => {}
                kind @ (2 | 3) => acknowledgement(&mut reader, kind == 3)?,
                6 => {
                    let offset = reader.number()?;
                    let data = reader.counted()?;
                    return Some(Frame::Crypto { offset, data });
                }
                0x1c => {
                    let code = reader.number()?;
                    // The type of the frame that caused it, and words about it.
                    reader.number()?;
                    reader.counted()?;
                    return Some(Frame::Close { code });
                }
                _ => return None,
            }
        }
    })
}

/// Skips an ACK frame (RFC 9000 section 19.3).
fn acknowledgement(reader: &mut Reader<'_>, has_counts: bool) -> Option<()> {
    reader.number()?;
    reader.number()?;
    let ranges = reader.number()?;
    reader.number()?;
    for _ in 0..ranges {
        reader.number()?;
        reader.number()?;
    }
    if has_counts {
        for _ in 0..3 {
            reader.number()?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests;
