//! Outputs of capture tasks: [`FileOutput`] writes pcap or pcapng files, and a program takes the packets itself as a
//! [`Sink`]. [`Output`] is either of them.
//!
//! | file, in the order of flow | |
//! | --- | --- |
//! | `output`, `program` | files or a program; the trait [`Sink`] |
//! | `packet`, `config`, `figures` | the input of an output: packets, where they go, figures at the end |
//! | `file_output` | limits and rotation, on the reader's thread |
//! | `encode`, `layout`, `sizes` | records, contents of the current file, limits below an empty file |
//! | `rotation` | names of files, and when one ends |
//! | `queue`, `channel` | buffers on their way to the writer thread, and what both threads share |
//! | `writer`, `file`, `part` | I/O: open, write, sync, rename |
//! | `target`, `destination`, `path`, `missing_directory` | standard output, descriptors, links, names |
//! | `counters`, `progress`, `closing` | counters and files while the task runs, and its end |
//! | `disk_budget`, `keep_free` | disk space that all outputs of a daemon share, and what is left free |
//! | `recovery`, `leftovers_hint` | files that a killed agent left |
//! | `error`, `clock` | kinds of errors, the wall clock |
//!
//! The other way round, [`read`] reads the capture files of any tool, and [`CopyEncoder`] writes a choice of what it read.

mod channel;
mod clock;
mod closing;
mod config;
mod counters;
mod destination;
mod disk_budget;
mod encode;
mod error;
mod figures;
mod file;
mod file_output;
mod keep_free;
mod layout;
mod leftovers_hint;
mod missing_directory;
mod output;
mod owner;
mod packet;
mod part;
mod path;
mod program;
mod progress;
mod queue;
pub mod read;
mod recovery;
mod rotation;
mod sizes;
mod target;
#[cfg(test)]
mod tests;
mod writer;

pub use self::{
    clock::unix_ns,
    closing::{ClosingOutput, OutputReport},
    config::{EarlierFiles, OutputConfig},
    counters::OutputCounters,
    destination::{follow_links, is_descriptor, replacement_path},
    disk_budget::{DiskBudget, DiskSpace},
    encode::{CopiedPacket, CopyEncoder},
    error::{Action, Error, Foreign, NotReplaceable, Refusal, Result},
    figures::{FinalFigures, InterfaceStats},
    file::sha256,
    file_output::FileOutput,
    keep_free::KeepFree,
    leftovers_hint::leftovers_hint,
    missing_directory::{MissingDirectory, open_failure},
    output::Output,
    owner::Owner,
    packet::{InterfaceInfo, Packet},
    path::{check_writable, part_of, rename, sync_directory},
    program::{ProgramOutput, Sink},
    progress::OutputFiles,
    recovery::{RecoveredFile, Scan, leftovers, recover, scan},
    sizes::{size_faults, worst_case},
    target::{OpenTarget, Target},
};
