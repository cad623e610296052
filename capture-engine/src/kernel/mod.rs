//! The kernel side as the agent sees it; the only module that calls aya. [`object`] holds the
//! compiled programs, [`load`] brings them into the kernel, [`tables`], [`addresses`] and [`masks`] put tasks
//! into its maps ([`mapped`] into memory, by a [`mapping`]), [`hooks`] attach the programs to interfaces (older kernels: through [`clsact`] and
//! [`netlink`]) unless [`headless`] knows that they would be shown frames without link header there,
//! [`rings`] (each a [`ring`]) are drained by the reader, [`counters`] say what the kernel side did, and
//! [`traffic`] to which interface that belongs. [`call`] is the system call where aya has no function for it.

mod addresses;
#[cfg(feature = "bench")]
pub mod bench;
mod call;
mod clsact;
mod counters;
#[cfg(test)]
mod differential;
mod error;
mod features;
pub(crate) mod headless;
mod hooks;
mod load;
mod mapped;
mod mapping;
mod masks;
mod netlink;
pub(crate) mod object;
mod ring;
mod rings;
mod tables;
mod traffic;

pub(crate) use self::{
    call::refusal,
    counters::{InterfaceFigures, SlotFigures},
    features::refuse_nesting_hooks,
    hooks::{Attached, HookKind},
    load::{Kernel, ProgramProbe, ReaderSide, probe},
    tables::{SlotId, Tables, TaskEntry},
    traffic::InterfaceTraffic,
};
pub use self::{clsact::remove_orphaned_filters, features::KernelVersion, load::possible_cpus};
