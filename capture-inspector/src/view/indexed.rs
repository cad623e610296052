//! A file with an index of its packets: the place of every 1,024th, so that any packet is found by reading at most so many.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use capture_file::read::{self, Item, Packet, Place, Reader};
use capture_packet::frame::{Clock, Time};

use super::content::{At, Content};

/// Packets between two places.
pub(super) const STRIDE: u64 = 1024;

/// Most packets of a capture that are shown. What is kept of each, a bit a filter, is bounded by it.
pub(super) const MOST_PACKETS: u64 = 1 << 28;

/// Packets between two looks at the clock.
const PACKETS_A_LOOK: u32 = 256;

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// There is more, and no time for it.
    Deadline,
    /// The end so far of a file that grows.
    EndSoFar,
    /// The end.
    End,
}

/// A file and its index.
pub(super) struct IndexedFile {
    /// Its number among the files of the task.
    pub(super) index: u64,
    content: Content,
    reader: Reader<At>,
    interfaces: Vec<Interface>,
    /// The first one.
    section: Option<Box<read::Section>>,
    /// Places of the packets 1,024, 2,048 and so on, counted from 0.
    marks: Vec<Mark>,
    pub(super) packets: u64,
    /// Number of the last packet, in this file.
    pub(super) last_number: u64,
    pub(super) first_ns: Option<u64>,
    pub(super) last_ns: Option<u64>,
    pub(super) has_ended: bool,
    /// Why nothing more of it can be read.
    pub(super) damage: Option<String>,
}

/// What packets say of their interface.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) name: Option<Arc<str>>,
    pub(super) link_type: u16,
    /// All that the file says of it.
    described: Box<read::Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    place: Place,
    /// Number and time of the packet before it.
    number: u64,
    before_ns: Option<u64>,
}

/// A packet of a file that was found by its position.
pub(super) struct Found<'a> {
    /// Packets of the file before it.
    pub(super) position: u64,
    pub(super) packet: &'a Packet<'a>,
    pub(super) interface: Option<&'a Interface>,
    pub(super) time: Option<Time>,
}

impl IndexedFile {
    pub(super) fn new(index: u64, content: Content) -> Self {
        Self {
            index,
            reader: Reader::following(content.at(0)),
            content,
            interfaces: Vec::new(),
            section: None,
            marks: Vec::new(),
            packets: 0,
            last_number: 0,
            first_ns: None,
            last_ns: None,
            has_ended: false,
            damage: None,
        }
    }

    /// The file does not grow any more.
    pub(super) fn complete(&mut self) {
        self.reader.stop_following();
    }

    pub(super) fn section(&self) -> Option<&read::Section> {
        self.section.as_deref()
    }

    pub(super) fn interface(&self, number: u32) -> Option<&read::Interface> {
        let interface = self.interfaces.get(number as usize)?;
        Some(&interface.described)
    }

