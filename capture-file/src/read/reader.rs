//! The reader: finds out what a file is, goes from record to record, and lends what they hold.

use std::{fmt, io::Read, mem};

use super::{
    buffer::Buffer,
    error::{Error, ErrorCause},
    item::{Interface, Item, Packet},
    options::Options,
    pcap::{self, Pcap},
    pcapng::{self, Pcapng},
    place::Place,
    record::PacketRecord,
    source::Compression,
    step::{Skip, Step, ended, pcap_record, pcapng_block},
};

/// Reads a capture file once, from front to back.
pub struct Reader<R: Read> {
    buffer: Buffer<R>,
    state: State,
    packets: u64,
}

/// Where the reader is.
enum State {
    /// Nothing is known yet.
    Start,
    Pcap(Pcap),
    Pcapng(Pcapng, Option<Skip>),
    /// After the end or an error, which is at this place of the content. What was known before is left.
    Ended(u64, Box<State>),
}

impl State {
    /// What was known at a place before.
    fn at(&self, place: Place) -> Self {
        match (self, place.progress) {
            (Self::Ended(_, before), _) => before.at(place),
            (Self::Pcap(pcap), _) => Self::Pcap(*pcap),
            (Self::Pcapng(pcapng, _), Some(progress)) => Self::Pcapng(pcapng.at(progress), None),
            // A place of another reader.
            _ => Self::Start,
        }
    }
}

impl<R: Read> Reader<R> {
    /// Reads a file that is complete. `source` needs no buffer of its own.
    pub fn new(source: R) -> Self {
        Self::over(Buffer::new(source, false))
    }

    /// Reads a file that still grows: where it ends now, [`Item::Pending`] is lent instead of an end or an error,
    /// and the next call looks again. `WouldBlock` of the source is taken for the same. A compressed file can be
    /// followed as well, as far as its writer has flushed.
    ///
    /// The file may only grow: a reader does not notice that bytes which it has seen are cut off.
    pub fn following(source: R) -> Self {
        Self::over(Buffer::new(source, true))
    }

    fn over(buffer: Buffer<R>) -> Self {
        Self {
            buffer,
            state: State::Start,
            packets: 0,
        }
    }

    /// The file is complete now: where it ends is its end, and a record that is not whole there is an error.
    pub fn stop_following(&mut self) {
        self.buffer.stop_following();
    }

    /// The place of the next record, to be gone back to by [`Reader::from_place`]. `None` before the first item, within
    /// a record, after the end, and where the file is compressed.
    pub fn place(&self) -> Option<Place> {
        let progress = match &self.state {
            State::Pcap(_) => None,
            State::Pcapng(pcapng, None) => Some(pcapng.progress()),
            _ => return None,
        };
        self.buffer.compression().is_none().then(|| Place {
            offset: self.buffer.offset(),
            packets: self.packets,
            progress,
        })
    }

    /// A reader of the same file from a place of it on, whose `source` begins there. It takes the end of the source for
    /// that of a file that grows.
    pub fn from_place<S: Read>(&self, place: Place, source: S) -> Reader<S> {
        Reader {
            buffer: Buffer::at_place(source, place.offset),
            state: self.state.at(place),
            packets: place.packets,
        }
    }

    /// Packets read so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Where the next record begins, in bytes of the content: of a compressed file, after decompression. After an error,
    /// where the damaged one begins.
    pub fn offset(&self) -> u64 {
        match &self.state {
            State::Pcapng(_, Some(skip)) => skip.offset,
            State::Ended(offset, _) => *offset,
            _ => self.buffer.offset(),
        }
    }

    /// Bytes of memory that the content takes.
    #[cfg(test)]
    pub(super) fn buffer_len(&self) -> usize {
        self.buffer.len()
    }

    /// How the file is compressed, once its first item was read.
    pub fn compression(&self) -> Option<Compression> {
        self.buffer.compression()
    }

