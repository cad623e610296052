//! The contents of the current file: header, descriptions of interfaces, packets, and room for the statistics at its
//! end. Its size with another packet is known before the packet is encoded, so limits and rotation can be decided
//! first.

use std::collections::HashMap;

use super::{
    counters::OutputCounters,
    encode::{Encoder, InterfaceStatistics, OutputFrame, Statistics, TaskTotals},
    error::Result,
    figures::FinalFigures,
    packet::InterfaceInfo,
};

/// An interface and its place in the current file.
struct Interface {
    info: InterfaceInfo,
    /// Its description as a block.
    block: Vec<u8>,
    /// Its number in the current file, once it is described there.
    id: Option<u32>,
    /// Packets encoded, in all files.
    delivered: u64,
}

/// The current file, and the interfaces.
pub(super) struct FileLayout {
    encoder: Encoder,
    interfaces: Vec<Interface>,
    by_ifindex: HashMap<u32, usize>,
    /// The entry of `by_ifindex` of the last packet; mostly the next one's as well.
    recent: Option<(u32, usize)>,
    /// How many interfaces are described at the start of a file; the others are before their first packet.
    initial: usize,
    /// Largest size of a file without packets, statistics included.
    size_empty: u64,
    /// What `size_empty` must not exceed by one more interface: half of a file.
    most_empty: u64,
    open: bool,
    size: u64,
    packets: u64,
    /// The interfaces of the current file, in the order of their descriptions.
    described: Vec<usize>,
}

impl FileLayout {
    /// `most` is the limit of a file's size in bytes.
    pub(super) fn new(
        encoder: Encoder,
        interfaces: &[InterfaceInfo],
        most: Option<u64>,
    ) -> Result<Self> {
        let mut layout = Self {
            size_empty: encoder.file_header().len() as u64,
            most_empty: most.map_or(u64::MAX, |most| most / 2),
            encoder,
            interfaces: Vec::new(),
            by_ifindex: HashMap::new(),
            recent: None,
            initial: 0,
            open: false,
            size: 0,
            packets: 0,
            described: Vec::new(),
        };
        for info in interfaces {
            layout.add_interface(info.clone())?;
        }
        Ok(layout)
    }

    /// Adds an interface and returns its index here. An earlier one with the same interface index keeps its
    /// packets.
    pub(super) fn add_interface(&mut self, info: InterfaceInfo) -> Result<usize> {
        if let Some(index) = self.index_of(info.ifindex)
            && self.interfaces[index].info == info
        {
            return Ok(index);
        }
        let block = self.encoder.interface(&info)?;
        let index = self.interfaces.len();
        // Any number of interfaces may come, and must not leave a file without room for packets.
        let with = self.size_empty + block.len() as u64 + self.encoder.trailer_reserve(1);
        if self.initial == index && (index == 0 || with <= self.most_empty) {
            self.initial += 1;
            self.size_empty = with;
        }
        self.by_ifindex.insert(info.ifindex, index);
        self.recent = None;
        self.interfaces.push(Interface {
            info,
            block,
            id: None,
            delivered: 0,
        });
        Ok(index)
    }

    pub(super) fn index_of(&self, ifindex: u32) -> Option<usize> {
        match self.recent {
            Some((recent, index)) if recent == ifindex => Some(index),
            _ => self.by_ifindex.get(&ifindex).copied(),
        }
    }

