//! The rings, one for each CPU, read as one stream in order of time. The head record of each ring
//! is known by its time stamp, and the oldest goes first: order without a sort and without a copy.

use std::{
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use aya::maps::{ArrayOfMaps, Map, MapData, RingBuf};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;
use capture_common::{CHUNK_LEN, RecordHeader};
use capture_task::plan::MAX_RING;
use nix::{
    poll::PollTimeout,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
};

use super::{
    mmap::page_len,
    object::{Maps, maps},
    ring::{Ring, RingGauge, RingMemory},
};

/// Least bytes of a ring: the longest record fits behind a chunk that is left early for it.
const MIN_RING: u64 = 2 * CHUNK_LEN as u64;

/// Whether a CPU's stores are seen by the others in the order in which its program made them. Programs have no
/// instruction for that which every kernel here knows.
const STORES_IN_ORDER: bool = cfg!(target_arch = "x86_64");

/// Bytes of each CPU's ring when all together may have `total`: a power of two.
pub(super) fn ring_bytes(total: u64, cpus: usize) -> u32 {
    let share = (total / cpus.max(1) as u64).clamp(MIN_RING, MAX_RING);
    // The clamp keeps the power of two within 32 bits.
    1 << share.ilog2()
}

/// Whether a ring may have so many bytes.
pub(super) fn is_ring_bytes(bytes: u32) -> bool {
    bytes.is_power_of_two() && (MIN_RING..=MAX_RING).contains(&bytes.into())
}

/// All rings, for the one reader.
pub(crate) struct Rings {
    rings: Vec<Source>,
    /// What the programs ring when much is in a ring.
    wakeups: Vec<RingBuf<MapData>>,
    epoll: Epoll,
    /// The reader's own way to wait for programs, so that it waits for nobody else who does.
    table: WakeupTable,
    /// [`STORES_IN_ORDER`], unless a test has it otherwise.
    pub(super) stores_in_order: bool,
}

/// A CPU's ring, and when its next record is from.
struct Source {
    ring: Ring,
    /// Time stamp of the record at the head, `u64::MAX` where the ring was empty when last looked at.
    head_ns: u64,
}

/// What [`Rings::drain`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DrainProgress {
    /// Records given to the sink.
    pub(crate) records: usize,
    /// Every record that was in a ring when it was looked at, and is stamped until then, has been given to the sink.
    pub(crate) up_to_ns: u64,
}

/// The wakeups of all CPUs as the programs find them: a map of maps, which also tells when no program uses an old
/// table any more.
pub(super) struct WakeupTable {
    outer: ArrayOfMaps<MapData, MapData>,
    first: MapData,
    /// How often programs were waited for.
    #[cfg(test)]
    pub(super) waits: usize,
}

impl WakeupTable {
    fn new(outer: ArrayOfMaps<MapData, MapData>, first: MapData) -> Self {
        Self {
            outer,
            first,
            #[cfg(test)]
            waits: 0,
        }
    }

    /// Waits until every program that was running has ended.
    ///
    /// The kernel does so in each change of a map of maps (`maybe_wait_bpf_programs` in
    /// kernel/bpf/syscall.c), which is why the same bell is put into its place once more.
    fn wait_for_programs(&mut self) -> Result<()> {
        #[cfg(test)]
        {
            self.waits += 1;
        }
        self.outer
            .set(0, &self.first, 0)
            .context("waiting for running programs")
    }
}

/// The control path's way to wait for running programs; one caller at a time does.
#[derive(Clone)]
pub(crate) struct Barrier(Arc<Mutex<WakeupTable>>);

impl Barrier {
    /// Waits until every program that was running has ended: what it matched is then in the rings, and nothing that
    /// was taken out of the tables is still read.
    pub(crate) fn wait(&self) -> Result<()> {
        self.lock().wait_for_programs()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, WakeupTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a bell for each of `cpus`.
pub(super) fn bells(cpus: usize) -> Result<Vec<MapData>> {
    let bytes = u32::try_from(page_len()?)?;
    let bell = |_| {
        let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, bytes, 0);
        MapData::create(definition, "capture_bell", None).context("making a bell")
    };
    (0..cpus).map(bell).collect()
}

/// Takes the rings of as many CPUs as there are bells, of `bytes` bytes each.
pub(super) fn create(
    from: &mut Maps,
    bells: Vec<MapData>,
    bytes: u32,
) -> Result<(Rings, Barrier, Vec<RingGauge>)> {
    let cpus = bells.len();
    let ring_maps = [maps::RING_CHUNKS, maps::CHUNK_MAP, maps::RING_ENDS];
    let [chunks, order, ends] = ring_maps.map(|name| from.take(name));
    let memory = RingMemory::of([chunks?, order?, ends?], cpus, bytes)?;
    let table = from.take(maps::WAKEUP)?;
    let Map::ArrayOfMaps(data) = &table else {
        bail!("what should be an array of maps is something else");
    };
    let readers = Map::ArrayOfMaps(again(data)?).try_into()?;
    let mut outer: ArrayOfMaps<MapData, MapData> = table.try_into()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("creating an epoll")?;
    let mut wakeups = Vec::with_capacity(cpus);
    let mut firsts = None;
    for (cpu, map) in bells.into_iter().enumerate() {
        outer.set(cpu as u32, &map, 0)?;
        if firsts.is_none() {
            firsts = Some((again(&map)?, again(&map)?));
        }
        epoll
            // By edges: a ring that holds only records too young to drain is no reason to wake up.
            .add(
                map.fd().as_fd(),
                EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, cpu as u64),
            )
            .context("watching a bell")?;
        wakeups.push(RingBuf::try_from(Map::RingBuf(map))?);
    }
    let (first, readers_first) = firsts.context("the system has no CPU")?;
    // The descriptor that programs name stays with the control path, which loads them.
    let barrier = Barrier(Arc::new(Mutex::new(WakeupTable::new(outer, first))));
    let gauge = |cpu| RingGauge::of(Arc::clone(&memory), cpu, bytes);
    let source = |cpu| Source {
        ring: Ring::of(Arc::clone(&memory), cpu, bytes),
        head_ns: u64::MAX,
    };
    let rings = Rings {
        rings: (0..cpus).map(source).collect(),
        wakeups,
        epoll,
        table: WakeupTable::new(readers, readers_first),
        stores_in_order: STORES_IN_ORDER,
    };
    Ok((rings, barrier, (0..cpus).map(gauge).collect()))
}

