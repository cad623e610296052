//! What goes wrong with packets of IP.

use super::rule::{Rule, Threshold};
use crate::severity::Severity;

/// Echo replies that are not what was sent.
pub const ECHO_CHANGED: Threshold = Threshold {
    name: "echo replies that are not what was sent",
    value: 3.0,
    unit: "replies",
    reason: "data is returned as it came; one or two may be damaged, or cut by a middlebox",
    source: "RFC 792, echo reply",
};

/// Echo requests with another payload than the one before.
pub const ECHO_VARIED: Threshold = Threshold {
    name: "echo requests with another payload than the one before",
    value: 10.0,
    unit: "requests",
    reason: "a ping repeats its pattern",
    source: "ping(8), option -p",
};

/// Share of the requests of one ping.
pub const ECHO_SHARE: Threshold = Threshold {
    name: "share of the requests of one ping",
    value: 0.5,
    unit: "share",
    reason: "a pattern changes at most where somebody tries several",
    source: "ping(8), option -p",
};

/// Fragmented packets with missing parts.
pub const INCOMPLETE: Threshold = Threshold {
    name: "fragmented packets with missing parts",
    value: 3.0,
    unit: "packets",
    reason: "one or two may have been lost",
    source: "three equal cases are no coincidence",
};

/// Share of the fragmented packets.
pub const INCOMPLETE_SHARE: Threshold = Threshold {
    name: "share of the fragmented packets",
    value: 0.01,
    unit: "share",
    reason: "networks lose less",
    source: "RFC 8900 section 3.1",
};

/// Fragments that overlap.
pub const OVERLAPS: Threshold = Threshold {
    name: "fragments that overlap",
    value: 1.0,
    unit: "fragments",
    reason: "no honest sender makes them",
    source: "RFC 5722 section 4",
};

/// Time until a packet in a circle comes by again.
pub const LOOP_WITHIN: Threshold = Threshold {
    name: "time until a packet in a circle comes by again",
    value: 1.0,
    unit: "s",
    reason: "a circle takes two hops; even across an ocean that is a third of a second",
    source: "display only",
};

/// Times that a packet comes by again.
pub const ROUNDS: Threshold = Threshold {
    name: "times that a packet comes by again",
    value: 3.0,
    unit: "rounds",
    reason: "once or twice is a packet that was captured before and behind routers, which a host with containers has inside",
    source: "RFC 1812 section 5.3.1",
};

/// Time to live on which a packet set out.
pub const LONG_WAY: Threshold = Threshold {
    name: "time to live on which a packet set out",
    value: 32.0,
    unit: "hops",
    reason: "no path of the Internet has more than some 30 hops",
    source: "traceroute(8), default of 30 hops",
};

/// Such packets that ran out.
pub const EXHAUSTED: Threshold = Threshold {
    name: "such packets that ran out",
    value: 3.0,
    unit: "packets",
    reason: "one or two come with every change of a route",
    source: "RFC 1812 section 5.3.1",
};

/// Returns of a router that said so before another one.
pub const ROUTER_RETURNS: Threshold = Threshold {
    name: "returns of a router that said so before another one",
    value: 4.0,
    unit: "returns",
    reason: "a traceroute hears each router in a row; two paths side by side make two returns",
    source: "traceroute(8)",
};

/// Time between a segment and its resend.
pub const RESEND_WITHIN: Threshold = Threshold {
    name: "time between a segment and its resend",
    value: 120.0,
    unit: "s",
    reason: "after this the same sequence numbers may be of another connection",
    source: "RFC 9293 section 3.4.1, maximum segment lifetime",
};

/// Senders from which on they are one event.
pub const SENDERS: Threshold = Threshold {
    name: "senders from which on they are one event",
    value: 8.0,
    unit: "senders",
    reason: "invented senders are many",
    source: "display only",
};

pub static ICMP_TUNNEL: Rule = Rule {
    code: "icmp.tunnel",
    severity: Severity::High,
    definition: "Echo messages carry data: payloads vary, or replies differ from requests.",
    alternatives: &[
        "A monitoring system that writes something else into each ping",
        "A middlebox that changes or cuts replies",
    ],
    advice: "Look at the payload; see which process sends it on the host.",
    reference: "RFC 792; MITRE ATT&CK T1095",
    thresholds: &[&ECHO_CHANGED, &ECHO_VARIED, &ECHO_SHARE],
};

pub static FRAGMENTS: Rule = Rule {
    code: "ip.fragments",
    severity: Severity::Warn,
    definition: "Parts of fragmented packets are missing or overlap.",
    alternatives: &[
        "The capture has a filter for ports, which only first parts have",
        "Parts take several paths",
    ],
    advice: "Lower the MTU or the size of messages, so that nothing is fragmented; look whether a firewall drops fragments.",
    reference: "RFC 8900; RFC 5722",
    thresholds: &[&INCOMPLETE, &INCOMPLETE_SHARE, &OVERLAPS],
};

pub static ROUTE_LOOP: Rule = Rule {
    code: "route.loop",
    severity: Severity::High,
    definition: "Packets go in a circle between routers.",
    alternatives: &[
        "A traceroute over paths of different length",
        "Routes that were changing just then",
    ],
    advice: "Compare the routes to the destination on both routers.",
    reference: "RFC 792; RFC 1812 section 5.3.1",
    thresholds: &[
        &LOOP_WITHIN,
        &ROUNDS,
        &LONG_WAY,
        &EXHAUSTED,
        &ROUTER_RETURNS,
    ],
};

pub static MALFORMED: Rule = Rule {
    code: "proto.malformed",
    severity: Severity::Warn,
    definition: "Packets that no honest stack sends: impossible flags, lengths, addresses or contents.",
    alternatives: &[
        "A scanner that finds out what system a host has",
        "A broken network card, driver or middlebox",
        "An offload of the capturing host",
    ],
    advice: "Find the sender by its hardware address, as addresses may be invented.",
    reference: "RFC 9293 section 3.1; RFC 6890; RFC 1122 section 3.2.1.3",
    thresholds: &[&RESEND_WITHIN, &SENDERS],
};

pub(super) static RULES: &[&Rule] = &[&ICMP_TUNNEL, &FRAGMENTS, &ROUTE_LOOP, &MALFORMED];
