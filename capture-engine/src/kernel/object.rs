//! The compiled kernel programs, embedded in the binary. `build.rs` put the object into `OUT_DIR`
//! before; the loader takes it from here next, and refuses to start where it is absent.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use aya::{Ebpf, maps::Map};

/// The ELF object, aligned as its parser needs; empty when built without the BPF tools.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/capture-programs"));

/// The ELF object with all kernel programs and maps, or `None` when this binary was built without
/// it, because the BPF tools were missing then.
pub(crate) fn object() -> Option<&'static [u8]> {
    (!OBJECT.is_empty()).then_some(OBJECT)
}

/// The maps of the programs, until those who use them take them.
pub(super) struct Maps(BTreeMap<&'static str, Map>);

impl Maps {
    /// All maps of a loaded object that have a user in this process or in another one.
    pub(super) fn of(ebpf: &mut Ebpf) -> Result<Self> {
        let maps = maps::ALL.map(|name| {
            let map = ebpf.take_map(name);
            let map = map.with_context(|| format!("the kernel object has no map {name}"))?;
            Ok((name, map))
        });
        maps.into_iter().collect::<Result<_>>().map(Self)
    }

    /// Some maps.
    pub(super) fn from_parts(maps: impl IntoIterator<Item = (&'static str, Map)>) -> Self {
        Self(maps.into_iter().collect())
    }

    /// Takes a map.
    pub(super) fn take(&mut self, name: &str) -> Result<Map> {
        let map = self.0.remove(name);
        map.with_context(|| format!("there is no map {name}"))
    }
}

/// Names of the maps in the object, the statics of `capture-ebpf/src/maps.rs`.
pub(super) mod maps {
    pub(in super::super) const CONTROL: &str = "CONTROL";
    pub(in super::super) const INTERFACES: &str = "INTERFACES";
    pub(in super::super) const DISPLACED_INTERFACES: &str = "DISPLACED_INTERFACES";
    pub(in super::super) const CELLS_V4: &str = "CELLS_V4";
    pub(in super::super) const CELLS_V6: &str = "CELLS_V6";
    pub(in super::super) const ADDRESSES_V4: &str = "ADDRESSES_V4";
    pub(in super::super) const ADDRESSES_V6: &str = "ADDRESSES_V6";
    pub(in super::super) const PREFIXES_V4: &str = "PREFIXES_V4";
    pub(in super::super) const PREFIXES_V6: &str = "PREFIXES_V6";
    pub(in super::super) const PORTS: &str = "PORTS";
    pub(in super::super) const SLOTS: &str = "SLOTS";
    pub(in super::super) const SLOT_COUNTERS: &str = "SLOT_COUNTERS";
    pub(in super::super) const INTERFACE_COUNTERS: &str = "INTERFACE_COUNTERS";
    pub(in super::super) const RING_CHUNKS: &str = "RING_CHUNKS";
    pub(in super::super) const CHUNK_MAP: &str = "CHUNK_MAP";
    pub(in super::super) const RING_ENDS: &str = "RING_ENDS";
    pub(in super::super) const WAKEUP: &str = "WAKEUP";

    /// All of them.
    pub(in super::super) const ALL: [&str; 17] = [
        CONTROL,
        INTERFACES,
        DISPLACED_INTERFACES,
        CELLS_V4,
        CELLS_V6,
        ADDRESSES_V4,
        ADDRESSES_V6,
        PREFIXES_V4,
        PREFIXES_V6,
        PORTS,
        SLOTS,
        SLOT_COUNTERS,
        INTERFACE_COUNTERS,
        RING_CHUNKS,
        CHUNK_MAP,
        RING_ENDS,
        WAKEUP,
    ];
}

/// Names of the programs in the object.
pub(super) mod programs {
    use super::super::KernelVersion;

    pub(in super::super) const TC_INGRESS: &str = "capture_tc_ingress";
    pub(in super::super) const TC_EGRESS: &str = "capture_tc_egress";
    pub(in super::super) const XDP: &str = "capture_xdp";
    pub(in super::super) const XDP_FRAGS: &str = "capture_xdp_frags";

    /// The program for generic XDP: one that does not take frames in several buffers. For one that does,
    /// the kernel copies frames in a way that loses the length of their link header (since 6.9, see
    /// [`super::super::generic_xdp`]), and every tc program at ingress behind it is shown frames without.
    pub(in super::super) const XDP_GENERIC: &str = XDP;

    /// The native XDP program for a kernel.
    pub(in super::super) fn xdp(kernel: KernelVersion) -> &'static str {
        if kernel >= KernelVersion::XDP_FRAGS {
            XDP_FRAGS
        } else {
            XDP
        }
    }

    /// Those that a kernel may be given.
    pub(in super::super) fn of(kernel: KernelVersion) -> Vec<&'static str> {
        let mut names = vec![TC_INGRESS, TC_EGRESS, xdp(kernel)];
        if !names.contains(&XDP_GENERIC) {
            names.push(XDP_GENERIC);
        }
        names
    }

    #[cfg(feature = "bench")]
    pub(in super::super) const EMPTY_TC: &str = "empty_tc";
    #[cfg(feature = "bench")]
    pub(in super::super) const EMPTY_XDP: &str = "empty_xdp";
}

/// Names of the constants that are set before the programs are loaded.
pub(super) mod globals {
    pub(in super::super) const RING_BYTES: &str = "RING_BYTES";
    pub(in super::super) const WAKEUP_BYTES: &str = "WAKEUP_BYTES";
    /// Of aya-log: the least important level that is logged, 0 for nothing at all.
    pub(in super::super) const LOG_LEVEL: &str = "AYA_LOG_LEVEL";
}
