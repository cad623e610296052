//! What the doctor says, and a report for a bug: what tells of a machine and of the agent on it, in one archive, and nothing that tells of whom its
//! users talk to. [`facts`] are those of the machine; whoever makes a [`Report`] adds the others. Addresses and secrets are
//! taken out of every file of it.

mod archive;
mod diagnosis;
pub mod facts;
mod redact;
mod tasks;
mod text;

pub use self::{
    archive::{Error, Report},
    diagnosis::{DaemonReport, Diagnosis, Way, Ways},
    tasks::TaskFigures,
    text::{Style, plain},
};
