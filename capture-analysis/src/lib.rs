//! Says what is wrong in a packet capture. Packets go in, a [`Report`] with [`Finding`]s comes out; there is no I/O and
//! nothing is privileged.
//!
//! [`Analyzer`] is the entrance. The way of a packet: `copies` takes out what other interfaces saw too, [`capture_packet`] finds the
//! headers, `flow` the conversation that it belongs to, and the detectors in `detect` measure. `rules` has what the measurements mean: every threshold with its reason and source.

mod analyzer;
mod copies;
mod detect;
mod evidence;
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

pub use capture_packet::address::{Address, Mac};
// Named as if they were of this crate: each detector uses several.
use capture_packet::{address, app, decode, text};

pub use self::{
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
