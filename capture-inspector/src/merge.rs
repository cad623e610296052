//! Several files as one capture: merged by time, each read once from front to back. A file is opened when its first packet
//! is due, so that the buffers of a long rotation are not all there at once.

use std::{cmp::Reverse, collections::BinaryHeap, fmt};

use capture_analysis::{Baseline as Talkers, MOST_FILES, Packet, Report};
use capture_file::read::Item;
use capture_packet::filter::Filter;

use crate::{
    analysis::Analysis,
    analyzed_file::AnalyzedFile,
    feed::Funnel,
    input::{AnyReader, Input},
    origin::Origin,
};

/// A file of which no packet could be read.
#[derive(Debug)]
pub struct Unreadable {
    /// As it was given.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

impl std::error::Error for Unreadable {}

/// Analyzes files as one capture. Of a damaged one all that comes before the damage is taken.
///
/// # Errors
/// The first file that cannot be read, where no packet of any could be.
pub fn analyze(inputs: &mut [Input]) -> Result<Analysis, Unreadable> {
    merge(inputs, None, None).map(|(analysis, _)| analysis)
}

/// Analyzes those packets of files that pass a display filter; they keep their numbers.
///
/// # Errors
/// As [`analyze`].
pub fn analyze_chosen(inputs: &mut [Input], filter: Filter) -> Result<Analysis, Unreadable> {
    merge(inputs, None, Some(filter)).map(|(analysis, _)| analysis)
}

/// Analyzes files as one capture, and says what differs from another one.
///
/// # Errors
/// As [`analyze`], of either.
pub fn compare(inputs: &mut [Input], baseline: &mut [Input]) -> Result<Analysis, Unreadable> {
    let (before, talkers) = merge(baseline, None, None)?;
    let (mut analysis, _) = merge(inputs, Some(talkers), None)?;
    analysis.compare_with(before);
    Ok(analysis)
}

/// The answer about files, and who talks in them; with hosts of another capture those that are new are found.
fn merge(
    inputs: &mut [Input],
    known: Option<Talkers>,
    filter: Option<Filter>,
) -> Result<(Analysis, Talkers), Unreadable> {
    if inputs.len() > MOST_FILES {
        return Err(Unreadable {
            name: format!("{} files", inputs.len()),
            reason: format!("{MOST_FILES} are the most"),
        });
    }
    let mut merge = Merge::of(inputs);
    if let Some(filter) = filter {
        merge.funnel.choose(filter);
    }
    if let Some(known) = known {
        merge.funnel.compare_with(known);
    }
    merge.begin();
    while merge.step() {}
    let talkers = merge.funnel.talkers();
    let (files, report) = merge.finish();
    let damaged = files.iter().find(|file| file.damage.is_some());
    if let Some(file) = damaged.filter(|_| report.packets == 0) {
        return Err(Unreadable {
            name: file.name.clone(),
            reason: file.damage.clone().unwrap_or_default(),
        });
    }
    let analysis = Analysis {
        files,
        report,
        engines: Vec::new(),
        comparison: None,
    };
    Ok((analysis, talkers))
}

/// A file of those that are merged.
struct File<'i> {
    input: &'i mut Input,
    /// While its packets are due.
    reader: Option<AnyReader>,
    origin: Origin,
    /// The packet that is due next, while the reader is there.
    head: Held,
    packets: u64,
    damage: Option<String>,
}

/// A packet with bytes of its own.
#[derive(Default)]
struct Held {
    packet: Option<Packet<'static>>,
    data: Vec<u8>,
}

impl Held {
    fn hold(&mut self, packet: &Packet<'_>) {
        self.data.clear();
        self.data.extend_from_slice(packet.data);
        self.packet = Some(Packet {
            data: &[],
            ..*packet
        });
    }

    fn take(&mut self) -> Option<Packet<'_>> {
        let packet = self.packet.take()?;
        Some(Packet {
            data: &self.data,
            ..packet
        })
    }
}

struct Merge<'i> {
    files: Vec<File<'i>>,
    /// Times of the next packets and the files that they are of, the earliest on top; of equal ones the first file.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    funnel: Funnel,
}

impl<'i> Merge<'i> {
    fn of(inputs: &'i mut [Input]) -> Self {
        let is_only = inputs.len() == 1;
        let files = inputs.iter_mut().zip(0_u16..).map(|(input, index)| File {
            input,
            reader: None,
            origin: match is_only {
                true => Origin::default(),
                false => Origin::of_file(index),
            },
            head: Held::default(),
            packets: 0,
            damage: None,
        });
        Self {
            files: files.collect(),
            due: BinaryHeap::new(),
            funnel: Funnel::default(),
        }
    }

    /// Finds out when each file begins. A pipe stays open with its first packet in hand, a file is opened again later.
    fn begin(&mut self) {
        if let [file] = self.files.as_mut_slice() {
            file.open();
            return self.due.push(Reverse((0, 0)));
        }
        for index in 0..self.files.len() {
            let file = &mut self.files[index];
            file.open();
            if !file.input.is_file() {
                self.advance(index, None);
            } else {
                // One without packets may still tell what was lost.
                let first_ns = file.first_ns().unwrap_or(u64::MAX);
                self.due.push(Reverse((first_ns, index)));
            }
        }
    }

    /// Takes packets of the file whose packet is the earliest, up to the next one of another file; false where there
    /// are no more.
    fn step(&mut self) -> bool {
        let Some(Reverse((_, index))) = self.due.pop() else {
            return false;
        };
        let until = match self.due.peek() {
            Some(Reverse((ns, _))) => *ns,
            None => u64::MAX,
        };
        let file = &mut self.files[index];
        if file.reader.is_none() {
            file.open();
        }
        if let Some(packet) = file.head.take() {
            self.funnel.packet(&packet);
        }
        self.advance(index, Some(until));
        true
    }

    /// Takes packets of a file that are not later than this, and holds the next one. Without a time the first one is held.
    fn advance(&mut self, index: usize, until: Option<u64>) {
        let file = &mut self.files[index];
        let Some(reader) = &mut file.reader else {
            return;
        };
        loop {
            match reader.next() {
                Ok(Some(Item::Packet(packet))) => {
                    let packet = self.funnel.packet_of(&mut file.origin, &packet);
                    if until.is_none_or(|until| packet.timestamp_ns > until) {
                        file.head.hold(&packet);
                        return self.due.push(Reverse((packet.timestamp_ns, index)));
                    }
                    self.funnel.packet(&packet);
                }
                Ok(Some(item)) => self.funnel.describe(&mut file.origin, item),
                Ok(None) => break,
                Err(error) => {
                    file.damage = Some(error.to_string());
                    break;
                }
            }
        }
        file.packets = reader.packets();
        file.reader = None;
        self.funnel.end(std::mem::take(&mut file.origin));
    }

    fn finish(self) -> (Vec<AnalyzedFile>, Report) {
        let files = self.files.into_iter().map(|file| AnalyzedFile {
            name: file.input.name().to_owned(),
            packets: file.packets,
            damage: file.damage,
        });
        (files.collect(), self.funnel.finish())
    }
}

impl File<'_> {
    fn open(&mut self) {
        match self.input.reader() {
            Ok(reader) => self.reader = Some(reader),
            Err(error) => self.damage = Some(error.to_string()),
        }
    }

    /// The time of the first packet, if there is one. What is wrong with the file shows when it is read.
    fn first_ns(&mut self) -> Option<u64> {
        let mut reader = self.reader.take()?;
        while let Some(item) = reader.next().ok()? {
            if let Item::Packet(packet) = item {
                return Some(packet.timestamp_ns.unwrap_or(0));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
