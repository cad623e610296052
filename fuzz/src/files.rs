//! Readers of capture files, and recovery.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Read, Write as _},
};

use capture_file::{
    read::{Error, Item, Reader},
    scan,
};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Most items of an input that are compared: a small compressed file may hold gigabytes.
const MOST_ITEMS: usize = 20_000;

/// What was read: a hash of each item, and how it ended.
#[derive(Debug)]
struct Content {
    items: Vec<u64>,
    /// Place of the damage and number of the packet.
    damage: Option<(u64, u64)>,
}

/// A file says the same whether it is there as a whole, comes in pieces, or grows while it is read.
pub(crate) fn reader(data: &[u8]) {
    let whole = content(Reader::new(data), data.len());
    let pieces = Pieces {
        left: data,
        most: 1 + data.len() % 97,
        pauses: false,
        paused: true,
    };
    let in_pieces = content(Reader::new(pieces), data.len());
    assert!(
        whole.agrees(&in_pieces, data),
        "{whole:?} is in pieces {in_pieces:?}"
    );
    let growing = Pieces {
        pauses: true,
        paused: false,
        left: data,
        most: 1 + data.len() % 389,
    };
    let growing = content(Reader::following(growing), data.len());
    assert!(
        whole.agrees(&growing, data),
        "{whole:?} is growing {growing:?}"
    );
}

/// What a reader says of a source of `len` bytes.
fn content(mut reader: Reader<impl Read>, len: usize) -> Content {
    let mut items = Vec::new();
    let mut damage = None;
    let mut pending = 0;
    while items.len() < MOST_ITEMS {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(Item::Pending)) => {
                pending += 1;
                // A byte at least came before each.
                if pending > len {
                    reader.stop_following();
                }
            }
            Ok(Some(item)) => items.push(hash(&item)),
            Err(Error { offset, packet, .. }) => damage = Some((offset, packet)),
        }
    }
    Content { items, damage }
}

impl Content {
    /// Whether both are of one file. Of a damaged compressed one, how much is read depends on how much the decompressor
    /// was asked for at once.
    fn agrees(&self, other: &Self, data: &[u8]) -> bool {
        let is_compressed = matches!(
            data,
            [0x1f, 0x8b, ..] | [0x28, 0xb5, ..] | [0x50..=0x5f, 0x2a, ..]
        );
        match (self.damage, other.damage) {
            (Some(_), Some(_)) if is_compressed => {
                let common = self.items.len().min(other.items.len());
                self.items[..common] == other.items[..common]
            }
            (damage, other_damage) => damage == other_damage && self.items == other.items,
        }
    }
}

fn hash(item: &Item<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match item {
        Item::Packet(packet) => {
            packet.number.hash(&mut hasher);
            packet.timestamp_ns.hash(&mut hasher);
            packet.interface.hash(&mut hasher);
            packet.original_len.hash(&mut hasher);
            packet.lost_before.hash(&mut hasher);
            packet.data.hash(&mut hasher);
            packet
                .comments()
                .for_each(|comment| comment.hash(&mut hasher));
        }
        other => format!("{other:?}").hash(&mut hasher),
    }
    hasher.finish()
}

/// A source that gives a few bytes at a time, and says between them that there are no more where it `pauses`.
struct Pieces<'a> {
    left: &'a [u8],
    most: usize,
    pauses: bool,
    paused: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.paused = !self.paused;
        if self.pauses && self.paused {
            return Ok(0);
        }
        let count = self.most.min(out.len());
        let (now, later) = self.left.split_at(count.min(self.left.len()));
        out[..now.len()].copy_from_slice(now);
        self.left = later;
        Ok(now.len())
    }
}

/// What recovery keeps is a part of the file, and is kept whole by another recovery.
pub(crate) fn recovery(data: &[u8]) {
    let file = memfd_create(c"fuzz", MFdFlags::empty()).expect("a file in memory");
    let mut file = File::from(file);
    file.write_all(data).expect("a file in memory takes all");
    let Ok(first) = scan(&file) else { return };
    assert!(first.size <= data.len() as u64, "{first:?}");
    assert!(first.bytes <= first.size, "{first:?}");
    file.set_len(first.size).expect("it can be cut");
    match scan(&file) {
        Ok(second) => assert_eq!(first, second),
        Err(error) => panic!("{error} after {first:?}"),
    }
}
