//! What a packet costs in the loaded programs: frames go through `BPF_PROG_TEST_RUN`, tasks through
//! the product's own validation and tables, and the cost of an empty program is taken off. Nothing is
//! attached. Only with the feature `bench`; `src/bin/bench_kernel.rs` prints what comes out.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::{Program, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use capture_common::{HOOK_POINTS, Interface, LinkLayer, MAX_ENDPOINT_ADDRESSES, MAX_SLOTS};
use capture_task::{
    plan::{Plan, RequestOrigin},
    task::TaskSpec,
};
use serde::Serialize;
use serde_json::json;

use super::{Kernel, SlotId, TaskEntry, merge::Rings, object::programs};
use crate::clock::monotonic_ns;

/// `BPF_PROG_TEST_RUN` gives a frame the loopback interface.
const LOOPBACK: u32 = 1;
/// Row of the interface counters.
const ROW: u32 = 0;
/// Bytes of all rings together, as the product has by default.
const RING_SIZE: u64 = 64 << 20;
/// Most runs between two looks at the rings: so many of the longest records fit into one of them.
const RUNS_AT_ONCE: u32 = 8_000;

/// The frame's destination port.
pub const DESTINATION_PORT: u16 = 443;
/// A port that no frame has; tasks that should not match ask for it and those above.
const OTHER_PORT: u16 = 1_000;

/// How often each case is measured, one case after the other.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Repetitions, of which the median counts.
    pub repetitions: usize,
    /// Runs of the program in each.
    pub runs: u32,
}

/// Addresses or prefixes of a list.
const LIST: usize = MAX_ENDPOINT_ADDRESSES;

/// What tasks there are, and what the frame is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// No task is on the interface, which the tables then do not know.
    NoInterface,
    /// The interface is known, and no task is active.
    NoTask,
    /// So many tasks with an address and a port each; the frame has the address of the first.
    Exact(usize),
    /// So many tasks with an address each, none of which the frame has: no port spares the looks at
    /// addresses.
    Addresses(usize),
    /// So many tasks with a prefix and a port each; the frame is within the first prefix.
    Prefixes(usize),
    /// So many tasks with a list of as many addresses as it takes each, none of which the frame has, as in
    /// [`Case::Addresses`].
    AddressLists(usize),
    /// So many tasks with a list of as many prefixes as it takes and a port each, as in [`Case::Prefixes`].
    PrefixLists(usize),
    /// So many tasks with a port each.
    Ports(usize),
    /// A later fragment, and one task as in [`Case::Exact`].
    Fragment,
    /// So many tasks that all take the frame, and keep so many bytes of it.
    Match(usize, u16),
}

/// All cases, in the order of the table.
pub const CASES: [Case; 24] = [
    Case::NoInterface,
    Case::NoTask,
    Case::Exact(1),
    Case::Exact(8),
    Case::Exact(64),
    Case::Addresses(1),
    Case::Addresses(64),
    Case::Prefixes(1),
    Case::Prefixes(8),
    Case::Prefixes(64),
    Case::AddressLists(1),
    Case::AddressLists(64),
    Case::PrefixLists(1),
    Case::PrefixLists(64),
    Case::Ports(1),
    Case::Ports(8),
    Case::Ports(64),
    Case::Fragment,
    Case::Match(1, 64),
    Case::Match(1, 128),
    Case::Match(1, 256),
    Case::Match(1, 1500),
    Case::Match(8, 128),
    Case::Match(64, 128),
];

/// Which program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// tc ingress.
    Tc,
    /// XDP with multi-buffer frames.
    Xdp,
}

/// Which IP the frame and the tasks are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The case, see [`Case::name`].
    pub case: String,
    /// The program.
    pub hook: Hook,
    /// The address family.
    pub family: Family,
    /// Nanoseconds a packet above the empty program, the median.
    pub ns: f64,
    /// The same, the least of the repetitions.
    pub least_ns: f64,
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Time to create the maps and load all programs of the product, in milliseconds.
    pub load_ms: f64,
    /// Nanoseconds of an empty tc program and of an empty XDP program.
    pub empty_ns: [f64; 2],
    /// A figure for each case, hook and family.
    pub figures: Vec<Figure>,
}

impl Case {
    /// The case in words.
    pub fn name(self) -> String {
        let tasks = |count: usize| if count == 1 { "task" } else { "tasks" };
        match self {
            Self::NoInterface => "no task on the interface".to_owned(),
            Self::NoTask => "interface known, no active task".to_owned(),
            Self::Exact(n) => format!("{n} {} by address and port, no match", tasks(n)),
            Self::Addresses(n) => format!("{n} {} by address, no match", tasks(n)),
            Self::Prefixes(n) => format!("{n} {} by prefix and port, no match", tasks(n)),
            Self::AddressLists(n) => {
                format!("{n} {} by {LIST} addresses, no match", tasks(n))
            }
            Self::PrefixLists(n) => {
                format!("{n} {} by {LIST} prefixes and port, no match", tasks(n))
            }
            Self::Ports(n) => format!("{n} {} by port, no match", tasks(n)),
            Self::Fragment => "later fragment, 1 task, no match".to_owned(),
            Self::Match(n, bytes) => format!("{n} {} match, {bytes} bytes", tasks(n)),
        }
    }

