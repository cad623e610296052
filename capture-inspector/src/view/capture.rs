//! The files of a task as one capture: in their order, numbered through.

use std::{
    borrow::Cow,
    fs::File,
    io,
    ops::{ControlFlow, Range},
    time::Instant,
};

use capture_common::Direction;
use capture_file::read::{Interface, Packet, Section};
use capture_packet::frame::Frame;

use super::{
    content::Content,
    ends::Ends,
    indexed::{Found, IndexedFile, MOST_PACKETS, Reached},
    numbering::Numbering,
};

/// The files, in order.
#[derive(Default)]
pub(crate) struct Capture {
    files: Vec<Placed>,
    /// The first file whose index is not complete.
    at: usize,
    /// Whether there may be more of the last file.
    is_growing: bool,
    numbering: Numbering,
}

/// A file, and what is before it once the files before it were read.
struct Placed {
    file: IndexedFile,
    packets_before: u64,
    numbers_before: u64,
}

/// Which packets are looked at: those of one file, or all.
pub(crate) type Scope = Option<u64>;

/// A packet with its place in the capture.
pub(crate) struct Shown<'a> {
    /// Packets of the capture before it.
    pub(crate) position: u64,
    /// Index of its file.
    pub(crate) file: u64,
    /// Its number in the file.
    pub(crate) file_number: u64,
    /// Its number in the capture, whatever is looked at.
    pub(crate) number_of_all: u64,
    /// Its bytes, and what is known beside them. The number is that in the capture, or in the file if only that is looked
    /// at.
    pub(crate) frame: Frame<'a>,
    pub(crate) direction: Option<Direction>,
    pub(crate) timestamp_ns: Option<u64>,
    packet: &'a Packet<'a>,
}

impl<'a> Shown<'a> {
    /// Comments of the file on it.
    pub(crate) fn comments(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.packet.comments()
    }

    /// Packets of the same interface that were lost before it, where the file says so.
    pub(crate) fn lost_before(&self) -> u64 {
        self.packet.lost_before
    }

    /// What the file says of it; several comments are joined by newlines.
    pub(crate) fn comment(&self) -> Option<String> {
        let comments: Vec<_> = self.packet.comments().collect();
        (!comments.is_empty()).then(|| comments.join("\n"))
    }
}

impl Capture {
    /// Adds a file behind the others, which do not grow any more then.
    pub(crate) fn add(&mut self, index: u64, file: File, is_growing: bool) -> io::Result<()> {
        self.complete();
        let mut file = IndexedFile::new(index, Content::of(file)?);
        if !is_growing {
            file.complete();
        }
        self.is_growing = is_growing;
        let (packets_before, numbers_before) = match self.files.last() {
            // All before it were read while there was nothing behind them.
            Some(last) if self.at == self.files.len() => last.behind(),
            _ => (0, 0),
        };
        self.files.push(Placed {
            file,
            packets_before,
            numbers_before,
        });
        Ok(())
    }

    /// The last file does not grow any more.
    pub(crate) fn complete(&mut self) {
        if let Some(last) = self.files.last_mut() {
            last.file.complete();
        }
        self.is_growing = false;
    }

    /// Whether packets may come.
    pub(crate) fn is_growing(&self) -> bool {
        self.is_growing
    }

    /// Goes on with the index; false where there is nothing more for now.
    pub(crate) fn read_on(&mut self, deadline: Instant) -> bool {
        while let Some(placed) = self.files.get_mut(self.at) {
            let most = MOST_PACKETS.saturating_sub(placed.packets_before);
            let before = placed.packets_before;
            let numbering = &mut self.numbering;
            let reached = placed
                .file
                .read_on(most, deadline, |position, packet, link_type| {
                    let wire_len = packet.original_len.max(packet.data.len() as u32);
                    numbering.packet(before + position, link_type, packet.data, wire_len);
                });
            match reached {
                Reached::Deadline => return true,
                Reached::EndSoFar => return false,
                Reached::End => {
                    let behind = placed.behind();
                    self.at += 1;
                    if let Some(next) = self.files.get_mut(self.at) {
                        (next.packets_before, next.numbers_before) = behind;
                    }
                }
            }
        }
        false
    }

