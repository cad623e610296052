//! Programs on interfaces. A program is attached where the first task needs it and detached after
//! the last; each interface has one row of counters, and says which tasks capture at which of its
//! hook points. Links belong to this process: the kernel removes them when it dies. Filters, which
//! kernels without TCX have instead, are [`super::clsact`]'s.

use std::{
    collections::BTreeMap,
    os::fd::{BorrowedFd, OwnedFd},
};

use capture_common::{HOOK_POINTS, HookPoint, Interface, LinkLayer, MAX_INTERFACES};
use capture_task::plan::{Directions, Hook};

use super::{
    KernelVersion, SlotId, Tables,
    clsact::{self, AttachedFilter, Clsact},
    error::attach_error,
    link::{self, XdpMode},
    object,
    programs::{self, Programs},
    tc::ClsactSide,
};
use crate::error::{Error, Result};

/// What a program hangs on, as people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HookKind {
    /// A TCX link (6.6).
    Tcx,
    /// A filter of the clsact qdisc.
    Clsact,
    /// XDP in the driver.
    XdpNative,
    /// XDP in the stack.
    XdpGeneric,
}

/// One program on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    /// What it hangs on.
    pub(crate) kind: HookKind,
    /// Where.
    pub(crate) point: HookPoint,
}

/// All attached programs.
pub(crate) struct Hooks {
    programs: Programs,
    clsact: Clsact,
    release: KernelVersion,
    interfaces: BTreeMap<u32, InterfaceHooks>,
    /// Identifier of the program for generic XDP, once it was attached somewhere.
    generic_xdp: Option<u32>,
}

struct InterfaceHooks {
    name: String,
    entry: Interface,
    points: [Option<Point>; HOOK_POINTS],
}

struct Point {
    kind: HookKind,
    /// Held for its drop.
    _link: ProgramLink,
}

/// Detaches when dropped.
enum ProgramLink {
    Link { _link: OwnedFd },
    Clsact { _filter: AttachedFilter },
}

/// The hook points that a task needs.
pub(crate) fn hook_points(hook: Hook, directions: Directions) -> Vec<HookPoint> {
    let ingress = match hook {
        Hook::Auto | Hook::Tc => HookPoint::TcIngress,
        Hook::Xdp | Hook::XdpGeneric => HookPoint::Xdp,
    };
    match directions {
        Directions::Both => vec![ingress, HookPoint::TcEgress],
        Directions::Only(capture_common::Direction::Ingress) => vec![ingress],
        Directions::Only(capture_common::Direction::Egress) => vec![HookPoint::TcEgress],
    }
}

/// Names of the programs that these hooks take.
pub(super) fn programs_of(hooks: &[Hook], release: KernelVersion) -> Vec<&'static str> {
    let points = |hook: &Hook| {
        let hook = *hook;
        let points = hook_points(hook, Directions::Both).into_iter();
        points.map(move |point| HookKind::of(hook, point, release).program(point, release))
    };
    hooks.iter().flat_map(points).collect()
}

impl Hooks {
    pub(super) fn new(programs: Programs, release: KernelVersion) -> Self {
        Self {
            programs,
            clsact: Clsact::default(),
            release,
            interfaces: BTreeMap::new(),
            generic_xdp: None,
        }
    }

    /// The loaded object, so that tests can run its programs on frames of their own.
    #[cfg(any(test, feature = "bench"))]
    pub(super) fn object(&mut self) -> &mut aya::Ebpf {
        self.programs.object()
    }

    /// Attaches what a task needs on an interface, and enters the task there.
    ///
    /// After an error nothing that this call attached is left.
    pub(crate) fn add(
        &mut self,
        tables: &mut Tables,
        (ifindex, name, link): (u32, &str, LinkLayer),
        slot: SlotId,
        hook: Hook,
        directions: Directions,
    ) -> Result<()> {
        if !self.interfaces.contains_key(&ifindex) {
            if self.release < KernelVersion::TCX {
                clsact::clean(ifindex);
            }
            let entry = Interface {
                slots: [0; HOOK_POINTS],
                ifindex,
                row: self.free_row()?,
                link: link as u32,
                displaced: 0,
            };
            self.interfaces.insert(
                ifindex,
                InterfaceHooks {
                    name: name.to_owned(),
                    entry,
                    points: [const { None }; HOOK_POINTS],
                },
            );
        }
        let added = self.enter(tables, ifindex, slot, hook, directions);
        if added.is_err() {
            self.remove(tables, ifindex, slot);
        }
        added
    }

    fn enter(
        &mut self,
        tables: &mut Tables,
        ifindex: u32,
        slot: SlotId,
        hook: Hook,
        directions: Directions,
    ) -> Result<()> {
        let Self {
            programs,
            clsact,
            release,
            interfaces,
            generic_xdp,
        } = self;
        let Some(interface) = interfaces.get_mut(&ifindex) else {
            return Ok(());
        };
        let wanted = hook_points(hook, directions);
        for point in &wanted {
            interface.entry.slots[*point as usize] |= slot.bit();
        }
        // The interface is known before the first program runs on it.
        tables
            .set_interface(interface.entry)
            .map_err(Error::kernel(
                "enter the interface into the kernel's tables",
            ))?;
        let names: Vec<_> = wanted
            .iter()
            .map(|point| HookKind::of(hook, *point, *release).program(*point, *release))
            .collect();
        programs.load_together(&names)?;
        for point in wanted {
            let kind = HookKind::of(hook, point, *release);
            match &interface.points[point as usize] {
                Some(there) if there.kind == kind => {}
                Some(there) => {
                    return Err(Error::HookConflict {
                        interface: interface.name.clone(),
                        there: there.kind.hook(),
                    });
                }
                None => {
                    let there = (ifindex, interface.name.as_str());
                    let program = programs.descriptor(kind.program(point, *release))?;
                    if kind == HookKind::XdpGeneric {
                        *generic_xdp = Some(programs::id(program)?);
                    }
                    let link = attach(program, clsact, there, point, kind)?;
                    interface.points[point as usize] = Some(Point { kind, _link: link });
                }
            }
        }
        Ok(())
    }