    /// Requests of its tasks.
    fn requests(self, family: Family) -> Vec<serde_json::Value> {
        let address = |number: usize| match family {
            Family::V4 => format!("10.{}.{}.2", 9 + number / 256, number % 256),
            Family::V6 => format!("2001:db8:0:{number:x}::2"),
        };
        let prefix = |number: usize| match family {
            Family::V4 => format!("10.{}.{}.0/24", 9 + number / 256, number % 256),
            Family::V6 => format!("2001:db8:0:{number:x}::/64"),
        };
        let port = |number: usize| usize::from(OTHER_PORT) + number;
        let requests = |count: usize, one: &dyn Fn(usize) -> serde_json::Value| {
            (0..count).map(one).collect::<Vec<_>>()
        };
        match self {
            Self::NoInterface | Self::NoTask => Vec::new(),
            Self::Exact(count) => requests(
                count,
                &|number| json!({"interfaces": ["lo"], "ip": address(number), "ports": [port(number)]}),
            ),
            Self::Addresses(count) => requests(
                count,
                &|number| json!({"interfaces": ["lo"], "ip": address(number + 1)}),
            ),
            Self::Prefixes(count) => requests(
                count,
                &|number| json!({"interfaces": ["lo"], "ip": prefix(number), "ports": [port(number)]}),
            ),
            Self::AddressLists(count) => requests(count, &|number| {
                let first = number * LIST + 1;
                let all: Vec<_> = (first..first + LIST).map(&address).collect();
                json!({"interfaces": ["lo"], "ip": all})
            }),
            Self::PrefixLists(count) => requests(count, &|number| {
                let first = number * LIST;
                let all: Vec<_> = (first..first + LIST).map(&prefix).collect();
                json!({"interfaces": ["lo"], "ip": all, "ports": [port(number)]})
            }),
            Self::Ports(count) => requests(
                count,
                &|number| json!({"interfaces": ["lo"], "ports": [port(number)]}),
            ),
            Self::Fragment => Self::Exact(1).requests(family),
            Self::Match(count, bytes) => requests(count, &|_| {
                json!({
                    "interfaces": ["lo"],
                    "ip": address(0),
                    "ports": [DESTINATION_PORT],
                    "max_bytes": bytes,
                })
            }),
        }
    }
}

impl Hook {
    const ALL: [Self; 2] = [Self::Tc, Self::Xdp];

    fn program(self) -> &'static str {
        match self {
            Self::Tc => programs::TC_INGRESS,
            Self::Xdp => programs::XDP_FRAGS,
        }
    }

    fn empty(self) -> &'static str {
        match self {
            Self::Tc => programs::EMPTY_TC,
            Self::Xdp => programs::EMPTY_XDP,
        }
    }
}

/// The programs in the kernel, and the rings that they write to.
struct Bench {
    kernel: Kernel,
    rings: Rings,
}

/// Measures every case, each by its own `frame`: of 1,500 bytes of UDP to [`DESTINATION_PORT`] of
/// 10.9.0.2 or 2001:db8::2.
///
/// # Errors
/// Where the programs cannot be loaded, or did not do what their case says.
pub fn measure(
    effort: Effort,
    frame: impl Fn(Case, Family) -> Vec<u8>,
    mut progress: impl FnMut(usize),
) -> Result<Report> {
    let started = Instant::now();
    let (kernel, reader_side) = Kernel::load(RING_SIZE, None)?;
    let mut bench = Bench {
        kernel,
        rings: reader_side.rings,
    };
    for name in [
        programs::TC_INGRESS,
        programs::TC_EGRESS,
        programs::XDP_FRAGS,
        programs::XDP,
    ] {
        bench.load(name)?;
    }
    let load_ms = started.elapsed().as_secs_f64() * 1e3;
    for hook in Hook::ALL {
        bench.load(hook.empty())?;
    }
    let mut empty = [Vec::new(), Vec::new()];
    let mut samples = vec![Vec::new(); CASES.len() * 4];
    for repetition in 0..effort.repetitions {
        progress(repetition);
        for (number, case) in CASES.into_iter().enumerate() {
            for (offset, family) in [Family::V4, Family::V6].into_iter().enumerate() {
                let taken = bench.case(case, family, &frame(case, family), effort.runs)?;
                for (hook, [empty_ns, ns]) in taken.into_iter().enumerate() {
                    empty[hook].push(empty_ns);
                    samples[number * 4 + offset * 2 + hook].push(ns - empty_ns);
                }
            }
        }
    }
    let figures = samples.iter_mut().enumerate().map(|(index, samples)| {
        let median_ns = median(samples);
        Figure {
            case: CASES[index / 4].name(),
            hook: Hook::ALL[index % 2],
            family: if index % 4 < 2 {
                Family::V4
            } else {
                Family::V6
            },
            ns: median_ns,
            least_ns: samples.first().copied().unwrap_or_default(),
        }
    });
    Ok(Report {
        load_ms,
        figures: figures.collect(),
        empty_ns: empty.map(|mut samples| median(&mut samples)),
    })
}

