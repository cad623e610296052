//! Brings the programs and maps into the kernel. [`Kernel`] is all that is there afterwards but the
//! rings, which go to the reader. Programs are loaded when the first hook needs them.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use aya::{Ebpf, EbpfLoader, VerifierLogLevel, programs::Program, util::nr_cpus};
use aya_log::EbpfLogger;
use capture_common::{CHUNK_LEN, LinkLayer};
use capture_task::plan::{Directions, Hook};
use log::Log;
use nix::{
    net::if_::if_nametoindex,
    sys::resource::{Resource, setrlimit},
};

use super::{
    InterfaceFigures, KernelVersion, SlotFigures, SlotId, Tables,
    counters::{CounterMaps, LossCounters},
    error::load_error,
    generic_xdp,
    hooks::Hooks,
    interface_stats::{InterfaceTraffic, Row, Traffic},
    merge::{self, Barrier, Rings, ring_bytes},
    object::{globals, maps, object, programs},
    ring::RingGauge,
};
use crate::{
    error::{Error, Result},
    interfaces::Links,
    signals::uninterrupted,
};

/// The kernel side of an engine, in one network namespace.
pub(crate) struct Kernel {
    /// Tasks.
    pub(crate) tables: Tables,
    /// Programs on interfaces.
    pub(crate) hooks: Hooks,
    counters: CounterMaps,
    traffic: Traffic,
    barrier: Barrier,
    gauges: Vec<RingGauge>,
}

/// What the reader gets of the kernel side.
pub(crate) struct ReaderSide {
    /// The records.
    pub(crate) rings: Rings,
    /// What did not become a record.
    pub(crate) losses: LossCounters,
    /// What the programs have to say.
    pub(crate) log: KernelLog,
}

/// Possible CPUs of this machine, each of which has a ring; [`u64::MAX`] where they cannot be counted,
/// as no ring can be made there either.
pub fn possible_cpus() -> u64 {
    nr_cpus().map_or(u64::MAX, |cpus| cpus as u64)
}

impl Kernel {
    /// Loads the object with rings of `ring_size` bytes in all.
    pub(crate) fn load(ring_size: u64) -> Result<(Self, ReaderSide)> {
        let release = KernelVersion::running()?;
        let cpus = nr_cpus().map_err(|(_, error)| {
            Error::system("count the CPUs in /sys/devices/system/cpu/possible")(error)
        })?;
        let bytes = ring_bytes(ring_size, cpus);
        let mut ebpf = load_object(release, cpus, bytes)?;
        let log = KernelLog::take(&mut ebpf);
        let whole = |mut ebpf: Ebpf| -> anyhow::Result<(Self, ReaderSide)> {
            let (rings, barrier, gauges) = merge::create(&mut ebpf, cpus, bytes)?;
            let tables = Tables::take(&mut ebpf, &barrier)?;
            let counters = CounterMaps::take(&mut ebpf)?;
            let losses = counters.losses()?;
            let hooks = Hooks::new(ebpf, release);
            Ok((
                Self {
                    tables,
                    hooks,
                    counters,
                    traffic: Traffic::default(),
                    barrier,
                    gauges,
                },
                ReaderSide { rings, losses, log },
            ))
        };
        whole(ebpf).map_err(Error::kernel("set up the kernel tables"))
    }

    /// What a slot counted so far.
    pub(crate) fn slot_figures(&self, slot: SlotId) -> anyhow::Result<SlotFigures> {
        self.counters.slot(slot)
    }

    /// What an interface counted so far.
    pub(crate) fn interface_figures(&self, row: u32) -> anyhow::Result<InterfaceFigures> {
        self.counters.interface(row)
    }

    /// Why tc at ingress of an interface would be shown frames without link header, if it would.
    pub(crate) fn no_link_header(&self, links: &Links, ifindex: u32) -> Option<String> {
        let own = self.hooks.generic_xdp();
        generic_xdp::no_link_header(links, self.hooks.release(), ifindex, own)
    }

    /// Attaches what a task needs on an interface, see [`Hooks::add`].
    pub(crate) fn attach(
        &mut self,
        (ifindex, name, link): (u32, &str, LinkLayer),
        slot: SlotId,
        hook: Hook,
        directions: Directions,
    ) -> Result<()> {
        self.hooks.add(
            &mut self.tables,
            (ifindex, name, link),
            slot,
            hook,
            directions,
        )?;
        if !self.traffic.has(ifindex)
            && let Some((row, figures)) = self.row(ifindex)
        {
            self.traffic.begin(ifindex, name, row, figures);
        }
        Ok(())
    }

    /// Takes a task off an interface, see [`Hooks::remove`].
    pub(crate) fn detach(&mut self, ifindex: u32, slot: SlotId) {
        let row = self.row(ifindex);
        self.hooks.remove(&mut self.tables, ifindex, slot);
        if let (Some((_, figures)), None) = (row, self.hooks.row(ifindex)) {
            self.traffic.end(ifindex, figures);
        }
    }

