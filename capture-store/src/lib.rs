//! The store: tasks and their files, tokens, quota counts and the audit log in one SQLite database. Every call is
//! one transaction, on disk when it returns; calls block. Commands such as `token create` open the database beside
//! the daemon.
//!
//! `open` makes the `database`, whose tables are the `schema` and in which `values` are stored. `create` and
//! `task_queries` keep `tasks`, `findings` what is in their files, `notes` what people say of their packets, `quota` counts them, `tokens` and `audit` have
//! their own tables. The `limiter` bounds the lines of the audit log, and the `journal` logs them. On a full disk urgent changes use the `reserve`, and lines of the audit log
//! are written `late`.

pub mod access;
mod audit;
mod audit_event;
mod audit_line;
mod backup;
pub mod clock;
mod create;
mod database;
mod edition;
mod error;
mod failure;
mod findings;
mod glob;
mod journal;
mod late;
mod limiter;
mod notes;
mod open;
pub mod ownership;
mod quota;
mod reserve;
mod schema;
mod shares;
mod task_queries;
mod tasks;
mod tokens;
mod values;

#[cfg(test)]
mod tests;

pub use self::{
    audit::{Anchor, AuditFilter, AuditPage, Chain},
    audit_event::{Action, AuditEvent, Outcome},
    audit_line::AuditLine,
    database::Store,
    edition::{Edition, QuotaRules},
    error::{Error, ErrorKind, Result},
    failure::Failure,
    glob::Glob,
    open::OWN_PATHS,
    shares::{MAX_NOTE_BYTES, MAX_SHARES, NewShare, Share, Shared, SharedPackets},
    tasks::{Cursor, StoredTask, TaskId},
    tokens::{NewToken, Secret, TokenInfo},
};
pub use self::{
    findings::Analyzed,
    notes::{MAX_COMMENT_BYTES, MAX_NOTES, Note, Noted},
    quota::{Quota, QuotaUse},
    tasks::{
        Change, CreateLimits, Creation, Deletion, FILE_BYTES, IdempotencyKey, KeptFiles, NewTask,
        Overlay, PAGE_BYTES, Pause, Refusal, RetainedTask, TaskEnd, TaskFilter, TaskTotals,
    },
};
