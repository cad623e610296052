//! The reader's side of an output to files. For each packet it checks limits, decides on rotation, and encodes into
//! a buffer of the queue. It does no I/O and does not wait, except when it opens the output.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

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
    writer::evict,
};

/// How long after the end of its period a file is closed if no later packet has closed it. The records of the
/// period are drained by then; a later one begins another file.
const OVERDUE_NS: u64 = 1_000_000_000;

/// The output of one task to pcap or pcapng files.
///
/// A file of a rotation takes at most `bytes`, header and statistics included, unless its first packet alone is
/// larger. `max_file_bytes` limits what all files together take at any time; a file that leaves the ring no longer
/// counts.
pub struct FileOutput {
    layout: FileLayout,
    rotation: Rotation,
    queue: Queue,
    state: Arc<WriterState>,
    snap_len: u32,
    max_packets: Option<u64>,
    max_file_bytes: Option<u64>,
    /// Link type of a pcap file, which can hold only one.
    link_type: Option<u16>,
    /// Packets encoded.
    accepted: u64,
    /// Packets lost since the last one that was encoded.
    drops: u64,
    /// All packets lost, as far as known.
    all_drops: u64,
    opened_ns: u64,
    last_ns: u64,
    limit: Option<StopReason>,
    /// A failure on this side of the queue. What is in the queue is still written.
    fault: Option<Error>,
}

/// Why a packet was not encoded.
enum NotEncoded {
    Limit(StopReason),
    NoBuffer,
    Failed(Error),
}

impl From<Error> for NotEncoded {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl FileOutput {
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
        let layout = FileLayout::new(encoder, interfaces, sizes::max_file_size(plan))?;
        sizes::check(plan, layout.size_empty())?;

        let opened_ns = unix_ns();
        let (rotation, first, evicted) = first_file(plan, config, opened_ns)?;
        let state = Arc::new(WriterState::new(config.space.clone(), config.owner));
        state.counters.files.seed(&config.earlier.files);
        for path in &evicted {
            evict(&state, path, None);
        }
        let mut sink = Self {
            layout,
            rotation,
            queue: Queue::start(plan.format, Arc::clone(&state), first)?,
            state,
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
        sink.layout.begin(&mut sink.queue.chunk_or_extra().data);
        sink.queue.hand_over();
        Ok(sink)
    }

    /// Adds an interface that appeared after the start, before its first packet. In a pcap file, another link type
    /// ends the task.
    pub fn add_interface(&mut self, info: InterfaceInfo) {
        if self.link_type.is_some_and(|only| only != info.link_type) {
            let interface = info.name;
            self.fault.get_or_insert(Error::LaterLinkType { interface });
        } else if let Err(error) = self.layout.add_interface(info) {
            self.fault.get_or_insert(error);
        }
    }

