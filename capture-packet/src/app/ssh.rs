//! SSH: the line with which each side begins (RFC 4253 section 4.2), and what it offers (section 7.1).

use crate::decode::be32;

/// Longest first line.
const MAX_LINE: usize = 255;

/// Longest packet that all implementations take (RFC 4253 section 6.1).
const MAX_PACKET: usize = 35_000;

/// Most names of a list that are compared.
const MOST_NAMES: usize = 100;

/// The first line of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Banner<'a> {
    /// The line without its end: `SSH-2.0-OpenSSH_9.2`.
    pub line: &'a [u8],
    /// Bytes of the line with its end.
    pub len: usize,
}

impl<'a> Banner<'a> {
    /// The line that these bytes begin with.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(b"SSH-") {
            return None;
        }
        let start = &bytes[..bytes.len().min(MAX_LINE)];
        let end = start.iter().position(|byte| *byte == b'\n')?;
        let line = &start[..end];
        Some(Self {
            line: line.strip_suffix(b"\r").unwrap_or(line),
            len: end + 1,
        })
    }

    /// The version of the protocol: `2.0`, `1.99` for both.
    pub fn version(&self) -> &'a [u8] {
        let rest = &self.line[4..];
        let end = rest.iter().position(|byte| *byte == b'-');
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Whether only version 1 is spoken, which has been broken since 1998.
    pub fn is_version_1(&self) -> bool {
        let version = self.version();
        version.starts_with(b"1.") && version != b"1.99"
    }
}

/// Places of the lists of algorithms in [`KexInit`].
pub mod list {
    /// Key exchange.
    pub const KEX: usize = 0;
    /// Keys of the server.
    pub const HOST_KEY: usize = 1;
    /// Ciphers from the client to the server.
    pub const CIPHER: usize = 2;
    /// Message authentication from the client to the server.
    pub const MAC: usize = 4;
}

/// What a side offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KexInit<'a> {
    /// The ten lists, names with commas between them, the best first.
    pub lists: [&'a [u8]; 10],
    /// Bytes of the packet.
    pub len: usize,
}

impl<'a> KexInit<'a> {
    /// The packet that these bytes begin with, which must be whole.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..6)?;
        let len = be32(header, 0) as usize;
        if !(22..=MAX_PACKET).contains(&len) || header[5] != 20 {
            return None;
        }
        let packet = bytes.get(..4 + len)?;
        let mut rest = packet.get(22..)?;
        let mut lists = [&[][..]; 10];
        for list in &mut lists {
            let (len, behind) = rest.split_first_chunk::<4>()?;
            (*list, rest) = behind.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        }
        Some(Self {
            lists,
            len: packet.len(),
        })
    }

    /// The algorithm that is used where a client offers this and a server that: the first of the client's that the
    /// server has too (RFC 4253 section 7.1).
    pub fn chosen(&self, server: &Self, list: usize) -> Option<&'a [u8]> {
        let mut names = names(self.lists.get(list)?);
        let theirs = server.lists.get(list)?;
        names.find(|name| self::names(theirs).any(|other| other == *name))
    }
}

/// The names of a list.
fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = list.split(|byte| *byte == b',');
    names.filter(|name| !name.is_empty()).take(MOST_NAMES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kex_init(kex: &str) -> Vec<u8> {
        let mut bytes = vec![4, 20];
        bytes.extend([7; 16]);
        for list in [
            kex,
            "ssh-ed25519",
            "aes128-ctr",
            "",
            "hmac-sha2-256",
            "",
            "none",
            "none",
            "",
            "",
        ] {
            bytes.extend((list.len() as u32).to_be_bytes());
            bytes.extend(list.as_bytes());
        }
        bytes.extend([0; 9]);
        [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
    }

    #[test]
    fn the_first_of_the_client_that_the_server_has() {
        let (client, server) = (kex_init("a,b,c"), kex_init("c,b"));
        let client = KexInit::new(&client).expect("a packet");
        let server = KexInit::new(&server).expect("a packet");
        assert_eq!(client.chosen(&server, list::KEX), Some(&b"b"[..]));
        assert_eq!(
            client.chosen(&server, list::MAC),
            Some(&b"hmac-sha2-256"[..])
        );
        assert_eq!(client.chosen(&server, 3), None);
        assert_eq!(client.chosen(&server, 99), None);
        let whole = kex_init("a");
        for len in 0..whole.len() {
            assert_eq!(KexInit::new(&whole[..len]), None);
        }
    }

    #[test]
    fn the_first_line() {
        let banner = Banner::new(b"SSH-1.99-Cisco-1.25\r\nmore").expect("a line");
        assert_eq!((banner.version(), banner.len), (&b"1.99"[..], 21));
        assert!(!banner.is_version_1());
        assert!(
            Banner::new(b"SSH-1.5-old\n")
                .expect("a line")
                .is_version_1()
        );
        assert_eq!(Banner::new(b"SSH-2.0-without an end"), None);
        assert_eq!(
            Banner::new(&[b"SSH-2.0-", &[b'x'; 300][..], b"\n"].concat()),
            None
        );
    }
}
