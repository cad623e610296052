//! The maps: the tables that user space fills, the counters it reads, and the rings it drains.
//! Their names are known to the agent's `kernel::object` module and to nothing else.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{
        Array, ArrayOfMaps, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf, lpm_trie::Key,
    },
    macros::btf_map,
};
use capture_common::{
    AddressMasks, CONTROL_FLAG_PREFIXES_V4, CONTROL_FLAG_PREFIXES_V6, Control, FragmentKey,
    FragmentVerdict, HOOK_POINTS, Interface, InterfaceCounters, MAX_ADDRESSES, MAX_CAPTURE_LEN,
    MAX_CPUS, MAX_FRAGMENTED_DATAGRAMS, MAX_INTERFACES, MAX_PREFIXES, MAX_SLOTS, PortMasks,
    PrefixAddressV4, PrefixAddressV6, RecordHeader, Slot, SlotCounters,
};
use capture_ebpf::{Headers, Tables};

/// Every task's bit in one place, see [`Control`]. Mapped by user space, which changes single words.
#[btf_map]
pub(crate) static CONTROL: Array<Control, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Interface index → tasks on it.
#[btf_map]
pub(crate) static INTERFACES: HashMap<u32, Interface, MAX_INTERFACES> = HashMap::new();

/// IPv4 address → tasks.
#[btf_map]
pub(crate) static ADDRESSES_V4: HashMap<[u8; 4], AddressMasks, MAX_ADDRESSES> = HashMap::new();

/// IPv6 address → tasks.
#[btf_map]
pub(crate) static ADDRESSES_V6: HashMap<[u8; 16], AddressMasks, MAX_ADDRESSES> = HashMap::new();

/// IPv4 prefix → tasks, those of shorter prefixes that contain it included.
#[btf_map]
pub(crate) static PREFIXES_V4: LpmTrie<PrefixAddressV4, AddressMasks, MAX_PREFIXES> =
    LpmTrie::new();

/// IPv6 prefix → tasks, likewise.
#[btf_map]
pub(crate) static PREFIXES_V6: LpmTrie<PrefixAddressV6, AddressMasks, MAX_PREFIXES> =
    LpmTrie::new();

/// Port → tasks. Mapped by user space.
#[btf_map]
pub(crate) static PORTS: Array<PortMasks, 65536, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Slot → what a match needs to know of the task.
#[btf_map]
pub(crate) static SLOTS: Array<Slot, MAX_SLOTS> = Array::new();

/// Fragmented datagram → tasks that took its first fragment.
#[btf_map]
pub(crate) static FRAGMENTS: LruHashMap<FragmentKey, FragmentVerdict, MAX_FRAGMENTED_DATAGRAMS> =
    LruHashMap::new();

/// One row, so that a match of several slots costs one lookup.
#[btf_map]
pub(crate) static SLOT_COUNTERS: PerCpuArray<[SlotCounters; MAX_SLOTS], 1> = PerCpuArray::new();

/// Row of an interface → what its hook points saw.
#[btf_map]
pub(crate) static INTERFACE_COUNTERS: PerCpuArray<
    [InterfaceCounters; HOOK_POINTS],
    MAX_INTERFACES,
> = PerCpuArray::new();

/// CPU → its ring. User space creates the rings, of the size that it wants.
#[btf_map]
pub(crate) static RINGS: ArrayOfMaps<RingBuf<u8, 4096>, MAX_CPUS> = ArrayOfMaps::new();

/// CPU → where a record is put together. Not a per-CPU map: their values end at 32 KiB.
#[btf_map]
pub(crate) static SCRATCH: Array<Scratch, MAX_CPUS> = Array::new();

/// A record under construction.
#[repr(C)]
pub(crate) struct Scratch {
    /// Bytes put into the ring since the reader was last woken up.
    pub(crate) unannounced: u64,
    /// The record's header; its frame follows without a gap.
    pub(crate) header: RecordHeader,
    /// The frame.
    pub(crate) frame: [u8; MAX_CAPTURE_LEN],
}

/// CPU → what is known of the packet under way. In a map and not on the stack, so that the verifier
/// forgets how a value came about: else every way through the parser would be followed to the end.
#[btf_map]
pub(crate) static WORKSPACE: PerCpuArray<Workspace, 1> = PerCpuArray::new();

/// What is known of the packet under way.
#[repr(C)]
pub(crate) struct Workspace {
    /// Its headers.
    pub(crate) headers: Headers,
    /// Tasks that get it.
    pub(crate) slots: u64,
    /// Most bytes that any of them keeps.
    pub(crate) max_bytes: u32,
}

/// The maps as [`Tables`].
pub(crate) struct MapTables {
    /// `CONTROL_FLAG_*`.
    pub(crate) flags: u32,
}

impl Tables for MapTables {
    #[inline(always)]
    fn address_v4(&self, address: [u8; 4]) -> AddressMasks {
        // SAFETY: user space replaces whole values; an element that is reused under our feet would
        // belong to a task that is not active.
        let mut masks = unsafe { ADDRESSES_V4.get(address) }
            .copied()
            .unwrap_or_default();
        if self.flags & CONTROL_FLAG_PREFIXES_V4 != 0 {
            let [a, b, c, d] = address;
            let key = Key::new(64, [a, b, c, d, 0, 0, 0, 0]);
            if let Some(prefix) = PREFIXES_V4.get(&key) {
                masks.local |= prefix.local;
                masks.peer |= prefix.peer;
            }
        }
        masks
    }

    #[inline(always)]
    fn address_v6(&self, address: &[u8; 16]) -> AddressMasks {
        // SAFETY: as for IPv4.
        let mut masks = unsafe { ADDRESSES_V6.get(address) }
            .copied()
            .unwrap_or_default();
        if self.flags & CONTROL_FLAG_PREFIXES_V6 != 0 {
            let key = Key::new(128, *address);
            if let Some(prefix) = PREFIXES_V6.get(&key) {
                masks.local |= prefix.local;
                masks.peer |= prefix.peer;
            }
        }
        masks
    }

    #[inline(always)]
    fn port(&self, port: u16) -> PortMasks {
        PORTS.get(u32::from(port)).copied().unwrap_or_default()
    }
}
