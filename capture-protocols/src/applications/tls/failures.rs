//! Handshakes that fail.

use crate::applications::protocol::{At, Peer, Service};
use crate::{
    address::Address,
    app::{dns::hash, tls::alert_name},
    evidence::Evidence,
    facts::{Facts, confidence},
    finding::{Confidence, Finding, Subject},
    lru::Lru,
    rules::tls as rules,
};

/// Most services, names and reasons that are told apart.
const MOST: usize = 1024;

/// Most findings.
const MOST_FINDINGS: usize = 50;

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// An end sent this fatal alert.
    Alert(Peer, u8),
    /// The client sent an alert that is encrypted, instead of its last message.
    EncryptedAlert,
    /// The server reset the connection.
    Reset,
    /// The server closed it without an answer.
    Closed,
    /// The server said nothing.
    Silence,
    /// The server spoke something else.
    OtherProtocol,
}

/// Which handshakes are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    service: Service,
    reason: Reason,
    /// Of the name of the server, 0 without one.
    name: u64,
}

#[derive(Clone, Debug)]
struct Failure {
    name: Option<Box<str>>,
    client: Address,
    /// Whether there were others.
    has_others: bool,
    packets: Evidence,
}

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Failures(Lru<Key, Failure>);

impl Default for Failures {
    fn default() -> Self {
        Self(Lru::new(MOST))
    }
}

impl Failures {
    pub(super) fn add(&mut self, at: &At, reason: Reason, name: Option<&str>) {
        let key = Key {
            service: at.service(),
            reason,
            name: name.map_or(0, |name| hash(name.as_bytes())),
        };
        let failure = self.0.entry(&key, || Failure {
            name: name.map(Into::into),
            client: at.client,
            has_others: false,
            packets: Evidence::default(),
        });
        failure.has_others |= failure.client != at.client;
        failure.packets.add(at.number, at.ns);
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let may_be_said = |(key, failure): &(&Key, &Failure)| {
            key.reason != Reason::Silence || facts.may_claim_absence(failure.packets.until_ns())
        };
        let mut failures: Vec<_> = self.0.iter().filter(may_be_said).collect();
        failures.sort_by_key(|(key, failure)| {
            (
                std::cmp::Reverse(failure.packets.count()),
                key.service,
                failure.packets.since_ns(),
            )
        });
        for (key, failure) in failures.into_iter().take(MOST_FINDINGS) {
            findings.push(finding(facts, key, failure));
        }
    }
}

fn finding(facts: &Facts, key: &Key, failure: &Failure) -> Finding {
    let Key {
        service, reason, ..
    } = key;
    let name = failure.name.as_deref();
    let server = match name {
        Some(name) => format!("{service} ({name})"),
        None => service.to_string(),
    };
    let client = match failure.has_others {
        true => "several clients".to_owned(),
        false => failure.client.to_string(),
    };
    let count = failure.packets.count();
    let handshakes = match count {
        1 => "a TLS handshake".to_owned(),
        count => format!("{count} TLS handshakes"),
    };
    let them = if count == 1 { "it" } else { "them" };
    let ended = format!("ended {handshakes}");
    let summary = match reason {
        Reason::Alert(Peer::Server, alert) => {
            format!(
                "{server} {ended} of {client} with a fatal alert: {}.",
                words(*alert)
            )
        }
        Reason::Alert(Peer::Client, alert) => {
            format!(
                "{client} {ended} with {server} with a fatal alert: {}.",
                words(*alert)
            )
        }
        Reason::EncryptedAlert => format!(
            "{client} {ended} with {server} with an encrypted alert, right after the answer: it may not trust the certificate."
        ),
        Reason::Reset => format!("{server} reset {handshakes} of {client}."),
        Reason::Closed => format!("{server} closed {handshakes} of {client} without an answer."),
        Reason::Silence => {
            format!("{server} acknowledged {handshakes} of {client} and never answered {them}.")
        }
        Reason::OtherProtocol => {
            format!("{server} answered {handshakes} of {client} with something that is not TLS.")
        }
    };
    let is_certain = !matches!(reason, Reason::EncryptedAlert | Reason::OtherProtocol);
    let sure = if is_certain {
        Confidence::High
    } else {
        Confidence::Medium
    };
    let subject = Subject {
        source: (!failure.has_others).then_some(failure.client),
        name: failure.name.as_deref().map(str::to_owned),
        ..service.subject()
    };
    Finding::new(&rules::FAILED, summary, failure.packets.clone())
        .confidence(confidence(facts, sure))
        .subject(subject)
        .check(check(service, *reason))
}

fn check(service: &Service, reason: Reason) -> String {
    let what = match reason {
        // Within QUIC it is an error code, in a packet whose keys tshark derives too.
        Reason::Alert(_, alert) if !service.is_tcp => {
            format!("quic.cc.error_code == {}", 0x100 + u64::from(alert))
        }
        Reason::Alert(_, alert) => format!("tls.alert_message.desc == {alert}"),
        Reason::EncryptedAlert => "tls.record.length == 19".to_owned(),
        Reason::Reset => "tcp.flags.reset == 1".to_owned(),
        Reason::Closed => "tcp.flags.fin == 1".to_owned(),
        Reason::Silence => "tls.handshake.type == 1".to_owned(),
        Reason::OtherProtocol => "tcp.len > 0".to_owned(),
    };
    format!("{what} && {}", service.filter())
}

/// The name of an alert, and what it says to who does not know it by heart.
fn words(alert: u8) -> String {
    let Some(name) = alert_name(alert) else {
        return format!("number {alert}");
    };
    let meaning = match name {
        "handshake_failure" => "nothing that is offered is acceptable",
        "protocol_version" => "they share no version",
        "insufficient_security" => "what is offered is too weak",
        "unknown_ca" => "it does not know who signed the certificate",
        "bad_certificate" => "it does not accept the certificate",
        "certificate_unknown" => "it does not accept the certificate",
        "certificate_expired" => "the certificate is not valid now",
        "certificate_required" => "it wants a certificate of the client",
        "unrecognized_name" => "it has no server of this name",
        "no_application_protocol" => "they share no protocol of the application",
        "inappropriate_fallback" => "the client offers less than it could",
        _ => return name.to_owned(),
    };
    format!("{name}, {meaning}")
}