    /// Whether there is such a file, as far as files were read.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        scope.is_none_or(|index| self.files.iter().any(|placed| placed.file.index == index))
    }

    /// Positions of the packets so far, and whether there are more of them that were not read.
    pub(crate) fn extent(&self, scope: Scope) -> Range<u64> {
        let reached = self.files.iter().take(self.at + 1);
        let mut of_scope =
            reached.filter(|placed| scope.is_none_or(|file| placed.file.index == file));
        match (of_scope.next(), of_scope.next_back()) {
            (None, _) => 0..0,
            (Some(one), None) => one.extent(),
            (Some(first), Some(last)) => first.extent().start..last.extent().end,
        }
    }

    /// Times of the first packet and of the last one that has one, in nanoseconds since 1970.
    pub(crate) fn times(&self, scope: Scope) -> Option<(u64, u64)> {
        let files = self.files.iter().map(|placed| &placed.file);
        let files = files.filter(|file| scope.is_none_or(|index| file.index == index));
        let (mut first, mut last) = (None, None);
        for file in files {
            first = first.or(file.first_ns);
            last = file.last_ns.or(last);
        }
        first.zip(last)
    }

    /// What the first file says of itself.
    pub(crate) fn section(&self) -> Option<&Section> {
        self.files.first()?.file.section()
    }

    /// What a file says of one of its interfaces.
    pub(crate) fn interface(&self, file: u64, number: u32) -> Option<&Interface> {
        let mut files = self.files.iter().map(|placed| &placed.file);
        files.find(|other| other.index == file)?.interface(number)
    }

    /// The stream of a packet: `tcp 3`.
    pub(crate) fn stream(&self, shown: &Shown<'_>) -> Option<String> {
        self.numbering
            .stream(shown.position, &Ends::of(&shown.frame)?)
    }

    /// What is wrong with the first file that could not be read to its end.
    pub(crate) fn damage(&self) -> Option<String> {
        self.files.iter().find_map(|placed| {
            let damage = placed.file.damage.as_ref()?;
            Some(match self.files.len() {
                1 => damage.clone(),
                _ => format!("file {}: {damage}", placed.file.index),
            })
        })
    }

    /// The position of the first packet that has this number or a higher one.
    pub(crate) fn position_of_number(&self, scope: Scope, number: u64) -> u64 {
        let reached = self.files.iter().take(self.at + 1);
        let mut end = 0;
        for placed in reached.filter(|placed| scope.is_none_or(|file| placed.file.index == file)) {
            let before = match scope {
                Some(_) => 0,
                None => placed.numbers_before,
            };
            end = placed.extent().end;
            if number <= before + placed.file.last_number {
                let number = number.saturating_sub(before);
                return placed.packets_before + placed.file.position_of_number(number);
            }
        }
        end
    }

    /// The position of the first packet that is not earlier than a time.
    pub(crate) fn position_of_time(&self, scope: Scope, ns: u64) -> u64 {
        let reached = self.files.iter().take(self.at + 1);
        let mut end = 0;
        for placed in reached.filter(|placed| scope.is_none_or(|file| placed.file.index == file)) {
            end = placed.extent().end;
            if placed.file.last_ns.is_some_and(|last| last >= ns) {
                return placed.packets_before + placed.file.position_of_time(ns);
            }
        }
        end
    }

    /// Lends packets in order, from one position to before another, until one breaks.
    pub(crate) fn each(
        &self,
        scope: Scope,
        positions: Range<u64>,
        mut take: impl FnMut(&Shown<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let first_ns = match scope {
            Some(_) => None,
            None => self.times(None).map(|(first, _)| first),
        };
        let reached = self.files.get(..=self.at).unwrap_or(&self.files);
        let first = reached.partition_point(|placed| placed.extent().end <= positions.start);
        for placed in reached.get(first..).unwrap_or_default() {
            let before = placed.packets_before;
            if before >= positions.end {
                break;
            }
            let from = positions.start.saturating_sub(before);
            let until = positions.end - before;
            placed.file.each(from, until, first_ns, |found| {
                take(&placed.shown(scope, &found))
            })?;
        }
        ControlFlow::Continue(())
    }
}

impl Placed {
    /// Packets and numbers before the file behind this one, which was read to its end.
    fn behind(&self) -> (u64, u64) {
        (
            self.packets_before + self.file.packets,
            self.numbers_before + self.file.last_number,
        )
    }

    fn extent(&self) -> Range<u64> {
        self.packets_before..self.packets_before + self.file.packets
    }

    fn shown<'a>(&self, scope: Scope, found: &Found<'a>) -> Shown<'a> {
        let packet = found.packet;
        let number = match scope {
            Some(_) => packet.number,
            None => self.numbers_before + packet.number,
        };
        Shown {
            position: self.packets_before + found.position,
            file: self.file.index,
            file_number: packet.number,
            number_of_all: self.numbers_before + packet.number,
            frame: Frame {
                number,
                time: found.time,
                link_type: found
                    .interface
                    .map_or(u16::MAX, |interface| interface.link_type),
                wire_len: packet.original_len.max(packet.data.len() as u32),
                interface: packet.interface,
                interface_name: found
                    .interface
                    .and_then(|interface| interface.name.as_deref()),
                data: packet.data,
            },
            direction: packet.direction,
            timestamp_ns: packet.timestamp_ns,
            packet,
        }
    }
}
