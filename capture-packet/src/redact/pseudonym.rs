//! Pseudonyms of addresses. Two addresses that share their first n bits have pseudonyms that share exactly n bits, so that
//! networks stay networks (Crypto-PAn: Xu, Fan, Ammar and Moon, "Prefix-Preserving IP Address Anonymization", ICNP 2002).
//! No two addresses have the same pseudonym.
//!
//! Some ranges mean the same to everybody, and are kept: an address outside of them never gets a pseudonym within. An
//! address that begins like a kept range keeps as many bits as they share, and one more.

use aes::{
    Aes128, Block,
    cipher::{BlockEncrypt as _, KeyInit as _},
};
use rustc_hash::FxHashMap;

use crate::address::Mac;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;

/// Addresses that are remembered. Beyond them they are worked out again.
const MOST_REMEMBERED: usize = 65_536;

/// IPv6 addresses that hold an IPv4 address in their last four bytes: mapped ones (RFC 4291), NAT64 (RFC 6052).
const EMBEDDING: [u128; 2] = [0xffff << 32, 0x0064_ff9b << 96];

/// Pseudonyms under one key.
pub struct Pseudonyms {
    v4: Tree,
    v6: Tree,
    mac: Aes128,
    known_v4: FxHashMap<u32, u32>,
    known_v6: FxHashMap<u128, u128>,
}

impl Pseudonyms {
    /// Those of a key, which is as secret as the addresses are.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let (cipher_key, pad) = halves(key);
        let cipher = Aes128::new(&cipher_key.into());
        // Other keys for other kinds of addresses: equal bits of two kinds say nothing of each other.
        let derived = |number: u8| encrypt(&cipher, u128::MAX - u128::from(number)).to_be_bytes();
        Self {
            v4: Tree::new(cipher_key, pad, kept_v4()),
            v6: Tree::new(derived(0), derived(1), kept_v6()),
            mac: Aes128::new(&derived(2).into()),
            known_v4: FxHashMap::default(),
            known_v6: FxHashMap::default(),
        }
    }

    /// Of an IPv4 address in network byte order.
    pub fn v4(&mut self, address: [u8; 4]) -> [u8; 4] {
        let address = u32::from_be_bytes(address);
        if let Some(known) = self.known_v4.get(&address) {
            return known.to_be_bytes();
        }
        let pseudonym = (self.v4.pseudonym(u128::from(address) << 96, 32) >> 96) as u32;
        if self.known_v4.len() >= MOST_REMEMBERED {
            self.known_v4.clear();
        }
        self.known_v4.insert(address, pseudonym);
        pseudonym.to_be_bytes()
    }

    /// Of an IPv6 address in network byte order.
    pub fn v6(&mut self, address: [u8; 16]) -> [u8; 16] {
        let address = u128::from_be_bytes(address);
        let [.., a, b, c, d] = address.to_be_bytes();
        if EMBEDDING.contains(&(address >> 32 << 32)) {
            let v4 = u32::from_be_bytes(self.v4([a, b, c, d]));
            return (address >> 32 << 32 | u128::from(v4)).to_be_bytes();
        }
        if let Some(known) = self.known_v6.get(&address) {
            return known.to_be_bytes();
        }
        let pseudonym = self.v6.pseudonym(address, 128);
        if self.known_v6.len() >= MOST_REMEMBERED {
            self.known_v6.clear();
        }
        self.known_v6.insert(address, pseudonym);
        pseudonym.to_be_bytes()
    }

    /// Of a hardware address: a locally administered one, which names no vendor. Groups are kept, but for those that are
    /// made of an IPv6 address (RFC 2464 section 7), and so are zeros.
    pub fn mac(&mut self, address: [u8; 6]) -> [u8; 6] {
        match address {
            [0, 0, 0, 0, 0, 0] => address,
            // ff02::1:ffXX:XXXX, the group of all nodes whose address ends like this.
            [0x33, 0x33, 0xff, a, b, c] => {
                let mut group = [0; 16];
                group[..2].copy_from_slice(&[0xff, 2]);
                group[11..].copy_from_slice(&[1, 0xff, a, b, c]);
                let [.., a, b, c] = self.v6(group);
                [0x33, 0x33, 0xff, a, b, c]
            }
            // Small numbers are those of protocols.
            [0x33, 0x33, 0, 0..=2, ..] => address,
            [0x33, 0x33, ..] => {
                let [a, b, c, d, ..] = self.of_mac(address);
                [0x33, 0x33, a, b, c, d]
            }
            _ if Mac(address).is_group() => address,
            _ => {
                let [first, rest @ ..] = self.of_mac(address);
                let [b, c, d, e, f] = rest;
                [first & 0xfc | 2, b, c, d, e, f]
            }
        }
    }

    fn of_mac(&self, address: [u8; 6]) -> [u8; 6] {
        let [a, b, c, d, e, f] = address;
        let block = u128::from_be_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d, e, f]);
        let [a, b, c, d, e, f, ..] = encrypt(&self.mac, block).to_be_bytes();
        [a, b, c, d, e, f]
    }
}

