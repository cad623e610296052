//! Fields whose value is one word out of a few: the values, their words, and what is said when a word is
//! none of them. [`resolve`](super::resolve) reads the words, the command line lists them.

use capture_common::Direction;

use super::{fault::FaultKind, text::nearest};

/// A type that people write as one word.
pub trait Keyword: Copy + PartialEq + 'static {
    /// Every word and its meaning, in the order in which they are listed.
    const WORDS: &'static [(&'static str, Self)];

    /// The words alone.
    fn words() -> impl Iterator<Item = &'static str> {
        Self::WORDS.iter().map(|(word, _)| *word)
    }

    /// The word for this value.
    fn keyword(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, value)| *value == self)
            .map_or("", |(word, _)| word)
    }
}

/// Directions of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// Both.
    Both,
    /// One of them.
    Only(Direction),
}

impl Keyword for Directions {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("both", Self::Both),
        ("ingress", Self::Only(Direction::Ingress)),
        ("egress", Self::Only(Direction::Egress)),
    ];
}

/// Kind of program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// tc, which disturbs no link.
    Auto,
    /// tc.
    Tc,
    /// Native XDP for ingress, tc for egress.
    Xdp,
    /// Generic XDP for ingress, tc for egress.
    XdpGeneric,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Tc, Self::Xdp, Self::XdpGeneric];
}

impl Keyword for Hook {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("tc", Self::Tc),
        ("xdp", Self::Xdp),
        ("xdp-generic", Self::XdpGeneric),
    ];
}

/// Protocol of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Every frame.
    #[default]
    All,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP and ICMPv6.
    Icmp,
}

impl Keyword for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("all", Self::All),
        ("tcp", Self::Tcp),
        ("udp", Self::Udp),
        ("icmp", Self::Icmp),
    ];
}

/// What becomes of a frame longer than `max_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// It is cut.
    Truncate,
    /// It is left out and counted.
    Discard,
}

impl Keyword for Oversize {
    const WORDS: &'static [(&'static str, Self)] =
        &[("truncate", Self::Truncate), ("discard", Self::Discard)];
}

/// File format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// pcapng (draft-ietf-opsawg-pcapng), nanosecond resolution.
    Pcapng,
    /// Nanosecond pcap (magic 0xa1b23c4d).
    Pcap,
}

impl Keyword for Format {
    const WORDS: &'static [(&'static str, Self)] =
        &[("pcapng", Self::Pcapng), ("pcap", Self::Pcap)];
}

/// The `address_type` of a request; a plan does not need it, as its endpoints say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressType {
    /// Every address.
    Any,
    /// One endpoint has `ip`.
    Ip,
    /// The endpoints have `ip` and `peer_ip`.
    IpPair,
}

impl Keyword for AddressType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("any", Self::Any),
        ("ip", Self::Ip),
        ("ip_pair", Self::IpPair),
    ];
}

/// The meaning of a word, in upper or lower case, as cloud consoles write `TCP` and `All`.
pub fn parse<T: Keyword>(text: &str) -> Result<T, FaultKind> {
    let known = T::WORDS
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
    known
        .map(|(_, value)| *value)
        .ok_or_else(|| FaultKind::UnknownWord {
            word: text.into(),
            near: nearest(text, T::words()).map(str::to_owned),
            allowed: T::words().map(str::to_owned).collect(),
        })
}
