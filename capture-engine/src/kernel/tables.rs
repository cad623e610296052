//! Tasks in the kernel's tables. A task is given a slot, a bit; its criteria are entered while the
//! bit is not active, and the bit is set last. Removal goes the other way round. Other tasks never
//! notice: of the masks a change touches the bit of one task, and where it replaces a whole value, the bits of the
//! others are the same in both.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use aya::maps::{Array, HashMap, MapData};
use capture_common::{
    Control, HOOK_POINTS, Interface, MAX_BYTES_BITS, MAX_INTERFACES, MAX_SLOTS, PortMasks, Slot,
    interface_cell,
};
use capture_task::plan::{Endpoint, Filter, Oversize, Plan, Protocol};
use ipnet::IpNet;

use super::{
    addresses::AddressTables,
    merge::Barrier,
    mmap_table::{MmapTable, Words, put},
    object::{Maps, maps},
    prefix_closure::Role,
};

/// The slot of a task, below [`MAX_SLOTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SlotId(u8);

impl SlotId {
    /// Number of the slot.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The slot's bit in every mask.
    pub(crate) fn bit(self) -> u64 {
        1 << self.0
    }
}

/// What a task asks of the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskEntry<'a> {
    /// Its criteria.
    pub(crate) filter: &'a Filter,
    /// Most bytes kept of a frame.
    pub(crate) max_bytes: Option<u16>,
    /// What becomes of a longer one.
    pub(crate) oversize: Oversize,
}

impl<'a> From<&'a Plan> for TaskEntry<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self {
            filter: &plan.filter,
            max_bytes: plan.max_bytes,
            oversize: plan.oversize,
        }
    }
}

/// All tables that tasks are entered into.
pub(crate) struct Tables {
    control: MmapTable<ControlWords>,
    ports: MmapTable<[PortWords; 65536]>,
    addresses: AddressTables,
    interfaces: MmapTable<[InterfaceWords; MAX_INTERFACES]>,
    displaced: HashMap<MapData, u32, Interface>,
    /// Interfaces in the table of the displaced.
    displaced_now: BTreeSet<u32>,
    slots: Array<MapData, Slot>,
    /// By slot, its deadline.
    deadlines_ns: [u64; MAX_SLOTS],
    /// By slot, what its task keeps of a frame, `u32::MAX` for the whole; 0 for no task.
    kept: [u32; MAX_SLOTS],
    /// Slots that are taken.
    used: u64,
    /// Slots whose task has ports, in either role.
    with_ports: u64,
}

impl Tables {
    /// Takes the tables out of a loaded object.
    pub(super) fn take(from: &mut Maps, programs: &Barrier) -> Result<Self> {
        let tables = Self {
            control: MmapTable::of(from.take(maps::CONTROL)?)?,
            ports: MmapTable::of(from.take(maps::PORTS)?)?,
            addresses: AddressTables::take(from, programs)?,
            interfaces: MmapTable::of(from.take(maps::INTERFACES)?)?,
            displaced: from.take(maps::DISPLACED_INTERFACES)?.try_into()?,
            displaced_now: BTreeSet::new(),
            slots: from.take(maps::SLOTS)?.try_into()?,
            deadlines_ns: [u64::MAX; MAX_SLOTS],
            kept: [0; MAX_SLOTS],
            used: 0,
            with_ports: 0,
        };
        tables.write_first_deadline();
        Ok(tables)
    }

    /// Enters a task, not yet active, into a free slot; `None` where all are taken.
    pub(crate) fn add(&mut self, task: TaskEntry<'_>, started_ns: u64) -> Result<Option<SlotId>> {
        let free = (!self.used).trailing_zeros();
        if free as usize >= MAX_SLOTS {
            return Ok(None);
        }
        let slot = SlotId(free as u8);
        self.used |= slot.bit();
        self.control
            .words()
            .generation
            .fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.enter(slot, task, started_ns) {
            self.remove(slot).context("undoing a half-entered task")?;
            return Err(error);
        }
        Ok(Some(slot))
    }

