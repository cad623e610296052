//! DNS (RFC 1035), and what has its format: mDNS (RFC 6762), LLMNR (RFC 4795), NetBIOS name service (RFC 1002).

use std::{
    fmt::{self, Write as _},
    hash::Hasher as _,
};

use crate::{decode::be16, text::escaped};

/// Longest name in the format of the wire, its root left out (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 254;

/// Most compression pointers that are followed in one name. Each goes backwards, so that none goes in circles.
const MAX_POINTERS: usize = 16;

/// Most records of a message that are looked at.
const MAX_RECORDS: usize = 64;

/// Port of DNS.
pub const PORT: u16 = 53;
/// Port of the NetBIOS name service (RFC 1002).
pub const NBNS_PORT: u16 = 137;
/// Port of multicast DNS (RFC 6762).
pub const MDNS_PORT: u16 = 5353;
/// Port of link-local multicast name resolution (RFC 4795).
pub const LLMNR_PORT: u16 = 5355;

/// Types of records (IANA).
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// A name server.
    pub const NS: u16 = 2;
    /// The name that another stands for.
    pub const CNAME: u16 = 5;
    /// Start of a zone.
    pub const SOA: u16 = 6;
    /// Any bytes.
    pub const NULL: u16 = 10;
    /// The name of an address.
    pub const PTR: u16 = 12;
    /// A mail server.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// Of NetBIOS.
    pub const NB: u16 = 32;
    /// Host and port of a service.
    pub const SRV: u16 = 33;
    /// The first type for private use, which iodine sends.
    pub const PRIVATE: u16 = 65_280;
}

/// Response codes (IANA).
pub mod code {
    /// It worked, though there may be no record.
    pub const NO_ERROR: u8 = 0;
    /// The server failed.
    pub const SERVFAIL: u8 = 2;
    /// The name does not exist.
    pub const NXDOMAIN: u8 = 3;
    /// The server does not want to.
    pub const REFUSED: u8 = 5;
}

/// What a response code is called.
pub fn code_name(code: u8) -> &'static str {
    const NAMES: [&str; 16] = [
        "NOERROR",
        "FORMERR",
        "SERVFAIL",
        "NXDOMAIN",
        "NOTIMP",
        "REFUSED",
        "YXDOMAIN",
        "YXRRSET",
        "NXRRSET",
        "NOTAUTH",
        "NOTZONE",
        "DSOTYPENI",
        "12",
        "13",
        "14",
        "15",
    ];
    NAMES[usize::from(code & 15)]
}

/// A name in lower case: labels with their lengths before them, without the root.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; MAX_NAME],
    len: u8,
}

