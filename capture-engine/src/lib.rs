//! The engine: executes validated plans on live interfaces. It loads the kernel programs, attaches them
//! to interfaces, drains their rings and gives the packets to each task's output.
//!
//! [`Engine`] is the entrance. Plans come from `capture-task`, outputs from `capture-file`. The module
//! `kernel` is the only one of the product that loads programs and opens maps.
//!
//! A program of your own takes the packets as a [`Sink`](capture_file::Sink), which may be a closure. It needs the
//! privileges of [`doctor::preflight`], and no runtime.
//!
//! ```no_run
//! use std::{error::Error, ops::ControlFlow, thread, time::Duration};
//!
//! use capture_engine::{Engine, EngineOptions, doctor};
//! use capture_file::Packet;
//! use capture_task::{
//!     plan::{Plan, RequestOrigin},
//!     task::{StopReason, TaskSpec},
//! };
//!
//! fn main() -> Result<(), Box<dyn Error>> {
//!     let spec = TaskSpec {
//!         interfaces: vec!["eth0".to_owned()],
//!         protocol: Some("udp".to_owned()),
//!         ..TaskSpec::default()
//!     };
//!     let plan = Plan::resolve(&spec, RequestOrigin::Run).map_err(|faults| format!("{faults:?}"))?;
//!     doctor::preflight()?;
//!     let engine = Engine::start(EngineOptions { ring_size: 8 << 20 })?;
//!
//!     // The sink is called by the thread that serves all tasks, and must not wait.
//!     let (sender, lengths) = std::sync::mpsc::sync_channel(1024);
//!     let task = engine.add_sink(&plan, move |packet: &Packet<'_>| {
//!         let _ = sender.try_send(packet.original_len);
//!         ControlFlow::Continue(())
//!     })?;
//!     thread::sleep(Duration::from_secs(1));
//!     let ended = engine.remove(task, StopReason::User)?;
//!     let bytes: u64 = lengths.iter().map(u64::from).sum();
//!     println!("{bytes} bytes on the wire, {}", ended.counters.verdict());
//!     Ok(())
//! }
//! ```
//!
//! `examples/count.rs` and `examples/print.rs` are whole programs that end by Ctrl-C.

pub mod clock;
pub mod doctor;
mod engine;
pub mod error;
pub mod interfaces;
mod kernel;
mod netlink;
pub mod netns;
mod privileges;
pub mod procfs;
mod reader;
pub mod signals;
pub mod ssh_session;
mod volume;

pub use engine::{
    Attachment, ClosingTask, Ended, Engine, EngineOptions, EngineStats, InterfaceTotals,
    PlannedHook, TaskHandle, TaskStatus, conflicts, planned_hooks,
};
pub use error::{Error, Remedy, Result};
#[cfg(feature = "bench")]
pub use kernel::bench;
pub use kernel::{Denial, KernelVersion, loader, possible_cpus, remove_orphaned_filters};
pub use privileges::needed_beside_loader;
pub use volume::Volume;