    fn enter(&mut self, slot: SlotId, task: TaskEntry<'_>, started_ns: u64) -> Result<()> {
        let bit = slot.bit();
        self.slots.set(
            slot.index() as u32,
            Slot {
                started_ns,
                deadline_ns: u64::MAX,
            },
            0,
        )?;
        let Filter {
            protocol,
            local,
            peer,
            icmp_errors,
        } = task.filter;
        let control = self.control.words();
        for (class, word) in control.protocols.iter().enumerate() {
            let wanted = match protocol {
                Protocol::All => true,
                Protocol::Tcp => class == 1,
                Protocol::Udp => class == 2,
                Protocol::Icmp => class == 3,
            };
            put(word, bit, wanted);
        }
        for (word, value) in [
            (&control.wildcard_local_address, local.addresses.is_none()),
            (&control.wildcard_peer_address, peer.addresses.is_none()),
            (&control.wildcard_local_port, local.ports.is_none()),
            (&control.wildcard_peer_port, peer.ports.is_none()),
            (&control.icmp_errors, *icmp_errors),
            (
                &control.discard_oversize,
                task.oversize == Oversize::Discard,
            ),
            (&control.limited, task.max_bytes.is_some()),
        ] {
            put(word, bit, value);
        }
        for (place, word) in control.max_bytes.iter().enumerate() {
            put(word, bit, task.max_bytes.unwrap_or(0) >> place & 1 != 0);
        }
        self.kept[slot.index()] = task.max_bytes.map_or(u32::MAX, u32::from);
        self.write_kept_by_all();
        for (role, Endpoint { addresses, ports }) in [(Role::Local, local), (Role::Peer, peer)] {
            for address in addresses.iter().flatten() {
                self.addresses.insert(*address, role, bit);
                if address.prefix_len() < address.max_prefix_len() {
                    let word = match address {
                        IpNet::V4(_) => &control.prefixes_v4,
                        IpNet::V6(_) => &control.prefixes_v6,
                    };
                    put(word, bit, true);
                }
            }
            if let Some(ports) = ports {
                self.with_ports |= bit;
                for port in ports.iter().cloned().flatten() {
                    let words = &self.ports.words()[usize::from(port)];
                    put(words.of(role), bit, true);
                }
            }
        }
        self.addresses.write()
    }

    /// Gives a slot its deadline, in monotonic nanoseconds.
    pub(crate) fn set_deadline(&mut self, slot: SlotId, deadline_ns: u64) -> Result<()> {
        let mut entry = self.slots.get(&(slot.index() as u32), 0)?;
        entry.deadline_ns = deadline_ns;
        self.slots.set(slot.index() as u32, entry, 0)?;
        self.deadlines_ns[slot.index()] = deadline_ns;
        self.write_first_deadline();
        Ok(())
    }

    /// Until then programs need not ask whose deadline is over.
    fn write_first_deadline(&self) {
        let first = self.deadlines_ns.iter().copied().min().unwrap_or(u64::MAX);
        let word = &self.control.words().first_deadline_ns;
        word.store(first, Ordering::Release);
    }

    /// While all tasks keep the same, programs need not ask who matched.
    fn write_kept_by_all(&self) {
        let mut kept = self.kept.iter().filter(|kept| **kept != 0);
        let first = kept.next().copied().unwrap_or(0);
        let by_all = if kept.all(|other| *other == first) {
            first
        } else {
            0
        };
        let word = &self.control.words().kept_by_all;
        word.store(by_all, Ordering::Release);
    }

    /// Lets a task match from now on.
    pub(crate) fn activate(&self, slot: SlotId) {
        put(&self.control.words().active, slot.bit(), true);
    }

    /// Stops a task from matching; programs that are under way may still see it as active.
    pub(crate) fn deactivate(&self, slot: SlotId) {
        self.deactivate_all([slot]);
    }

    /// The same of several tasks, by one store.
    pub(crate) fn deactivate_all(&self, slots: impl IntoIterator<Item = SlotId>) {
        let bits = slots.into_iter().fold(0, |bits, slot| bits | slot.bit());
        put(&self.control.words().active, bits, false);
    }

    /// Number of the present state of the slots, which records repeat.
    pub(crate) fn generation(&self) -> u32 {
        self.control.words().generation.load(Ordering::Relaxed)
    }

    /// Takes a task out of all tables, and frees its slot.
    pub(crate) fn remove(&mut self, slot: SlotId) -> Result<()> {
        let bit = slot.bit();
        self.deactivate(slot);
        self.deadlines_ns[slot.index()] = u64::MAX;
        self.write_first_deadline();
        self.kept[slot.index()] = 0;
        self.write_kept_by_all();
        self.control.words().clear(bit);
        if self.with_ports & bit != 0 {
            for words in self.ports.words() {
                // A write costs more than a look, and most ports are not the task's.
                for word in [&words.local, &words.peer] {
                    if word.load(Ordering::Relaxed) & bit != 0 {
                        put(word, bit, false);
                    }
                }
            }
        }
        self.with_ports &= !bit;
        self.addresses.remove(bit);
        self.addresses.write()?;
        self.used &= !bit;
        Ok(())
    }

    /// Makes an interface known, or changes which tasks capture on it. The index in `interface` says
    /// which one.
    pub(crate) fn set_interface(&mut self, interface: Interface) -> Result<()> {
        let ifindex = interface.ifindex;
        let cell = &self.interfaces.words()[interface_cell(ifindex) as usize];
        let owner = cell.ifindex.load(Ordering::Relaxed);
        if self.displaced_now.contains(&ifindex) || (owner != 0 && owner != ifindex) {
            self.displaced.insert(ifindex, interface, 0)?;
            self.displaced_now.insert(ifindex);
            cell.displaced.store(1, Ordering::Release);
            return Ok(());
        }
        for (word, slots) in cell.slots.iter().zip(interface.slots) {
            word.store(slots, Ordering::Release);
        }
        cell.row.store(interface.row, Ordering::Release);
        cell.link.store(interface.link, Ordering::Release);
        cell.ifindex.store(ifindex, Ordering::Release);
        Ok(())
    }

