//! pcapng (draft-ietf-opsawg-pcapng): blocks that carry their length at both ends, and what has to be known of a
//! section to read its packets. `description` reads the blocks that are no packets.

use capture_common::Direction;

use super::{
    clock::Clock,
    description,
    error::ErrorCause,
    item::{Interface, Secrets, Section, Statistics},
    options::Options,
    order::ByteOrder,
    record::{MAX_PACKET_LEN, PacketRecord},
};

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, and still written by some tools.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
pub(super) const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
pub(super) const DECRYPTION_SECRETS: u32 = 0x0a;
const SYSTEMD_JOURNAL: u32 = 9;
/// Custom blocks, which tools may copy into another file, and which they may not.
const CUSTOM: [u32; 2] = [0x0bad, 0x4000_0bad];
const SYSDIG_EVENT: [u32; 3] = [0x204, 0x216, 0x221];

/// Bytes that every block begins with: type and length; a section header's byte-order magic as well.
pub(super) const HEAD_LEN: usize = 12;
/// The length again.
pub(super) const FOOT_LEN: usize = 4;

/// Longest block that is held in memory, as in libpcap (INITIAL_MAX_BLOCKSIZE).
const MAX_BLOCK_LEN: u32 = 16 * 1024 * 1024;

/// Most interfaces in all sections of a file. The largest hosts have some thousands of veths.
const MAX_INTERFACES: u32 = 65_536;
/// Most bytes of text in their descriptions.
const MAX_INTERFACE_TEXT: usize = 16 * 1024 * 1024;

/// What is known of the file up to here.
#[derive(Debug)]
pub(super) struct Pcapng {
    pub(super) order: ByteOrder,
    /// Those of this section.
    interfaces: Vec<Described>,
    /// Interfaces of the sections before.
    before: u32,
    /// Sections before that had interfaces, for whoever comes back to a place in one.
    ended: Vec<EndedSection>,
    /// Bytes of text that interfaces may still have.
    text_left: usize,
    /// Blocks so far that are no packets, and that Wireshark numbers as it numbers packets.
    pub(super) other_frames: u64,
}

/// What of a file had been read at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    order: ByteOrder,
    /// Sections with interfaces that have ended.
    sections: u32,
    /// Interfaces of the one under way.
    interfaces: u32,
    other_frames: u64,
}

/// A section that another one has followed.
#[derive(Clone, Debug)]
struct EndedSection {
    interfaces: Vec<Described>,
    before: u32,
}

/// What packets of an interface need.
#[derive(Clone, Copy, Debug)]
struct Described {
    clock: Clock,
    snap_len: u32,
}

/// A block by its head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) kind: u32,
    /// All of it, a multiple of four and never less than its kind needs.
    pub(super) len: u32,
    pub(super) class: Class,
}

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Packet,
    /// Section, interface, statistics.
    Description,
    /// Whatever else there is: names, secrets, custom blocks, and those of later versions.
    Skipped,
}

impl Pcapng {
    pub(super) fn new() -> Self {
        Self {
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            before: 0,
            ended: Vec::new(),
            text_left: MAX_INTERFACE_TEXT,
            other_frames: 0,
        }
    }

    /// The block that begins with `head`.
    pub(super) fn block(&mut self, head: &[u8; HEAD_LEN]) -> Result<Block, ErrorCause> {
        let kind = self.order.u32(head, 0);
        // It reads the same in both orders.
        if kind == SECTION_HEADER {
            let order = byte_order(head)?;
            self.end_section();
            self.order = order;
        }
        let len = self.order.u32(head, 4);
        let (class, least) = match kind {
            ENHANCED_PACKET | PACKET => (Class::Packet, 32),
            SIMPLE_PACKET => (Class::Packet, 16),
            SECTION_HEADER => (Class::Description, 28),
            INTERFACE_DESCRIPTION => (Class::Description, 20),
            INTERFACE_STATISTICS => (Class::Description, 24),
            DECRYPTION_SECRETS => (Class::Skipped, 20),
            _ => (Class::Skipped, 12),
        };
        if len < least || !len.is_multiple_of(4) {
            return Err(ErrorCause::BlockLength { kind, len });
        }
        if len > MAX_BLOCK_LEN && class != Class::Skipped {
            return Err(ErrorCause::BlockTooLong {
                kind,
                len,
                most: MAX_BLOCK_LEN,
            });
        }
        Ok(Block { kind, len, class })
    }

    /// Checks the length at the end of a block against the one at its beginning.
    /// `data` ends where the block ends.
    pub(super) fn check_foot(&self, block: Block, data: &[u8]) -> Result<(), ErrorCause> {
        let Block { kind, len, .. } = block;
        match self.order.u32(data, data.len().saturating_sub(FOOT_LEN)) {
            trailing if trailing == len => Ok(()),
            trailing => Err(ErrorCause::TrailingLength {
                kind,
                len,
                trailing,
            }),
        }
    }

    /// Uses up a block that is passed over.
    pub(super) fn passed_over(&mut self, block: Block) {
        let kind = block.kind;
        if kind == SYSTEMD_JOURNAL || CUSTOM.contains(&kind) || SYSDIG_EVENT.contains(&kind) {
            self.other_frames += 1;
        }
    }

