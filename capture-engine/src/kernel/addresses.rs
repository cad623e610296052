//! The address tables: what the book of addresses (`prefix_closure`) says, brought into the kernel's cells,
//! exact tables and longest-prefix tables. Other tasks never miss a match meanwhile: new entries come
//! before old ones go, a cell changes hands only while no task matches by it, and what a program may still
//! read of the exact table is not used again before that program has ended.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use aya::maps::{HashMap, LpmTrie, MapData, lpm_trie::Key};
use capture_common::{
    ADDRESS_CELLS, Address, AddressCell, AddressMasks, PrefixAddressV4, PrefixAddressV6,
    address_cell,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    merge::Barrier,
    mmap_table::{MmapTable, Words},
    object::{Maps, maps},
    prefix_closure::{AddressBook, Role},
};

/// The address tables of both families.
pub(super) struct AddressTables {
    v4: ExactTable,
    v6: ExactTable,
    prefixes_v4: LpmTrie<MapData, PrefixAddressV4, AddressMasks>,
    prefixes_v6: LpmTrie<MapData, PrefixAddressV6, AddressMasks>,
    book: AddressBook,
    /// What the exact and the prefix tables hold now.
    exact: BTreeMap<IpNet, AddressMasks>,
    prefixes: BTreeMap<IpNet, AddressMasks>,
}

impl AddressTables {
    /// Takes the tables out of a loaded object.
    pub(super) fn take(from: &mut Maps, programs: &Barrier) -> Result<Self> {
        Ok(Self {
            v4: ExactTable::take(from, maps::CELLS_V4, maps::ADDRESSES_V4, programs)?,
            v6: ExactTable::take(from, maps::CELLS_V6, maps::ADDRESSES_V6, programs)?,
            prefixes_v4: from.take(maps::PREFIXES_V4)?.try_into()?,
            prefixes_v6: from.take(maps::PREFIXES_V6)?.try_into()?,
            book: AddressBook::default(),
            exact: BTreeMap::new(),
            prefixes: BTreeMap::new(),
        })
    }

    /// Notes an address or prefix of a task; [`AddressTables::write`] brings it into the kernel.
    pub(super) fn insert(&mut self, net: IpNet, role: Role, bit: u64) {
        self.book.insert(net, role, bit);
    }

    /// Forgets all addresses of a task, likewise.
    pub(super) fn remove(&mut self, bit: u64) {
        self.book.remove(bit);
    }

    /// Brings the tables to what the book says.
    pub(super) fn write(&mut self) -> Result<()> {
        let exact = self.book.exact();
        for (net, masks) in &exact {
            if self.exact.get(net) != Some(masks) {
                let (table, address) = self.exact_table(net);
                table.insert(address, *masks)?;
                self.exact.insert(*net, *masks);
            }
        }
        let gone: Vec<_> = self.exact.keys().copied().collect();
        for net in gone.into_iter().filter(|net| !exact.contains_key(net)) {
            let (table, address) = self.exact_table(&net);
            table.remove(address)?;
            self.exact.remove(&net);
        }
        self.write_prefixes()
    }

    fn exact_table(&mut self, net: &IpNet) -> (&mut ExactTable, Address) {
        match net {
            IpNet::V4(net) => (&mut self.v4, address_v4(net)),
            IpNet::V6(net) => (&mut self.v6, address_v6(net)),
        }
    }

    fn write_prefixes(&mut self) -> Result<()> {
        let prefixes = self.book.prefixes();
        for (net, masks) in &prefixes {
            if self.prefixes.get(net) != Some(masks) {
                match net {
                    IpNet::V4(net) => self.prefixes_v4.insert(&key_v4(net), masks, 0)?,
                    IpNet::V6(net) => self.prefixes_v6.insert(&key_v6(net), masks, 0)?,
                }
                self.prefixes.insert(*net, *masks);
            }
        }
        let gone: Vec<_> = self.prefixes.keys().copied().collect();
        for net in gone.into_iter().filter(|net| !prefixes.contains_key(net)) {
            match &net {
                IpNet::V4(net) => self.prefixes_v4.remove(&key_v4(net))?,
                IpNet::V6(net) => self.prefixes_v6.remove(&key_v6(net))?,
            }
            self.prefixes.remove(&net);
        }
        Ok(())
    }
}

