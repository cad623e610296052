//! Sets of ports and of hosts with a bound, which say what is in them in a few words.

use std::fmt;

use rustc_hash::FxBuildHasher;

use crate::{address::Address, sketch::Distinct};

/// Ports that are kept in place: most hosts are asked for fewer.
const FEW: usize = 16;

/// Words of a bit for each port.
const WORDS: usize = 65_536 / 64;

/// Hosts that are told apart; of more only the number is known, about.
const HOSTS: usize = 256;

/// A set of ports: 40 bytes, or 8 KiB from the seventeenth port on.
#[derive(Clone, Debug)]
pub(super) enum Ports {
    Few([u16; FEW], u8),
    Many(Box<[u64; WORDS]>, u32),
}

impl Default for Ports {
    fn default() -> Self {
        Self::Few([0; FEW], 0)
    }
}

impl Ports {
    /// Adds a port; false where it was there.
    pub(super) fn add(&mut self, port: u16) -> bool {
        match self {
            Self::Few(ports, len) => {
                let known = usize::from(*len);
                if ports[..known].contains(&port) {
                    return false;
                }
                if let Some(place) = ports.get_mut(known) {
                    *place = port;
                    *len += 1;
                    return true;
                }
                let mut words = Box::new([0; WORDS]);
                for port in ports.iter().copied().chain([port]) {
                    words[usize::from(port) / 64] |= 1 << (port % 64);
                }
                *self = Self::Many(words, FEW as u32 + 1);
                true
            }
            Self::Many(words, len) => {
                let (word, bit) = (&mut words[usize::from(port) / 64], 1 << (port % 64));
                let is_new = *word & bit == 0;
                *word |= bit;
                *len += u32::from(is_new);
                is_new
            }
        }
    }

    /// How many.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Few(_, len) => u64::from(*len),
            Self::Many(_, len) => u64::from(*len),
        }
    }

    /// The lowest and the highest.
    fn bounds(&self) -> Option<(u16, u16)> {
        match self {
            Self::Few(ports, len) => {
                let ports = &ports[..usize::from(*len)];
                Some((*ports.iter().min()?, *ports.iter().max()?))
            }
            Self::Many(words, _) => {
                let low = words.iter().position(|word| *word != 0)?;
                let high = words.iter().rposition(|word| *word != 0)?;
                let first = low as u32 * 64 + words[low].trailing_zeros();
                let last = high as u32 * 64 + 63 - words[high].leading_zeros();
                Some((first as u16, last as u16))
            }
        }
    }
}

/// "1 to 1000", or "between 7 and 49152" where some of them are missing.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((low, high)) = self.bounds() else {
            return f.write_str("none");
        };
        if low == high {
            return write!(f, "{low}");
        }
        match u64::from(high - low) + 1 == self.len() {
            true => write!(f, "{low} to {high}"),
            false => write!(f, "between {low} and {high}"),
        }
    }
}

/// A set of hosts: exact up to [`HOSTS`], and an estimate beyond.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// In ascending order.
    known: Vec<Address>,
    sketch: Option<Box<Distinct>>,
    low: Option<Address>,
    high: Option<Address>,
}

impl Hosts {
    /// Adds a host; false where it was there, or may have been.
    pub(super) fn add(&mut self, host: Address) -> bool {
        let is_new = match self.known.binary_search(&host) {
            Ok(_) => false,
            Err(place) if self.known.len() < HOSTS => {
                self.known.insert(place, host);
                true
            }
            Err(_) => {
                let known = &self.known;
                let sketch = self.sketch.get_or_insert_with(|| {
                    let mut sketch = Box::<Distinct>::default();
                    known.iter().for_each(|host| _ = sketch.add(hash(*host)));
                    sketch
                });
                sketch.add(hash(host))
            }
        };
        self.low = Some(self.low.map_or(host, |low| low.min(host)));
        self.high = Some(self.high.map_or(host, |high| high.max(host)));
        is_new
    }

    /// How many, about where they are more than [`HOSTS`].
    pub(super) fn len(&self) -> u64 {
        match &self.sketch {
            Some(sketch) => sketch.count(),
            None => self.known.len() as u64,
        }
    }

    /// "254", "about 3100", "more than 4000".
    pub(super) fn number(&self) -> String {
        match &self.sketch {
            Some(sketch) => about(sketch),
            None => self.known.len().to_string(),
        }
    }

    /// The lowest and the highest.
    pub(super) fn bounds(&self) -> Option<(Address, Address)> {
        self.low.zip(self.high)
    }

    /// One of them.
    pub(super) fn first(&self) -> Option<Address> {
        self.known.first().copied()
    }

    /// Whether a host lies between the lowest and the highest.
    pub(super) fn spans(&self, host: Address) -> bool {
        self.bounds()
            .is_some_and(|(low, high)| (low..=high).contains(&host))
    }
}

/// How many there were, as far as a sketch of this size can tell.
pub(super) fn about(sketch: &Distinct) -> String {
    const FULL: u64 = 4000;
    match sketch.count() {
        count @ ..FULL => format!("about {count}"),
        _ => format!("more than {FULL}"),
    }
}

/// The hash of an address, for a sketch.
pub(super) fn hash(address: Address) -> u64 {
    let hash = std::hash::BuildHasher::hash_one(&FxBuildHasher, address);
    // Addresses in a row are spread evenly by Fx, more so than a sketch expects: the finalizer of MurmurHash3.
    let mixed = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ mixed >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_counted_once_and_named_by_their_bounds() {
        let mut ports = Ports::default();
        assert_eq!((ports.len(), ports.to_string()), (0, "none".to_owned()));
        assert!(ports.add(7) && !ports.add(7));
        assert_eq!(ports.to_string(), "7");
        for port in 1..=1000 {
            assert_eq!(ports.add(port), port != 7);
        }
        assert_eq!(
            (ports.len(), ports.to_string()),
            (1000, "1 to 1000".to_owned())
        );
        assert!(ports.add(65_535) && ports.add(0));
        assert_eq!(ports.to_string(), "between 0 and 65535");
        assert_eq!(ports.len(), 1002);
    }

    #[test]
    fn hosts_are_exact_and_then_estimated() {
        let host = |number: u32| Address::v4((0x0a00_0000 + number).to_be_bytes());
        let mut hosts = Hosts::default();
        for number in 0..256 {
            assert!(hosts.add(host(number)) && !hosts.add(host(number)));
        }
        assert_eq!(hosts.number(), "256");
        for number in 256..2000 {
            hosts.add(host(number));
        }
        assert!((1800..2200).contains(&hosts.len()), "{}", hosts.number());
        for number in 2000..20_000 {
            hosts.add(host(number));
        }
        assert_eq!(hosts.number(), "more than 4000");
        assert!(hosts.spans(host(1000)) && !hosts.spans(host(60_000)));
    }
}
