//! JA4, a fingerprint of TLS clients (FoxIO, technical_details/JA4.md; this one of the family is BSD 3-Clause).

use std::fmt::{self, Write as _};

use ring::digest::{Context, SHA256};

use super::hello::{ClientHello, extension, is_grease};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What carries the ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// QUIC.
    Quic,
}

/// A fingerprint, as text of 36 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ja4([u8; Self::LEN]);

impl Ja4 {
    const LEN: usize = 36;

    /// The fingerprint of a ClientHello.
    pub fn new(hello: &ClientHello<'_>, transport: Transport) -> Self {
        let mut text = String::with_capacity(Self::LEN);
        let mut ciphers: Vec<u16> = hello.ciphers().filter(|suite| !is_grease(*suite)).collect();
        let kinds = hello.extensions.iter().map(|(kind, _)| kind);
        let mut kinds: Vec<u16> = kinds.filter(|kind| !is_grease(*kind)).collect();
        let (first, last) = alpn(hello.alpn().next().unwrap_or_default());
        let _ = write!(
            text,
            "{}{}{}{:02}{:02}{first}{last}",
            match transport {
                Transport::Tcp => 't',
                Transport::Quic => 'q',
            },
            version(hello.versions().max().unwrap_or_default()),
            if kinds.contains(&extension::SERVER_NAME) {
                'd'
            } else {
                'i'
            },
            ciphers.len().min(99),
            kinds.len().min(99),
        );
        ciphers.sort_unstable();
        kinds.retain(|kind| ![extension::SERVER_NAME, extension::ALPN].contains(kind));
        kinds.sort_unstable();
        let signatures = hello.signature_algorithms();
        let signatures: Vec<u16> = signatures
            .filter(|algorithm| !is_grease(*algorithm))
            .collect();
        hash(&mut text, &ciphers, &[]);
        hash(&mut text, &kinds, &signatures);
        let mut bytes = [b'0'; Self::LEN];
        for (place, byte) in bytes.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        Self(bytes)
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| f.write_char(char::from(*byte)))
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn version(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// The first and the last character of the name of a protocol, or of its bytes in base 16 where one of them is no letter or digit.
fn alpn(name: &[u8]) -> (char, char) {
    let (Some(first), Some(last)) = (name.first(), name.last()) else {
        return ('0', '0');
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return (char::from(*first), char::from(*last));
    }
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
    (digit(first >> 4), digit(last & 15))
}

/// Adds twelve characters of the hash of these numbers, and of those of `more` behind them.
fn hash(text: &mut String, numbers: &[u16], more: &[u16]) {
    text.push('_');
    if numbers.is_empty() {
        return text.push_str("000000000000");
    }
    let mut list = Vec::with_capacity(5 * (numbers.len() + more.len()));
    for (place, number) in numbers.iter().chain(more).enumerate() {
        match place {
            0 => {}
            _ if place == numbers.len() => list.push(b'_'),
            _ => list.push(b','),
        }
        // Formatting as the library does it takes longer than the hash.
        list.extend([12, 8, 4, 0].map(|shift| DIGITS[usize::from(number >> shift & 15)]));
    }
    let mut context = Context::new(&SHA256);
    context.update(&list);
    for byte in &context.finish().as_ref()[..6] {
        let _ = write!(text, "{byte:02x}");
    }
}
