//! Says what is wrong in a packet capture. Packets go in, a [`Report`] with [`Finding`]s comes out; there is no I/O and
//! nothing is privileged.
//!
//! [`Analyzer`] is the entrance. The way of a packet: `copies` takes out what other interfaces saw too, [`capture_packet`] finds the
//! headers, `flow` the conversation that it belongs to, and the detectors in `detect` measure. `rules` has what the measurements mean: every threshold with its reason and source.

mod analyzer;
mod copies;
mod detect;
mod report;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use capture_detect::{
    evidence::{Evidence, MOST_CITED},
    finding::{Confidence, Finding, Subject},
    packet::{Interface, Losses, Packet},
    packet_id::{MOST_FILES, PacketId},
    rules,
    severity::Severity,
    tcp::{SeenFrom, WiresharkClasses},
};
// Named as if they were of this crate: each detector uses several.
use capture_detect::{
    at_most, evidence, facts, filter, finding, flow, histogram, logins, lru, packet, prefetch,
    seen, severity, sketch, tcp, words,
};
pub use capture_packet::address::{Address, Mac};
use capture_packet::{address, decode, text};
pub use capture_protocols::report::{
    DnsLatency, DnsName, DnsReport, TlsClient, TlsName, TlsReport,
};
use capture_protocols::{applications, network};

pub use self::{
    analyzer::{Analyzer, Options},
    detect::Baseline,
    report::{
        Conversation, HostVolume, Microseconds, ProtocolVolume, Report, Series, TcpFigures,
        TcpTotal,
    },
};
