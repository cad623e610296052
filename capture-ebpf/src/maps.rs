//! The maps: the tables that user space fills, the counters it reads, and the rings it drains. How
//! the tables are looked up is in [`crate::lookup`]. Outside of this crate their names are known to the module
//! `kernel::object` of the engine and to nothing else.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, ArrayOfMaps, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use capture_common::{
    ADDRESS_CELLS, Address, AddressCell, AddressMasks, CHUNK_LEN, Control, FragmentKey,
    FragmentVerdict, Interface, InterfaceRow, MAX_ADDRESSES, MAX_CPUS, MAX_FRAGMENTED_DATAGRAMS,
    MAX_INTERFACES, MAX_PREFIXES, MAX_SLOTS, PortMasks, PrefixAddressV4, PrefixAddressV6, RingEnds,
    Slot, SlotCounters,
};
use capture_ebpf::Headers;

/// Every task's bit in one place, see [`Control`]. Mapped by user space, which changes single words.
#[btf_map]
pub(crate) static CONTROL: Array<Control, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

/// Cell of an interface → tasks on it. Mapped by user space.
#[btf_map]
pub(crate) static INTERFACES: Array<Interface, MAX_INTERFACES, { BPF_F_MMAPABLE as usize }> =
    Array::new();

/// Index of an interface whose cell another one has → tasks on it.
#[btf_map]
pub(crate) static DISPLACED_INTERFACES: HashMap<u32, Interface, MAX_INTERFACES> = HashMap::new();

/// Cell of an IPv4 address → tasks. Mapped by user space.
#[btf_map]
pub(crate) static CELLS_V4: Cells = Array::new();

/// Cell of an IPv6 address → tasks. Mapped by user space.
#[btf_map]
pub(crate) static CELLS_V6: Cells = Array::new();

/// IPv4 address → tasks; asked where several addresses share a cell.
#[btf_map]
pub(crate) static ADDRESSES_V4: Addresses = HashMap::new();

/// IPv6 address → tasks, likewise.
#[btf_map]
pub(crate) static ADDRESSES_V6: Addresses = HashMap::new();

pub(crate) type Cells = Array<AddressCell, ADDRESS_CELLS, { BPF_F_MMAPABLE as usize }>;
pub(crate) type Addresses = HashMap<Address, AddressMasks, MAX_ADDRESSES>;

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

/// Slot → when its task matches.
#[btf_map]
pub(crate) static SLOTS: Array<Slot, MAX_SLOTS> = Array::new();

/// Fragmented datagram → tasks that took its first fragment.
#[btf_map]
pub(crate) static FRAGMENTS: LruHashMap<FragmentKey, FragmentVerdict, MAX_FRAGMENTED_DATAGRAMS> =
    LruHashMap::new();

/// One row for all slots.
#[btf_map]
pub(crate) static SLOT_COUNTERS: PerCpuArray<SlotCounters, 1> = PerCpuArray::new();

/// Row of an interface → what its hook points saw.
#[btf_map]
pub(crate) static INTERFACE_COUNTERS: PerCpuArray<InterfaceRow, MAX_INTERFACES> =
    PerCpuArray::new();

/// The chunks of all rings, those of CPU 0 first. Mapped by user space, which makes as many as it wants.
#[btf_map]
pub(crate) static RING_CHUNKS: Array<[u8; CHUNK_LEN], MAX_CPUS, { BPF_F_MMAPABLE as usize }> =
    Array::new();

/// Place in a ring, those of CPU 0 first → the chunk that is there. Mapped by user space.
#[btf_map]
pub(crate) static CHUNK_MAP: Array<u64, MAX_CPUS, { BPF_F_MMAPABLE as usize }> = Array::new();

/// CPU → the ends of its ring. Mapped by user space.
#[btf_map]
pub(crate) static RING_ENDS: Array<RingEnds, MAX_CPUS, { BPF_F_MMAPABLE as usize }> = Array::new();

/// CPU → what wakes up the reader: the kernel's own rings, which hold nothing of interest.
#[btf_map]
pub(crate) static WAKEUP: ArrayOfMaps<RingBuf<u64, 4096>, MAX_CPUS> = ArrayOfMaps::new();

/// CPU → what is known of the packet under way. In a map and not on the stack, so that the verifier
/// forgets how a value came about: else every way through the parser would be followed to the end.
#[btf_map]
pub(crate) static WORKSPACE: PerCpuArray<Workspace, 1> = PerCpuArray::new();

/// What is known of the packet under way.
#[repr(C)]
pub(crate) struct Workspace {
    /// Its headers.
    pub(crate) headers: Headers,
    /// Headers of the packet that it quotes.
    pub(crate) quoted: Headers,
    /// Tasks that get it.
    pub(crate) slots: u64,
    /// Most bytes that any of them keeps.
    pub(crate) max_bytes: u32,
}
