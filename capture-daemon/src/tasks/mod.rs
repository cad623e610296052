//! The tasks of the daemon, from the request to the removal: what the API calls, and what runs below it.
//!
//! `service` is what the API calls; `inner` is what all of this shares. In the order of a task's life: `create`
//! checks a request and has the store keep it, `schedule` decides when a task starts and when it ends, `start` and
//! `end` do so on the `engine`, with an `outcome`, `files` opens what it has written, meanwhile too, `figures` logs
//! what signals ask for, `retention` decides when files go, and `removal` removes a task. `task_table` is what the
//! memory holds of all this; everything else is in the store, or in `unstored` until `catch_up` gets it there.
//! `takeover` is what a start does about the last daemon's tasks.

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
