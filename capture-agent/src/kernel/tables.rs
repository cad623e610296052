//! Tasks in the kernel's tables. A task is given a slot, a bit; its criteria are entered while the
//! bit is not active, and the bit is set last. Removal goes the other way round. Other tasks never
//! notice: every change touches the bit of one task only.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    os::fd::AsFd,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    maps::{Array, HashMap, LpmTrie, Map, MapData, lpm_trie::Key},
};
use capture_common::{
    AddressMasks, CONTROL_FLAG_PREFIXES_V4, CONTROL_FLAG_PREFIXES_V6, Control, Interface,
    MAX_SLOTS, PortMasks, PrefixAddressV4, PrefixAddressV6, Slot,
};
use ipnet::IpNet;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::{
    masks::{AddressBook, Role},
    object::maps,
};
use crate::plan::{Endpoint, Filter, Oversize, Plan, Protocol};

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
    control: Mapped<ControlWords>,
    ports: Mapped<[PortWords; 65536]>,
    interfaces: HashMap<MapData, u32, Interface>,
    addresses_v4: HashMap<MapData, [u8; 4], AddressMasks>,
    addresses_v6: HashMap<MapData, [u8; 16], AddressMasks>,
    prefixes_v4: LpmTrie<MapData, PrefixAddressV4, AddressMasks>,
    prefixes_v6: LpmTrie<MapData, PrefixAddressV6, AddressMasks>,
    slots: Array<MapData, Slot>,
    book: AddressBook,
    /// What the exact and the prefix tables hold now.
    exact: BTreeMap<IpNet, AddressMasks>,
    prefixes: BTreeMap<IpNet, AddressMasks>,
    /// Slots that are taken.
    used: u64,
    /// Slots whose task has ports, in either role.
    with_ports: u64,
}

impl Tables {
    /// Takes the tables out of a loaded object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            control: Mapped::of(take(ebpf, maps::CONTROL)?)?,
            ports: Mapped::of(take(ebpf, maps::PORTS)?)?,
            interfaces: take(ebpf, maps::INTERFACES)?.try_into()?,
            addresses_v4: take(ebpf, maps::ADDRESSES_V4)?.try_into()?,
            addresses_v6: take(ebpf, maps::ADDRESSES_V6)?.try_into()?,
            prefixes_v4: take(ebpf, maps::PREFIXES_V4)?.try_into()?,
            prefixes_v6: take(ebpf, maps::PREFIXES_V6)?.try_into()?,
            slots: take(ebpf, maps::SLOTS)?.try_into()?,
            book: AddressBook::default(),
            exact: BTreeMap::new(),
            prefixes: BTreeMap::new(),
            used: 0,
            with_ports: 0,
        })
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
                max_bytes: task.max_bytes.map_or(u32::MAX, u32::from),
                discard_oversize: u32::from(task.oversize == Oversize::Discard),
            },
            0,
        )?;
        let Filter {
            protocol,
            local,
            peer,
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
        put(
            &control.wildcard_local_address,
            bit,
            local.address.is_none(),
        );
        put(&control.wildcard_peer_address, bit, peer.address.is_none());
        put(&control.wildcard_local_port, bit, local.ports.is_none());
        put(&control.wildcard_peer_port, bit, peer.ports.is_none());
        for (role, Endpoint { address, ports }) in [(Role::Local, local), (Role::Peer, peer)] {
            if let Some(address) = address {
                self.book.insert(*address, role, bit);
            }
            if let Some(ports) = ports {
                self.with_ports |= bit;
                for port in ports.iter().cloned().flatten() {
                    let words = &self.ports.words()[usize::from(port)];
                    put(words.of(role), bit, true);
                }
            }
        }
        self.write_addresses()
    }

    /// Gives a slot its deadline, in monotonic nanoseconds.
    pub(crate) fn set_deadline(&mut self, slot: SlotId, deadline_ns: u64) -> Result<()> {
        let mut entry = self.slots.get(&(slot.index() as u32), 0)?;
        entry.deadline_ns = deadline_ns;
        Ok(self.slots.set(slot.index() as u32, entry, 0)?)
    }

    /// Lets a task match from now on.
    pub(crate) fn activate(&self, slot: SlotId) {
        put(&self.control.words().active, slot.bit(), true);
    }

    /// Stops a task from matching; programs that are under way may still see it as active.
    pub(crate) fn deactivate(&self, slot: SlotId) {
        put(&self.control.words().active, slot.bit(), false);
    }

    /// Number of the present state of the slots, which records repeat.
    pub(crate) fn generation(&self) -> u32 {
        self.control.words().generation.load(Ordering::Relaxed)
    }

    /// Takes a task out of all tables, and frees its slot.
    pub(crate) fn remove(&mut self, slot: SlotId) -> Result<()> {
        let bit = slot.bit();
        self.deactivate(slot);
        let control = self.control.words();
        for word in &control.protocols {
            put(word, bit, false);
        }
        for word in [
            &control.wildcard_local_address,
            &control.wildcard_peer_address,
            &control.wildcard_local_port,
            &control.wildcard_peer_port,
        ] {
            put(word, bit, false);
        }
        if self.with_ports & bit != 0 {
            for words in self.ports.words() {
                put(&words.local, bit, false);
                put(&words.peer, bit, false);
            }
        }
        self.with_ports &= !bit;
        self.book.remove(bit);
        self.write_addresses()?;
        self.used &= !bit;
        Ok(())
    }

    /// Makes an interface known, or changes which tasks capture on it.
    pub(crate) fn set_interface(&mut self, ifindex: u32, interface: Interface) -> Result<()> {
        Ok(self.interfaces.insert(ifindex, interface, 0)?)
    }

    /// Forgets an interface.
    pub(crate) fn remove_interface(&mut self, ifindex: u32) -> Result<()> {
        Ok(self.interfaces.remove(&ifindex)?)
    }

    /// Brings the address tables to what the book says. New entries come before old ones go.
    fn write_addresses(&mut self) -> Result<()> {
        let exact = self.book.exact();
        for (net, masks) in &exact {
            if self.exact.get(net) != Some(masks) {
                match net {
                    IpNet::V4(net) => self.addresses_v4.insert(net.addr().octets(), masks, 0)?,
                    IpNet::V6(net) => self.addresses_v6.insert(net.addr().octets(), masks, 0)?,
                }
            }
        }
        for net in self.exact.keys().filter(|net| !exact.contains_key(net)) {
            match net {
                IpNet::V4(net) => self.addresses_v4.remove(&net.addr().octets())?,
                IpNet::V6(net) => self.addresses_v6.remove(&net.addr().octets())?,
            }
        }
        self.exact = exact;
        self.write_prefixes()
    }

    fn write_prefixes(&mut self) -> Result<()> {
        let prefixes = self.book.prefixes();
        for (net, masks) in &prefixes {
            if self.prefixes.get(net) != Some(masks) {
                match net {
                    IpNet::V4(net) => self.prefixes_v4.insert(&key_v4(net), masks, 0)?,
                    IpNet::V6(net) => self.prefixes_v6.insert(&key_v6(net), masks, 0)?,
                }
            }
        }
        let has = |v4: bool| prefixes.keys().any(|net| matches!(net, IpNet::V4(_)) == v4);
        let flags = (u32::from(has(true)) * CONTROL_FLAG_PREFIXES_V4)
            | (u32::from(has(false)) * CONTROL_FLAG_PREFIXES_V6);
        self.control.words().flags.store(flags, Ordering::Release);
        for net in self
            .prefixes
            .keys()
            .filter(|net| !prefixes.contains_key(net))
        {
            match net {
                IpNet::V4(net) => self.prefixes_v4.remove(&key_v4(net))?,
                IpNet::V6(net) => self.prefixes_v6.remove(&key_v6(net))?,
            }
        }
        self.prefixes = prefixes;
        Ok(())
    }
}

