//! Metrics of the process, under the names that Prometheus' client libraries give them.

use std::{
    fmt::{self, Formatter},
    fs,
};

use capture_engine::procfs;
use jiff::Timestamp;
use nix::{
    sys::{
        resource::{Resource, UsageWho, getrlimit, getrusage},
        time::TimeValLike as _,
    },
    unistd::{SysconfVar, sysconf},
};

use super::text::family;

/// What the kernel says of this process; what it does not say is left out.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) started_at: Timestamp,
    /// Seconds of processor time, of user and kernel.
    cpu: Option<f64>,
    /// Pages in memory and in the address space, as bytes.
    memory: Option<Memory>,
    descriptors: Option<usize>,
    most_descriptors: Option<u64>,
    threads: Option<u64>,
}

#[derive(Debug)]
struct Memory {
    resident: u64,
    mapped: u64,
}

impl Process {
    /// This process now.
    pub(super) fn now(started_at: Timestamp) -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let cpu = usage.map(|usage| usage.user_time() + usage.system_time());
        let descriptors = fs::read_dir("/proc/self/fd").ok();
        let most = getrlimit(Resource::RLIMIT_NOFILE).ok();
        Self {
            started_at,
            cpu: cpu.map(|cpu| cpu.num_microseconds() as f64 / 1e6),
            memory: memory(),
            // One of them is the listing's own.
            descriptors: descriptors.map(|open| open.count().saturating_sub(1)),
            most_descriptors: most.map(|(soft, _)| soft),
            threads: fs::read_dir("/proc/self/task")
                .ok()
                .map(|threads| threads.count() as u64),
        }
    }

    /// Writes what is known.
    pub(super) fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            started_at,
            cpu,
            memory,
            descriptors,
            most_descriptors,
            threads,
        } = self;
        if let Some(cpu) = cpu {
            family(
                "process_cpu_seconds_total",
                "Processor time of the daemon, without the processes that read captures.",
            )
            .counter_of(f, cpu)?;
        }
        if let Some(Memory { resident, mapped }) = memory {
            family(
                "process_resident_memory_bytes",
                "Memory of the daemon, the rings that it has read included.",
            )
            .gauge_of(f, resident)?;
            family("process_virtual_memory_bytes", "Its address space.").gauge_of(f, mapped)?;
        }
        if let Some(open) = descriptors {
            family("process_open_fds", "Open file descriptors.").gauge_of(f, open)?;
        }
        if let Some(most) = most_descriptors {
            family("process_max_fds", "Most of them.").gauge_of(f, most)?;
        }
        if let Some(threads) = threads {
            family("process_threads", "Threads.").gauge_of(f, threads)?;
        }
        let started = started_at.as_millisecond() as f64 / 1e3;
        family(
            "process_start_time_seconds",
            "When the daemon started, seconds since 1970.",
        )
        .gauge_of(f, started)
    }
}

/// `/proc/self/statm` counts pages.
fn memory() -> Option<Memory> {
    let text = procfs::read("/proc/self/statm").ok()?;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    let page = u64::try_from(page).ok()?;
    let mut pages = text.split_whitespace();
    let mut next = || pages.next()?.parse::<u64>().ok()?.checked_mul(page);
    let (mapped, resident) = (next()?, next()?);
    Some(Memory { resident, mapped })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown(Process);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            self.0.write(f)
        }
    }

    #[test]
    fn everything_is_known_here() {
        let started_at = "2026-03-01T08:00:00.5Z".parse().expect("a time");
        let text = Shown(Process::now(started_at)).to_string();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.unwrap_or_else(|| panic!("{name}: {text}"));
            value.trim().parse::<f64>().expect("a number")
        };
        assert_eq!(value("process_start_time_seconds"), 1_772_352_000.5);
        for name in [
            "process_cpu_seconds_total",
            "process_open_fds",
            "process_threads",
        ] {
            assert!(value(name) > 0.0, "{name}");
        }
        let (resident, mapped) = (
            value("process_resident_memory_bytes"),
            value("process_virtual_memory_bytes"),
        );
        assert!(resident > 1e6 && mapped >= resident, "{resident}, {mapped}");
        assert!(value("process_max_fds") >= value("process_open_fds"));
    }
}
