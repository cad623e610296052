//! Capture tasks from the request to the removal: what the daemon does, without its API. The configuration, the tasks
//! and their scheduler, their files and how long these are kept, the events that clients follow, the analyses, and who looks
//! at packets.

mod analyses;
pub mod config;
pub mod error;
pub mod events;
mod followers;
#[cfg(test)]
mod inspector_of_tests;
pub mod log_queue;
pub mod storage;
mod tasks;
mod views;

pub use self::analyses::AnalysisFigures;
pub use self::followers::{PacketNews, PacketStream};
pub use self::tasks::{
    CopiedFile, CreateError, LeftOut, Occupancy, OpenFile, Previewed, ProbeError, SharedFile,
    SharedTask, TaskCounts, TaskError, TaskPage, Tasks, Way, disk_warning, packet_warnings,
};
