//! Says what is wrong in a packet capture. Packets go in, a [`Report`] with [`Finding`]s comes out; there is no I/O and
//! nothing is privileged.
//!
//! [`Analyzer`] is the entrance. The way of a packet: `copies` takes out what other interfaces saw too, `decode` finds the
//! headers, `flow` the conversation that it belongs to, and the detectors in `detect` measure, with `app` for what lies in
//! the payload. `rules` has what the measurements mean: every threshold with its reason and source.
//!
//! [`fields`] is apart: the tree of fields of one packet, for people who look at it.

mod address;
mod analyzer;
mod app;
mod copies;
pub mod decode;
mod detect;
mod evidence;
pub mod fields;
mod finding;
mod flow;
mod histogram;
mod lru;
mod packet;
mod report;
pub mod rules;
mod severity;
mod sketch;
mod tcp;
#[cfg(test)]
mod testing;
mod text;

pub use self::{
    address::{Address, Mac},
    analyzer::{Analyzer, Options},
    evidence::{Evidence, MOST_CITED},
    finding::{Confidence, Finding, Subject},
    packet::{Interface, Losses, Packet},
    report::{
        Conversation, DnsLatency, DnsName, DnsReport, Microseconds, Report, TcpFigures, TcpTotal,
    },
    severity::Severity,
    tcp::{SeenFrom, WiresharkClasses},
};