    /// The row of an interface in the counters, and what it shows.
    fn row(&self, ifindex: u32) -> Option<(u32, Row)> {
        let row = self.hooks.row(ifindex)?;
        let figures = self.counters.row(row);
        let figures =
            figures.inspect_err(|error| log::warn!("cannot read the kernel's counters: {error:#}"));
        Some((row, figures.ok()?))
    }

    /// What hooks saw on each interface so far, by interface index.
    pub(crate) fn traffic(&mut self) -> BTreeMap<u32, InterfaceTraffic> {
        let exists = |name: &str| if_nametoindex(name).is_ok();
        self.traffic.fold_removed(Instant::now(), exists);
        self.traffic.all(|row| self.counters.row(row).ok())
    }

    /// The part of the fullest ring that is in use, 0–1.
    pub(crate) fn ring_used(&self) -> f64 {
        self.gauges.iter().map(RingGauge::used).fold(0.0, f64::max)
    }

    /// Something to wait for running programs with.
    pub(crate) fn barrier(&self) -> Barrier {
        self.barrier.clone()
    }
}

fn load_object(release: KernelVersion, cpus: usize, ring_bytes: u32) -> Result<Ebpf> {
    // Here, as nothing is loaded in another way: no caller can forget it.
    if release.hooks_nest_here()? {
        return Err(Error::RealTimeKernel);
    }
    let object = object().ok_or(Error::NoPrograms)?;
    if release < KernelVersion::NO_MEMLOCK {
        // Without CAP_SYS_RESOURCE this fails, and then so does the load, which says why.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, u64::MAX, u64::MAX);
    }
    // An eighth leaves the reader time to come before the ring is full.
    let wakeup_bytes = u64::from(ring_bytes / 8).min(1 << 20);
    let debug = log::log_enabled!(log::Level::Debug);
    let log_level = if debug { log::Level::Debug as u8 } else { 0 };
    // Where a program is refused. The way that the verifier took is long, and shown on demand only.
    let verifier_log_level = if log::log_enabled!(log::Level::Info) {
        VerifierLogLevel::DEBUG | VerifierLogLevel::STATS
    } else {
        VerifierLogLevel::STATS
    };
    let chunks = cpus as u32 * (ring_bytes / CHUNK_LEN as u32);
    let ring_bytes = u64::from(ring_bytes);
    let mut loader = EbpfLoader::new();
    loader
        .verifier_log_level(verifier_log_level)
        .map_max_entries(maps::RING_CHUNKS, chunks)
        .map_max_entries(maps::CHUNK_MAP, chunks)
        .map_max_entries(maps::RING_ENDS, cpus as u32)
        .map_max_entries(maps::WAKEUP, cpus as u32)
        .override_global(globals::RING_BYTES, &ring_bytes, true)
        .override_global(globals::WAKEUP_BYTES, &wakeup_bytes, true)
        .override_global(globals::LOG_LEVEL, &log_level, true);
    // It loads small programs, too: they show what this kernel knows.
    uninterrupted(|| loader.load(object))
        .context("loading the kernel programs")
        .map_err(load_error)
}

/// Kernel-side log lines, which come at debug level and only of faults; the reader shows them.
pub(crate) struct KernelLog(Option<EbpfLogger<&'static dyn Log>>);

impl KernelLog {
    fn take(ebpf: &mut Ebpf) -> Self {
        if !log::log_enabled!(log::Level::Debug) {
            return Self(None);
        }
        let logger = EbpfLogger::init(ebpf);
        Self(
            logger
                .inspect_err(|error| log::debug!("kernel-side log lines are not shown: {error}"))
                .ok(),
        )
    }

    /// Logs what the programs have said.
    pub(crate) fn show(&mut self) {
        if let Some(logger) = &mut self.0 {
            logger.flush();
        }
    }
}

/// Whether one program can be loaded here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgramProbe {
    /// Name of the program.
    pub(crate) name: &'static str,
    /// What the kernel said against it.
    pub(crate) refusal: Option<String>,
}

/// Loads each program that this kernel would be given for a try, those for XDP only where asked for, attaches none, and
/// unloads them all.
///
/// # Errors
/// Where not even the maps can be made.
pub(crate) fn probe(with_xdp: bool) -> Result<Vec<ProgramProbe>> {
    let release = KernelVersion::running()?;
    let mut ebpf = load_object(release, 1, ring_bytes(0, 1))?;
    let mut names = vec![programs::TC_INGRESS, programs::TC_EGRESS];
    if with_xdp {
        names.push(programs::xdp(release));
        if !names.contains(&programs::XDP_GENERIC) {
            names.push(programs::XDP_GENERIC);
        }
    }
    let probes = names.into_iter().map(|name| {
        let loaded = match ebpf.program_mut(name) {
            Some(Program::SchedClassifier(program)) => uninterrupted(|| program.load()),
            Some(Program::Xdp(program)) => uninterrupted(|| program.load()),
            _ => {
                return ProgramProbe {
                    name,
                    refusal: Some("not in the object".to_owned()),
                };
            }
        };
        ProgramProbe {
            name,
            refusal: loaded.err().map(|error| error.to_string()),
        }
    });
    Ok(probes.collect())
}
