//! The daemon: capture tasks as a service. In the order of flow: the configuration, who may do what,
//! the store that outlives the process, the directories of captures, the tasks on the engine, the events
//! that tell of them, and the API.

pub mod access;
pub mod api;
pub mod clock;
pub mod config;
pub mod events;
mod metrics;
pub mod storage;
pub mod store;
pub mod tasks;
