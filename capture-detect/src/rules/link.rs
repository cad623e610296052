//! What goes wrong on a link: who has which address, and who gives it.

use super::rule::{Rule, Threshold};
use crate::severity::Severity;

/// Time in which a reply may answer a request.
pub const ANSWER_WITHIN: Threshold = Threshold {
    name: "time in which a reply may answer a request",
    value: 5.0,
    unit: "s",
    reason: "stations answer within milliseconds; a host asks again after one second",
    source: "RFC 4861 section 10, RETRANS_TIMER, which Linux uses for ARP too",
};

/// Time within which an address goes back to a station that had it.
pub const RETURN_WITHIN: Threshold = Threshold {
    name: "time within which an address goes back to a station that had it",
    value: 60.0,
    unit: "s",
    reason: "a takeover by a standby takes place once and stays; two stations that defend an address do it every ten seconds",
    source: "RFC 5227 section 2.4, DEFEND_INTERVAL",
};

/// Replies to one station that nobody asked for.
pub const UNSOLICITED: Threshold = Threshold {
    name: "replies to one station that nobody asked for",
    value: 3.0,
    unit: "replies",
    reason: "one or two may answer requests that were not captured; tools that poison repeat theirs every second or two",
    source: "arpspoof(8), ettercap(8)",
};

/// Returns of the address of a station that has another one too.
pub const RETURNS_OF_SPOOFING: Threshold = Threshold {
    name: "returns of the address of a station that has another one too",
    value: 2.0,
    unit: "returns",
    reason: "a takeover with a return is one",
    source: "RFC 5227 section 2.4",
};

/// Refusals without an address afterwards.
pub const REFUSALS: Threshold = Threshold {
    name: "refusals without an address afterwards",
    value: 1.0,
    unit: "refusals",
    reason: "a client that came from another network is refused once and then gets an address: this is not counted",
    source: "RFC 2131 section 3.2",
};

/// Searches without an offer.
pub const SEARCHES: Threshold = Threshold {
    name: "searches without an offer",
    value: 2.0,
    unit: "messages",
    reason: "the first may be lost; a client repeats it after four seconds",
    source: "RFC 2131 section 4.1",
};

/// Default routers on one link.
pub const ROUTERS: Threshold = Threshold {
    name: "default routers on one link",
    value: 8.0,
    unit: "routers",
    reason: "links have two or three; hosts keep no more than a few",
    source: "RFC 4861 section 6.3.4, RFC 6104",
};

/// Addresses of others that one station claims or denies.
pub const CLAIMED_OF_OTHERS: Threshold = Threshold {
    name: "addresses of others that one station claims, or says are taken",
    value: 3.0,
    unit: "addresses",
    reason: "a host that was copied has two addresses of IPv6 in common with the other one, of the link and of the network; tools take all",
    source: "parasite6(8), dos-new-ip6(8)",
};

pub static ARP_CONFLICT: Rule = Rule {
    code: "arp.conflict",
    severity: Severity::High,
    definition: "Two stations claim the same IPv4 address, in turns.",
    alternatives: &[
        "A pair of routers fails over back and forth",
        "Two ports of one host answer for the same address (bonding, or arp_ignore of Linux)",
        "A proxy answers for a host that is there",
    ],
    advice: "Look up both hardware addresses in the switches, and give one of the hosts another address.",
    reference: "RFC 5227 section 2.4",
    thresholds: &[&RETURN_WITHIN],
};

pub static ARP_SPOOF: Rule = Rule {
    code: "arp.spoof",
    severity: Severity::High,
    definition: "A station claims addresses of others, against them or unasked.",
    alternatives: &[
        "A standby router takes over, again and again",
        "A proxy for ARP, or a monitoring system that isolates hosts",
    ],
    advice: "Find the port of the hardware address in the switches; look at what it forwards; turn on dynamic ARP inspection.",
    reference: "RFC 826; RFC 5227; CAPEC-141",
    thresholds: &[
        &ANSWER_WITHIN,
        &UNSOLICITED,
        &RETURNS_OF_SPOOFING,
        &RETURN_WITHIN,
    ],
};

