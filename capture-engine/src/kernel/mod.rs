//! The kernel side as the agent sees it; the only module that calls aya. [`object`] holds the
//! compiled programs, [`load`] brings them into the kernel, [`tables`], [`addresses`] and [`prefix_closure`] put tasks
//! into its maps ([`mmap_table`] into memory, by an [`mmap`]), [`hooks`] attach the programs to interfaces (older kernels: through [`clsact`] and
//! [`netlink`]) unless [`generic_xdp`] knows that they would be shown frames without link header there,
//! the rings of [`merge`] (each a [`ring`]) are drained by the reader, [`counters`] say what the kernel side did, and
//! [`interface_stats`] to which interface that belongs. [`call`] is the system call where aya has no function for it.

mod addresses;
#[cfg(feature = "bench")]
pub mod bench;
mod call;
mod clsact;
mod counters;
#[cfg(test)]
mod differential;
mod error;
pub(crate) mod generic_xdp;
mod hooks;
mod interface_stats;
mod load;
mod merge;
mod mmap;
mod mmap_table;
mod netlink;
pub(crate) mod object;
mod prefix_closure;
mod ring;
mod tables;
mod version;

pub(crate) use self::{
    call::refusal,
    counters::{InterfaceFigures, SlotFigures},
    hooks::{Attached, HookKind},
    interface_stats::InterfaceTraffic,
    load::{Kernel, ProgramProbe, ReaderSide, probe},
    tables::{SlotId, Tables, TaskEntry},
    version::refuse_nesting_hooks,
};
pub use self::{clsact::remove_orphaned_filters, load::possible_cpus, version::KernelVersion};
