//! Capture files as they are read: pcap and pcapng of every byte order and resolution, plain or compressed by gzip
//! or zstd, whole or growing, from anything that can be [read](std::io::Read). One pass, one buffer, nothing else
//! that grows; no length in a file is believed before it is bounded.
//!
//! [`Reader::next`] lends one [`Item`] after the other until the file ends. Damage ends it with an [`Error`] that
//! says what is wrong and where; what was read before stands.
//!
//! ```
//! use capture_file::read::{Item, Reader};
//!
//! # fn main() -> Result<(), capture_file::read::Error> {
//! # let file = &[0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
//! #     1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 60, 0, 0, 0, 1, 2, 3, 4][..];
//! let mut reader = Reader::new(file);
//! let mut bytes = 0;
//! while let Some(item) = reader.next()? {
//!     match item {
//!         Item::Packet(packet) => bytes += packet.data.len(),
//!         Item::Interface(interface) => println!("link type {}", interface.link_type),
//!         _ => {}
//!     }
//! }
//! assert_eq!((reader.packets(), bytes), (1, 4));
//! # Ok(())
//! # }
//! ```
//!
//! | in the order of flow | |
//! | --- | --- |
//! | `source`, `buffer` | decompression; the bytes of a record in one piece |
//! | `record` | a packet, whichever format it is of |
//! | `pcap` | file header and records |
//! | `pcapng`, `options`, `description`, `clock` | blocks; their options; what is no packet; time |
//! | `step`, `reader`, `place` | the next record, wherever the source ends; the reader itself; where it can be gone back to |
//! | `order` | numbers in either byte order |
//! | `item`, `error` | what comes out |

mod buffer;
mod clock;
mod description;
mod error;
mod item;
mod options;
mod order;
mod pcap;
mod pcapng;
mod place;
mod reader;
mod record;
mod source;
mod step;
#[cfg(test)]
mod tests;

pub use self::{
    error::{Error, ErrorCause},
    item::{Filter, Interface, Item, Packet, Secrets, Section, Statistics},
    place::Place,
    reader::Reader,
    source::{Compression, decompressed},
};
