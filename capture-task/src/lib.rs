//! The capture task: a request ([`task::TaskSpec`]) becomes a validated [`plan::Plan`], or the list of
//! all of its faults. States, stop reasons, counters and records are here too, because the command
//! line, the API and the files report them alike. There is no I/O in this crate.

pub mod error;
pub mod plan;
mod printable;
pub mod problem;
pub mod task;

pub use self::printable::printable;
