//! The engine: executes validated plans on live interfaces. It loads the kernel programs, attaches them
//! to interfaces, drains their rings and gives the packets to each task's output.
//!
//! [`Engine`] is the entrance. Plans come from `capture-task`, outputs from `capture-file`. The module
//! `kernel` is the only one of the product that loads programs and opens maps.

pub mod clock;
pub mod doctor;
mod engine;
pub mod error;
pub mod interfaces;
mod kernel;
pub mod netns;
mod privileges;
pub mod procfs;
mod reader;
pub mod signals;
mod volume;

pub use engine::{
    Attachment, ClosingTask, Ended, Engine, EngineOptions, EngineStats, InterfaceTotals,
    TaskHandle, TaskStatus,
};
pub use error::{Error, Remedy, Result};
#[cfg(feature = "bench")]
pub use kernel::bench;
pub use kernel::{Denial, KernelVersion, possible_cpus, remove_orphaned_filters};
pub use volume::Volume;