    pub(super) fn link_type(&self, index: usize) -> u16 {
        self.interfaces[index].info.link_type
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Length of a packet's record.
    pub(super) fn record_len(&self, frame: &OutputFrame<'_>, drops: u64) -> usize {
        self.encoder.record_len(frame, drops)
    }

    /// Length of the description that has to precede a packet of the interface, 0 if it is there.
    pub(super) fn missing_len(&self, index: usize) -> usize {
        let interface = &self.interfaces[index];
        if interface.id.is_none() {
            interface.block.len()
        } else {
            0
        }
    }

    /// Largest size of the current file if it is closed now.
    pub(super) fn size_closed(&self) -> u64 {
        self.size + self.encoder.trailer_reserve(self.described.len())
    }

    /// The same with another record in it.
    pub(super) fn size_with(&self, index: usize, record: usize) -> u64 {
        let is_missing = self.interfaces[index].id.is_none();
        self.size_closed() + self.description(index, is_missing) + record as u64
    }

    /// Largest size of the next file with this record alone.
    pub(super) fn size_of_next(&self, index: usize, record: usize) -> u64 {
        self.size_empty + self.description(index, index >= self.initial) + record as u64
    }

    /// What the description of an interface adds to a file, statistics included, if it is missing.
    fn description(&self, index: usize, is_missing: bool) -> u64 {
        if is_missing {
            self.interfaces[index].block.len() as u64 + self.encoder.trailer_reserve(1)
        } else {
            0
        }
    }

    /// Whether files of the format end with statistics.
    pub(super) fn has_statistics(&self) -> bool {
        self.encoder.trailer_reserve(1) > 0
    }

    /// Largest size of a file without packets, statistics included.
    pub(super) fn size_empty(&self) -> u64 {
        self.size_empty
    }

    /// Begins a file with its header and the first interfaces.
    pub(super) fn begin(&mut self, out: &mut Vec<u8>) {
        let header = self.encoder.file_header();
        self.open = true;
        self.size = header.len() as u64;
        self.packets = 0;
        out.extend_from_slice(header);
        for index in self.described.drain(..) {
            self.interfaces[index].id = None;
        }
        for index in 0..self.initial {
            self.describe(index, out);
        }
    }

    /// Appends the description of an interface unless it is there, and returns the interface's number.
    fn describe(&mut self, index: usize, out: &mut Vec<u8>) -> u32 {
        let interface = &mut self.interfaces[index];
        *interface.id.get_or_insert_with(|| {
            let id = self.described.len() as u32;
            self.described.push(index);
            self.size += interface.block.len() as u64;
            out.extend_from_slice(&interface.block);
            id
        })
    }

    /// Appends a packet, before which `drops` were lost.
    pub(super) fn record(
        &mut self,
        index: usize,
        frame: &OutputFrame<'_>,
        drops: u64,
        out: &mut Vec<u8>,
    ) {
        let id = self.describe(index, out);
        let before = out.len();
        self.encoder.record(frame, id, drops, out);
        self.size += (out.len() - before) as u64;
        self.packets += 1;
        let interface = &mut self.interfaces[index];
        interface.delivered += 1;
        self.recent = Some((interface.info.ifindex, index));
    }

    /// Ends the file with statistics, and returns its size.
    pub(super) fn end(&mut self, statistics: &Statistics, out: &mut Vec<u8>) -> Result<u64> {
        self.open = false;
        let trailer = self.encoder.trailer(statistics)?;
        out.extend_from_slice(&trailer);
        Ok(self.size + trailer.len() as u64)
    }

    /// The interfaces of the current file, in the order of their descriptions.
    fn in_order(&self) -> impl Iterator<Item = &Interface> {
        self.described.iter().map(|index| &self.interfaces[*index])
    }

    /// Statistics for a file that is not the last: without the kernel's figures, which come at the end.
    pub(super) fn statistics_so_far(&self, times_ns: [u64; 2], drops: u64) -> Statistics {
        let single = self.interfaces.len() == 1;
        let interfaces = self.in_order().map(|interface| InterfaceStatistics {
            system_dropped: single.then_some(drops),
            delivered: interface.delivered,
            ..InterfaceStatistics::default()
        });
        Statistics {
            started_ns: times_ns[0],
            ended_ns: times_ns[1],
            interfaces: interfaces.collect(),
            totals: None,
        }
    }

    /// Statistics for the last file. With one interface, the task's figures are the interface's. With several it is
    /// not known whose packets were lost, and the comment has the figures of the whole task.
    pub(super) fn last_statistics(
        &self,
        closing: &FinalFigures,
        counters: &OutputCounters,
        captured: u64,
    ) -> Statistics {
        let totals = TaskTotals {
            matched: closing.matched,
            captured,
            oversize_discarded: closing.oversize_discarded,
            over_limit: counters.over_limit(),
            dropped_ring: closing.dropped_ring,
            dropped_queue: counters.dropped_queue(),
            dropped_write: counters.dropped_write(),
            dropped_copy: closing.dropped_copy,
        };
        let lost = totals.dropped_ring + totals.dropped_queue + totals.dropped_copy;
        let single = self.interfaces.len() == 1;
        let known: HashMap<_, _> = closing
            .interfaces
            .iter()
            .map(|stats| (stats.ifindex, stats))
            .collect();
        let interfaces = self.in_order().map(|interface| {
            let known = known.get(&interface.info.ifindex);
            InterfaceStatistics {
                received: known.map(|stats| stats.seen),
                interface_dropped: known.and_then(|stats| stats.dropped),
                accepted: single.then_some(totals.matched),
                system_dropped: single.then_some(lost),
                delivered: interface.delivered,
            }
        });
        Statistics {
            started_ns: closing.started_ns,
            ended_ns: closing.ended_ns,
            interfaces: interfaces.collect(),
            totals: Some(totals),
        }
    }
}