    /// The next item; `None` after the last one, and after an error.
    ///
    /// # Errors
    /// What is wrong with the file, or with reading it.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend from itself"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Item<'_>>, Error> {
        if let Some((packet, len)) = self.whole_packet() {
            let at = self.buffer.take(len);
            self.packets += 1;
            return Ok(Some(Item::Packet(self.packet(&packet, at))));
        }
        self.next_of_any()
    }

    /// The packet at the front and the length of its record, where all of it is there and nothing is wrong with it:
    /// nearly always, so this is kept apart from all that may be otherwise.
    #[inline]
    fn whole_packet(&self) -> Option<(PacketRecord, usize)> {
        match &self.state {
            State::Pcap(pcap) => pcap.whole_packet(self.buffer.rest()),
            State::Pcapng(pcapng, None) => pcapng.whole_packet(self.buffer.rest()),
            _ => None,
        }
    }

    #[inline(never)]
    fn next_of_any(&mut self) -> Result<Option<Item<'_>>, Error> {
        match self.step() {
            Ok(Step::Packet(packet, at)) => {
                self.packets += 1;
                Ok(Some(Item::Packet(self.packet(&packet, at))))
            }
            Ok(Step::Interface(interface)) => Ok(Some(Item::Interface(interface))),
            Ok(Step::Statistics(statistics)) => Ok(Some(Item::Statistics(statistics))),
            Ok(Step::Section(section)) => Ok(Some(Item::Section(section))),
            Ok(Step::Secrets(secrets)) => Ok(Some(Item::Secrets(secrets))),
            Ok(Step::Pending) => Ok(Some(Item::Pending)),
            Ok(Step::End) => {
                self.end();
                Ok(None)
            }
            Err(cause) => Err(self.fail(cause)),
        }
    }

    #[inline]
    fn packet(&self, packet: &PacketRecord, at: usize) -> Packet<'_> {
        let options = match &self.state {
            State::Pcapng(pcapng, _) => {
                let options = self.buffer.at(at + packet.options_at, packet.options_len);
                pcapng.options(0, options, 0, packet.options_len)
            }
            _ => Options::NONE,
        };
        Packet {
            number: self.number(),
            timestamp_ns: packet.timestamp_ns,
            interface: packet.interface,
            direction: packet.direction,
            original_len: packet.original_len,
            lost_before: packet.lost_before,
            data: self.buffer.at(at + packet.data_at, packet.data_len),
            options,
        }
    }

    /// Number of the last packet.
    #[inline]
    fn number(&self) -> u64 {
        match &self.state {
            State::Pcapng(pcapng, _) => self.packets + pcapng.other_frames,
            _ => self.packets,
        }
    }

    fn end(&mut self) {
        let offset = self.offset();
        let state = mem::replace(&mut self.state, State::Start);
        self.state = match state {
            State::Ended(..) => state,
            state => State::Ended(offset, Box::new(state)),
        };
    }

    #[cold]
    fn fail(&mut self, cause: ErrorCause) -> Error {
        let (offset, packet) = (self.offset(), self.number());
        self.end();
        Error {
            offset,
            packet,
            cause,
        }
    }

    fn step(&mut self) -> Result<Step, ErrorCause> {
        let buffer = &mut self.buffer;
        match &mut self.state {
            State::Pcap(pcap) => pcap_record(buffer, pcap),
            State::Pcapng(pcapng, skip) => pcapng_block(buffer, pcapng, skip),
            State::Start => self.start(),
            State::Ended(..) => Ok(Step::End),
        }
    }

    /// Finds out what the file is.
    #[cold]
    fn start(&mut self) -> Result<Step, ErrorCause> {
        let buffer = &mut self.buffer;
        loop {
            if !buffer.has(4)? {
                return match ended(buffer)? {
                    Step::End => Err(ErrorCause::Empty),
                    step => Ok(step),
                };
            }
            let Some(&magic) = buffer.rest().first_chunk::<4>() else {
                return Err(ErrorCause::Empty);
            };
            if magic == pcapng::SECTION_HEADER.to_le_bytes() {
                self.state = State::Pcapng(Pcapng::new(), None);
                return self.step();
            }
            if pcap::is_pcap(magic) {
                return self.start_pcap();
            }
            match Compression::of(magic) {
                Some(_) if buffer.compression().is_some() => {
                    return Err(ErrorCause::Unsupported {
                        format: "a file that is compressed twice",
                    });
                }
                Some(compression) => buffer.decompress(compression)?,
                None => return Err(not_a_capture(magic)),
            }
        }
    }

    fn start_pcap(&mut self) -> Result<Step, ErrorCause> {
        let buffer = &mut self.buffer;
        if !buffer.has(pcap::HEADER_LEN)? {
            return ended(buffer);
        }
        let Some(header) = buffer.rest().first_chunk() else {
            return ended(buffer);
        };
        let pcap = Pcap::new(header)?;
        buffer.take(pcap::HEADER_LEN);
        let interface = Interface {
            link_type: pcap.link_type,
            snap_len: pcap.snap_len,
            ..Interface::default()
        };
        self.state = State::Pcap(pcap);
        Ok(Step::Interface(Box::new(interface)))
    }
}

impl<R: Read> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("packets", &self.packets)
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

/// Says which format it is, where that is known.
fn not_a_capture(magic: [u8; 4]) -> ErrorCause {
    let format = match &magic {
        [0xfd, b'7', b'z', b'X'] => "xz compression",
        [b'B', b'Z', b'h', _] => "bzip2 compression",
        [0x04, 0x22, 0x4d, 0x18] => "LZ4 compression",
        b"snoo" => "the format snoop",
        b"GMBU" | b"RTSS" => "the format of Microsoft Network Monitor",
        [0xa1, 0xb2, 0x34, 0xcd] | [0xcd, 0x34, 0xb2, 0xa1] => "the format IXIA lcap",
        [b'P', b'K', 3, 4] => "a zip archive",
        _ => return ErrorCause::NotACapture { magic },
    };
    ErrorCause::Unsupported { format }
}