fn key_v4(net: &ipnet::Ipv4Net) -> Key<PrefixAddressV4> {
    let [a, b, c, d] = net.network().octets();
    Key::new(u32::from(net.prefix_len()), [a, b, c, d, 0, 0, 0, 0])
}

fn key_v6(net: &ipnet::Ipv6Net) -> Key<PrefixAddressV6> {
    Key::new(u32::from(net.prefix_len()), net.network().octets())
}

/// Sets or clears one task's bit.
fn put(word: &AtomicU64, bit: u64, value: bool) {
    // Release: what was entered before is seen by a program that sees the bit.
    if value {
        word.fetch_or(bit, Ordering::Release);
    } else {
        word.fetch_and(!bit, Ordering::Release);
    }
}

/// Takes a map out of a loaded object.
pub(super) fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("the kernel object has no map {name}"))
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
    flags: AtomicU32,
    generation: AtomicU32,
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

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ControlWords>() == size_of::<Control>());
    assert!(offset_of!(ControlWords, wildcard_local_address) == offset_of!(Control, wildcard));
    assert!(offset_of!(ControlWords, protocols) == offset_of!(Control, protocols));
    assert!(offset_of!(ControlWords, flags) == offset_of!(Control, flags));
    assert!(offset_of!(ControlWords, generation) == offset_of!(Control, generation));
    assert!(size_of::<PortWords>() == size_of::<PortMasks>());
};

/// The values of an array map (`BPF_F_MMAPABLE`, 5.5), in our memory.
struct Mapped<T> {
    memory: NonNull<T>,
    /// Kept open: programs that are not loaded yet name their maps by descriptor.
    _map: Map,
}

// SAFETY: the memory is shared with the kernel anyway, and holds atomics only; the map is a descriptor.
unsafe impl<T: Sync> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Mapped<T> {}

impl<T> Mapped<T> {
    fn of(map: Map) -> Result<Self> {
        let Map::Array(data) = &map else {
            bail!("a table that should be an array is something else");
        };
        // SAFETY: a new shared mapping of a map's memory, at an address of the kernel's choice.
        let memory = unsafe {
            mmap(
                None,
                Self::len(),
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                data.fd().as_fd(),
                0,
            )
        }
        .context("mapping a table of the kernel")?;
        Ok(Self {
            memory: memory.cast(),
            _map: map,
        })
    }

    fn len() -> NonZeroUsize {
        const { assert!(size_of::<T>() > 0) };
        NonZeroUsize::new(size_of::<T>().next_multiple_of(4096)).unwrap_or(NonZeroUsize::MIN)
    }

    fn words(&self) -> &T {
        // SAFETY: mapped for as long as self lives, page-aligned, and T is made of atomics, so that
        // the kernel's and our own accesses at the same time are defined.
        unsafe { self.memory.as_ref() }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nobody has a reference into it any more.
        if let Err(error) = unsafe { munmap(self.memory.cast(), Self::len().get()) } {
            log::debug!("unmapping a table: {error}");
        }
    }
}