pub static NDP_CONFLICT: Rule = Rule {
    code: "ndp.conflict",
    severity: Severity::High,
    definition: "Two stations claim the same IPv6 address, in turns, or one wants an address that another one has.",
    alternatives: &[
        "A pair of routers fails over back and forth",
        "A sleep proxy answers for a host that wakes up",
        "Two ports of one host are on the same link",
    ],
    advice: "Look up both hardware addresses in the switches, and give one of the hosts another address; hosts that were copied have the same interface identifier.",
    reference: "RFC 4862 section 5.4; RFC 4861 section 7.2",
    thresholds: &[&RETURN_WITHIN, &ANSWER_WITHIN],
};

pub static NDP_SPOOF: Rule = Rule {
    code: "ndp.spoof",
    severity: Severity::High,
    definition: "A station claims IPv6 addresses of others, unasked or many of them, or says of every address that it is taken.",
    alternatives: &[
        "A standby router takes over, again and again",
        "A monitoring system that isolates hosts",
    ],
    advice: "Find the port of the hardware address in the switches; look at what it forwards; turn on neighbour discovery inspection (SAVI).",
    reference: "RFC 3756 section 4.1; RFC 6620",
    thresholds: &[
        &ANSWER_WITHIN,
        &UNSOLICITED,
        &CLAIMED_OF_OTHERS,
        &RETURN_WITHIN,
    ],
};

pub static DHCP_ROGUE: Rule = Rule {
    code: "dhcp.rogue",
    severity: Severity::High,
    definition: "More than one DHCP server answers in a network, with different settings.",
    alternatives: &[
        "A pair of servers that were configured differently by mistake",
        "Servers of two networks on one link",
    ],
    advice: "Find the port of the server that is not yours in the switches, and turn on DHCP snooping.",
    reference: "RFC 2131 section 3.1; RFC 7610",
    thresholds: &[],
};

pub static DHCP_NAK: Rule = Rule {
    code: "dhcp.nak",
    severity: Severity::High,
    definition: "A DHCP server refuses a client, which gets no address afterwards.",
    alternatives: &[
        "The capture ended before the client got its address",
        "The client was moved to another network on purpose",
    ],
    advice: "Compare the address that the client wants with the ranges of the server; look for a second server.",
    reference: "RFC 2131 section 3.2",
    thresholds: &[&REFUSALS],
};

pub static DHCP_NO_OFFER: Rule = Rule {
    code: "dhcp.no_offer",
    severity: Severity::High,
    definition: "A client searches for a DHCP server and none makes an offer.",
    alternatives: &[
        "Offers go to the client alone, past the place of the capture",
        "The client needs none and asks all the same",
    ],
    advice: "Check that the server runs, has addresses left, and that a relay stands between where it is in another network.",
    reference: "RFC 2131 section 4.4.1; RFC 8415 section 18.2.1",
    thresholds: &[&SEARCHES],
};

pub static RA_ROGUE: Rule = Rule {
    code: "ra.rogue",
    severity: Severity::High,
    definition: "Router advertisements on one link contradict each other.",
    alternatives: &[
        "A link with two providers, each with its own prefix",
        "A host that shares its connection by mistake",
    ],
    advice: "Find the port of the hardware address in the switches, and turn on RA guard.",
    reference: "RFC 6104; RFC 6105",
    thresholds: &[&ROUTERS],
};

pub(super) static RULES: &[&Rule] = &[
    &ARP_CONFLICT,
    &ARP_SPOOF,
    &NDP_CONFLICT,
    &NDP_SPOOF,
    &DHCP_ROGUE,
    &DHCP_NAK,
    &DHCP_NO_OFFER,
    &RA_ROGUE,
];
