//! What is wrong with protocols: below and beside TCP ([`network`]: addresses and who gives them, names, routes,
//! fragments, packets that should not be), and above ([`applications`]: TLS, HTTP, SSH, mail, databases). Detectors measure
//! with the parts of `capture-detect`; `capture-analysis` gives them packets and collects their findings.

pub mod applications;
pub mod network;
pub mod report;

// Named as if they were of this crate: each detector uses several.
use capture_detect::{
    application, at_most, evidence, facts, filter, finding, flow, histogram, logins, lru, prefetch,
    rules, seen, severity, sketch,
};
use capture_packet::{address, app, decode, text};