    /// Forgets an interface.
    pub(crate) fn remove_interface(&mut self, ifindex: u32) -> Result<()> {
        let number = interface_cell(ifindex);
        let cell = &self.interfaces.words()[number as usize];
        if !self.displaced_now.remove(&ifindex) {
            cell.ifindex.store(0, Ordering::Release);
            return Ok(());
        }
        self.displaced.remove(&ifindex)?;
        let mut others = self.displaced_now.iter();
        if !others.any(|other| interface_cell(*other) == number) {
            cell.displaced.store(0, Ordering::Release);
        }
        Ok(())
    }
}

/// [`Control`] as words that programs read while they are changed.
#[repr(C)]
struct ControlWords {
    active: AtomicU64,
    wildcard_local_address: AtomicU64,
    wildcard_peer_address: AtomicU64,
    wildcard_local_port: AtomicU64,
    wildcard_peer_port: AtomicU64,
    protocols: [AtomicU64; 4],
    prefixes_v4: AtomicU64,
    prefixes_v6: AtomicU64,
    icmp_errors: AtomicU64,
    discard_oversize: AtomicU64,
    limited: AtomicU64,
    max_bytes: [AtomicU64; MAX_BYTES_BITS],
    first_deadline_ns: AtomicU64,
    generation: AtomicU32,
    kept_by_all: AtomicU32,
}

impl ControlWords {
    /// Takes a task's bit out of every word.
    fn clear(&self, bit: u64) {
        let Self {
            active,
            wildcard_local_address,
            wildcard_peer_address,
            wildcard_local_port,
            wildcard_peer_port,
            protocols,
            prefixes_v4,
            prefixes_v6,
            icmp_errors,
            discard_oversize,
            limited,
            max_bytes,
            first_deadline_ns: _,
            generation: _,
            kept_by_all: _,
        } = self;
        let single = [
            active,
            wildcard_local_address,
            wildcard_peer_address,
            wildcard_local_port,
            wildcard_peer_port,
            prefixes_v4,
            prefixes_v6,
            icmp_errors,
            discard_oversize,
            limited,
        ];
        for word in single.into_iter().chain(protocols).chain(max_bytes) {
            put(word, bit, false);
        }
    }
}

/// [`Interface`] as words that programs read while they are changed.
#[repr(C)]
struct InterfaceWords {
    slots: [AtomicU64; HOOK_POINTS],
    ifindex: AtomicU32,
    row: AtomicU32,
    link: AtomicU32,
    displaced: AtomicU32,
}

/// [`PortMasks`] as words that programs read while they are changed.
#[repr(C)]
struct PortWords {
    local: AtomicU64,
    peer: AtomicU64,
}

impl PortWords {
    fn of(&self, role: Role) -> &AtomicU64 {
        match role {
            Role::Local => &self.local,
            Role::Peer => &self.peer,
        }
    }
}

// SAFETY: `repr(C)` of atomic integers. The eights come before the fours, of which there are two: no padding.
unsafe impl Words for ControlWords {}
// SAFETY: likewise, with four fours.
unsafe impl Words for InterfaceWords {}
// SAFETY: two eights.
unsafe impl Words for PortWords {}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ControlWords>() == size_of::<Control>());
    assert!(offset_of!(ControlWords, wildcard_local_address) == offset_of!(Control, wildcard));
    assert!(offset_of!(ControlWords, protocols) == offset_of!(Control, protocols));
    assert!(offset_of!(ControlWords, prefixes_v4) == offset_of!(Control, prefixes_v4));
    assert!(offset_of!(ControlWords, prefixes_v6) == offset_of!(Control, prefixes_v6));
    assert!(offset_of!(ControlWords, icmp_errors) == offset_of!(Control, icmp_errors));
    assert!(offset_of!(ControlWords, discard_oversize) == offset_of!(Control, discard_oversize));
    assert!(offset_of!(ControlWords, limited) == offset_of!(Control, limited));
    assert!(offset_of!(ControlWords, max_bytes) == offset_of!(Control, max_bytes));
    assert!(offset_of!(ControlWords, first_deadline_ns) == offset_of!(Control, first_deadline_ns));
    assert!(offset_of!(ControlWords, generation) == offset_of!(Control, generation));
    assert!(offset_of!(ControlWords, kept_by_all) == offset_of!(Control, kept_by_all));
    assert!(size_of::<InterfaceWords>() == size_of::<Interface>());
    assert!(offset_of!(InterfaceWords, ifindex) == offset_of!(Interface, ifindex));
    assert!(offset_of!(InterfaceWords, row) == offset_of!(Interface, row));
    assert!(offset_of!(InterfaceWords, link) == offset_of!(Interface, link));
    assert!(offset_of!(InterfaceWords, displaced) == offset_of!(Interface, displaced));
    assert!(size_of::<PortWords>() == size_of::<PortMasks>());
};
