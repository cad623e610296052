//! One task inside the engine: its slot, its interfaces and hooks, and its figures.

use std::sync::Arc;

use capture_common::{Direction, HookPoint, LinkLayer};
use capture_file::{FinalFigures, InterfaceInfo, InterfaceStats, OutputCounters};
use capture_task::{
    plan::{Directions, Filter, Hook, InterfaceSelection, Plan, nearest},
    task::Counters,
};

use crate::{
    clock::{monotonic_ns, unix_ns},
    error::{Error, Result},
    interfaces::{InterfaceEntry, LINKTYPE_RAW, Links},
    kernel::{Attached, HookKind, InterfaceFigures, Kernel, SlotFigures, SlotId, hook_points},
    reader::EndSignal,
};

/// ARPHRD_LOOPBACK (include/uapi/linux/if_arp.h).
const ARPHRD_LOOPBACK: u16 = 772;

/// One hook that is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Interface name at the time.
    pub interface: String,
    /// What the task asked for or got: `tc`, `xdp`, `xdp-generic`.
    pub hook: &'static str,
    /// How: `tcx ingress+egress`, `clsact ingress`, `native ingress, tcx egress`.
    pub mode: String,
}

/// A task that the engine executes.
pub(super) struct Task {
    pub(super) plan: Plan,
    pub(super) slot: SlotId,
    /// Figures of the slot before this task.
    baseline: SlotFigures,
    pub(super) interfaces: Vec<TaskInterface>,
    pub(super) end_signal: Arc<EndSignal>,
    /// What went wrong in the kernel's view of the task's packets.
    pub(super) fault: Option<Error>,
    pub(super) output: Option<Arc<OutputCounters>>,
    pub(super) started_ns: u64,
    /// Monotonic nanoseconds.
    pub(super) deadline_ns: Option<u64>,
}

/// An interface that a task captures on, or did until it vanished.
pub(super) struct TaskInterface {
    pub(super) ifindex: u32,
    pub(super) name: String,
    pub(super) gone: bool,
    /// Figures of the interface before this task.
    baseline: InterfaceFigures,
    /// Figures since then, as of the last reading.
    figures: InterfaceFigures,
}

impl Task {
    pub(super) fn new(plan: &Plan, slot: SlotId) -> Self {
        Self {
            plan: plan.clone(),
            slot,
            baseline: SlotFigures::default(),
            interfaces: Vec::new(),
            end_signal: Arc::new(EndSignal::default()),
            fault: None,
            output: None,
            started_ns: 0,
            deadline_ns: None,
        }
    }

    /// Attaches the hooks on every interface, and says what the output is to know of these.
    pub(super) fn attach_all(
        &mut self,
        kernel: &mut Kernel,
        links: &Links,
    ) -> Result<Vec<InterfaceInfo>> {
        self.baseline = kernel
            .slot_figures(self.slot)
            .map_err(Error::kernel("read the kernel's counters"))?;
        let selected = select(&self.plan.interfaces, links)?;
        let mut infos = Vec::with_capacity(selected.len());
        for entry in selected {
            infos.push(info(entry)?);
            self.attach(kernel, links, entry)?;
        }
        Ok(infos)
    }

    /// Attaches what the task needs on one interface.
    pub(super) fn attach(
        &mut self,
        kernel: &mut Kernel,
        links: &Links,
        entry: &InterfaceEntry,
    ) -> Result<()> {
        let link = link_layer(entry)?;
        let Wanted { hook, directions } = Wanted::of(&self.plan, entry);
        let is_tc_ingress = hook_points(hook, directions).contains(&HookPoint::TcIngress);
        if is_tc_ingress
            && link == LinkLayer::Ethernet
            && let Some(why) = kernel.no_link_header(links, entry.ifindex)
        {
            return Err(Error::NoLinkHeader {
                interface: entry.name.clone(),
                why,
            });
        }
        let there = (entry.ifindex, entry.name.as_str(), link);
        kernel.attach(there, self.slot, hook, directions)?;
        let baseline = figures(kernel, entry.ifindex).unwrap_or_default();
        self.interfaces.push(TaskInterface {
            ifindex: entry.ifindex,
            name: entry.name.clone(),
            gone: false,
            baseline,
            figures: InterfaceFigures::default(),
        });
        Ok(())
    }

