//! The output of one task: [`TaskSink`] writes pcap or pcapng files, and a program takes the packets itself as
//! a [`Sink`]. [`Output`] is either of them.
//!
//! | in the order of flow | |
//! | --- | --- |
//! | `output`, `program` | files or a program; the trait [`Sink`] |
//! | `packet`, `figures`, `config` | what an output is given |
//! | `sink` | limits and rotation, on the reader's thread |
//! | `encode`, `layout`, `sizes` | records; what the current file holds; what a file takes without packets |
//! | `rotation` | names of files, and when one ends |
//! | `queue`, `channel` | buffers on their way to the writer thread, and what both threads see |
//! | `writer`, `file`, `part` | I/O: open, write, sync, rename |
//! | `target`, `destination`, `path` | what a name stands for and where it leads |
//! | `counters`, `progress`, `closing` | figures and files while the task runs, and its end |
//! | `disk_budget` | room that all outputs of a daemon share |
//! | `recovery` | what a killed agent left |
//!
//! The other way round, [`read`] reads the capture files of any tool.

mod channel;
mod closing;
mod config;
mod counters;
mod destination;
mod disk_budget;
mod encode;
mod error;
mod figures;
mod file;
mod layout;
mod output;
mod packet;
mod part;
mod path;
mod program;
mod progress;
mod queue;
pub mod read;
mod recovery;
mod rotation;
mod sink;
mod sizes;
mod target;
#[cfg(test)]
mod tests;
mod writer;

pub use self::{
    closing::{ClosingOutput, OutputReport},
    config::OutputConfig,
    counters::OutputCounters,
    destination::{followed, is_descriptor, replaceable},
    disk_budget::DiskBudget,
    figures::{FinalFigures, InterfaceStats},
    file::sha256,
    output::Output,
    packet::{InterfaceInfo, Packet},
    path::{part_of, rename, sync_directory},
    program::{ProgramOutput, Sink},
    progress::OutputFiles,
    recovery::{RecoveredFile, Scan, leftovers, recover, scan},
    sink::TaskSink,
    sizes::size_faults,
    target::{OpenTarget, Target},
};
