//! What an engine has in the kernel: the maps and programs of the compiled object, and a bell for each CPU.

use anyhow::Context as _;
use aya::{Ebpf, EbpfLoader, VerifierLogLevel, maps::MapData, util::nr_cpus};
use aya_log::EbpfLogger;
use capture_common::CHUNK_LEN;
use log::Log;
use nix::sys::resource::{Resource, setrlimit};

use super::{
    KernelVersion,
    error::load_error,
    merge,
    object::{Maps, globals, maps, object},
    programs::Programs,
};
use crate::{
    error::{Error, Result},
    signals::uninterrupted,
};

/// CPUs of this machine, each of which has a ring.
pub(super) fn count_cpus() -> Result<usize> {
    nr_cpus().map_err(|(_, error)| {
        Error::system("count the CPUs in /sys/devices/system/cpu/possible")(error)
    })
}

/// What an engine has in the kernel.
pub(super) struct Objects {
    pub(super) maps: Maps,
    /// One for each CPU.
    pub(super) bells: Vec<MapData>,
    pub(super) programs: Programs,
    pub(super) log: KernelLog,
}

impl Objects {
    /// Makes the maps, with a ring of `ring_bytes` for each CPU. Programs are loaded when they are asked for.
    pub(super) fn load(release: KernelVersion, cpus: usize, ring_bytes: u32) -> Result<Self> {
        let mut ebpf = load_object(release, cpus, ring_bytes)?;
        let log = KernelLog::take(&mut ebpf);
        let made = Maps::of(&mut ebpf).and_then(|maps| Ok((maps, merge::bells(cpus)?)));
        let (maps, bells) = made.map_err(Error::kernel("set up the kernel tables"))?;
        Ok(Self {
            maps,
            bells,
            programs: Programs::Own(Box::new(ebpf)),
            log,
        })
    }
}

pub(super) fn load_object(release: KernelVersion, cpus: usize, ring_bytes: u32) -> Result<Ebpf> {
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
    /// Shows none.
    pub(super) const fn none() -> Self {
        Self(None)
    }

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