    /// Lets the task match from now on, until its deadline. Without the deadline in the kernel the
    /// task still ends in time, by its caller.
    pub(super) fn activate(&mut self, kernel: &mut Kernel) {
        self.started_ns = unix_ns();
        if let Some(duration) = self.plan.duration {
            let deadline = monotonic_ns().saturating_add(duration.as_nanos() as u64);
            self.deadline_ns = Some(deadline);
            if let Err(error) = kernel.tables.set_deadline(self.slot, deadline) {
                log::warn!("cannot set the deadline in the kernel: {error:#}");
            }
        }
        kernel.tables.activate(self.slot);
    }

    /// Takes a task that never matched off its interfaces and out of the tables.
    pub(super) fn give_up(&mut self, kernel: &mut Kernel) {
        self.detach(kernel);
        if let Err(error) = kernel.tables.remove(self.slot) {
            log::warn!("undoing a task: {error:#}");
        }
    }

    /// Takes the task off all its interfaces.
    pub(super) fn detach(&mut self, kernel: &mut Kernel) {
        for interface in self.interfaces.iter().filter(|interface| !interface.gone) {
            kernel.detach(interface.ifindex, self.slot);
        }
    }

    /// Interfaces on which the task captures by tc what comes in, if they are to have a link header.
    pub(super) fn tc_ingress(&self, kernel: &Kernel) -> impl Iterator<Item = u32> {
        let there = self.interfaces.iter().filter(|interface| !interface.gone);
        let indexes = there.map(|interface| interface.ifindex);
        indexes.filter(|ifindex| kernel.hooks.has_tc_ingress(*ifindex, self.slot))
    }

    /// Remembers what the hooks saw; done while they are still there.
    pub(super) fn read_interfaces(&mut self, kernel: &Kernel) {
        for interface in self
            .interfaces
            .iter_mut()
            .filter(|interface| !interface.gone)
        {
            if let Some(figures) = figures(kernel, interface.ifindex) {
                interface.figures = figures.since(interface.baseline);
            }
        }
    }

    /// Frames that were too short to decide on, on all interfaces of the task.
    pub(super) fn malformed(&self) -> u64 {
        let interfaces = self.interfaces.iter();
        interfaces
            .map(|interface| interface.figures.malformed)
            .sum()
    }

    /// The same, of a task that decides anything. Nothing is said of which criterion could not be decided.
    pub(super) fn undecided(&self) -> u64 {
        match self.plan.filter == Filter::default() {
            true => 0,
            false => self.malformed(),
        }
    }

    /// What the kernel counted for this task.
    pub(super) fn figures(&self, kernel: &Kernel) -> anyhow::Result<SlotFigures> {
        Ok(kernel.slot_figures(self.slot)?.since(self.baseline))
    }

    /// All figures so far.
    pub(super) fn counters(&self, kernel: &Kernel) -> Counters {
        let mut counters = Counters::default();
        if let Some(output) = &self.output {
            output.fill(&mut counters);
        }
        match self.figures(kernel) {
            Ok(figures) => fill(figures, &mut counters),
            Err(error) => log::warn!("cannot read the kernel's counters: {error:#}"),
        }
        counters
    }

    /// What the last file says of the whole.
    pub(super) fn closing(&self, figures: SlotFigures, ended_ns: u64) -> FinalFigures {
        let interfaces = self.interfaces.iter().map(|interface| InterfaceStats {
            ifindex: interface.ifindex,
            seen: interface.figures.seen,
            dropped: None,
        });
        FinalFigures {
            started_ns: self.started_ns,
            ended_ns,
            interfaces: interfaces.collect(),
            matched: figures.matched,
            oversize_discarded: figures.oversize_discarded,
            dropped_ring: figures.ring_full,
            dropped_copy: figures.copy_failed,
        }
    }

    /// The hooks that serve this task.
    pub(super) fn attachments(&self, kernel: &Kernel) -> Vec<Attachment> {
        let there = self.interfaces.iter().filter(|interface| !interface.gone);
        there
            .map(|interface| {
                let attached = kernel.hooks.attached(interface.ifindex);
                Attachment {
                    interface: interface.name.clone(),
                    hook: hook_word(self.plan.hook),
                    mode: mode(&attached),
                }
            })
            .collect()
    }
}

