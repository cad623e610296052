//! What the capture itself did not see. These come first, and demote what others say.

use super::rule::{Rule, Threshold};
use crate::severity::Severity;

/// Share of the TCP flows of which one direction is missing.
pub const ONE_SIDED_SHARE: Threshold = Threshold {
    name: "TCP flows with data of which only one direction was captured",
    value: 0.9,
    unit: "share",
    reason: "single flows may be asymmetric or begin at the edge of the capture; nearly all of them are not",
    source: "netverdict, capture checks",
};

/// Fewest such flows.
pub const ONE_SIDED_FLOWS: Threshold = Threshold {
    name: "such flows",
    value: 3.0,
    unit: "flows",
    reason: "one or two flows may just be refused in silence",
    source: "three equal cases are no coincidence",
};

/// Longest time between the same packet on two interfaces.
pub const DUPLICATE_WINDOW: Threshold = Threshold {
    name: "time between a packet and its copy on another interface",
    value: 0.010,
    unit: "s",
    reason: "a host forwards within microseconds; a resend takes a round trip and has another IP identification",
    source: "RFC 6864",
};

/// Copies that are worth a word.
pub const DUPLICATES: Threshold = Threshold {
    name: "packets that were captured twice",
    value: 10.0,
    unit: "packets",
    reason: "fewer change no other finding",
    source: "display only",
};

pub static LOST: Rule = Rule {
    code: "capture.lost",
    severity: Severity::High,
    definition: "The capture lost packets itself, as its own statistics say.",
    alternatives: &[],
    advice: "Capture again with a narrower filter, fewer bytes a packet (`max_bytes`) or larger rings, before trusting what is said to be missing.",
    reference: "pcapng, Interface Statistics Block and epb_dropcount",
    thresholds: &[],
};

pub static ONE_SIDED: Rule = Rule {
    code: "capture.one_sided",
    severity: Severity::Warn,
    definition: "Of nearly all TCP flows only one direction was captured.",
    alternatives: &["Every server refuses to answer"],
    advice: "Capture on every path the traffic takes, and in both directions.",
    reference: "asymmetric routing, RFC 3439 section 2.2",
    thresholds: &[&ONE_SIDED_SHARE, &ONE_SIDED_FLOWS],
};

pub static CUT: Rule = Rule {
    code: "capture.cut",
    severity: Severity::Info,
    definition: "Frames were cut by the capture, so that what lies in their payload cannot be judged.",
    alternatives: &[],
    advice: "Capture whole frames where names, certificates or requests matter.",
    reference: "pcapng, if_snaplen",
    thresholds: &[],
};

pub static DUPLICATES_SEEN: Rule = Rule {
    code: "capture.duplicates",
    severity: Severity::Info,
    definition: "The same packets were captured on several interfaces; each is counted once.",
    alternatives: &["The network delivers packets twice"],
    advice: "Capture on one interface, or look at one interface at a time.",
    reference: "RFC 6864 section 4",
    thresholds: &[&DUPLICATE_WINDOW, &DUPLICATES],
};

pub static OFFLOAD: Rule = Rule {
    code: "capture.offload",
    severity: Severity::Info,
    definition: "Frames are longer than the interface's MTU: the host hands several segments at once to or from its network card.",
    alternatives: &["The MTU of the network is larger than 1,500 bytes"],
    advice: "Sizes and numbers of segments are those of the host; on the wire they are smaller and more.",
    reference: "Linux, Documentation/networking/segmentation-offloads.rst",
    thresholds: &[],
};

pub(super) static RULES: &[&Rule] = &[&LOST, &ONE_SIDED, &CUT, &DUPLICATES_SEEN, &OFFLOAD];