/// The tree of all addresses of a kind, left-aligned in 128 bits. Each node says whether its two branches change places.
struct Tree {
    cipher: Aes128,
    pad: u128,
    kept: Vec<Kept>,
}

/// A range that is kept.
struct Kept {
    prefix: u128,
    len: u32,
    /// Whether the addresses within keep all of their bits, and not only those of the range.
    whole: bool,
}

impl Kept {
    /// The bits that an address and this range begin with in common.
    fn in_common(&self, address: u128) -> u32 {
        (address ^ self.prefix).leading_zeros().min(self.len)
    }
}

impl Tree {
    fn new(key: [u8; 16], pad: [u8; 16], kept: Vec<Kept>) -> Self {
        let cipher = Aes128::new(&key.into());
        let pad = encrypt(&cipher, u128::from_be_bytes(pad));
        Self { cipher, pad, kept }
    }

    /// Of the first `bits` bits of an address.
    fn pseudonym(&self, address: u128, bits: u32) -> u128 {
        let within = self
            .kept
            .iter()
            .filter(|kept| kept.in_common(address) == kept.len);
        // The longest range decides.
        let is_whole = within
            .max_by_key(|kept| kept.len)
            .is_some_and(|kept| kept.whole);
        if is_whole {
            return address;
        }
        // No branch on the way to a kept range changes places.
        let on_the_way = |kept: &Kept| (kept.in_common(address) + 1).min(kept.len);
        let first = self.kept.iter().map(on_the_way).max().unwrap_or(0);
        let mut blocks: Vec<Block> = (first..bits)
            .map(|bit| {
                let ahead = u128::MAX.checked_shr(bit).unwrap_or(0);
                let block = address & !ahead | self.pad & ahead;
                block.to_be_bytes().into()
            })
            .collect();
        self.cipher.encrypt_blocks(&mut blocks);
        let turns = blocks.iter().zip(first..);
        turns.fold(address, |pseudonym, (block, bit)| {
            pseudonym ^ (u128::from(block[0] >> 7) << (127 - bit))
        })
    }
}