    /// What the secrets are and how long, from the beginning of their block.
    pub(super) fn secrets(&self, head: &[u8]) -> Secrets {
        Secrets {
            kind: self.order.u32(head, 8),
            len: self.order.u32(head, 12),
        }
    }

    /// A whole packet block.
    pub(super) fn packet(&self, block: Block, data: &[u8]) -> Result<PacketRecord, ErrorCause> {
        match block.kind {
            SIMPLE_PACKET => self.simple_packet(data),
            kind => self.enhanced_packet(self.order, kind, data),
        }
    }

    /// The packet at the front of `rest` and the length of its block, if it is an enhanced one, whole and sound.
    #[inline]
    pub(super) fn whole_packet(&self, rest: &[u8]) -> Option<(PacketRecord, usize)> {
        match self.order {
            ByteOrder::Little => self.whole_packet_in(ByteOrder::Little, rest),
            ByteOrder::Big => self.whole_big_endian(rest),
        }
    }

    /// Apart, as the compiler would make one again of both, which swaps bytes or does not with every number.
    #[inline(never)]
    fn whole_big_endian(&self, rest: &[u8]) -> Option<(PacketRecord, usize)> {
        self.whole_packet_in(ByteOrder::Big, rest)
    }

    #[inline(always)]
    fn whole_packet_in(&self, order: ByteOrder, rest: &[u8]) -> Option<(PacketRecord, usize)> {
        let len = order.u32(rest.first_chunk::<HEAD_LEN>()?, 4);
        if order.u32(rest, 0) != ENHANCED_PACKET || len < 32 || !len.is_multiple_of(4) {
            return None;
        }
        let data = rest.get(..len as usize)?;
        if order.u32(data.last_chunk::<FOOT_LEN>()?, 0) != len {
            return None;
        }
        let packet = self.enhanced_packet(order, ENHANCED_PACKET, data).ok()?;
        Some((packet, data.len()))
    }

    /// Both kinds differ in how the interface is written only, and in losses.
    #[inline(always)]
    fn enhanced_packet(
        &self,
        order: ByteOrder,
        kind: u32,
        data: &[u8],
    ) -> Result<PacketRecord, ErrorCause> {
        const AT: usize = 28;
        let Some((head, rest)) = data.split_first_chunk::<AT>() else {
            return Err(impossible(kind, data));
        };
        let (interface, mut lost_before) = if kind == ENHANCED_PACKET {
            (order.u32(head, 8), 0)
        } else {
            let lost = match order.u16(head, 10) {
                // Not known.
                u16::MAX => 0,
                lost => u64::from(lost),
            };
            (u32::from(order.u16(head, 8)), lost)
        };
        let described = self.described(interface)?;
        let len = order.u32(head, 20);
        let original_len = order.u32(head, 24);
        let data_len = fitting(len, rest.len().saturating_sub(FOOT_LEN))?;
        let options_at = AT + data_len.next_multiple_of(4);
        let options_len = data.len().saturating_sub(FOOT_LEN + options_at);

        let mut direction = None;
        let options = data.get(options_at..options_at + options_len);
        let mut options = Options::new(order, kind, options.unwrap_or_default());
        while let Some(option) = options.next()? {
            match option.code {
                // epb_flags, pack_flags
                2 => {
                    direction = match option.u32()? & 3 {
                        1 => Some(Direction::Ingress),
                        2 => Some(Direction::Egress),
                        _ => None,
                    }
                }
                // epb_dropcount
                4 if kind == ENHANCED_PACKET => lost_before = option.u64()?,
                _ => {}
            }
        }
        Ok(PacketRecord {
            timestamp_ns: Some(described.clock.ns(order.timestamp(head, 12))),
            // Both are less than MAX_INTERFACES.
            interface: self.before + interface,
            direction,
            original_len,
            lost_before,
            data_at: AT,
            data_len,
            options_at,
            options_len,
        })
    }

    /// Of the section's first interface, without a time; its length is what the snap length left of the original.
    #[cold]
    fn simple_packet(&self, data: &[u8]) -> Result<PacketRecord, ErrorCause> {
        const AT: usize = 12;
        let snap_len = match self.described(0)?.snap_len {
            0 => u32::MAX,
            snap_len => snap_len,
        };
        let original_len = self.order.u32(data, 8);
        Ok(PacketRecord {
            timestamp_ns: None,
            interface: self.before,
            direction: None,
            original_len,
            lost_before: 0,
            data_at: AT,
            data_len: fitting(
                original_len.min(snap_len),
                data.len().saturating_sub(AT + FOOT_LEN),
            )?,
            options_at: 0,
            options_len: 0,
        })
    }

    #[inline]
    fn described(&self, interface: u32) -> Result<&Described, ErrorCause> {
        match self.interfaces.get(interface as usize) {
            Some(described) => Ok(described),
            None => Err(ErrorCause::UnknownInterface {
                interface,
                described: self.interfaces.len() as u32,
            }),
        }
    }