    /// Goes on with the index, to at most so many packets. Lends each to `see`, with the number of those before it.
    pub(super) fn read_on(
        &mut self,
        most: u64,
        deadline: Instant,
        mut see: impl FnMut(u64, &Packet<'_>, u16),
    ) -> Reached {
        let mut to_look = PACKETS_A_LOOK;
        while !self.has_ended {
            if self.packets >= most {
                self.end(Some(format!(
                    "only the first {MOST_PACKETS} packets of a task are shown"
                )));
                break;
            }
            match self.reader.next() {
                Ok(Some(Item::Pending)) => return Reached::EndSoFar,
                Ok(Some(Item::Packet(packet))) => {
                    self.last_number = packet.number;
                    if let Some(ns) = packet.timestamp_ns {
                        self.first_ns.get_or_insert(ns);
                        self.last_ns = Some(ns);
                    }
                    let interface = self.interfaces.get(packet.interface as usize);
                    if let Some(interface) = interface {
                        see(self.packets, &packet, interface.link_type);
                    }
                    self.packets += 1;
                    if self.packets.is_multiple_of(STRIDE) {
                        self.mark();
                    }
                }
                Ok(Some(Item::Interface(interface))) => self.interfaces.push(Interface {
                    name: interface.name.as_deref().map(Arc::from),
                    link_type: interface.link_type,
                    described: interface,
                }),
                Ok(Some(Item::Section(section))) => {
                    self.section.get_or_insert(section);
                }
                Ok(Some(_)) => {}
                Ok(None) => self.end(None),
                Err(error) => self.end(Some(error.to_string())),
            }
            to_look -= 1;
            if to_look == 0 {
                to_look = PACKETS_A_LOOK;
                if Instant::now() >= deadline {
                    return Reached::Deadline;
                }
            }
        }
        Reached::End
    }

    fn end(&mut self, damage: Option<String>) {
        self.has_ended = true;
        self.damage = damage;
    }

    fn mark(&mut self) {
        let place = match self.reader.place() {
            Some(place) => place,
            // Behind a packet there is always one.
            None => return self.end(None),
        };
        self.marks.push(Mark {
            place,
            number: self.last_number,
            before_ns: self.last_ns,
        });
    }

    /// Packets that have a lower number than this, in this file.
    pub(super) fn position_of_number(&self, number: u64) -> u64 {
        let mut position = self.packets;
        let from = self.last_mark(|mark| mark.number < number);
        let _ = self.each(from, self.packets, None, |found| {
            if found.packet.number < number {
                return ControlFlow::Continue(());
            }
            position = found.position;
            ControlFlow::Break(())
        });
        position
    }

    /// Packets before the first one that is not earlier than a time. Times are taken for sorted.
    pub(super) fn position_of_time(&self, ns: u64) -> u64 {
        let mut position = self.packets;
        let from = self.last_mark(|mark| mark.before_ns.is_none_or(|before| before < ns));
        let _ = self.each(from, self.packets, None, |found| {
            if found.packet.timestamp_ns.is_none_or(|there| there < ns) {
                return ControlFlow::Continue(());
            }
            position = found.position;
            ControlFlow::Break(())
        });
        position
    }

    /// The position of the last mark of those in front for which this holds.
    fn last_mark(&self, holds: impl Fn(&Mark) -> bool) -> u64 {
        self.marks.partition_point(holds) as u64 * STRIDE
    }

    /// Lends packets from one position to before another, until one breaks. `first_ns` is the time of the first packet of
    /// the capture; without it that of this file.
    pub(super) fn each(
        &self,
        from: u64,
        until: u64,
        first_ns: Option<u64>,
        mut take: impl FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let until = until.min(self.packets);
        if from >= until {
            return ControlFlow::Continue(());
        }
        let block = usize::try_from(from / STRIDE).unwrap_or(usize::MAX);
        let mark = block
            .checked_sub(1)
            .and_then(|before| self.marks.get(before));
        let (mut reader, mut position, before_ns) = match mark {
            Some(Mark {
                place, before_ns, ..
            }) => {
                let source = self.content.at(place.offset);
                (
                    self.reader.from_place(*place, source),
                    place.packets,
                    *before_ns,
                )
            }
            None => (Reader::following(self.content.at(0)), 0, None),
        };
        let mut clock = Clock::since(first_ns.or(self.first_ns), before_ns);
        while position < until {
            let packet = match reader.next() {
                Ok(Some(Item::Packet(packet))) => packet,
                // What was there may be cut off, or not be readable any more.
                Ok(Some(Item::Pending) | None) | Err(_) => break,
                Ok(Some(_)) => continue,
            };
            let time = clock.next(packet.timestamp_ns);
            if position >= from {
                take(Found {
                    position,
                    packet: &packet,
                    interface: self.interfaces.get(packet.interface as usize),
                    time,
                })?;
            }
            position += 1;
        }
        ControlFlow::Continue(())
    }
}
