//! Packets that were read from capture files, as a new pcapng: a choice of them, with comments. What is written is what
//! [`read`](crate::read) gave, not what this host captured, so that nothing is asked of this machine, and nothing
//! of a file is believed to be short.

use std::{borrow::Cow, fmt, time::Duration};

use capture_common::Direction;
use pcap_file::{
    DataLink,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{
                InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
            },
            interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption},
            opt_common::CommonOption,
            section_header::SectionHeaderOption,
        },
    },
};

use super::pcapng::{refused, section_block};
use crate::{
    error::Result,
    read::{Filter, Interface, Section, Statistics},
};

/// Most bytes of a text in an option, whose length is a u16: one that was no UTF-8 has become longer.
const MAX_TEXT_LEN: usize = 16_384;

/// A packet that is to be copied.
#[derive(Clone, Copy, Debug)]
pub struct CopiedPacket<'a> {
    /// Number of its interface in the copy, from 0.
    pub interface: u32,
    /// Nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    /// Whether the capturing host received or sent it.
    pub direction: Option<Direction>,
    /// Bytes on the wire.
    pub original_len: u32,
    /// Packets of the same interface that were lost since the one before.
    pub lost_before: u64,
    /// The bytes kept.
    pub data: &'a [u8],
}

/// Writes a pcapng file of packets that were read, into memory.
pub struct CopyEncoder {
    writer: PcapNgWriter<Vec<u8>>,
}

impl CopyEncoder {
    /// A file of the section that the packets come from. `comment` says what was chosen.
    ///
    /// # Errors
    /// The section cannot be encoded.
    pub fn new(section: &Section, comment: &str) -> Result<Self> {
        let Section {
            hardware,
            os,
            application,
            comment: own,
        } = section;
        let mut options = Vec::new();
        let comments = own.as_deref().into_iter().chain([comment]);
        for comment in comments.filter(|comment| !comment.is_empty()) {
            options.push(SectionHeaderOption::Common(text_comment(comment)));
        }
        options.extend(
            hardware
                .as_deref()
                .map(text)
                .map(SectionHeaderOption::Hardware),
        );
        options.extend(os.as_deref().map(text).map(SectionHeaderOption::OS));
        let application = application.as_deref().map(text);
        options.extend(application.map(SectionHeaderOption::UserApplication));
        let section = section_block(options);
        let writer = PcapNgWriter::with_section_header(Vec::new(), section).map_err(refused)?;
        Ok(Self { writer })
    }

    /// Adds an interface. They are numbered from 0 in the order in which they are added.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn interface(&mut self, interface: &Interface) -> Result<()> {
        use InterfaceDescriptionOption as Opt;
        let Interface {
            id: _,
            link_type,
            snap_len,
            name,
            description,
            filter,
            comment,
        } = interface;
        let mut options = vec![Opt::IfTsResol(InterfaceTsResolution::NANO)];
        options.extend(name.as_deref().map(text).map(Opt::IfName));
        options.extend(description.as_deref().map(text).map(Opt::IfDescription));
        if let Some(Filter::Expression(expression)) = filter {
            let coded = [&[0], text(expression).as_bytes()].concat();
            options.push(Opt::IfFilter(coded.into()));
        }
        options.extend(comment.as_deref().map(text_comment).map(Opt::Common));
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::from(u32::from(*link_type)),
            snaplen: *snap_len,
            options,
        };
        self.writer.write_pcapng_block(block).map_err(refused)?;
        Ok(())
    }

    /// Adds a packet of an interface that was added before.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn packet<'c>(
        &mut self,
        packet: &CopiedPacket<'_>,
        comments: impl IntoIterator<Item = Cow<'c, str>>,
    ) -> Result<()> {
        let mut options = Vec::new();
        for comment in comments {
            let comment = text(&comment).into_owned();
            options.push(EnhancedPacketOption::Common(CommonOption::Comment(
                comment.into(),
            )));
        }
        // epb_flags, bits 0 and 1: 01 is inbound, 10 is outbound.
        options.extend(packet.direction.map(|direction| {
            EnhancedPacketOption::Flags(match direction {
                Direction::Ingress => 1,
                Direction::Egress => 2,
            })
        }));
        if packet.lost_before > 0 {
            options.push(EnhancedPacketOption::DropCount(packet.lost_before));
        }
        let block = EnhancedPacketBlock {
            interface_id: packet.interface,
            timestamp: Duration::from_nanos(packet.timestamp_ns),
            // A record that keeps more than there was is refused by readers, and this one refuses to write it.
            original_len: packet.original_len.max(packet.data.len() as u32),
            data: packet.data.into(),
            options,
        };
        self.writer.write_pcapng_block(block).map_err(refused)?;
        Ok(())
    }

    /// Adds the figures of an interface that was added before. Their comment is left out.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn statistics(&mut self, statistics: &Statistics) -> Result<()> {
        use InterfaceStatisticsOption as Opt;
        let Statistics {
            interface,
            timestamp_ns,
            started_ns,
            ended_ns,
            received,
            interface_dropped,
            accepted,
            system_dropped,
            delivered,
            comment: _,
        } = statistics;
        let mut options = Vec::new();
        options.extend(started_ns.map(Duration::from_nanos).map(Opt::IsbStartTime));
        options.extend(ended_ns.map(Duration::from_nanos).map(Opt::IsbEndTime));
        options.extend(received.map(Opt::IsbIfRecv));
        options.extend(interface_dropped.map(Opt::IsbIfDrop));
        options.extend(accepted.map(Opt::IsbFilterAccept));
        options.extend(system_dropped.map(Opt::IsbOsDrop));
        options.extend(delivered.map(Opt::IsbUsrDeliv));
        let block = InterfaceStatisticsBlock {
            interface_id: *interface,
            timestamp: Duration::from_nanos(*timestamp_ns),
            options,
        };
        self.writer.write_pcapng_block(block).map_err(refused)?;
        Ok(())
    }

    /// Bytes that were encoded since they were last taken.
    pub fn len(&self) -> usize {
        self.writer.get_ref().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the bytes that were encoded.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }
}