    /// The options of a block of this section.
    #[inline]
    pub(super) fn options<'a>(
        &self,
        kind: u32,
        block: &'a [u8],
        at: usize,
        len: usize,
    ) -> Options<'a> {
        let options = block.get(at..at + len).unwrap_or_default();
        Options::new(self.order, kind, options)
    }

    /// Begins a section, whose header is `data`.
    pub(super) fn section(&mut self, data: &[u8]) -> Result<Section, ErrorCause> {
        let [major, minor] = [12, 14].map(|at| self.order.u16(data, at));
        // 1.2 was written by mistake, and is the same (section 4.1).
        if !matches!((major, minor), (1, 0 | 2)) {
            return Err(ErrorCause::Version { major, minor });
        }
        let section = description::section(self.behind(SECTION_HEADER, data, 24))?;
        Ok(section)
    }

    /// The section so far has ended, and one in another byte order may follow.
    fn end_section(&mut self) {
        if self.interfaces.is_empty() {
            return;
        }
        let interfaces = std::mem::take(&mut self.interfaces);
        let before = self.before;
        self.before += interfaces.len() as u32;
        // No more of them than interfaces.
        self.ended.push(EndedSection { interfaces, before });
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            order: self.order,
            sections: self.ended.len() as u32,
            interfaces: self.interfaces.len() as u32,
            other_frames: self.other_frames,
        }
    }

    /// What was known at a place before, where it was so far.
    pub(super) fn at(&self, progress: Progress) -> Self {
        let Progress {
            order,
            sections,
            interfaces,
            other_frames,
        } = progress;
        let (described, before) = match self.ended.get(sections as usize) {
            Some(ended) => (&ended.interfaces, ended.before),
            None => (&self.interfaces, self.before),
        };
        let interfaces = described.iter().take(interfaces as usize).copied();
        Self {
            order,
            interfaces: interfaces.collect(),
            before,
            ended: Vec::new(),
            // They were counted when they were read first.
            text_left: MAX_INTERFACE_TEXT,
            other_frames,
        }
    }

    /// Makes an interface known, whose description is `data`.
    pub(super) fn interface(&mut self, data: &[u8]) -> Result<Interface, ErrorCause> {
        let id = self.before + self.interfaces.len() as u32;
        let mut interface = Interface {
            id,
            link_type: self.order.u16(data, 8),
            snap_len: self.order.u32(data, 12),
            ..Interface::default()
        };
        let options = self.behind(INTERFACE_DESCRIPTION, data, 16);
        let clock = description::interface(&mut interface, options)?;
        let text_left = self
            .text_left
            .checked_sub(description::text_len(&interface))
            .filter(|_| id < MAX_INTERFACES);
        let Some(text_left) = text_left else {
            return Err(ErrorCause::TooManyInterfaces {
                most: MAX_INTERFACES,
                most_text: MAX_INTERFACE_TEXT,
            });
        };
        self.text_left = text_left;
        self.interfaces.push(Described {
            clock,
            snap_len: interface.snap_len,
        });
        Ok(interface)
    }

    /// The statistics in `data`.
    pub(super) fn statistics(&self, data: &[u8]) -> Result<Statistics, ErrorCause> {
        let interface = self.order.u32(data, 8);
        let clock = self.described(interface)?.clock;
        let statistics = Statistics {
            interface: self.before + interface,
            timestamp_ns: clock.ns(self.order.timestamp(data, 12)),
            ..Statistics::default()
        };
        let options = self.behind(INTERFACE_STATISTICS, data, 20);
        description::statistics(statistics, clock, options)
    }

    /// The options behind a fixed part of so many bytes.
    fn behind<'a>(&self, kind: u32, block: &'a [u8], at: usize) -> Options<'a> {
        self.options(kind, block, at, block.len().saturating_sub(at + FOOT_LEN))
    }
}

/// A block that is shorter than its kind, which [`Pcapng::block`] lets none be.
#[cold]
fn impossible(kind: u32, data: &[u8]) -> ErrorCause {
    ErrorCause::BlockLength {
        kind,
        len: data.len() as u32,
    }
}

/// Byte order of the section that begins with `head`.
#[cold]
fn byte_order(head: &[u8; HEAD_LEN]) -> Result<ByteOrder, ErrorCause> {
    let [.., m0, m1, m2, m3] = *head;
    match [m0, m1, m2, m3] {
        [0x4d, 0x3c, 0x2b, 0x1a] => Ok(ByteOrder::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Ok(ByteOrder::Big),
        magic => Err(ErrorCause::ByteOrder { magic }),
    }
}

/// A packet's length, once it is believed.
#[inline]
fn fitting(len: u32, room: usize) -> Result<usize, ErrorCause> {
    if len > MAX_PACKET_LEN {
        return Err(ErrorCause::PacketTooLong {
            len,
            most: MAX_PACKET_LEN,
        });
    }
    if len as usize > room {
        // Blocks are bounded by a u32.
        return Err(ErrorCause::Overrun {
            len,
            room: room as u32,
        });
    }
    Ok(len as usize)
}
