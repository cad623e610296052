//! The reader's side of an output: limits, rotation decisions and encoding, packet by packet, between
//! the demultiplexer and the queue. Nothing here waits or does I/O, but the opening and the end.

use std::{path::Path, sync::Arc};

use capture_task::{
    plan::{Format, Plan},
    task::StopReason,
};

use super::{
    channel::WriterState,
    clock::unix_ns,
    closing::{ClosingOutput, OutputReport},
    config::OutputConfig,
    counters::{OutputCounters, count},
    destination::is_descriptor,
    encode::{ETHERNET, Encoder, OutputFrame, snap_len},
    error::{Error, Result},
    figures::FinalFigures,
    file::OutFile,
    layout::FileLayout,
    packet::{InterfaceInfo, Packet},
    queue::Queue,
    rotation::Rotation,
    sizes,
    target::Target,
};

/// How long after the end of its period a file is closed although no later packet has come. The
/// records of the period are drained by then; one that is not begins another file.
const OVERDUE_NS: u64 = 1_000_000_000;

/// The output of one task.
///
/// A file of a rotation is as large as `bytes` at most, header and statistics included, unless its
/// first packet alone is larger. `max_file_bytes` is the most that all files together occupy at any
/// time, so a ring gives back what it removes.
pub struct TaskSink {
    content: FileLayout,
    rotation: Rotation,
    queue: Queue,
    shared: Arc<WriterState>,
    snap_len: u32,
    max_packets: Option<u64>,
    max_file_bytes: Option<u64>,
    /// The only one there can be, where the format knows only one.
    link_type: Option<u16>,
    /// Packets encoded.
    accepted: u64,
    /// Packets lost since the last one that was encoded.
    drops: u64,
    /// Packets lost in all, as far as they are known before the end.
    all_drops: u64,
    opened_ns: u64,
    last_ns: u64,
    limit: Option<StopReason>,
    /// A fault on this side of the queue: what is on its way is still written.
    fault: Option<Error>,
}