fn encrypt(cipher: &Aes128, block: u128) -> u128 {
    let mut block = Block::from(block.to_be_bytes());
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

fn halves(key: &[u8; KEY_LEN]) -> ([u8; 16], [u8; 16]) {
    let (mut first, mut second) = ([0; 16], [0; 16]);
    first.copy_from_slice(&key[..16]);
    second.copy_from_slice(&key[16..]);
    (first, second)
}

/// Unspecified, loopback, multicast and broadcast are kept whole; private and link-local networks stay private and
/// link-local (RFC 6890).
fn kept_v4() -> Vec<Kept> {
    let range = |[a, b, c, d]: [u8; 4], len, whole| Kept {
        prefix: u128::from(u32::from_be_bytes([a, b, c, d])) << 96,
        len,
        whole,
    };
    vec![
        range([0, 0, 0, 0], 32, true),
        range([127, 0, 0, 0], 8, true),
        range([224, 0, 0, 0], 4, true),
        range([255, 255, 255, 255], 32, true),
        range([169, 254, 0, 0], 16, false),
        range([10, 0, 0, 0], 8, false),
        range([172, 16, 0, 0], 12, false),
        range([192, 168, 0, 0], 16, false),
        range([100, 64, 0, 0], 10, false),
    ]
}

/// As of IPv4. Groups that everybody knows are kept whole; of others, which may be made of a prefix (RFC 3306) or of the end
/// of an address (RFC 4291 section 2.7.1, RFC 4620), flags and scope are kept.
fn kept_v6() -> Vec<Kept> {
    let range = |prefix, len, whole| Kept { prefix, len, whole };
    let mut kept = vec![
        range(0, 128, true),
        range(1, 128, true),
        range(0xffff << 32, 96, false),
        range(0x0064_ff9b << 96, 96, false),
        range(0xfe80 << 112, 64, false),
        range(0xfe80 << 112, 10, false),
        range(0xfc00 << 112, 7, false),
        range(0xff02 << 112 | 0x1_ff00_0000, 104, false),
        range(0xff02 << 112 | 0x2_ff00_0000, 104, false),
    ];
    for flags_and_scope in 0..=0xff {
        let prefix = (0xff00 | flags_and_scope) << 112;
        kept.push(range(prefix, 16, false));
        if flags_and_scope < 0x10 {
            kept.push(range(prefix, 96, true));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        net::{IpAddr, Ipv4Addr, Ipv6Addr},
    };

    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; KEY_LEN] = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131,
        121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
    ];

    fn of(address: &str) -> String {
        let mut pseudonyms = Pseudonyms::new(&KEY);
        match address.parse().expect("an address") {
            IpAddr::V4(v4) => Ipv4Addr::from(pseudonyms.v4(v4.octets())).to_string(),
            IpAddr::V6(v6) => Ipv6Addr::from(pseudonyms.v6(v6.octets())).to_string(),
        }
    }

    /// The sample trace that the authors of Crypto-PAn published with it; they keep no range.
    #[test]
    fn without_kept_ranges_it_is_crypto_pan() {
        let (key, pad) = halves(&KEY);
        let tree = Tree::new(key, pad, Vec::new());
        for (address, pseudonym) in [
            ([128, 11, 68, 132], [135, 242, 180, 132]),
            ([129, 118, 74, 4], [134, 136, 186, 123]),
            ([130, 132, 252, 244], [133, 68, 164, 234]),
            ([141, 223, 7, 43], [141, 167, 8, 160]),
            ([141, 233, 145, 108], [141, 129, 237, 235]),
            ([152, 163, 225, 39], [151, 140, 114, 167]),
            ([156, 29, 3, 236], [147, 225, 12, 42]),
            ([165, 247, 96, 84], [162, 9, 99, 234]),
            ([166, 107, 77, 190], [160, 132, 178, 185]),
            ([192, 102, 249, 13], [252, 138, 62, 131]),
        ] {
            let found = tree.pseudonym(u128::from(u32::from_be_bytes(address)) << 96, 32);
            assert_eq!(((found >> 96) as u32).to_be_bytes(), pseudonym);
        }
    }

    #[test]
    fn what_everybody_knows_is_kept() {
        for address in [
            "0.0.0.0",
            "127.0.0.1",
            "127.1.2.3",
            "224.0.0.251",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "ff02::fb",
            "ff05::1:3",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(of(address), address);
        }
        for (address, range) in [
            ("10.1.2.3", "10."),
            ("192.168.7.9", "192.168."),
            ("169.254.8.8", "169.254."),
            ("fe80::a8bb:ccff:fedd:eeff", "fe80::"),
            ("fd12:3456:789a::1", "fd"),
            ("ff02::1:ffdd:eeff", "ff02::1:ff"),
            ("ff3e:40:2001:db8:1:2:0:1", "ff3e:"),
            ("::ffff:10.1.2.3", "::ffff:10."),
            ("64:ff9b::c000:201", "64:ff9b::"),
        ] {
            let pseudonym = of(address);
            assert!(pseudonym.starts_with(range), "{address} {pseudonym}");
            assert_ne!(pseudonym, address);
        }
        let embedded: Ipv6Addr = of("::ffff:10.1.2.3").parse().expect("an address");
        let v4 = embedded.to_ipv4_mapped().expect("an IPv4 address");
        assert_eq!(v4.to_string(), of("10.1.2.3"));
    }

    #[test]
    fn of_hardware_addresses_the_vendor_goes() {
        let mut pseudonyms = Pseudonyms::new(&KEY);
        let pseudonym = pseudonyms.mac([0, 0x1b, 0x21, 1, 2, 3]);
        assert_eq!(pseudonym[0] & 3, 2);
        assert_ne!(pseudonym[1..3], [0x1b, 0x21]);
        assert_ne!(pseudonyms.mac([0, 0x1b, 0x21, 1, 2, 4]), pseudonym);
        for kept in [
            [0; 6],
            [0xff; 6],
            [1, 0, 0x5e, 0, 0, 0xfb],
            [1, 0x80, 0xc2, 0, 0, 0x0e],
            [0x33, 0x33, 0, 0, 0, 1],
            [0x33, 0x33, 0, 1, 0, 3],
        ] {
            assert_eq!(pseudonyms.mac(kept), kept);
        }
        // The group of a neighbour is that of the pseudonym that its packets go to.
        let group = pseudonyms.v6("ff02::1:ff12:3456".parse::<Ipv6Addr>().expect("a").octets());
        let mac = pseudonyms.mac([0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(mac[2..], group[12..]);
        assert_ne!(mac[3..], [0x12, 0x34, 0x56]);
        assert_ne!(
            pseudonyms.mac([0x33, 0x33, 0xde, 0xad, 0, 1])[2..],
            [0xde, 0xad, 0, 1]
        );
    }

    #[test]
    fn another_key_gives_other_pseudonyms_and_the_memory_is_bounded() {
        let mut one = Pseudonyms::new(&KEY);
        let mut other = Pseudonyms::new(&[7; KEY_LEN]);
        assert_ne!(one.v4([8, 8, 8, 8]), other.v4([8, 8, 8, 8]));
        let first = one.v4([8, 0, 0, 0]);
        let mut seen = HashSet::new();
        for n in 0..=MOST_REMEMBERED as u32 {
            seen.insert(one.v4((0x0800_0000 + n).to_be_bytes()));
        }
        assert_eq!(seen.len(), MOST_REMEMBERED + 1);
        assert!(one.known_v4.len() <= MOST_REMEMBERED);
        assert_eq!(one.v4([8, 0, 0, 0]), first);
    }

    fn kept(tree: &Tree, address: u128) -> bool {
        let mut within = tree.kept.iter();
        within.any(|kept| kept.whole && kept.in_common(address) == kept.len)
    }

    proptest! {
        #[test]
        fn prefixes_are_preserved(a: u32, b: u32, shared in 0..=32_u32) {
            let mask = u32::MAX.checked_shl(32 - shared).unwrap_or(0);
            let b = a & mask | b & !mask;
            let mut pseudonyms = Pseudonyms::new(&KEY);
            let [x, y] = [a, b].map(|address| u32::from_be_bytes(pseudonyms.v4(address.to_be_bytes())));
            prop_assert_eq!((a ^ b).leading_zeros(), (x ^ y).leading_zeros());
        }

        #[test]
        fn of_ipv6_too(a: u128, b: u128, shared in 0..=128_u32) {
            let mask = u128::MAX.checked_shl(128 - shared).unwrap_or(0);
            let b = a & mask | b & !mask;
            let tree = Pseudonyms::new(&KEY).v6;
            let [x, y] = [a, b].map(|address| tree.pseudonym(address, 128));
            prop_assert_eq!((a ^ b).leading_zeros(), (x ^ y).leading_zeros());
            prop_assert_eq!(kept(&tree, a), kept(&tree, x));
        }
    }
}
