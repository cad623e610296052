//! Conversations of applications, and what is found in them.

mod bounds;
mod hostile;
mod http;
mod logins;
pub(super) mod talk;
mod weak;
