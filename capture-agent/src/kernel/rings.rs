//! The rings, one for each CPU, read as one stream in order of time. The head record of each ring
//! is known by its time stamp, and the oldest goes first: order without a sort and without a copy.

use std::{mem, os::fd::AsFd, time::Duration};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    maps::{ArrayOfMaps, MapData, RingBuf},
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;
use capture_common::{MAX_CAPTURE_LEN, RecordHeader};
use nix::{
    poll::PollTimeout,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags},
};

use super::{gauge::RingGauge, object::maps, tables::take};

/// Least bytes of a ring: the longest record must fit.
const MIN_RING: u64 = 2 * MAX_CAPTURE_LEN as u64;

/// Most bytes of a ring, as the kernel counts them in 32 bits.
const MAX_RING: u64 = 1 << 30;

/// Bytes of each CPU's ring when all together may have `total`: a power of two.
pub(super) fn ring_bytes(total: u64, cpus: usize) -> u32 {
    let share = (total / cpus.max(1) as u64).clamp(MIN_RING, MAX_RING);
    // The clamp keeps the power of two within 32 bits.
    1 << share.ilog2()
}

/// All rings, for the one reader.
pub(crate) struct Rings {
    rings: Vec<Ring>,
    epoll: Epoll,
}

struct Ring {
    ring: RingBuf<MapData>,
    /// Time stamp of the record at the head, `u64::MAX` where the ring was empty when last looked at.
    head_ns: u64,
}

/// What [`Rings::drain`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drained {
    /// Records given to the sink.
    pub(crate) records: usize,
    /// Every record stamped until then has been given to the sink.
    pub(crate) up_to_ns: u64,
}

/// The outer map, which also tells when no program uses an old table any more.
pub(super) struct RingTable {
    outer: ArrayOfMaps<MapData, MapData>,
    first: MapData,
}

impl RingTable {
    /// Waits until every program that was running has ended.
    ///
    /// The kernel does so in each change of a map of maps (`maybe_wait_bpf_programs` in
    /// kernel/bpf/syscall.c), which is why the same ring is put into its place once more.
    pub(super) fn wait_for_programs(&mut self) -> Result<()> {
        self.outer
            .set(0, &self.first, 0)
            .context("waiting for running programs")
    }
}

/// Makes a ring for each of `cpus` and hands them to the programs.
pub(super) fn create(
    ebpf: &mut Ebpf,
    cpus: usize,
    bytes: u32,
) -> Result<(Rings, RingTable, Vec<RingGauge>)> {
    let mut outer: ArrayOfMaps<MapData, MapData> = take(ebpf, maps::RINGS)?.try_into()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("creating an epoll")?;
    let mut rings = Vec::with_capacity(cpus);
    let mut gauges = Vec::with_capacity(cpus);
    let mut first = None;
    for cpu in 0..cpus {
        let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, bytes, 0);
        let map = MapData::create(definition, "capture_ring", None)
            .with_context(|| format!("making a ring of {bytes} bytes"))?;
        outer.set(cpu as u32, &map, 0)?;
        gauges.push(RingGauge::of(map.fd(), bytes)?);
        if first.is_none() {
            let fd = map.fd().as_fd().try_clone_to_owned()?;
            first = Some(MapData::from_fd(fd)?);
        }
        let ring = RingBuf::try_from(aya::maps::Map::RingBuf(map))?;
        epoll
            // By edges: a ring that holds only records too young to drain is no reason to wake up.
            .add(
                &ring,
                EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, cpu as u64),
            )
            .context("watching a ring")?;
        rings.push(Ring {
            ring,
            head_ns: u64::MAX,
        });
    }
    let first = first.context("the system has no CPU")?;
    Ok((Rings { rings, epoll }, RingTable { outer, first }, gauges))
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
    ) -> Drained {
        for ring in &mut self.rings {
            if ring.head_ns == u64::MAX {
                ring.look();
            }
        }
        let mut records = 0;
        loop {
            let Some((oldest, next_ns)) = self.oldest() else {
                break Drained {
                    records,
                    up_to_ns: horizon_ns,
                };
            };
            let ring = &mut self.rings[oldest];
            if ring.head_ns > horizon_ns || records >= most {
                break Drained {
                    records,
                    up_to_ns: horizon_ns.min(ring.head_ns.saturating_sub(1)),
                };
            }
            // All that this ring has until another ring has something older.
            let until = next_ns.min(horizon_ns);
            while ring.head_ns <= until && records < most {
                ring.take(&mut sink);
                records += 1;
            }
        }
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
    pub(crate) fn wait(&self, timeout: Duration) {
        let mut events = [EpollEvent::empty(); 1];
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::ZERO);
        // An interruption by a signal is as good as a wake-up.
        let _ = self.epoll.wait(&mut events, timeout);
    }
}

impl Ring {
    /// Reads the head's time stamp.
    fn look(&mut self) {
        self.head_ns = match self.ring.next() {
            Some(record) => {
                let stamp =
                    RecordHeader::split(&record).map_or(0, |(header, _)| header.timestamp_ns);
                // Dropping the item would take the record off the ring.
                mem::forget(record);
                stamp
            }
            None => u64::MAX,
        };
    }

    /// Takes the head off the ring, and looks at the next one.
    fn take(&mut self, sink: &mut impl FnMut(&RecordHeader, &[u8])) {
        if let Some(record) = self.ring.next()
            && let Some((header, frame)) = RecordHeader::split(&record)
        {
            sink(&header, frame);
        }
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
        assert_eq!(ring_bytes(64 << 20, 512), 512 << 10);
        assert_eq!(ring_bytes(0, 0), 512 << 10);
        assert_eq!(ring_bytes(u64::MAX, 1), 1 << 30);
    }
}
