//! Look-ups in the tables, most of them one look into an array: a hash lookup costs several times as
//! much, and is left for what shares a cell with another.

use core::ptr;

use aya_ebpf::btf_maps::lpm_trie::Key;
use capture_common::{
    Address, AddressMasks, Control, HookPoint, Interface, PortMasks, address_cell, interface_cell,
};
use capture_ebpf::Tables;

use crate::maps::{
    ADDRESSES_V4, ADDRESSES_V6, Addresses, CELLS_V4, CELLS_V6, Cells, DISPLACED_INTERFACES,
    INTERFACES, PORTS, PREFIXES_V4, PREFIXES_V6,
};

/// What a hook needs to know of its interface.
#[derive(Clone, Copy)]
pub(crate) struct InterfaceView {
    /// Tasks that capture at this hook point of it.
    pub(crate) slots: u64,
    /// Row of its counters.
    pub(crate) row: u32,
    /// `LinkLayer` as a number.
    pub(crate) link: u32,
}

impl InterfaceView {
    #[inline(always)]
    fn of(interface: *const Interface, hook: HookPoint) -> Self {
        // SAFETY: an element of a map. User space writes its words while they are read.
        unsafe {
            Self {
                slots: ptr::read_volatile(&raw const (*interface).slots[hook as usize]),
                row: ptr::read_volatile(&raw const (*interface).row),
                link: ptr::read_volatile(&raw const (*interface).link),
            }
        }
    }
}

/// The interface, where it is known.
#[inline(always)]
pub(crate) fn place(ifindex: u32, hook: HookPoint) -> Option<InterfaceView> {
    let cell = INTERFACES.get_ptr(interface_cell(ifindex))?;
    let place = InterfaceView::of(cell, hook);
    // Last, so that what was read before was of this interface (x86 keeps loads in order).
    // SAFETY: an element of a map.
    if unsafe { ptr::read_volatile(&raw const (*cell).ifindex) } == ifindex {
        return Some(place);
    }
    // SAFETY: as above.
    if unsafe { ptr::read_volatile(&raw const (*cell).displaced) } == 0 {
        return None;
    }
    // When tasks come to or leave a displaced interface, its element is replaced, and the old one may be used again
    // before it is read, some nanoseconds from here: one packet is then matched as if it were of another displaced
    // interface.
    let displaced = DISPLACED_INTERFACES.get_ptr(ifindex)?;
    Some(InterfaceView::of(displaced, hook))
}

/// The maps as [`Tables`].
pub(crate) struct MapTables<'a> {
    pub(crate) control: &'a Control,
}

impl Tables for MapTables<'_> {
    #[inline(always)]
    fn address_v4(&self, address: &Address, wanted: u64) -> AddressMasks {
        let mut masks = exact(&CELLS_V4, &ADDRESSES_V4, address);
        if wanted & self.control.prefixes_v4 != 0 {
            let [a, b, c, d, ..] = address[0].to_ne_bytes();
            let key = Key::new(64, [a, b, c, d, 0, 0, 0, 0]);
            if let Some(prefix) = PREFIXES_V4.get(&key) {
                masks.local |= prefix.local;
                masks.peer |= prefix.peer;
            }
        }
        masks
    }

    #[inline(always)]
    fn address_v6(&self, address: &Address, wanted: u64) -> AddressMasks {
        let mut masks = exact(&CELLS_V6, &ADDRESSES_V6, address);
        if wanted & self.control.prefixes_v6 != 0 {
            // SAFETY: as many bytes, of which every pattern is valid.
            let bytes = unsafe { core::mem::transmute::<Address, [u8; 16]>(*address) };
            let key = Key::new(128, bytes);
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

/// Tasks of an address. An address is written into a cell while nobody matches by it, and stays for as
/// long as somebody may.
#[inline(always)]
fn exact(cells: &Cells, addresses: &Addresses, address: &Address) -> AddressMasks {
    let Some(cell) = cells.get(address_cell(address)) else {
        return AddressMasks::default();
    };
    if cell.shared != 0 {
        // SAFETY: integers. The agent replaces whole elements, and has none used again before the programs that may
        // read it have ended (`ExactTable` in the engine).
        return unsafe { addresses.get(address) }
            .copied()
            .unwrap_or_default();
    }
    if cell.address == *address {
        cell.masks
    } else {
        AddressMasks::default()
    }
}