/// Why a packet is not in the output.
enum Refused {
    Limit(StopReason),
    NoBuffer,
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl TaskSink {
    /// Opens the first file and starts the writer, so that what cannot be written fails before
    /// anything is attached. The header and the descriptions of `interfaces`, as far as they take no
    /// more than half of a file, are written at once, for live readers. A FIFO must have a reader;
    /// [`Target::connect`] is for those who wait for one.
    ///
    /// # Errors
    /// Usage: interfaces that the format cannot hold together, limits below an empty file, a name
    /// that does not go with the rotation, a terminal. Conflict: another process is writing the
    /// file. Run time: it cannot be opened.
    pub fn open(plan: &Plan, config: &OutputConfig, interfaces: &[InterfaceInfo]) -> Result<Self> {
        let first_link_type = interfaces.first().map_or(ETHERNET, |info| info.link_type);
        let link_type = (plan.format == Format::Pcap).then_some(first_link_type);
        if link_type.is_some()
            && let Some(other) = interfaces
                .iter()
                .find(|info| info.link_type != first_link_type)
        {
            return Err(Error::LinkTypes {
                first: interfaces[0].name.clone(),
                other: other.name.clone(),
            });
        }
        let encoder = Encoder::new(plan, &config.task_id, first_link_type)?;
        let content = FileLayout::new(encoder, interfaces, sizes::largest(plan))?;
        sizes::check(plan, content.size_empty())?;

        let opened_ns = unix_ns();
        let (rotation, first) = first_file(plan, &config.target, opened_ns)?;
        let shared = Arc::new(WriterState::new(config.space.clone()));
        let mut sink = Self {
            content,
            rotation,
            queue: Queue::start(plan.format, Arc::clone(&shared), first)?,
            shared,
            snap_len: snap_len(plan),
            max_packets: plan.max_packets,
            max_file_bytes: plan.max_file_bytes,
            link_type,
            accepted: 0,
            drops: 0,
            all_drops: 0,
            opened_ns,
            last_ns: opened_ns,
            limit: None,
            fault: None,
        };
        sink.content.begin(&mut sink.queue.last_chunk().data);
        sink.queue.hand_over();
        Ok(sink)
    }

    /// Makes an interface known that came later, before its first packet. One with another link type
    /// than a pcap file has ends the task.
    pub fn add_interface(&mut self, info: InterfaceInfo) {
        if self.link_type.is_some_and(|only| only != info.link_type) {
            let interface = info.name;
            self.fault.get_or_insert(Error::LaterLinkType { interface });
        } else if let Err(error) = self.content.add_interface(info) {
            self.fault.get_or_insert(error);
        }
    }

    /// Takes a packet. `Some` says that the task should end: with the packet that fills
    /// `max_packets`, with the first that has no place under another limit, and once the output has
    /// failed. Later packets are counted `over_limit` after a limit and `dropped.write` after a
    /// failure.
    pub fn packet(&mut self, packet: &Packet<'_>) -> Option<StopReason> {
        let counters = &self.shared.counters;
        if self.limit.is_some() {
            count(&counters.over_limit, 1);
            return self.stop_reason();
        }
        if self.fault.is_some() || self.shared.has_failed() {
            count(&counters.dropped_write, 1);
            return self.stop_reason();
        }
        match self.place(packet) {
            Ok(()) if self.max_packets.is_some_and(|most| self.accepted >= most) => {
                self.limit = Some(StopReason::MaxPackets);
            }
            Ok(()) => {}
            Err(Refused::Limit(reason)) => {
                count(&self.shared.counters.over_limit, 1);
                self.limit = Some(reason);
            }
            Err(Refused::NoBuffer) => {
                count(&self.shared.counters.dropped_queue, 1);
                self.note_drops(1);
            }
            Err(Refused::Failed(fault)) => {
                count(&self.shared.counters.dropped_write, 1);
                self.fault = Some(fault);
            }
        }
        self.stop_reason()
    }

    /// Losses before the next packet, which says so (`epb_dropcount`).
    pub fn note_drops(&mut self, packets: u64) {
        self.drops += packets;
        self.all_drops += packets;
    }

    /// Hands what there is to the writer, if the writer keeps up.
    pub fn flush(&mut self) {
        self.queue.flush();
    }

    /// Closes a file whose period is over although no packet has said so, and tells what
    /// [`TaskSink::packet`] would: a reason to end, once there is one.
    pub fn tick(&mut self, now_unix_ns: u64) -> Option<StopReason> {
        let overdue = self
            .rotation
            .is_over(now_unix_ns.saturating_sub(OVERDUE_NS));
        if overdue && self.content.is_open() && self.stop_reason().is_none() {
            if self.rotation.is_used_up() {
                self.limit = Some(StopReason::MaxFileBytes);
            } else if let Err(Refused::Failed(fault)) = self.close_file() {
                self.fault = Some(fault);
            }
        }
        self.stop_reason()
    }

    /// The figures, for any thread.
    pub fn counters(&self) -> Arc<OutputCounters> {
        Arc::clone(&self.shared.counters)
    }

    /// Why the output has failed, once it has: `disk_full`, `io_error`, `error`, or `user` where the
    /// reader of a pipe has closed it.
    pub fn failure(&self) -> Option<StopReason> {
        let here = || self.fault.as_ref().map(Error::stop_reason);
        self.shared.failure().map(Error::stop_reason).or_else(here)
    }

    #[cfg(test)]
    pub(super) fn content_is_open(&self) -> bool {
        self.content.is_open()
    }

    fn stop_reason(&self) -> Option<StopReason> {
        self.failure().or(self.limit)
    }

    /// Ends the output with the statistics, for which a file without packets is begun where a silent period has
    /// closed the last one, unless a packet or a limit would be the price. What is left to do, the rest of the queue, fsync and the
    /// final name, is the writer's.
    pub fn end(mut self, closing: &FinalFigures) -> ClosingOutput {
        if self.lacks_statistics()
            && let Err(error) = self.begin_file(closing.ended_ns)
        {
            self.fault.get_or_insert(error);
        }
        if self.content.is_open() && !self.shared.has_failed() {
            let counters = &self.shared.counters;
            let statistics = self
                .content
                .last_statistics(closing, counters, self.accepted);
            let chunk = self.queue.last_chunk();
            chunk.close = true;
            if let Err(error) = self.content.end(&statistics, &mut chunk.data) {
                self.fault.get_or_insert(error);
            }
        }
        ClosingOutput::new(self.queue, self.shared, self.fault)
    }

    /// Whether no file is open to which the last statistics could be added, but another may be begun.
    fn lacks_statistics(&self) -> bool {
        let total = self.rotation.finished_bytes() + self.content.size_empty();
        self.content.has_statistics()
            && !self.content.is_open()
            && self.failure().is_none()
            && !self.rotation.is_used_up()
            && !self.rotation.is_ring_full()
            && self.max_file_bytes.is_none_or(|most| total <= most)
    }

    /// Ends the output and waits for the writer.
    pub fn finish(self, closing: &FinalFigures) -> OutputReport {
        self.end(closing).report()
    }

    /// Puts a packet where it belongs, or changes nothing but perhaps the file.
    fn place(&mut self, packet: &Packet<'_>) -> Result<(), Refused> {
        let index = match self.content.index_of(packet.ifindex) {
            Some(index) => index,
            // Nobody announced it; a packet is worth more than a name.
            None => self.content.add_interface(InterfaceInfo {
                ifindex: packet.ifindex,
                name: format!("if{}", packet.ifindex),
                link_type: self.link_type.unwrap_or(ETHERNET),
            })?,
        };
        let frame = OutputFrame::new(packet, self.content.link_type(index), self.snap_len);
        let record = self.content.record_len(&frame, self.drops);
        if self.belongs_to_next_file(packet.timestamp_ns, index, record)? {
            if self.content.is_open() {
                self.close_file()?;
            }
            self.next_file(packet.timestamp_ns)?;
        }
        let room = self.content.missing_len(index) + record;
        let chunk = self.queue.room(room).ok_or(Refused::NoBuffer)?;
        self.content
            .record(index, &frame, self.drops, &mut chunk.data);
        chunk.packets += 1;
        chunk.bytes += u64::from(frame.captured_len());
        self.accepted += 1;
        self.drops = 0;
        self.last_ns = packet.timestamp_ns;
        Ok(())
    }

    /// Whether a record goes into another file than the current one; or the limit that it exceeds.
    fn belongs_to_next_file(
        &self,
        time_ns: u64,
        index: usize,
        record: usize,
    ) -> Result<bool, Refused> {
        let with = self.content.size_with(index, record);
        let too_large = self.content.packets() > 0
            && self.rotation.file_bytes().is_some_and(|most| with > most);
        let next = !self.content.is_open() || too_large || self.rotation.is_over(time_ns);
        if next && self.rotation.is_used_up() {
            return Err(Refused::Limit(StopReason::MaxFileBytes));
        }
        if let Some(most) = self.max_file_bytes {
            let total = if next {
                let closing = self.content.is_open().then(|| self.content.size_closed());
                self.rotation.finished_bytes_then(closing)
                    + self.content.size_of_next(index, record)
            } else {
                self.rotation.finished_bytes() + with
            };
            if total > most {
                return Err(Refused::Limit(StopReason::MaxFileBytes));
            }
        }
        Ok(next)
    }

    /// Ends the current file with the statistics so far.
    fn close_file(&mut self) -> Result<(), Refused> {
        // First, as this is asked with each packet while there is none.
        let chunk = self.queue.chunk().ok_or(Refused::NoBuffer)?;
        let times = [self.opened_ns, self.last_ns];
        let statistics = self.content.statistics_so_far(times, self.all_drops);
        chunk.close = true;
        let size = self.content.end(&statistics, &mut chunk.data)?;
        self.queue.hand_over();
        self.rotation.finished(size);
        Ok(())
    }

    /// Begins a file; none is open, and the current chunk is empty.
    fn next_file(&mut self, timestamp_ns: u64) -> Result<(), Refused> {
        self.queue.chunk().ok_or(Refused::NoBuffer)?;
        Ok(self.begin_file(timestamp_ns)?)
    }

    /// The same, with a buffer beyond the pool where none is free.
    fn begin_file(&mut self, timestamp_ns: u64) -> Result<()> {
        let next = self.rotation.begin(timestamp_ns)?;
        let chunk = self.queue.last_chunk();
        chunk.open = Some(next);
        self.content.begin(&mut chunk.data);
        Ok(())
    }
}

fn first_file(plan: &Plan, target: &Target, now_ns: u64) -> Result<(Rotation, OutFile)> {
    match target {
        Target::Stdout => {
            if plan.rotate.is_some() {
                return Err(not_rotatable(Path::new("-")));
            }
            let mut rotation = Rotation::new(Path::new("-"), None);
            rotation.begin(now_ns)?;
            OutFile::stdout().map(|file| (rotation, file))
        }
        Target::Open(open) => {
            if plan.rotate.is_some() {
                return Err(not_rotatable(open.name()));
            }
            let mut rotation = Rotation::new(open.name(), None);
            rotation.begin(now_ns)?;
            OutFile::target(open).map(|file| (rotation, file))
        }
        Target::File(name) => {
            if plan.rotate.is_some() && name.exists() && (is_descriptor(name) || !name.is_file()) {
                return Err(not_rotatable(name));
            }
            let mut rotation = Rotation::new(name, plan.rotate);
            let first = rotation.begin(now_ns)?;
            let opened = match plan.rotate {
                Some(_) => OutFile::open_rotated(&first.name),
                None => OutFile::open(&first.name),
            };
            opened.map(|file| (rotation, file))
        }
    }
}

fn not_rotatable(name: &Path) -> Error {
    Error::NotRotatable {
        path: name.to_owned(),
    }
}
