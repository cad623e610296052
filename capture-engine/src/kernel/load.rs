//! Brings the programs and maps into the kernel. [`Kernel`] is all that is there afterwards but the
//! rings, which go to the reader. Programs are loaded when the first hook needs them.

use std::{collections::BTreeMap, time::Instant};

use aya::util::nr_cpus;
use capture_common::LinkLayer;
use capture_task::plan::{Directions, Hook};
use nix::net::if_::if_nametoindex;

use super::{
    InterfaceFigures, KernelVersion, SlotFigures, SlotId, Tables,
    counters::{CounterMaps, LossCounters},
    generic_xdp,
    hooks::{Hooks, programs_of},
    interface_stats::{InterfaceTraffic, Row, Traffic},
    loader::{self, StartLoader},
    merge::{self, Barrier, Rings, ring_bytes},
    object::programs,
    objects::{KernelLog, Objects, count_cpus, load_object},
    programs::loaded,
    ring::RingGauge,
};
use crate::{
    error::{Error, Result},
    interfaces::Links,
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
    /// Loads the object with rings of `ring_size` bytes in all, or has a loader do so, for these hooks.
    pub(crate) fn load(
        ring_size: u64,
        loader: Option<(&StartLoader, &[Hook])>,
    ) -> Result<(Self, ReaderSide)> {
        let release = KernelVersion::running()?;
        let cpus = count_cpus()?;
        let bytes = ring_bytes(ring_size, cpus);
        let Objects {
            mut maps,
            bells,
            programs,
            log,
        } = match loader {
            Some((loader, hooks)) => {
                let wanted = programs_of(hooks, release);
                loader::ask(loader, release, (cpus, bytes), &wanted)?
            }
            None => Objects::load(release, cpus, bytes)?,
        };
        let whole = || -> anyhow::Result<(Self, ReaderSide)> {
            let (rings, barrier, gauges) = merge::create(&mut maps, bells, bytes)?;
            let tables = Tables::take(&mut maps, &barrier)?;
            let counters = CounterMaps::take(&mut maps)?;
            let losses = counters.losses()?;
            let hooks = Hooks::new(programs, release);
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
        whole().map_err(Error::kernel("set up the kernel tables"))
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
    let mut names = programs::of(release);
    if !with_xdp {
        names.retain(|name| [programs::TC_INGRESS, programs::TC_EGRESS].contains(name));
    }
    let probes = names.into_iter().map(|name| ProgramProbe {
        name,
        refusal: loaded(&mut ebpf, name).err().map(|error| error.to_string()),
    });
    Ok(probes.collect())
}

/// The same by a loader, of all programs that this kernel would be given.
///
/// # Errors
/// As [`probe`], and where the loader does not answer.
pub(crate) fn probe_by(loader: &StartLoader) -> Result<Vec<ProgramProbe>> {
    let release = KernelVersion::running()?;
    let cpus = count_cpus()?;
    let names = programs::of(release);
    let mut objects = loader::ask(loader, release, (cpus, ring_bytes(0, cpus)), &names)?;
    let probes = names.into_iter().map(|name| {
        let loaded = objects.programs.descriptor(name);
        let refusal = loaded.err().map(|error| error.to_string());
        ProgramProbe { name, refusal }
    });
    Ok(probes.collect())
}
