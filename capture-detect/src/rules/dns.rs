//! What goes wrong with names.

use super::rule::{Rule, Threshold};
use crate::severity::Severity;

/// DNS queries without an answer.
pub const UNANSWERED: Threshold = Threshold {
    name: "DNS queries without an answer",
    value: 3.0,
    unit: "queries",
    reason: "one or two are lost anywhere",
    source: "three equal cases are no coincidence",
};

/// Share of the queries to a server.
pub const UNANSWERED_SHARE: Threshold = Threshold {
    name: "share of the queries to a server",
    value: 0.05,
    unit: "share",
    reason: "a loss of one percent each way leaves two percent unanswered",
    source: "RFC 1536 section 2",
};

/// Time to an answer.
pub const SLOW: Threshold = Threshold {
    name: "time to an answer",
    value: 0.5,
    unit: "s",
    reason: "a recursive resolver without the name in its cache takes 300 to 400 ms on average",
    source: "Google Public DNS, performance benefits",
};

/// Slow answers.
pub const SLOW_ANSWERS: Threshold = Threshold {
    name: "slow answers",
    value: 3.0,
    unit: "answers",
    reason: "one or two names have slow servers",
    source: "three equal cases are no coincidence",
};

/// Share of the answers of a server.
pub const SLOW_SHARE: Threshold = Threshold {
    name: "share of the answers of a server",
    value: 0.1,
    unit: "share",
    reason: "of a resolver most answers come from its cache",
    source: "Jung et al. 2002, DNS performance and the effectiveness of caching",
};

/// Answers with an error of the server.
pub const FAILURES: Threshold = Threshold {
    name: "answers with an error of the server",
    value: 3.0,
    unit: "answers",
    reason: "one or two names are broken anywhere",
    source: "three equal cases are no coincidence",
};

/// Share of the answers of a server.
pub const FAILURE_SHARE: Threshold = Threshold {
    name: "share of the answers of a server",
    value: 0.05,
    unit: "share",
    reason: "resolvers that serve many users see one or two percent",
    source: "APNIC, DNS resolver statistics",
};

/// Share of the answers, for several names, from which on the server itself is broken.
pub const MOST_FAIL: Threshold = Threshold {
    name: "share of the answers, for several names, from which on the server itself is broken",
    value: 0.5,
    unit: "share",
    reason: "half of all names are not broken",
    source: "display only",
};

/// Names that do not exist, of one client in a minute.
pub const MISSING_NAMES: Threshold = Threshold {
    name: "names that do not exist, of one client in a minute",
    value: 100.0,
    unit: "answers",
    reason: "search lists double the queries of a person, who asks for some tens of names a minute",
    source: "Antonakakis et al. 2012, From throw-away traffic to bots",
};

/// Share of the answers to the client in this minute.
pub const MISSING_SHARE: Threshold = Threshold {
    name: "share of the answers to the client in this minute",
    value: 0.5,
    unit: "share",
    reason: "each name that exists is asked for with one or two suffixes of a search list at most",
    source: "RFC 1535",
};

/// Different names below one domain.
pub const TUNNEL_NAMES: Threshold = Threshold {
    name: "different names below one domain",
    value: 50.0,
    unit: "names",
    reason: "people use a handful of hosts of a domain",
    source: "Ellens et al. 2013, Flow-based detection of DNS tunnels",
};

/// Mean length in front of the domain.
pub const TUNNEL_LENGTH: Threshold = Threshold {
    name: "mean length in front of the domain",
    value: 30.0,
    unit: "bytes",
    reason: "names of hosts have 8 to 20 bytes; tunnels fill the 200 that there are",
    source: "Farnham 2013, Detecting DNS tunneling, SANS",
};

/// Entropy of their characters.
pub const TUNNEL_ENTROPY: Threshold = Threshold {
    name: "entropy of their characters",
    value: 3.5,
    unit: "bits a character",
    reason: "base 32 has 5, hexadecimal 4, English 4.1; repeated or counted names less",
    source: "Born and Gustafson 2010, Detecting DNS tunnels using character frequency analysis",
};

/// Share of queries for TXT, NULL and private types.
pub const TUNNEL_CARRIERS: Threshold = Threshold {
    name: "share of queries for TXT, NULL and private types",
    value: 0.2,
    unit: "share",
    reason: "a few percent of honest queries are for TXT",
    source: "Farnham 2013",
};

/// Different host names that one host answers for.
pub const ANSWERED_NAMES: Threshold = Threshold {
    name: "different host names that one host answers for",
    value: 3.0,
    unit: "names",
    reason: "a host has one name, and perhaps an alias",
    source: "RFC 4795 section 2.3; MITRE ATT&CK T1557.001",
};

