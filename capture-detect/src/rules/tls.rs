//! What goes wrong when TLS begins.

use super::rule::{Rule, Threshold};
use crate::severity::Severity;

/// Silence after a ClientHello.
pub const SILENCE: Threshold = Threshold {
    name: "silence after a ClientHello that was acknowledged",
    value: 3.0,
    unit: "s",
    reason: "servers answer within a round trip; their host has acknowledged that it arrived",
    source: "RFC 8446 section 4; RFC 6298 section 2",
};

pub static FAILED: Rule = Rule {
    code: "tls.failed",
    severity: Severity::Warn,
    definition: "TLS handshakes end with a fatal alert, or the server resets, closes or leaves them without an answer.",
    alternatives: &[
        "A firewall or proxy on the way ends connections by the name of the server",
        "Somebody scans for servers and what they understand",
    ],
    advice: "Try it with openssl s_client and the same name; the alert says which end refuses what.",
    reference: "RFC 8446 section 6.2",
    thresholds: &[&SILENCE],
};

pub static CERTIFICATE: Rule = Rule {
    code: "tls.certificate",
    severity: Severity::Warn,
    definition: "A server shows a certificate that is expired, not valid yet, signed by itself, or for other names (up to TLS 1.2, as later it is encrypted).",
    alternatives: &[
        "Client and server know each other's certificates, and check nothing else",
        "The clock of the capturing host is wrong",
    ],
    advice: "Renew it, or install the one that is meant for this name with its chain.",
    reference: "RFC 5280 sections 4.1.2.5 and 6.1; RFC 9525 section 6",
    thresholds: &[],
};

pub static RULES: &[&Rule] = &[&FAILED, &CERTIFICATE];
