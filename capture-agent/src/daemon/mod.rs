//! The daemon: capture tasks as a service. In the order of flow: the configuration, who may do what,
//! the store that outlives the process, the directories of captures, the tasks on the engine, and the
//! events that tell of them.

pub mod access;
pub mod clock;
pub mod config;
pub mod events;
pub mod storage;
pub mod store;
pub mod tasks;
