//! What the figures were taken on.

use std::{fmt, fs};

use serde::Serialize;

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of its CPU.
    pub cpu: String,
    /// How many it has.
    pub cpus: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Release of its kernel.
    pub kernel: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = read("/proc/meminfo");
        let total = memory.lines().find_map(|line| {
            let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?;
            kib.parse::<u64>().ok()
        });
        Self {
            cpu: model.map_or("unknown CPU", |(_, model)| model).to_owned(),
            cpus: processors
                .lines()
                .filter(|line| line.starts_with("processor"))
                .count(),
            memory_mib: total.unwrap_or_default() >> 10,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} CPUs, {} MiB, Linux {}",
            self.cpu, self.cpus, self.memory_mib, self.kernel
        )
    }
}
