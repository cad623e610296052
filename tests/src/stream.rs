//! Capture files read as streams, record by record: for files that do not fit into memory, and for files
//! that still grow. Nanosecond and microsecond pcap and pcapng, in host byte order. What is damaged
//! panics; a record that is not there to its end yet is waited for.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    ops::Range,
    path::Path,
};

use crate::pcapng::{Block, INTERFACE, PACKET, SECTION, STATISTICS};

/// One packet of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// Length on the wire.
    pub original_len: u32,
    /// The bytes that were kept.
    pub bytes: &'a [u8],
}

/// One record of a stream.
#[derive(Debug)]
pub enum Record<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// Any other block of pcapng.
    Block(Block),
}

/// No block that any tool writes is longer.
const MAX_BLOCK_LEN: usize = 1 << 20;

/// A file on its way in.
pub struct Stream<R> {
    source: R,
    name: String,
    /// What was read and not yet taken.
    buffer: Vec<u8>,
    at: usize,
    format: Option<Format>,
}

enum Format {
    /// Nanoseconds of the fraction's unit.
    Pcap { unit_ns: u64 },
    /// Nanoseconds of each interface's unit.
    Pcapng { units_ns: Vec<u64> },
}

impl Stream<File> {
    /// Opens a file.
    pub fn open(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::new(file, &path.display().to_string())
    }
}

impl<R: Read> Stream<R> {
    /// Reads from a source, which is named for messages.
    pub fn new(source: R, name: &str) -> Self {
        Self {
            source,
            name: name.to_owned(),
            buffer: Vec::new(),
            at: 0,
            format: None,
        }
    }

    /// The next packet; other records are passed over. `None` where the source has no whole one, which may
    /// be different later.
    pub fn packet(&mut self) -> Option<Packet<'_>> {
        loop {
            let (time_ns, original_len, range) = match self.advance()? {
                Found::Packet(time_ns, original_len, range) => (time_ns, original_len, range),
                Found::Block(_) => continue,
            };
            return Some(Packet {
                time_ns,
                original_len,
                bytes: &self.buffer[range],
            });
        }
    }

    /// The next record, likewise.
    pub fn record(&mut self) -> Option<Record<'_>> {
        Some(match self.advance()? {
            Found::Packet(time_ns, original_len, range) => Record::Packet(Packet {
                time_ns,
                original_len,
                bytes: &self.buffer[range],
            }),
            Found::Block(block) => Record::Block(block),
        })
    }

    /// Bytes of a record that is not whole: 0 at the end of a whole file.
    pub fn rest(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// Whether so many bytes from here are in the buffer, after reading what there is.
    fn have(&mut self, len: usize) -> bool {
        if self.buffer.len() - self.at >= len {
            return true;
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        while self.buffer.len() < len {
            let filled = self.buffer.len();
            self.buffer.resize(filled + len.max(1 << 18), 0);
            let read = loop {
                match self.source.read(&mut self.buffer[filled..]) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // A pipe that was made so says that nothing is there now.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break 0,
                    Err(error) => panic!("{}: {error}", self.name),
                    Ok(read) => break read,
                }
            };
            self.buffer.truncate(filled + read);
            if read == 0 {
                return false;
            }
        }
        true
    }

    fn number(&self, at: usize) -> u32 {
        let bytes = &self.buffer[self.at + at..self.at + at + 4];
        u32::from_ne_bytes(bytes.try_into().expect("four bytes"))
    }

    fn advance(&mut self) -> Option<Found> {
        if self.format.is_none() {
            if !self.have(24) {
                return None;
            }
            let format = match self.number(0) {
                SECTION => Format::Pcapng {
                    units_ns: Vec::new(),
                },
                0xa1b2_3c4d => Format::Pcap { unit_ns: 1 },
                0xa1b2_c3d4 => Format::Pcap { unit_ns: 1000 },
                magic => panic!("{}: begins with {magic:#x}", self.name),
            };
            if matches!(format, Format::Pcap { .. }) {
                self.at += 24;
            }
            self.format = Some(format);
        }
        match self.format {
            Some(Format::Pcap { unit_ns }) => self.pcap(unit_ns),
            _ => self.pcapng(),
        }
    }

    /// A record of draft-ietf-opsawg-pcap.
    fn pcap(&mut self, unit_ns: u64) -> Option<Found> {
        if !self.have(16) {
            return None;
        }
        let [seconds, fraction, kept, original] = [0, 4, 8, 12].map(|at| self.number(at));
        let kept = kept as usize;
        assert!(kept < MAX_BLOCK_LEN, "{}: kept {kept} bytes", self.name);
        if !self.have(16 + kept) {
            return None;
        }
        let time_ns = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * unit_ns;
        let start = self.at + 16;
        self.at = start + kept;
        Some(Found::Packet(time_ns, original, start..start + kept))
    }

    /// A block of draft-ietf-opsawg-pcapng.
    fn pcapng(&mut self) -> Option<Found> {
        if !self.have(12) {
            return None;
        }
        let (kind, len) = (self.number(0), self.number(4) as usize);
        let is_sound = (12..MAX_BLOCK_LEN).contains(&len) && len.is_multiple_of(4);
        // Besides ours: name resolution, custom blocks, secrets.
        let is_known = [SECTION, INTERFACE, PACKET, STATISTICS, 4, 0xa, 0xbad].contains(&kind);
        assert!(
            is_sound && is_known,
            "{}: a block of type {kind:#x} and {len} bytes",
            self.name
        );
        if !self.have(len) {
            return None;
        }
        let again = self.number(len - 4) as usize;
        assert_eq!(len, again, "{}: lengths of a block", self.name);
        let block = self.at..self.at + len;
        if kind == PACKET {
            let found = self.enhanced_packet(len);
            self.at = block.end;
            return Some(found);
        }
        let other = Block {
            kind,
            body: self.buffer[block.start + 8..block.end - 4].to_vec(),
        };
        self.at = block.end;
        if let Some(Format::Pcapng { units_ns }) = &mut self.format {
            match kind {
                SECTION => units_ns.clear(),
                INTERFACE => units_ns.push(unit_ns(&other)),
                _ => {}
            }
        }
        Some(Found::Block(other))
    }

    fn enhanced_packet(&self, len: usize) -> Found {
        let [interface, high, low, kept, original] = [8, 12, 16, 20, 24].map(|at| self.number(at));
        let kept = kept as usize;
        let Some(Format::Pcapng { units_ns }) = &self.format else {
            unreachable!("only pcapng has blocks")
        };
        let unit_ns = units_ns
            .get(interface as usize)
            .unwrap_or_else(|| panic!("{}: no interface {interface}", self.name));
        assert!(
            28 + kept.next_multiple_of(4) + 4 <= len,
            "{}: {kept} bytes in a block of {len}",
            self.name
        );
        let time_ns = (u64::from(high) << 32 | u64::from(low)) * unit_ns;
        let start = self.at + 28;
        Found::Packet(time_ns, original, start..start + kept)
    }
}

enum Found {
    Packet(u64, u32, Range<usize>),
    Block(Block),
}

/// Nanoseconds of `if_tsresol`, a power of ten; microseconds without it.
fn unit_ns(interface: &Block) -> u64 {
    match interface.option(9).concat().as_slice() {
        [] | [6] => 1000,
        [9] => 1,
        other => panic!("time stamps in {other:?}"),
    }
}