/// What a task wants on one interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) hook: Hook,
    pub(super) directions: Directions,
}

impl Wanted {
    pub(super) fn of(plan: &Plan, entry: &InterfaceEntry) -> Self {
        // What loopback sends it receives: once is enough, and what tcpdump shows.
        let directions = match plan.directions {
            Directions::Both if entry.arphrd == ARPHRD_LOOPBACK => {
                Directions::Only(Direction::Ingress)
            }
            other => other,
        };
        Self {
            hook: plan.hook,
            directions,
        }
    }
}

/// What a hook is called once it is decided.
pub(super) fn hook_word(hook: Hook) -> &'static str {
    match hook {
        Hook::Auto | Hook::Tc => "tc",
        Hook::Xdp => "xdp",
        Hook::XdpGeneric => "xdp-generic",
    }
}

/// What the frames of an interface begin with; an error where they are of no known kind.
pub(super) fn link_layer(entry: &InterfaceEntry) -> Result<LinkLayer> {
    let is_raw = info(entry)?.link_type == LINKTYPE_RAW;
    Ok(if is_raw {
        LinkLayer::None
    } else {
        LinkLayer::Ethernet
    })
}

/// What capture files say of an interface; an error where its frames are of no known kind.
pub(super) fn info(entry: &InterfaceEntry) -> Result<InterfaceInfo> {
    let link_type = entry.link_type().ok_or_else(|| Error::UnsupportedLink {
        interface: entry.name.clone(),
        link: entry.link_description(),
    })?;
    Ok(InterfaceInfo {
        ifindex: entry.ifindex,
        name: entry.name.clone(),
        link_type,
    })
}

/// Puts the kernel's figures into those of the task.
pub(super) fn fill(figures: SlotFigures, counters: &mut Counters) {
    let SlotFigures {
        matched,
        oversize_discarded,
        ring_full,
        copy_failed,
    } = figures;
    counters.matched = matched;
    counters.oversize_discarded = oversize_discarded;
    counters.dropped.ring = ring_full;
    counters.dropped.copy = copy_failed;
}

/// `tcx ingress+egress`, `native ingress, tcx egress`.
pub(super) fn mode(attached: &[Attached]) -> String {
    let mut modes: Vec<(HookKind, Vec<&str>)> = Vec::new();
    for Attached { kind, point } in attached {
        let way = match point {
            HookPoint::TcIngress | HookPoint::Xdp => "ingress",
            HookPoint::TcEgress => "egress",
        };
        match modes.iter_mut().find(|(there, _)| there == kind) {
            Some((_, ways)) => ways.push(way),
            None => modes.push((*kind, vec![way])),
        }
    }
    let modes = modes.iter().rev().map(|(kind, ways)| {
        let kind = match kind {
            HookKind::Tcx => "tcx",
            HookKind::Clsact => "clsact",
            HookKind::XdpNative => "native",
            HookKind::XdpGeneric => "generic",
        };
        format!("{kind} {}", ways.join("+"))
    });
    modes.collect::<Vec<_>>().join(", ")
}

fn figures(kernel: &Kernel, ifindex: u32) -> Option<InterfaceFigures> {
    kernel.interface_figures(kernel.hooks.row(ifindex)?).ok()
}

/// The interfaces that a task wants, among those that there are.
pub(super) fn select<'a>(
    selection: &InterfaceSelection,
    links: &'a Links,
) -> Result<Vec<&'a InterfaceEntry>> {
    match selection {
        InterfaceSelection::Any => Ok(links
            .entries()
            .filter(|entry| entry.link_type().is_some())
            .collect()),
        InterfaceSelection::Named(names) => names
            .iter()
            .map(|name| {
                let found = links.entries().find(|entry| entry.name == *name);
                found.ok_or_else(|| {
                    let names = links.entries().map(|entry| entry.name.as_str());
                    Error::UnknownInterface {
                        name: name.clone(),
                        near: nearest(name, names).map(str::to_owned),
                    }
                })
            })
            .collect(),
    }
}