impl Name {
    /// The name at an offset of a message, and the offset behind it.
    pub fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut name = Self {
            bytes: [0; MAX_NAME],
            len: 0,
        };
        let end = walk(message, at, |label| {
            let start = usize::from(name.len);
            let place = name.bytes.get_mut(start..start + 1 + label.len())?;
            place[0] = label.len() as u8;
            place[1..].copy_from_slice(label);
            place[1..].make_ascii_lowercase();
            name.len = (start + 1 + label.len()) as u8;
            Some(())
        })?;
        Some((name, end))
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The labels, that of the host first.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first()?;
            let (label, behind) = behind.split_at_checked(usize::from(*len))?;
            rest = behind;
            Some(label)
        })
    }

    /// A number for the name, without regard to case.
    pub fn hash(&self) -> u64 {
        hash(self.bytes())
    }

    /// The domain that somebody registered, as far as that can be told without a list: the last two labels, or three where
    /// the second is as short as `co` before a country. And the labels in front of it.
    pub fn split_domain(&self) -> (Self, &[u8]) {
        let mut starts = [0u8; 128];
        let (mut count, mut at, mut tail) = (0, 0, [0; 2]);
        for label in self.labels() {
            starts[count & 127] = at as u8;
            tail = [tail[1], label.len()];
            count += 1;
            at += 1 + label.len();
        }
        let is_country = count > 2 && tail[1] == 2 && tail[0] <= 3;
        let kept = if is_country { 3 } else { 2 };
        let start = match count {
            0..=2 => 0,
            _ => usize::from(starts[(count - kept) & 127]),
        };
        let mut domain = Self {
            bytes: [0; MAX_NAME],
            len: (self.bytes().len() - start) as u8,
        };
        domain.bytes[..self.bytes().len() - start].copy_from_slice(&self.bytes()[start..]);
        (domain, &self.bytes()[..start])
    }

    /// Whether it lies below a domain, given as in the format of the wire.
    pub fn is_below(&self, domain: &[u8]) -> bool {
        self.bytes().ends_with(domain)
    }

    /// The name within a NetBIOS name (RFC 1001 section 14.1): 15 characters, blanks at the end left out, and the suffix.
    pub fn netbios(&self) -> Option<([u8; 15], u8)> {
        let label = self.labels().next()?.first_chunk::<32>()?;
        let mut name = [0; 16];
        for (byte, pair) in name.iter_mut().zip(label.chunks_exact(2)) {
            let nibble = |letter: u8| Some(letter.checked_sub(b'a')?).filter(|nibble| *nibble < 16);
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        let [name @ .., suffix] = name;
        Some((name.map(|byte| byte.to_ascii_lowercase()), suffix))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 0 {
            return f.write_char('.');
        }
        for (place, label) in self.labels().enumerate() {
            if place > 0 {
                f.write_char('.')?;
            }
            escaped(label, 63).fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number for these bytes, to tell names apart without keeping them.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Goes through the labels of a name, and says where it ends in the message.
fn walk(
    message: &[u8],
    mut at: usize,
    mut label: impl FnMut(&[u8]) -> Option<()>,
) -> Option<usize> {
    let mut end = None;
    let mut pointers = 0;
    let mut len = 0;
    loop {
        let first = *message.get(at)?;
        match first >> 6 {
            0 if first == 0 => return Some(end.unwrap_or(at + 1)),
            0 => {
                let text = message.get(at + 1..at + 1 + usize::from(first))?;
                len += 1 + text.len();
                if len > MAX_NAME {
                    return None;
                }
                label(text)?;
                at += 1 + text.len();
            }
            3 => {
                let target = usize::from(be16(message.get(at..at + 2)?, 0) & 0x3fff);
                end = end.or(Some(at + 2));
                pointers += 1;
                if target >= at || pointers > MAX_POINTERS {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// About which name.
    pub name: Name,
    /// Type of record.
    pub kind: u16,
}

/// A record of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where its name is in the message.
    pub name_at: usize,
    /// Type.
    pub kind: u16,
    /// Whether it is of the answer section.
    pub is_answer: bool,
    /// The data, in which names may be compressed.
    pub data: &'a [u8],
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// A message, if it can be one: twelve bytes of header, a known operation, no more than a few questions.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < 12 || (bytes[2] >> 3) & 15 > 8 || be16(bytes, 4) > 16 {
            return None;
        }
        Some(Self { bytes })
    }

    /// The first message in a segment of TCP: its length stands before it (RFC 1035 section 4.2.2), and more of it may follow.
    pub fn of_stream(segment: &'a [u8]) -> Option<Self> {
        let (len, message) = segment.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        if len < 12 {
            return None;
        }
        Self::new(&message[..len.min(message.len())])
    }

    /// Identifier of the transaction.
    pub fn id(&self) -> u16 {
        be16(self.bytes, 0)
    }

    /// Whether it is a response.
    pub fn is_response(&self) -> bool {
        self.bytes[2] & 0x80 != 0
    }

    /// Operation: 0 is a query.
    pub fn operation(&self) -> u8 {
        (self.bytes[2] >> 3) & 15
    }

    /// Whether a NetBIOS name is asked of everybody (RFC 1002 section 4.2.1.1).
    pub fn is_broadcast(&self) -> bool {
        self.bytes[3] & 0x10 != 0
    }

    /// Whether it was cut to fit into a datagram.
    pub fn is_truncated(&self) -> bool {
        self.bytes[2] & 0x02 != 0
    }

    /// Response code, without what EDNS adds.
    pub fn code(&self) -> u8 {
        self.bytes[3] & 15
    }

    /// The first question, where it is whole.
    pub fn question(&self) -> Option<Question> {
        if be16(self.bytes, 4) == 0 {
            return None;
        }
        let (name, end) = Name::read(self.bytes, 12)?;
        let fields = self.bytes.get(end..end + 4)?;
        Some(Question {
            name,
            kind: be16(fields, 0),
        })
    }

    /// The name at an offset that a record gave.
    pub fn name(&self, at: usize) -> Option<Name> {
        Name::read(self.bytes, at).map(|(name, _)| name)
    }

    /// Records of all sections, up to the first that is not whole.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let bytes = self.bytes;
        let mut at = Some(12);
        for _ in 0..be16(bytes, 4) {
            at = at
                .and_then(|at| walk(bytes, at, |_| Some(())))
                .map(|end| end + 4);
        }
        let answers = usize::from(be16(bytes, 6));
        let all = answers + usize::from(be16(bytes, 8)) + usize::from(be16(bytes, 10));
        (0..all.min(MAX_RECORDS)).map_while(move |place| {
            let name_at = at?;
            let end = walk(bytes, name_at, |_| Some(()))?;
            let fields = bytes.get(end..end + 10)?;
            let data = bytes.get(end + 10..end + 10 + usize::from(be16(fields, 8)))?;
            at = Some(end + 10 + data.len());
            Some(Record {
                name_at,
                kind: be16(fields, 0),
                is_answer: place < answers,
                data,
            })
        })
    }

    /// A number for the records of the answer, whatever their order, times to live and class are. `None` without records.
    pub fn answer_hash(&self) -> Option<u64> {
        let answers = self.records().filter(|record| record.is_answer);
        let hashes = answers.map(|record| hash(record.data) ^ u64::from(record.kind));
        hashes.reduce(u64::wrapping_add)
    }
}
