//! The agent: everything of capture-agent that runs in user space.
//!
//! The modules stand in the order of a task's way: a request ([`task`]) becomes a valid [`plan`],
//! the plan becomes tables and hooks in the kernel (`kernel`), and records come back through the
//! drain to the [`output`]. `ARCHITECTURE.md` draws the whole.

pub mod cli;
mod clock;
pub mod daemon;
pub mod doctor;
mod drain;
pub mod engine;
pub mod error;
pub mod interfaces;
mod kernel;
pub mod netns;
pub mod output;
pub mod plan;
mod signals;
pub mod task;

#[cfg(feature = "bench")]
pub use kernel::bench;