    /// Takes a packet, see [`Output::packet`](super::Output::packet).
    pub fn packet(&mut self, packet: &Packet<'_>) -> Option<StopReason> {
        let counters = &self.state.counters;
        if self.limit.is_some() {
            count(&counters.over_limit, 1);
            return self.stop_reason();
        }
        if self.fault.is_some() || self.state.has_failed() {
            count(&counters.dropped_write, 1);
            return self.stop_reason();
        }
        match self.encode(packet) {
            Ok(()) if self.max_packets.is_some_and(|most| self.accepted >= most) => {
                self.limit = Some(StopReason::MaxPackets);
            }
            Ok(()) => {}
            Err(NotEncoded::Limit(reason)) => {
                count(&self.state.counters.over_limit, 1);
                self.limit = Some(reason);
            }
            Err(NotEncoded::NoBuffer) => {
                count(&self.state.counters.dropped_queue, 1);
                self.note_drops(1);
            }
            Err(NotEncoded::Failed(fault)) => {
                count(&self.state.counters.dropped_write, 1);
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

    /// Gives the current buffer to the writer, unless the writer is behind.
    pub fn flush(&mut self) {
        self.queue.flush();
    }

    /// Closes a file whose period has ended without a later packet. Returns what [`FileOutput::packet`] would: a
    /// reason to end, once there is one.
    pub fn tick(&mut self, now_unix_ns: u64) -> Option<StopReason> {
        let overdue = self.rotation.is_due(now_unix_ns.saturating_sub(OVERDUE_NS));
        if overdue && self.layout.is_open() && self.stop_reason().is_none() {
            if self.rotation.is_exhausted() {
                self.limit = Some(StopReason::MaxFileBytes);
            } else if let Err(NotEncoded::Failed(fault)) = self.close_file() {
                self.fault = Some(fault);
            }
        }
        self.stop_reason()
    }

    /// The figures, for any thread.
    pub fn counters(&self) -> Arc<OutputCounters> {
        Arc::clone(&self.state.counters)
    }

    /// Why the output has failed, once it has: `disk_full`, `io_error`, `error`, or `user` if the reader of a pipe
    /// has closed it.
    pub fn failure(&self) -> Option<StopReason> {
        let here = || self.fault.as_ref().map(Error::stop_reason);
        self.state.failure().map(Error::stop_reason).or_else(here)
    }

    #[cfg(test)]
    pub(super) fn is_file_open(&self) -> bool {
        self.layout.is_open()
    }

    fn stop_reason(&self) -> Option<StopReason> {
        self.failure().or(self.limit)
    }

    /// Ends the output with the statistics. If a silent period has closed the last file, a file without packets is
    /// begun for them, unless that would exceed a limit or push a file out of the ring. The writer then finishes
    /// the queue, syncs and renames.
    pub fn end(mut self, closing: &FinalFigures) -> ClosingOutput {
        if self.lacks_statistics()
            && let Err(error) = self.begin_file(closing.ended_ns)
        {
            self.fault.get_or_insert(error);
        }
        if self.layout.is_open() && !self.state.has_failed() {
            let counters = &self.state.counters;
            let statistics = self
                .layout
                .last_statistics(closing, counters, self.accepted);
            let chunk = self.queue.chunk_or_extra();
            chunk.close = true;
            if let Err(error) = self.layout.end(&statistics, &mut chunk.data) {
                self.fault.get_or_insert(error);
            }
        }
        ClosingOutput::new(self.queue, self.state, self.fault)
    }

    /// Whether a file has to be begun for the last statistics, and may be.
    fn lacks_statistics(&self) -> bool {
        let total = self.rotation.finished_bytes() + self.layout.size_empty();
        self.layout.has_statistics()
            && !self.layout.is_open()
            && self.failure().is_none()
            && !self.rotation.is_exhausted()
            && !self.rotation.is_ring_full()
            && self.max_file_bytes.is_none_or(|most| total <= most)
    }

    /// Ends the output and waits for the writer.
    pub fn finish(self, closing: &FinalFigures) -> OutputReport {
        self.end(closing).report()
    }

    /// Encodes a packet into the file that it belongs to. On failure nothing changes, except that the next file may
    /// have begun.
    fn encode(&mut self, packet: &Packet<'_>) -> Result<(), NotEncoded> {
        let index = match self.layout.index_of(packet.ifindex) {
            Some(index) => index,
            // An unannounced interface: the packet matters more than the name.
            None => self.layout.add_interface(InterfaceInfo {
                ifindex: packet.ifindex,
                name: format!("if{}", packet.ifindex),
                link_type: self.link_type.unwrap_or(ETHERNET),
            })?,
        };
        let frame = OutputFrame::new(packet, self.layout.link_type(index), self.snap_len);
        let record = self.layout.record_len(&frame, self.drops);
        if self.belongs_to_next_file(packet.timestamp_ns, index, record)? {
            if self.layout.is_open() {
                self.close_file()?;
            }
            self.next_file(packet.timestamp_ns)?;
        }
        let room = self.layout.missing_len(index) + record;
        let chunk = self.queue.reserve(room).ok_or(NotEncoded::NoBuffer)?;
        self.layout
            .record(index, &frame, self.drops, &mut chunk.data);
        chunk.packets += 1;
        chunk.bytes += u64::from(frame.captured_len());
        self.accepted += 1;
        self.drops = 0;
        self.last_ns = packet.timestamp_ns;
        Ok(())
    }

    /// Whether a record belongs to the next file.
    ///
    /// # Errors
    /// The limit that it would exceed.
    fn belongs_to_next_file(
        &self,
        time_ns: u64,
        index: usize,
        record: usize,
    ) -> Result<bool, NotEncoded> {
        let with = self.layout.size_with(index, record);
        let too_large =
            self.layout.packets() > 0 && self.rotation.file_bytes().is_some_and(|most| with > most);
        let next = !self.layout.is_open() || too_large || self.rotation.is_due(time_ns);
        if next && self.rotation.is_exhausted() {
            return Err(NotEncoded::Limit(StopReason::MaxFileBytes));
        }
        if let Some(most) = self.max_file_bytes {
            let total = if next {
                let closing = self.layout.is_open().then(|| self.layout.size_closed());
                self.rotation.finished_bytes_after_next(closing)
                    + self.layout.size_of_next(index, record)
            } else {
                self.rotation.finished_bytes() + with
            };
            if total > most {
                return Err(NotEncoded::Limit(StopReason::MaxFileBytes));
            }
        }
        Ok(next)
    }

    /// Ends the current file with the statistics so far.
    fn close_file(&mut self) -> Result<(), NotEncoded> {
        // First: while no buffer is free, every packet comes here.
        let chunk = self.queue.chunk().ok_or(NotEncoded::NoBuffer)?;
        let times = [self.opened_ns, self.last_ns];
        let statistics = self.layout.statistics_so_far(times, self.all_drops);
        chunk.close = true;
        let size = self.layout.end(&statistics, &mut chunk.data)?;
        self.queue.hand_over();
        self.rotation.finished(size);
        Ok(())
    }

    /// Begins a file. None is open, and the current chunk is empty.
    fn next_file(&mut self, timestamp_ns: u64) -> Result<(), NotEncoded> {
        self.queue.chunk().ok_or(NotEncoded::NoBuffer)?;
        Ok(self.begin_file(timestamp_ns)?)
    }

    /// The same, with a buffer beyond the pool if none is free.
    fn begin_file(&mut self, timestamp_ns: u64) -> Result<()> {
        let next = self.rotation.begin(timestamp_ns)?;
        let chunk = self.queue.chunk_or_extra();
        chunk.open = Some(next);
        self.layout.begin(&mut chunk.data);
        Ok(())
    }
}

/// The rotation, its first file, and the files of an earlier output that leave the ring for it.
fn first_file(
    plan: &Plan,
    config: &OutputConfig,
    now_ns: u64,
) -> Result<(Rotation, OutFile, Vec<PathBuf>)> {
    let earlier = &config.earlier;
    match &config.target {
        Target::Stdout => {
            if plan.rotate.is_some() {
                return Err(not_rotatable(Path::new("-")));
            }
            let mut rotation = Rotation::new(Path::new("-"), None, earlier);
            rotation.begin(now_ns)?;
            OutFile::stdout().map(|file| (rotation, file, Vec::new()))
        }
        Target::Open(open) => {
            if plan.rotate.is_some() {
                return Err(not_rotatable(open.name()));
            }
            let mut rotation = Rotation::new(open.name(), None, earlier);
            rotation.begin(now_ns)?;
            OutFile::target(open).map(|file| (rotation, file, Vec::new()))
        }
        Target::File(name) => {
            if plan.rotate.is_some() && name.exists() && (is_descriptor(name) || !name.is_file()) {
                return Err(not_rotatable(name));
            }
            let mut rotation = Rotation::new(name, plan.rotate, earlier);
            let first = rotation.begin(now_ns)?;
            let opened = match plan.rotate {
                Some(_) => OutFile::open_rotated(&first.name),
                None => OutFile::open(&first.name),
            };
            opened.map(|file| (rotation, file, first.evicted))
        }
    }
}

fn not_rotatable(name: &Path) -> Error {
    Error::NotRotatable {
        path: name.to_owned(),
    }
}