/// The same map by another descriptor.
fn again(map: &MapData) -> Result<MapData> {
    Ok(MapData::from_fd(map.fd().as_fd().try_clone_to_owned()?)?)
}

impl Rings {
    /// Gives records to `sink`, the oldest first, none younger than `horizon_ns` and at most `most`.
    ///
    /// A record that a CPU stamped before the horizon and that becomes visible only later comes out
    /// of order; the horizon should lie further back than that takes.
    pub(crate) fn drain(
        &mut self,
        horizon_ns: u64,
        most: usize,
        mut sink: impl FnMut(&RecordHeader, &[u8]),
    ) -> DrainProgress {
        if let Err(error) = self.look() {
            log::warn!("cannot read the rings: {error:#}");
            return DrainProgress {
                records: 0,
                up_to_ns: 0,
            };
        }
        let mut records = 0;
        let up_to_ns = loop {
            let Some((oldest, next_ns)) = self.oldest() else {
                break horizon_ns;
            };
            let ring = &mut self.rings[oldest];
            if ring.head_ns > horizon_ns || records >= most {
                break horizon_ns.min(ring.head_ns.saturating_sub(1));
            }
            // All that this ring has until another ring has something older.
            let until = next_ns.min(horizon_ns);
            while ring.head_ns <= until && records < most {
                ring.take(&mut sink);
                records += 1;
            }
        };
        for source in &mut self.rings {
            source.ring.give_back();
        }
        DrainProgress { records, up_to_ns }
    }

    /// What all of them lie in.
    #[cfg(test)]
    pub(super) fn memory(&self) -> &RingMemory {
        self.rings[0].ring.memory()
    }

    /// Looks what has come into each ring.
    fn look(&mut self) -> Result<()> {
        let mut has_more = false;
        for source in &mut self.rings {
            has_more |= source.ring.look();
        }
        if has_more && !self.stores_in_order {
            self.table.wait_for_programs()?;
        }
        for source in &mut self.rings {
            source.ring.let_read();
            if source.head_ns == u64::MAX {
                source.look();
            }
        }
        Ok(())
    }

    /// The ring with the oldest head, and the time of the head that comes after it.
    fn oldest(&self) -> Option<(usize, u64)> {
        let mut oldest = None;
        let mut oldest_ns = u64::MAX;
        let mut next_ns = u64::MAX;
        for (index, ring) in self.rings.iter().enumerate() {
            if ring.head_ns < oldest_ns {
                next_ns = oldest_ns;
                oldest_ns = ring.head_ns;
                oldest = Some(index);
            } else if ring.head_ns < next_ns {
                next_ns = ring.head_ns;
            }
        }
        oldest.map(|oldest| (oldest, next_ns))
    }

    /// Waits until a ring has much to drain, at most `timeout`; little is found when time is up.
    pub(crate) fn wait(&mut self, timeout: Duration) {
        let mut events = [EpollEvent::empty(); 1];
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::ZERO);
        // An interruption by a signal is as good as a wake-up.
        let _ = self.epoll.wait(&mut events, timeout);
        for bell in &mut self.wakeups {
            // A full one cannot be rung.
            while bell.next().is_some() {}
        }
    }
}

impl Source {
    /// Reads the head's time stamp.
    #[inline]
    fn look(&mut self) {
        let head = self.ring.head();
        self.head_ns = head.map_or(u64::MAX, |(header, _)| header.timestamp_ns);
    }

    /// Takes the head off the ring, and looks at the next one.
    #[inline]
    fn take(&mut self, sink: &mut impl FnMut(&RecordHeader, &[u8])) {
        if let Some((header, frame)) = self.ring.head() {
            sink(&header, frame);
        }
        self.ring.next();
        self.look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_share_the_total_in_powers_of_two() {
        assert_eq!(ring_bytes(64 << 20, 2), 32 << 20);
        assert_eq!(ring_bytes(64 << 20, 3), 16 << 20);
        assert_eq!(ring_bytes(64 << 20, 512), 1 << 20);
        assert_eq!(ring_bytes(0, 0), 1 << 20);
        assert_eq!(ring_bytes(u64::MAX, 1), 1 << 30);
    }
}