/// An address as programs read it off a frame.
fn address_v4(net: &Ipv4Net) -> Address {
    [u64::from(u32::from_ne_bytes(net.addr().octets())), 0]
}

/// Likewise.
fn address_v6(net: &Ipv6Net) -> Address {
    let bits = u128::from_ne_bytes(net.addr().octets());
    const {
        assert!(
            cfg!(target_endian = "little"),
            "the lower half is the first"
        )
    };
    [bits as u64, (bits >> 64) as u64]
}

fn key_v4(net: &Ipv4Net) -> Key<PrefixAddressV4> {
    let [a, b, c, d] = net.network().octets();
    Key::new(u32::from(net.prefix_len()), [a, b, c, d, 0, 0, 0, 0])
}

fn key_v6(net: &Ipv6Net) -> Key<PrefixAddressV6> {
    Key::new(u32::from(net.prefix_len()), net.network().octets())
}

/// Addresses of one family: a table of all, and the cells in which most are found by one look.
struct ExactTable {
    cells: MmapTable<[CellWords; ADDRESS_CELLS]>,
    addresses: HashMap<MapData, Address, AddressMasks>,
    /// By cell, how many addresses fall into it; cells without any are not listed.
    tenants: BTreeMap<u32, usize>,
    /// Whether an element of `addresses` was freed that a program may still read. The kernel gives it to the next
    /// address that is entered, at once (`alloc_htab_elem` in kernel/bpf/hashtab.c, with elements allocated before).
    freed: bool,
    programs: Barrier,
}

/// [`AddressCell`] as words that programs read while they are changed.
#[repr(C)]
struct CellWords {
    local: AtomicU64,
    peer: AtomicU64,
    address: [AtomicU64; 2],
    shared: AtomicU64,
}

// SAFETY: all its fields are, and there is no padding, as its size is that of `AddressCell`, five words.
unsafe impl Words for CellWords {}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<CellWords>() == size_of::<AddressCell>());
    assert!(offset_of!(CellWords, address) == offset_of!(AddressCell, address));
    assert!(offset_of!(CellWords, shared) == offset_of!(AddressCell, shared));
};

impl ExactTable {
    fn take(from: &mut Maps, cells: &str, addresses: &str, programs: &Barrier) -> Result<Self> {
        Ok(Self {
            cells: MmapTable::of(from.take(cells)?)?,
            addresses: from.take(addresses)?.try_into()?,
            tenants: BTreeMap::new(),
            freed: false,
            programs: programs.clone(),
        })
    }

    /// Enters an address, or changes its tasks.
    fn insert(&mut self, address: Address, masks: AddressMasks) -> Result<()> {
        let number = address_cell(&address);
        let is_new = self.addresses.get(&address, 0).is_err();
        let cell = &self.cells.words()[number as usize];
        if self.freed {
            self.programs.wait()?;
            self.freed = false;
        }
        self.addresses.insert(address, masks, 0)?;
        // A new element takes the place of the old one. Programs look there only for what shares its cell.
        self.freed = !is_new && cell.shared.load(Ordering::Relaxed) != 0;
        let tenants = self.tenants.entry(number).or_default();
        *tenants += usize::from(is_new);
        if *tenants > 1 {
            // Until the cell is empty again, even if one goes: so no address ever changes under a task
            // that stays.
            cell.shared.store(1, Ordering::Release);
        }
        if cell.shared.load(Ordering::Relaxed) == 0 {
            if is_new {
                // Nobody matches by this cell now, and the newcomer is not active yet.
                cell.address[0].store(address[0], Ordering::Release);
                cell.address[1].store(address[1], Ordering::Release);
            }
            cell.local.store(masks.local, Ordering::Release);
            cell.peer.store(masks.peer, Ordering::Release);
        }
        Ok(())
    }

    fn remove(&mut self, address: Address) -> Result<()> {
        let number = address_cell(&address);
        let cell = &self.cells.words()[number as usize];
        self.addresses.remove(&address)?;
        self.freed |= cell.shared.load(Ordering::Relaxed) != 0;
        let left = self
            .tenants
            .get(&number)
            .map_or(0, |tenants| tenants.saturating_sub(1));
        if left > 0 {
            self.tenants.insert(number, left);
            return Ok(());
        }
        self.tenants.remove(&number);
        cell.local.store(0, Ordering::Release);
        cell.peer.store(0, Ordering::Release);
        cell.shared.store(0, Ordering::Release);
        Ok(())
    }
}
