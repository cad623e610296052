//! The capture task: a request ([`task::TaskSpec`]) becomes a validated [`plan::Plan`], or the list of
//! all of its faults. States, stop reasons, counters and records are here too, because the command
//! line, the API and the files report them alike. There is no I/O in this crate.

mod amount;
pub mod error;
mod file_name;
pub mod interruption;
pub mod plan;
pub mod preview;
pub mod preview_lines;
mod printable;
pub mod problem;
mod short;
pub mod task;
pub mod times;
pub mod tolerant;
mod unique_json;
mod words;

pub use self::{
    amount::{bytes_text, count_text, duration_text},
    file_name::{download_stem, download_suffix, file_name_of, file_time, is_growing},
    printable::printable,
    short::{about_text, ago_of, ago_text, short_id, short_length},
    unique_json::UniqueJson,
    words::{Cause, wait_text},
};
