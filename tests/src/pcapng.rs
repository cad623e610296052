//! A plain walk over the blocks of a pcapng file (draft-ietf-opsawg-pcapng), for what the usual
//! tools do not show: that the file ends with a whole block, and what the options say.

use std::path::Path;

/// Section Header Block.
pub const SECTION: u32 = 0x0a0d_0d0a;
/// Interface Description Block.
pub const INTERFACE: u32 = 1;
/// Interface Statistics Block.
pub const STATISTICS: u32 = 5;
/// Enhanced Packet Block.
pub const PACKET: u32 = 6;

/// One block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its type.
    pub kind: u32,
    /// What is between the two lengths.
    pub body: Vec<u8>,
}

/// All blocks of a file in host byte order; panics where one is not whole.
pub fn blocks(path: &Path) -> Vec<Block> {
    let file = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let number = |at: usize| {
        let bytes = file.get(at..at + 4).unwrap_or_else(|| {
            panic!(
                "{}: a block is cut at byte {at} of {}",
                path.display(),
                file.len()
            )
        });
        u32::from_ne_bytes(bytes.try_into().expect("four bytes"))
    };
    let (mut at, mut blocks) = (0, Vec::new());
    while at < file.len() {
        let len = number(at + 4) as usize;
        assert!(
            len >= 12 && len.is_multiple_of(4),
            "{}: block length {len} at {at}",
            path.display()
        );
        assert_eq!(
            number(at + len - 4) as usize,
            len,
            "{}: lengths at {at}",
            path.display()
        );
        blocks.push(Block {
            kind: number(at),
            body: file[at + 8..at + len - 4].to_vec(),
        });
        at += len;
    }
    blocks
}

/// Bytes of the whole blocks that a stream begins with, which may have been cut anywhere.
pub fn whole_len(stream: &[u8]) -> usize {
    let mut at = 0;
    while let Some(len) = stream.get(at + 4..at + 8) {
        let len = u32::from_ne_bytes(len.try_into().expect("four bytes")) as usize;
        assert!(len >= 12, "block length {len} at {at}");
        if at + len > stream.len() {
            break;
        }
        at += len;
    }
    at
}

impl Block {
    /// The values of an option, in order.
    pub fn option(&self, code: u16) -> Vec<Vec<u8>> {
        // Fixed part before the options: section 16, interface 8, statistics 12 bytes; a packet
        // has its frame too.
        let mut at = match self.kind {
            SECTION => 16,
            INTERFACE => 8,
            STATISTICS => 12,
            PACKET => 20 + (self.number(12) as usize).next_multiple_of(4),
            kind => panic!("no options known of block type {kind:#x}"),
        };
        let mut values = Vec::new();
        while at + 4 <= self.body.len() {
            let kind = u16::from_ne_bytes([self.body[at], self.body[at + 1]]);
            let len = usize::from(u16::from_ne_bytes([self.body[at + 2], self.body[at + 3]]));
            if kind == 0 {
                break;
            }
            if kind == code {
                values.push(self.body[at + 4..at + 4 + len].to_vec());
            }
            at += 4 + len.next_multiple_of(4);
        }
        values
    }

    /// The only value of an option as text.
    pub fn text(&self, code: u16) -> Option<String> {
        self.option(code)
            .first()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The only value of an option as a 64-bit number.
    pub fn number64(&self, code: u16) -> Option<u64> {
        let value = self.option(code).into_iter().next()?;
        Some(u64::from_ne_bytes(value.try_into().expect("eight bytes")))
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.body[at..at + 4].try_into().expect("four bytes"))
    }
}
