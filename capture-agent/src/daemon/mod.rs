//! The daemon: capture tasks as a service. In the order of flow: the configuration, who may do what,
//! the store that outlives the process.

pub mod access;
pub mod clock;
pub mod config;
pub mod store;
