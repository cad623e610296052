//! What application protocols say, or hide.

use super::rule::{Rule, Threshold};
use crate::severity::Severity;

/// Answers with 5xx.
pub const SERVER_ERRORS: Threshold = Threshold {
    name: "answers with 5xx",
    value: 5.0,
    unit: "answers",
    reason: "one or two requests fail while a server restarts",
    source: "three equal cases are no coincidence",
};

/// Share of the answers of a server.
pub const SERVER_ERROR_SHARE: Threshold = Threshold {
    name: "share of the answers of a server",
    value: 0.05,
    unit: "share",
    reason: "services promise that 99 percent and more of their requests succeed",
    source: "Beyer et al. 2016, Site Reliability Engineering, chapter 4",
};

/// Answers with 4xx, those left out that ask for a login.
pub const CLIENT_ERRORS: Threshold = Threshold {
    name: "answers with 4xx, those left out that ask for a login",
    value: 20.0,
    unit: "answers",
    reason: "browsers ask for icons, maps and files of other sites that are not there",
    source: "RFC 9110 section 15.5",
};

/// Share of the answers of a server.
pub const CLIENT_ERROR_SHARE: Threshold = Threshold {
    name: "share of the answers of a server",
    value: 0.3,
    unit: "share",
    reason: "most of what a working client asks for is there",
    source: "RFC 9110 section 15.5",
};

/// Text that attacks on known weaknesses have in their requests, in lower case. Each is rare in honest targets and headers.
pub const PROBES: [&str; 16] = [
    // CVE-2021-44228.
    "${jndi:",
    "../../",
    "..\\..\\",
    "/etc/passwd",
    "union select",
    "union all select",
    "' or '1'='1",
    "information_schema",
    "xp_cmdshell",
    "<script",
    // CVE-2014-6271.
    "() { :",
    ";wget ",
    "/bin/sh",
    "cmd.exe",
    "php://input",
    // CVE-2022-22965.
    "class.module.classloader",
];

pub static ODD_PORT: Rule = Rule {
    code: "service.odd_port",
    severity: Severity::Info,
    definition: "A server speaks a protocol on a port where that is not usual.",
    alternatives: &["The port was chosen by whoever runs the server"],
    advice: "Ask whoever runs the server whether it is meant to be there.",
    reference: "IANA, Service Name and Transport Protocol Port Number Registry; MITRE ATT&CK T1571",
    thresholds: &[],
};

pub static HTTP_ERRORS: Rule = Rule {
    code: "http.errors",
    severity: Severity::Warn,
    definition: "A server answers many HTTP requests with an error.",
    alternatives: &[
        "With 4xx: the client is wrong, or looks for what it is not meant to find",
        "With 502 to 504: a server behind this one is down or slow",
    ],
    advice: "Look at the log of the server at that time; compare which requests fail.",
    reference: "RFC 9110 section 15",
    thresholds: &[
        &SERVER_ERRORS,
        &SERVER_ERROR_SHARE,
        &CLIENT_ERRORS,
        &CLIENT_ERROR_SHARE,
    ],
};

pub static CLEARTEXT: Rule = Rule {
    code: "cred.cleartext",
    severity: Severity::High,
    definition: "A password went over the network as it is, for everybody on the way to read.",
    alternatives: &["The network below encrypts: a tunnel that ends outside of this place"],
    advice: "Use the encrypted form of the protocol, and change the password.",
    reference: "CWE-319",
    thresholds: &[],
};

pub static WEAK_CRYPTO: Rule = Rule {
    code: "crypto.weak",
    severity: Severity::Warn,
    definition: "Two ends agree to a version or a cipher that no longer protects.",
    alternatives: &["One end is too old to know better ones"],
    advice: "Switch the old versions and ciphers off, on the server first; see who still needs them.",
    reference: "RFC 8996; RFC 7465; RFC 9325 sections 3.1 and 4.1; RFC 9142; RFC 8758",
    thresholds: &[],
};

pub static EXPLOIT_PROBE: Rule = Rule {
    code: "exploit.probe",
    severity: Severity::Warn,
    definition: "The target or a header of an HTTP request has text that attacks on known weaknesses have.",
    alternatives: &[
        "A scanner of one's own",
        "A search for, or a text about, such attacks",
    ],
    advice: "See what the server answered; check that what is named is patched.",
    reference: "OWASP Web Security Testing Guide 4.7; MITRE ATT&CK T1190",
    thresholds: &[],
};

pub static RULES: &[&Rule] = &[
    &ODD_PORT,
    &HTTP_ERRORS,
    &CLEARTEXT,
    &WEAK_CRYPTO,
    &EXPLOIT_PROBE,
];
