//! What a capture file consists of, as a reader lends it: packets, and what the file says of itself.

use std::borrow::Cow;

use capture_common::Direction;

use super::options::Options;

/// The next part of a file. What is rare is in boxes, as an item is moved for every packet.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// An interface, before its first packet. pcap has one.
    Interface(Box<Interface>),
    /// The figures of an interface so far.
    Statistics(Box<Statistics>),
    /// The beginning of a pcapng section; the interfaces of the one before it have no more packets.
    Section(Box<Section>),
    /// Keys that decrypt packets. They are not read.
    Secrets(Secrets),
    /// There is no whole record yet. Only while the reader [follows](super::Reader::following) a file that grows.
    Pending,
}

/// A packet. Its bytes and comments are lent until the next call of the reader.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Its `frame.number` in Wireshark: counted from 1 through the file, custom blocks and log entries included.
    pub number: u64,
    /// Nanoseconds since the Unix epoch; may be less than the packet's before it. A pcapng simple packet has none.
    pub timestamp_ns: Option<u64>,
    /// The [`Interface::id`] of its interface.
    pub interface: u32,
    /// Whether the capturing host received or sent it, where the file says so.
    pub direction: Option<Direction>,
    /// Bytes on the wire, as the file says. A file may say fewer than `data` has.
    pub original_len: u32,
    /// Packets of the same interface that the capture lost since the one before; 0 where the file does not say.
    pub lost_before: u64,
    /// The bytes kept.
    pub data: &'a [u8],
    pub(super) options: Options<'a>,
}

impl<'a> Packet<'a> {
    /// Comments on this packet, in the order of the file. Bytes that are not UTF-8 are replaced; control characters
    /// are not.
    pub fn comments(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.options.comments()
    }
}

/// An interface that packets were captured on. The texts of all interfaces of a file have at most 16 MiB, and may hold
/// control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its number, from 0, counted through all sections of the file.
    pub id: u32,
    /// How its packets begin: a LINKTYPE_ value (tcpdump.org/linktypes.html).
    pub link_type: u16,
    /// Most bytes kept of a packet; 0 where there is no limit.
    pub snap_len: u32,
    /// Name, such as `eth0`.
    pub name: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// The capture filter.
    pub filter: Option<Filter>,
    /// Comment; several are joined by newlines.
    pub comment: Option<String>,
}

/// A capture filter, `if_filter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// An expression in libpcap's language.
    Expression(String),
    /// A BPF program, or what a later version of the format knows: that there is one.
    Program,
}

/// The figures of an interface since the capture began (pcapng Interface Statistics Block), each where the file
/// has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The [`Interface::id`] of the interface.
    pub interface: u32,
    /// When they were taken, nanoseconds since the Unix epoch.
    pub timestamp_ns: u64,
    /// When the capture began.
    pub started_ns: Option<u64>,
    /// When it ended.
    pub ended_ns: Option<u64>,
    /// Packets received (`isb_ifrecv`).
    pub received: Option<u64>,
    /// Packets dropped by the interface (`isb_ifdrop`).
    pub interface_dropped: Option<u64>,
    /// Packets accepted by the filter (`isb_filteraccept`).
    pub accepted: Option<u64>,
    /// Packets dropped by the operating system (`isb_osdrop`).
    pub system_dropped: Option<u64>,
    /// Packets delivered to the capture tool (`isb_usrdeliv`).
    pub delivered: Option<u64>,
    /// Comment; several are joined by newlines.
    pub comment: Option<String>,
}

/// What a section says of the capture (pcapng Section Header Block).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The machine.
    pub hardware: Option<String>,
    /// The operating system.
    pub os: Option<String>,
    /// The capture tool.
    pub application: Option<String>,
    /// Comment; several are joined by newlines.
    pub comment: Option<String>,
}

/// That the file has keys (pcapng Decryption Secrets Block).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// What they are: 0x544c534b is a TLS key log.
    pub kind: u32,
    /// Their length in bytes.
    pub len: u32,
}
