//! What is wrong with a capture file, as data, and where. Faces put it into their own words.

use std::io;

use capture_task::Cause;

use super::source::Compression;

/// Why reading ended early. Everything that was read before it stands.
#[derive(Debug, thiserror::Error)]
#[error("{cause} (at byte {offset}, after packet {packet})")]
pub struct Error {
    /// Where the damaged record begins, in bytes of the content: of a compressed file, after decompression.
    pub offset: u64,
    /// Number of the last packet before it; 0 where there was none.
    pub packet: u64,
    /// What is wrong there.
    pub cause: ErrorCause,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorCause {
    /// The source failed.
    #[error("cannot read: {}", Cause(_0))]
    Io(io::Error),
    /// The compressed data is damaged, cut, or needs too much memory.
    #[error("damaged {compression} data: {}", Cause(cause))]
    Decompression {
        /// How it is compressed.
        compression: Compression,
        /// What the decompressor says.
        cause: io::Error,
    },
    /// Not one byte.
    #[error("the file is empty")]
    Empty,
    /// Neither pcap nor pcapng.
    #[error("not a pcap or pcapng file: it begins with {magic:02x?}")]
    NotACapture {
        /// The first bytes.
        magic: [u8; 4],
    },
    /// A known format that is not read here.
    #[error("{format} is not supported")]
    Unsupported {
        /// Its name.
        format: &'static str,
    },
    /// A version of pcap or pcapng other than the known ones.
    #[error("version {major}.{minor} of the format is not supported")]
    Version {
        /// The first number.
        major: u16,
        /// The second one.
        minor: u16,
    },
    /// The file ends within a record.
    #[error("the file is cut short: {there} bytes of an incomplete record at its end")]
    Cut {
        /// Bytes of the record that are there, as far as they were looked at.
        there: usize,
    },
    /// A packet longer than any capture tool writes, so its length is taken for damage.
    #[error("a packet of {len} bytes; the longest possible is {most}")]
    PacketTooLong {
        /// Its length as the record says.
        len: u32,
        /// The most that is believed.
        most: u32,
    },
    /// Zeros instead of a record, as a power failure leaves them.
    #[error("zeros where a packet should begin")]
    Zeros,
    /// A block shorter than its kind can be, or no multiple of four.
    #[error("a block of type {kind:#x} with the impossible length {len}")]
    BlockLength {
        /// Block type.
        kind: u32,
        /// Its length as it says.
        len: u32,
    },
    /// A block that has to be held in memory, and is longer than any that a capture tool writes.
    #[error("a block of type {kind:#x} of {len} bytes; at most {most} are read")]
    BlockTooLong {
        /// Block type.
        kind: u32,
        /// Its length as it says.
        len: u32,
        /// The most that is believed.
        most: u32,
    },
    /// The lengths at both ends of a block differ.
    #[error("a block of type {kind:#x} begins with length {len} and ends with {trailing}")]
    TrailingLength {
        /// Block type.
        kind: u32,
        /// Length at its beginning.
        len: u32,
        /// Length at its end.
        trailing: u32,
    },
    /// A section header whose byte-order magic is neither way round.
    #[error("a section with the unknown byte-order magic {magic:02x?}")]
    ByteOrder {
        /// What is there instead.
        magic: [u8; 4],
    },
    /// A packet that does not fit into its block.
    #[error("a packet of {len} bytes in a block with room for {room}")]
    Overrun {
        /// Its length as the block says.
        len: u32,
        /// Bytes of the block for it.
        room: u32,
    },
    /// An option that does not fit into its block, or has another length than the format gives it.
    #[error("option {code} of a block of type {kind:#x} has the impossible length {len}")]
    OptionLength {
        /// Block type.
        kind: u32,
        /// Option code.
        code: u16,
        /// Its length as it says.
        len: u16,
    },
    /// A packet or statistics of an interface that the section has not described.
    #[error("interface {interface} is not described; the section has {described}")]
    UnknownInterface {
        /// Its number in the section.
        interface: u32,
        /// Interfaces described so far.
        described: u32,
    },
    /// More interfaces than a file may have, or with more text. They would fill the memory of whoever keeps them.
    #[error(
        "more than {most} interfaces, or more than {most_text} bytes of their names and filters"
    )]
    TooManyInterfaces {
        /// Most interfaces of a file.
        most: u32,
        /// Most bytes of text in all their descriptions.
        most_text: usize,
    },
}
