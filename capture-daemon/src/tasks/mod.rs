//! The tasks of the daemon, from the request to the removal.
//!
//! `service` is the interface, `inner` the shared state. In the order of a task's life: `create` validates and
//! stores a request, `schedule` decides when it starts and ends, `start` and `end` do so on the `engine`, with an
//! `outcome`; `files` opens its files, `retention` decides when these expire, `removal` removes it; `figures` answers
//! signals. `task_table` holds what has not ended, the store everything else; what the store could not take is in
//! `unstored` until `catch_up` stores it. `takeover` is what a start does about the last daemon's tasks.

mod catch_up;
mod create;
mod end;
mod engine;
mod error;
mod figures;
mod files;
mod inner;
mod outcome;
mod removal;
mod retention;
mod schedule;
mod service;
mod start;
mod takeover;
mod task_table;
#[cfg(test)]
mod tests;
mod unstored;

pub(crate) use self::{
    create::CreateError,
    error::TaskError,
    files::OpenFile,
    service::{TaskPage, Tasks},
};
