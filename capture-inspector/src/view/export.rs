//! The packets that pass as a pcapng file of their own, with comments: part by part, so that a part is made when whoever
//! takes the file has taken the one before it. Between the parts nothing is kept here; what must be known goes with the
//! question.

use std::{borrow::Cow, time::Instant};

use base64ct::{Base64, Encoding as _};
use capture_file::{CopiedPacket, CopyEncoder, read::Interface};

use super::{
    capture::Shown,
    export_state::{ExportPart, ExportState},
    request::ViewFault,
    viewing::{Among, PATIENCE, SLICE, View},
};

/// Most bytes of a part, about.
const MOST_BYTES: usize = 1 << 20;

/// Most interfaces of a file that is made.
const MOST_INTERFACES: usize = 500;

/// Most interfaces of files that are recognised as one of those.
const MOST_KNOWN: usize = 1500;

impl View {
    /// The next part of the packets that pass and whose numbers lie between two, both included.
    pub(super) fn export(
        &mut self,
        among: Among,
        mut state: ExportState,
        numbers: (u64, u64),
    ) -> Result<ExportPart, ViewFault> {
        let deadline = Instant::now() + PATIENCE;
        let first_rank = state.rank;
        while self.count(among) <= first_rank && !self.is_complete(among) {
            self.read_and_search(among, deadline.min(Instant::now() + SLICE));
            if Instant::now() >= deadline {
                break;
            }
        }
        if self.capture.is_growing() && state.last.is_none() {
            state.last = Some(self.last_number(among));
        }
        let (low, high) = (numbers.0, numbers.1.min(state.last.unwrap_or(u64::MAX)));
        let mut copy = self.copy(&mut state, among)?;
        let mut is_over = false;
        let mut fault = None;
        self.each(among, first_rank, u64::MAX - first_rank, |shown| {
            if shown.frame.number > high {
                is_over = true;
                return false;
            }
            if shown.frame.number >= low
                && let Err(why) = self.put(&mut copy, &mut state, shown)
            {
                fault = Some(why);
                return false;
            }
            state.rank += 1;
            copy.len() < MOST_BYTES
                && (!state.rank.is_multiple_of(256) || Instant::now() < deadline)
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        is_over |= self.is_complete(among) && state.rank >= self.count(among);
        Ok(ExportPart {
            data: Base64::encode_string(&copy.take()),
            next: (!is_over).then_some(state),
        })
    }

    /// An encoder that knows the interfaces of earlier parts.
    fn copy(&self, state: &mut ExportState, among: Among) -> Result<CopyEncoder, ViewFault> {
        let section = self.capture.section().cloned().unwrap_or_default();
        let filter = self.filter_text(among);
        let comment = match filter {
            "" => "packets of a capture, exported".to_owned(),
            filter => format!("packets of a capture that pass the display filter: {filter}"),
        };
        let mut copy = CopyEncoder::new(&section, &comment).map_err(refused)?;
        if !std::mem::replace(&mut state.has_begun, true) {
            return Ok(copy);
        }
        for (file, interface) in &state.written {
            let interface = self.capture.interface(*file, *interface);
            let interface = interface.cloned().unwrap_or_default();
            copy.interface(&interface).map_err(refused)?;
        }
        // It has been written.
        copy.take();
        Ok(copy)
    }

    fn put(
        &self,
        copy: &mut CopyEncoder,
        state: &mut ExportState,
        shown: &Shown<'_>,
    ) -> Result<(), ViewFault> {
        let interface = self.interface_of(copy, state, shown)?;
        state.last_ns = shown.timestamp_ns.unwrap_or(state.last_ns);
        let packet = CopiedPacket {
            interface,
            timestamp_ns: state.last_ns,
            direction: shown.direction,
            original_len: shown.frame.wire_len,
            lost_before: shown.lost_before(),
            data: shown.frame.data,
        };
        let note = self.notes.get(&shown.number_of_all);
        let note = note.and_then(|note| note.comment.as_deref());
        let comments = shown.comments().chain(note.map(Cow::Borrowed));
        copy.packet(&packet, comments).map_err(refused)
    }

    /// The number in the export of a packet's interface, which is written before its first packet.
    fn interface_of(
        &self,
        copy: &mut CopyEncoder,
        state: &mut ExportState,
        shown: &Shown<'_>,
    ) -> Result<u32, ViewFault> {
        let (file, number) = (shown.file, shown.frame.interface);
        let known = state.interfaces.iter().rev();
        let mut known = known.filter(|known| (known.0, known.1) == (file, number));
        if let Some((.., interface)) = known.next() {
            return Ok(*interface);
        }
        let described = self.capture.interface(file, number);
        // The files of a rotation have the same interfaces.
        let is_same = |(file, number): &(u64, u32)| {
            let other = self.capture.interface(*file, *number);
            other.zip(described).is_some_and(|(other, one)| {
                let one = Interface {
                    id: other.id,
                    ..one.clone()
                };
                *other == one
            })
        };
        let place = match state.written.iter().position(is_same) {
            Some(place) => place,
            None if state.written.len() >= MOST_INTERFACES => {
                return Err(ViewFault::NotExported(format!(
                    "the packets are of more than {MOST_INTERFACES} interfaces"
                )));
            }
            None => {
                copy.interface(&described.cloned().unwrap_or_default())
                    .map_err(refused)?;
                state.written.push((file, number));
                state.written.len() - 1
            }
        };
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        if state.interfaces.len() >= MOST_KNOWN {
            state.interfaces.remove(0);
        }
        state.interfaces.push((file, number, place));
        Ok(place)
    }

    /// Number of the last packet so far.
    fn last_number(&self, among: Among) -> u64 {
        let extent = self.capture.extent(among.scope);
        let mut number = 0;
        let last = extent.end.saturating_sub(1).max(extent.start);
        let _ = self.capture.each(among.scope, last..extent.end, |shown| {
            number = shown.frame.number;
            std::ops::ControlFlow::Continue(())
        });
        number
    }
}

pub(super) fn refused(error: capture_file::Error) -> ViewFault {
    ViewFault::NotExported(error.to_string())
}