impl fmt::Debug for CopyEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyEncoder")
            .field("interfaces", &self.writer.interfaces().len())
            .field("len", &self.len())
            .finish()
    }
}

fn text(text: &str) -> Cow<'_, str> {
    text[..text.floor_char_boundary(MAX_TEXT_LEN)].into()
}

fn text_comment(comment: &str) -> CommonOption<'_> {
    CommonOption::Comment(text(comment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Item, Reader};

    #[test]
    fn what_is_copied_is_what_was_read() {
        let section = Section {
            application: Some("another tool".to_owned()),
            comment: Some("a comment of the file".to_owned()),
            ..Section::default()
        };
        let interface = Interface {
            link_type: 113,
            snap_len: 96,
            name: Some("eth0".to_owned()),
            filter: Some(Filter::Expression("tcp port 443".to_owned())),
            // A comment that is longer than an option of the format, of characters of two bytes.
            comment: Some("é".repeat(60_000)),
            ..Interface::default()
        };
        let packet = CopiedPacket {
            interface: 0,
            timestamp_ns: 1_767_225_600_123_456_789,
            direction: Some(Direction::Egress),
            // Less than there is, as some file may say.
            original_len: 3,
            lost_before: 7,
            data: &[1, 2, 3, 4, 5],
        };
        let mut copy = CopyEncoder::new(&section, "a choice").expect("a section");
        copy.interface(&interface).expect("an interface");
        let comments = ["the first", "", "line 1\nline 2"];
        copy.packet(&packet, comments.map(Cow::from))
            .expect("a packet");
        let none = CopiedPacket {
            interface: 1,
            ..packet
        };
        copy.packet(&none, [])
            .expect_err("there is no such interface");
        let statistics = Statistics {
            timestamp_ns: packet.timestamp_ns,
            started_ns: Some(packet.timestamp_ns - 9),
            ended_ns: Some(packet.timestamp_ns),
            system_dropped: Some(7),
            delivered: Some(1),
            ..Statistics::default()
        };
        copy.statistics(&statistics).expect("there is one");
        let bytes = copy.take();
        assert!(copy.is_empty());
        let mut reader = Reader::new(&bytes[..]);
        let Ok(Some(Item::Section(read))) = reader.next() else {
            panic!("a section");
        };
        assert_eq!(read.application, section.application);
        assert_eq!(
            read.comment.as_deref(),
            Some("a comment of the file\na choice")
        );
        let Ok(Some(Item::Interface(read))) = reader.next() else {
            panic!("an interface");
        };
        assert_eq!(
            read.comment.map(|comment| comment.len()),
            Some(MAX_TEXT_LEN)
        );
        assert_eq!((read.link_type, read.snap_len), (113, 96));
        assert_eq!((read.name, read.filter), (interface.name, interface.filter));
        let Ok(Some(Item::Packet(read))) = reader.next() else {
            panic!("a packet");
        };
        assert_eq!(read.timestamp_ns, Some(packet.timestamp_ns));
        assert_eq!(read.direction, packet.direction);
        assert_eq!((read.lost_before, read.data), (7, packet.data));
        assert_eq!(read.original_len, 5);
        assert_eq!(read.comments().collect::<Vec<_>>(), comments);
        let Ok(Some(Item::Statistics(read))) = reader.next() else {
            panic!("statistics");
        };
        assert_eq!(*read, statistics);
        assert!(matches!(reader.next(), Ok(None)));
    }
}