    /// Takes a task off an interface, and detaches what nobody needs any more.
    pub(crate) fn remove(&mut self, tables: &mut Tables, ifindex: u32, slot: SlotId) {
        let Some(interface) = self.interfaces.get_mut(&ifindex) else {
            return;
        };
        for point in HookPoint::ALL {
            let slots = &mut interface.entry.slots[point as usize];
            *slots &= !slot.bit();
            if *slots == 0 {
                interface.points[point as usize] = None;
            }
        }
        let changed = if interface.entry.slots == [0; HOOK_POINTS] {
            self.interfaces.remove(&ifindex);
            tables.remove_interface(ifindex)
        } else {
            tables.set_interface(interface.entry)
        };
        if let Err(error) = changed {
            log::warn!("taking a task off interface {ifindex}: {error:#}");
        }
    }

    /// Whether a task captures by tc what comes in on an interface whose frames have a link header.
    pub(crate) fn has_tc_ingress(&self, ifindex: u32, slot: SlotId) -> bool {
        self.interfaces.get(&ifindex).is_some_and(|interface| {
            let Interface { slots, link, .. } = interface.entry;
            link == LinkLayer::Ethernet as u32
                && slots[HookPoint::TcIngress as usize] & slot.bit() != 0
        })
    }

    /// Identifier of our program for generic XDP, where it is attached or was.
    pub(crate) fn generic_xdp(&self) -> Option<u32> {
        self.generic_xdp
    }

    /// Version of the kernel.
    pub(crate) fn release(&self) -> KernelVersion {
        self.release
    }

    /// What is attached on an interface.
    pub(crate) fn attached(&self, ifindex: u32) -> Vec<Attached> {
        let points = self
            .interfaces
            .get(&ifindex)
            .map(|interface| &interface.points);
        HookPoint::ALL
            .into_iter()
            .filter_map(|point| {
                let there = points?[point as usize].as_ref()?;
                Some(Attached {
                    kind: there.kind,
                    point,
                })
            })
            .collect()
    }

    /// Row of an interface in the counters.
    pub(crate) fn row(&self, ifindex: u32) -> Option<u32> {
        self.interfaces
            .get(&ifindex)
            .map(|interface| interface.entry.row)
    }

    fn free_row(&self) -> Result<u32> {
        let mut rows: Vec<u32> = self
            .interfaces
            .values()
            .map(|there| there.entry.row)
            .collect();
        rows.sort_unstable();
        let free = rows
            .iter()
            .zip(0..)
            .take_while(|(row, expected)| *row == expected)
            .count();
        if free < MAX_INTERFACES {
            Ok(free as u32)
        } else {
            Err(Error::TooManyInterfaces)
        }
    }
}

impl HookKind {
    /// What a task that asks for `hook` gets at a point.
    pub(crate) fn of(hook: Hook, point: HookPoint, release: KernelVersion) -> Self {
        match (point, hook) {
            (HookPoint::Xdp, Hook::XdpGeneric) => Self::XdpGeneric,
            (HookPoint::Xdp, _) => Self::XdpNative,
            _ if release >= KernelVersion::TCX => Self::Tcx,
            _ => Self::Clsact,
        }
    }

    /// Name of the program that hangs on a point in this way.
    fn program(self, point: HookPoint, release: KernelVersion) -> &'static str {
        match self {
            Self::Tcx | Self::Clsact => programs::tc(point),
            Self::XdpNative => object::programs::xdp(release),
            Self::XdpGeneric => object::programs::XDP_GENERIC,
        }
    }

    /// What a task asks for to get it.
    pub(crate) fn hook(self) -> Hook {
        match self {
            Self::Tcx | Self::Clsact => Hook::Tc,
            Self::XdpNative => Hook::Xdp,
            Self::XdpGeneric => Hook::XdpGeneric,
        }
    }
}

fn attach(
    program: BorrowedFd<'_>,
    clsact: &mut Clsact,
    (ifindex, name): (u32, &str),
    point: HookPoint,
    kind: HookKind,
) -> Result<ProgramLink> {
    let link = match kind {
        HookKind::Tcx => link::tcx(program, ifindex, point),
        HookKind::XdpNative => link::xdp(program, ifindex, XdpMode::Native),
        HookKind::XdpGeneric => link::xdp(program, ifindex, XdpMode::Generic),
        HookKind::Clsact => {
            let side = match point {
                HookPoint::TcEgress => ClsactSide::Egress,
                _ => ClsactSide::Ingress,
            };
            // First on both sides: a filter before ours may decide, and the kernel asks no further.
            let filter = clsact.attach((ifindex, name), side, program)?;
            return Ok(ProgramLink::Clsact { _filter: filter });
        }
    };
    link.map(|link| ProgramLink::Link { _link: link })
        .map_err(|error| attach_error(&error, name, kind.hook()))
}
