//! The kernel side as the agent sees it; the only module that calls aya.
//!
//! | modules | do |
//! | --- | --- |
//! | [`object`], [`objects`], [`programs`], [`load`] | the compiled programs, and their way into the kernel |
//! | [`loader`] | the same in a process of its own, for one without capabilities |
//! | [`tables`], [`addresses`], [`prefix_closure`] | tasks in the maps of the programs |
//! | [`mmap_table`], [`mmap`] | small maps as memory of this process |
//! | [`hooks`], [`link`] | programs on interfaces: TCX links, XDP, or filters by [`clsact`] and [`tc`] |
//! | [`generic_xdp`] | where tc would be shown frames without link header |
//! | [`merge`], [`ring`] | the rings, which the reader drains |
//! | [`counters`], [`interface_stats`] | what the programs counted, and for which interface |
//! | [`call`], [`denial`] | bpf(2) itself, and who denies it |

mod addresses;
#[cfg(feature = "bench")]
pub mod bench;
mod call;
mod clsact;
mod counters;
mod denial;
#[cfg(test)]
mod differential;
mod error;
mod generic_xdp;
mod hooks;
mod interface_stats;
mod link;
mod load;
pub mod loader;
mod merge;
mod mmap;
mod mmap_table;
pub(crate) mod object;
mod objects;
mod prefix_closure;
mod programs;
mod ring;
mod tables;
mod tc;
mod version;

pub use self::{
    clsact::remove_orphaned_filters, denial::Denial, load::possible_cpus, version::KernelVersion,
};
pub(crate) use self::{
    counters::{InterfaceFigures, SlotFigures},
    denial::find_denial,
    generic_xdp::no_link_header,
    hooks::{Attached, HookKind, hook_points},
    interface_stats::{InterfaceTraffic, REMOVED},
    load::{Kernel, ProgramProbe, ReaderSide, probe, probe_by},
    tables::{SlotId, Tables, TaskEntry},
};
