//! Looks into capture files: what `capture-file` reads goes to `capture-analysis`, and the answer to whoever asked.
//!
//! [`analyze`] is the whole way: [`Input`]s are merged by time into one capture. [`Feed`] is the part of it behind a reader,
//! for who has only one. [`process`] does it in a confined process, also for a file that grows. [`view`] shows the packets
//! of a capture there.

mod analysis;
mod analyzed_file;
mod chosen;
mod cited;
mod compare;
mod comparison;
mod engine;
mod engine_report;
mod feed;
mod findings;
mod growing;
mod html;
mod input;
mod merge;
mod origin;
pub mod process;
mod redaction;
#[cfg(test)]
mod schema;
pub mod spawn;
#[cfg(test)]
mod testing;
pub mod view;

pub use self::{
    analysis::Analysis,
    analyzed_file::AnalyzedFile,
    cited::{CitedPacket, cited_packets},
    comparison::{Baseline, Change, Comparison, Figure},
    engine::{EngineKind, Engines, Error as EngineError, Wireshark, WiresharkNode},
    engine_report::EngineReport,
    feed::Feed,
    findings::{AnalysisState, Findings, Skipped, WasRead},
    html::html,
    input::Input,
    merge::{Unreadable, analyze, analyze_chosen, compare},
    redaction::{PseudonymKey, Redaction},
};
