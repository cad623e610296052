//! What comes out: findings. Each is one sentence with its evidence, made where a rule judges what a detector measured.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    address::{Address, Mac},
    evidence::Evidence,
    packet_id::PacketId,
    rules::Rule,
    severity::Severity,
};

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Other explanations are as likely.
    Low,
    /// Other explanations are possible.
    Medium,
    /// The packets leave no other explanation.
    High,
}

/// What a finding is about. What does not apply is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
pub struct Subject {
    /// The host that opened the connection, asked, or is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<Address>,
    /// The host at the other end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub destination: Option<Address>,
    /// Port of `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// Port of `destination`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// `tcp`, `udp`, `icmp`, `sctp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
    /// A third host, such as the router that reports or the one that is impersonated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub via: Option<Address>,
    /// Hardware address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mac: Option<Mac>,
    /// A name: of a domain, a server, a certificate, an interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Something that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Finding {
    /// Stable code, as `tcp.loss`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// One sentence with numbers.
    pub summary: String,
    /// What it is about.
    pub subject: Subject,
    /// When it began: the time of the first packet, RFC 3339 with nanoseconds.
    #[schema(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// When it was last seen.
    #[schema(value_type = Option<String>)]
    pub until: Option<Timestamp>,
    /// How often it happened.
    pub count: u64,
    /// Packets that show it, at most 16.
    #[schema(value_type = Vec<PacketId>)]
    pub packets: Evidence,
    /// A display filter of tshark that shows the same packets.
    pub check: String,
    /// What else it could be.
    pub alternatives: Vec<&'static str>,
    /// Where the definition comes from.
    pub reference: Cow<'static, str>,
}

impl Finding {
    /// A finding of a rule, of its severity, with high confidence, about nothing in particular yet.
    pub fn new(rule: &'static Rule, summary: String, packets: Evidence) -> Self {
        let (since, until) = match packets.is_empty() {
            true => (None, None),
            false => (time(packets.since_ns()), time(packets.until_ns())),
        };
        Self {
            code: rule.code,
            severity: rule.severity,
            confidence: Confidence::High,
            summary,
            subject: Subject::default(),
            since,
            until,
            count: packets.count(),
            packets,
            check: String::new(),
            alternatives: rule.alternatives.to_vec(),
            reference: Cow::Borrowed(rule.reference),
        }
    }

    /// With another severity than that of the rule.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// With less than high confidence.
    pub fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// About this.
    pub fn subject(mut self, subject: Subject) -> Self {
        self.subject = subject;
        self
    }

    /// How often it happened, where that is not how many packets show it.
    pub fn count(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// The display filter that shows the same.
    pub fn check(mut self, filter: String) -> Self {
        self.check = filter;
        self
    }
}

/// A moment of a capture.
pub fn time(ns: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(ns)).ok()
}