pub static NO_ANSWER: Rule = Rule {
    code: "dns.unanswered",
    severity: Severity::Warn,
    definition: "A server leaves DNS queries without an answer.",
    alternatives: &[
        "The answers take another path than the place of the capture",
        "A firewall drops them, or the queries",
        "The server limits the rate of its answers",
    ],
    advice: "Ask the server from its own network; capture there whether the queries arrive.",
    reference: "RFC 1035 section 4.2.1",
    thresholds: &[&UNANSWERED, &UNANSWERED_SHARE],
};

pub static SLOW_SERVER: Rule = Rule {
    code: "dns.slow",
    severity: Severity::Warn,
    definition: "A server takes long to answer.",
    alternatives: &[
        "Servers of the domains that it asks are slow",
        "The network to it is slow: compare the round trips of its TCP connections",
    ],
    advice: "Ask for the same names twice: what is fast the second time was slow behind the server.",
    reference: "RFC 1035 section 7.2",
    thresholds: &[&SLOW, &SLOW_ANSWERS, &SLOW_SHARE],
};

pub static SERVFAIL: Rule = Rule {
    code: "dns.servfail",
    severity: Severity::Warn,
    definition: "A server answers that it failed.",
    alternatives: &["The servers of the domain are down, or its signatures are wrong (DNSSEC)"],
    advice: "Ask for the name with checking disabled (dig +cd): an answer then means wrong signatures.",
    reference: "RFC 1035 section 4.1.1; RFC 4035 section 5.5",
    thresholds: &[&FAILURES, &FAILURE_SHARE, &MOST_FAIL],
};

pub static REFUSED: Rule = Rule {
    code: "dns.refused",
    severity: Severity::Warn,
    definition: "A server refuses to answer.",
    alternatives: &[
        "The server is there for other clients or other domains, and is not meant to be asked",
    ],
    advice: "Check who may ask this server, and which servers the client was given.",
    reference: "RFC 1035 section 4.1.1",
    thresholds: &[&FAILURES, &FAILURE_SHARE, &MOST_FAIL],
};

pub static NXDOMAIN_STORM: Rule = Rule {
    code: "dns.nxdomain_storm",
    severity: Severity::Warn,
    definition: "A client asks for very many names that do not exist.",
    alternatives: &[
        "A search list or a typing error in a configuration",
        "Malware that tries invented names until one exists",
        "A mail server that looks senders up in block lists",
    ],
    advice: "Look at the names: one again and again is a configuration, random ones are malware.",
    reference: "RFC 2308; RFC 8020",
    thresholds: &[&MISSING_NAMES, &MISSING_SHARE],
};

pub static TRUNCATED: Rule = Rule {
    code: "dns.truncated_no_tcp",
    severity: Severity::Warn,
    definition: "Truncated answers were not asked for again by TCP, or TCP was not answered.",
    alternatives: &[
        "The client asked another server",
        "The client needs no more than it got",
    ],
    advice: "Open TCP port 53 in both directions, to servers and on firewalls.",
    reference: "RFC 7766 section 5",
    thresholds: &[],
};

pub static TWO_ANSWERS: Rule = Rule {
    code: "dns.two_answers",
    severity: Severity::High,
    definition: "One query has two answers with different content.",
    alternatives: &[
        "A middlebox answers for blocked names",
        "A load balancer whose servers both answered",
    ],
    advice: "Compare time to live and IP identification of both answers: the forged one mostly comes first and from nearer by.",
    reference: "RFC 5452 section 4",
    thresholds: &[],
};

pub static TUNNEL: Rule = Rule {
    code: "dns.tunnel",
    severity: Severity::High,
    definition: "Many long and different names below one domain carry data.",
    alternatives: &[
        "Reputation services of virus scanners and mail filters ask like this",
        "A content delivery network with long names of hosts",
    ],
    advice: "Look the domain up; see which process asks on the client.",
    reference: "MITRE ATT&CK T1071.004",
    thresholds: &[
        &TUNNEL_NAMES,
        &TUNNEL_LENGTH,
        &TUNNEL_ENTROPY,
        &TUNNEL_CARRIERS,
    ],
};

pub static POISONING: Rule = Rule {
    code: "name.poisoning",
    severity: Severity::High,
    definition: "One host answers for the names of many others on the link.",
    alternatives: &[
        "A reflector or sleep proxy of mDNS",
        "A file server with many names",
    ],
    advice: "Find the host; turn off LLMNR and NetBIOS name resolution on clients; change passwords of those who connected to it.",
    reference: "MITRE ATT&CK T1557.001; RFC 4795 section 5.3",
    thresholds: &[&ANSWERED_NAMES],
};

pub(super) static RULES: &[&Rule] = &[
    &NO_ANSWER,
    &SLOW_SERVER,
    &SERVFAIL,
    &REFUSED,
    &NXDOMAIN_STORM,
    &TRUNCATED,
    &TWO_ANSWERS,
    &TUNNEL,
    &POISONING,
];
