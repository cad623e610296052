//! Fields whose value is one word out of a few: the words, their meanings, and what is said when
//! the word is none of them. [`resolve`](super::resolve) reads the words, the command line lists
//! them.

use capture_common::Direction;

use super::{
    Directions, Format, Hook, Oversize, Protocol,
    fault::{ValueError, nearest, quote},
};
use crate::task::State;

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

impl Keyword for State {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("pending", Self::Pending),
        ("running", Self::Running),
        ("stopping", Self::Stopping),
        ("completed", Self::Completed),
        ("failed", Self::Failed),
    ];
}

impl Keyword for Directions {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("both", Self::Both),
        ("ingress", Self::Only(Direction::Ingress)),
        ("egress", Self::Only(Direction::Egress)),
    ];
}

impl Keyword for Hook {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("tc", Self::Tc),
        ("xdp", Self::Xdp),
        ("xdp-generic", Self::XdpGeneric),
    ];
}

impl Keyword for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("all", Self::All),
        ("tcp", Self::Tcp),
        ("udp", Self::Udp),
        ("icmp", Self::Icmp),
    ];
}

impl Keyword for Oversize {
    const WORDS: &'static [(&'static str, Self)] =
        &[("truncate", Self::Truncate), ("discard", Self::Discard)];
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

/// The meaning of a word.
pub fn parse<T: Keyword>(text: &str) -> Result<T, ValueError> {
    if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let allowed = T::words()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ");
    let hint = nearest(text, T::words()).map(|word| format!(" (did you mean \"{word}\"?)"));
    Err(ValueError::unknown(format!(
        "{} is not known{}; allowed are {allowed}",
        quote(text),
        hint.unwrap_or_default()
    )))
}