/// Sorts the samples, and gives the one in the middle.
fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

impl Bench {
    fn load(&mut self, name: &str) -> Result<()> {
        match self.program(name)? {
            Program::SchedClassifier(program) => program.load(),
            Program::Xdp(program) => program.load(),
            _ => bail!("{name} is of another type"),
        }
        .with_context(|| format!("loading {name}"))
    }

    fn program(&mut self, name: &str) -> Result<&mut Program> {
        let program = self.kernel.hooks.object().program_mut(name);
        program.with_context(|| format!("the object has no {name}"))
    }

    /// Nanoseconds a run of the empty program and of the real one, for each hook.
    fn case(
        &mut self,
        case: Case,
        family: Family,
        frame: &[u8],
        runs: u32,
    ) -> Result<[[f64; 2]; 2]> {
        let slots = self.enter(case, family)?;
        let mut result = [[0.0; 2]; 2];
        for (hook, result) in Hook::ALL.into_iter().zip(&mut result) {
            // Short, to have code and tables in the caches.
            self.runs(case, hook.program(), frame, 1_000, &slots)?;
            *result = [
                self.runs(Case::NoInterface, hook.empty(), frame, runs, &[])?,
                self.runs(case, hook.program(), frame, runs, &slots)?,
            ];
        }
        for slot in slots {
            self.kernel.tables.remove(slot)?;
        }
        if case != Case::NoInterface {
            self.kernel.tables.remove_interface(LOOPBACK)?;
        }
        Ok(result)
    }

    /// Enters and activates the tasks of a case.
    fn enter(&mut self, case: Case, family: Family) -> Result<Vec<SlotId>> {
        let tables = &mut self.kernel.tables;
        let mut slots = Vec::with_capacity(MAX_SLOTS);
        for request in case.requests(family) {
            let spec: TaskSpec = serde_json::from_value(request)?;
            let plan = Plan::resolve(&spec, RequestOrigin::Run)
                .map_err(|faults| anyhow::anyhow!("{spec:?}: {faults:?}"))?;
            let slot = tables.add(TaskEntry::from(&plan), monotonic_ns())?;
            let slot = slot.context("no free slot")?;
            tables.activate(slot);
            slots.push(slot);
        }
        if case != Case::NoInterface {
            let mask = slots.iter().fold(0, |mask, slot| mask | slot.bit());
            let interface = Interface {
                slots: [mask; HOOK_POINTS],
                ifindex: LOOPBACK,
                row: ROW,
                link: LinkLayer::Ethernet as u32,
                displaced: 0,
            };
            tables.set_interface(interface)?;
        }
        Ok(slots)
    }

    /// Nanoseconds a run. The rings are drained in between, and it is checked that each run did what
    /// the case says.
    fn runs(
        &mut self,
        case: Case,
        name: &str,
        frame: &[u8],
        runs: u32,
        slots: &[SlotId],
    ) -> Result<f64> {
        let matches = matches!(case, Case::Match(..));
        let mut total = Duration::ZERO;
        let mut left = runs;
        while left > 0 {
            let repeat = left.min(RUNS_AT_ONCE);
            left -= repeat;
            let before = self.figures(slots)?;
            // The kernel gives whole nanoseconds a run.
            total += self.test_run(name, frame, repeat)? * repeat;
            let mut records = 0;
            self.rings
                .drain(u64::MAX - 1, usize::MAX, |_, _| records += 1);
            let expected = if matches { repeat } else { 0 };
            ensure!(
                records == expected,
                "{name}, {case:?}: {records} records of {repeat} runs"
            );
            for (before, after) in before.into_iter().zip(self.figures(slots)?) {
                let since = after.since(before);
                ensure!(
                    since.matched == u64::from(expected)
                        && (since.ring_full, since.copy_failed) == (0, 0),
                    "{name}, {case:?}: {since:?} of {repeat} runs"
                );
            }
        }
        Ok(total.as_secs_f64() * 1e9 / f64::from(runs))
    }

    fn figures(&self, slots: &[SlotId]) -> Result<Vec<super::SlotFigures>> {
        let figures = slots.iter().map(|slot| self.kernel.slot_figures(*slot));
        figures.collect()
    }

    /// Time of a run, as the kernel measures it.
    fn test_run(&mut self, name: &str, frame: &[u8], repeat: u32) -> Result<Duration> {
        let options = TestRunOptions {
            data_in: Some(frame),
            repeat,
            ..TestRunOptions::default()
        };
        let result = match self.program(name)? {
            Program::SchedClassifier(program) => SchedClassifier::test_run(program, options),
            Program::Xdp(program) => Xdp::test_run(program, options),
            _ => bail!("{name} is of another type"),
        };
        Ok(result.with_context(|| format!("running {name}"))?.duration)
    }
}
