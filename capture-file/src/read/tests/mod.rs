//! Tests of the reader: what files of every kind hold, against what was put into them and against independent readers;
//! files that grow, and files that are damaged.

mod build;
mod compression;
mod damage;
mod formats;
mod growing;
mod mutations;
mod oracles;
mod places;

use std::io::{self, Read};

use capture_common::Direction;

use super::*;

/// An item as it can be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    Packet(Found),
    Interface(Interface),
    Statistics(Statistics),
    Section(Section),
    Secrets(Secrets),
    Pending,
}

/// A packet as it can be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    number: u64,
    timestamp_ns: Option<u64>,
    interface: u32,
    direction: Option<Direction>,
    original_len: u32,
    lost_before: u64,
    data: Vec<u8>,
    comments: Vec<String>,
}

impl From<Item<'_>> for Kept {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Packet(packet) => Self::Packet(Found {
                number: packet.number,
                timestamp_ns: packet.timestamp_ns,
                interface: packet.interface,
                direction: packet.direction,
                original_len: packet.original_len,
                lost_before: packet.lost_before,
                data: packet.data.to_vec(),
                comments: packet.comments().map(|text| text.into_owned()).collect(),
            }),
            Item::Interface(interface) => Self::Interface(*interface),
            Item::Statistics(statistics) => Self::Statistics(*statistics),
            Item::Section(section) => Self::Section(*section),
            Item::Secrets(secrets) => Self::Secrets(secrets),
            Item::Pending => Self::Pending,
        }
    }
}

/// Everything up to the end or the fault.
fn read_until_fault(source: impl Read) -> (Vec<Kept>, Option<Error>) {
    let mut reader = Reader::new(source);
    let mut kept = Vec::new();
    loop {
        match reader.next() {
            Ok(Some(item)) => kept.push(item.into()),
            Ok(None) => return (kept, None),
            Err(error) => {
                let again = reader.next().expect("no second error");
                assert!(again.is_none(), "an item after {error}");
                return (kept, Some(error));
            }
        }
    }
}

/// Everything in a file without a fault.
fn read(source: impl Read) -> Vec<Kept> {
    let (kept, error) = read_until_fault(source);
    if let Some(error) = error {
        panic!("{error}, after {} items", kept.len());
    }
    kept
}

fn fault(source: impl Read) -> Error {
    let (kept, error) = read_until_fault(source);
    error.unwrap_or_else(|| panic!("no fault, and {} items", kept.len()))
}

/// The packets of a file without a fault.
fn packets(source: impl Read) -> Vec<Found> {
    let only_packets = |kept| match kept {
        Kept::Packet(found) => Some(found),
        _ => None,
    };
    read(source).into_iter().filter_map(only_packets).collect()
}

/// Gives one byte at a time, so that no record is whole when it is looked at first.
struct OneByte<'a>(&'a [u8]);

impl Read for OneByte<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let few = out.len().min(1);
        self.0.read(&mut out[..few])
    }
}
