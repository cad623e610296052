//! The tasks of the daemon, from the request to the removal.
//!
//! `service` is the interface, `inner` the shared state. Before a task, `preview` says what it would be, and `probe` tries
//! its filter. In the order of a task's life: `create` validates and
//! stores a request, `schedule` decides when it starts and ends, `start` and `end` do so on the `engine`, with an
//! `outcome`; `files` opens its files, `retention` decides when these expire, `evict` removes the oldest where
//! others need the room, `removal` removes a task; `figures` answers
//! signals, `occupancy` says what is on the disk; `analyze` has the files analyzed, `compare` two of them, `look` shows their packets,
//! `wireshark` by another program, `follow` as they come, `packet_notes` keeps what is said of these; `copy` makes copies without what another
//! must not see, and `share` shows them. `task_table` holds what has not ended, the store everything else; what the store could not take is in
//! `unstored` until `catch_up` stores it. `takeover` is what a start does about the last daemon's tasks, and `resume` lets those
//! go on that ran.

mod analyze;
mod catch_up;
mod compare;
mod copy;
mod create;
mod end;
mod engine;
mod error;
mod evict;
mod figures;
mod files;
mod follow;
mod inner;
mod look;
mod look_shared;
mod occupancy;
mod outcome;
mod packet_notes;
mod preview;
mod probe;
mod removal;
mod resume;
mod retention;
mod schedule;
mod service;
mod share;
mod start;
mod takeover;
mod tally;
mod task_log;
mod task_table;
#[cfg(test)]
mod tests;
mod unstored;
mod wireshark;

pub use self::{
    copy::{CopiedFile, LeftOut},
    create::CreateError,
    error::TaskError,
    files::OpenFile,
    occupancy::Occupancy,
    preview::{Previewed, Way, disk_warning, packet_warnings},
    probe::ProbeError,
    service::{TaskPage, Tasks},
    share::{SharedFile, SharedTask},
    tally::TaskCounts,
};
