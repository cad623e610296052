//! The store: tasks and their files, tokens, quota counts and the audit log in one SQLite database. Every call is
//! one transaction, on disk when it returns; calls block. Commands such as `token create` open the database beside
//! the daemon.
//!
//! `open` makes the `database`, whose tables are the `schema` and in which `values` are stored. `create` and
//! `task_queries` keep `tasks`, `quota` counts them, `tokens` and `audit` have their own tables. The `limiter`
//! bounds the lines of the audit log. On a full disk urgent changes use the `reserve`, and lines of the audit log
//! are written `late`.

mod audit;
mod audit_event;
mod create;
mod database;
mod failure;
mod late;
mod limiter;
mod open;
mod quota;
mod reserve;
mod schema;
mod task_queries;
mod tasks;
mod tokens;
mod values;

#[cfg(test)]
mod tests;

pub use self::{
    audit::{AuditFilter, AuditLine, Chain},
    audit_event::{Action, AuditEvent, Outcome},
    database::Store,
    failure::Failure,
    tasks::{Cursor, StoredTask, TaskId},
    tokens::{NewToken, Secret, TokenInfo},
};
pub(crate) use self::{
    quota::Quota,
    tasks::{
        Change, CreateLimits, Creation, Deletion, FILE_BYTES, IdempotencyKey, NewTask, Overlay,
        PAGE_BYTES, Refusal, RetainedTask, TaskEnd, TaskFilter, TaskTotals,
    },
};
