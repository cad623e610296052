//! What the detectors of `capture-analysis` are made of: packets and flows with the state of their TCP connections,
//! tables of bounded size, and what comes out of it: rules with their thresholds, evidence, findings. There is no I/O.
//!
//! | module | holds |
//! | --- | --- |
//! | `packet`, `packet_id`, `seen` | what goes in: a packet, and how a detector sees it |
//! | `flow`, `application`, `tcp` | flows, what they carry, and TCP as the packets show it |
//! | `lru`, `sketch`, `histogram`, `prefetch` | numbers of bounded size |
//! | `rules` | every threshold with its reason and source |
//! | `facts`, `evidence`, `finding`, `severity`, `at_most` | what comes out |
//! | `filter`, `words`, `logins` | parts of sentences and filters, and what servers say about logins |

pub mod application;
pub mod at_most;
pub mod evidence;
pub mod facts;
pub mod filter;
pub mod finding;
pub mod flow;
pub mod histogram;
pub mod logins;
pub mod lru;
pub mod packet;
pub mod packet_id;
pub mod prefetch;
pub mod rules;
pub mod seen;
pub mod severity;
pub mod sketch;
pub mod tcp;
pub mod words;

// Named as if they were of this crate: each module uses several.
use capture_packet::{address, decode, text};

pub use self::{
    evidence::Evidence,
    facts::Facts,
    finding::{Confidence, Finding, Subject},
    packet::{Interface, Losses, Packet},
    packet_id::PacketId,
    severity::Severity,
};
