//! Scans: who tries ports and hosts that do not answer. `contacts` measures, `probes` has the segments that no stack sends,
//! `tool` what the probes look like, and `judge` says what is a scan.

mod contacts;
mod judge;
mod probes;
mod tool;

pub(super) use self::{
    contacts::{Contacts, Way},
    judge::findings,
    probes::Probes,
};
