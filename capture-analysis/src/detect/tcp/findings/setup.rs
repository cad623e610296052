//! Connections that do not come to be, or late.

use std::collections::BTreeMap;

use crate::words::{duration, several};
use crate::{
    detect::tcp::{
        attempts::Attempt,
        detector::Detector,
        table::{Service, Who},
    },
    facts::Facts,
    finding::{Confidence, Finding},
    rules::tcp as rules,
};

/// What the clients of one port of a server saw together.
#[derive(Default)]
struct Port {
    /// Connections of which a SYN had to be sent again, or was never answered.
    waited: u64,
    prompt: u64,
    packets: u64,
    resends: u64,
    evidence: crate::evidence::Evidence,
    at_server: bool,
}

pub(super) fn findings(detector: &Detector, facts: &Facts, found: &mut Vec<Finding>) {
    let full = full_queues(detector, found);
    for (who, rejected) in detector.icmp.rejected.iter() {
        let by = rejected.by.map_or_else(String::new, |by| by.to_string());
        let summary = format!(
            "{} was not let through to {}: {by} says \"{}\" ({}).",
            who.client,
            who.service(),
            rejected.reason,
            several(rejected.packets.count(), "time"),
        );
        let mut subject = who.subject();
        subject.via = rejected.by;
        let ip = if who.client.is_v4() { "icmp" } else { "icmpv6" };
        found.push(
            Finding::new(&rules::REJECTED, summary, rejected.packets.clone())
                .subject(subject)
                .check(format!("{} && {ip}", who.filter())),
        );
    }
    let is_rejected = |who: &Who| detector.icmp.rejected.iter().any(|(other, _)| other == who);
    for (who, attempt) in detector.attempts.iter() {
        refused(who, attempt, found);
        let explained = full.contains(&(who.server, who.port)) || is_rejected(who);
        let may_claim = |ns| facts.may_claim_absence(ns);
        if !explained && attempt.first_syn_ns.is_some_and(may_claim) {
            unanswered(who, attempt, found);
        }
    }
    for (who, service) in detector.services.iter() {
        if !full.contains(&(who.server, who.port)) {
            slow(who, service, found);
        }
    }
}

fn refused(who: &Who, attempt: &Attempt, found: &mut Vec<Finding>) {
    if attempt.refused.is_empty() {
        return;
    }
    let summary = format!(
        "{} refused {} of {} with a reset.",
        who.service(),
        several(attempt.refused.count(), "connection"),
        who.client,
    );
    found.push(
        Finding::new(&rules::REFUSED, summary, attempt.refused.clone())
            .subject(who.subject())
            .check(format!(
                "{} && tcp.flags.reset == 1",
                who.filter_from(false)
            )),
    );
}

fn unanswered(who: &Who, attempt: &Attempt, found: &mut Vec<Finding>) {
    if attempt.unanswered.is_empty() {
        return;
    }
    let place = match attempt.at_server {
        true => ", though its SYNs arrive at that host",
        false => "",
    };
    let summary = format!(
        "{} got no answer from {} to {}{place}: no SYN/ACK, no reset, no ICMP error, though each SYN was sent again.",
        who.client,
        who.service(),
        several(attempt.unanswered_connections, "connection"),
    );
    found.push(
        Finding::new(&rules::NO_ANSWER, summary, attempt.unanswered.clone())
            .subject(who.subject())
            .check(format!("{} && tcp.flags.syn == 1", who.filter_from(true))),
    );
}

/// Ports that answer some SYNs at once and others not, without loss of anything else.
fn full_queues(
    detector: &Detector,
    found: &mut Vec<Finding>,
) -> Vec<(crate::address::Address, u16)> {
    let mut ports: BTreeMap<_, Port> = BTreeMap::new();
    for (who, service) in detector.services.iter() {
        let port = ports.entry((who.server, who.port)).or_default();
        port.waited += service.resent_syns;
        port.prompt += service
            .connections
            .saturating_sub(service.slow_handshakes.count());
        if service.resent_syns > 0 {
            port.evidence.merge(&service.slow_handshakes);
        }
        for direction in &service.directions {
            port.packets += direction.packets;
            let figures = &direction.figures;
            port.resends += u64::from(figures.retransmissions.saturating_sub(figures.resent_syns));
        }
    }
    for (who, attempt) in detector.attempts.iter() {
        if let Some(port) = ports.get_mut(&(who.server, who.port)) {
            port.waited += attempt.unanswered_connections;
            port.at_server |= attempt.at_server;
            port.evidence.merge(&attempt.unanswered);
        }
    }
    let mut full = Vec::new();
    for ((server, number), port) in ports {
        let lost = port.resends as f64 / port.packets.max(1) as f64;
        if port.waited < rules::BACKLOG_SYNS.count()
            || port.prompt == 0
            || rules::LOSS_SHARE.is_reached(lost)
        {
            continue;
        }
        full.push((server, number));
        let summary = format!(
            "{server} port {number} did not answer the first SYN of {} while {} were accepted at once: its queue of new connections is full.",
            several(port.waited, "connection"),
            port.prompt,
        );
        let ip = if server.is_v4() { "ip" } else { "ipv6" };
        let finding = Finding::new(&rules::BACKLOG, summary, port.evidence)
            .subject(crate::finding::Subject {
                destination: Some(server),
                destination_port: Some(number),
                protocol: Some("tcp"),
                ..Default::default()
            })
            .check(format!(
                "{ip}.dst == {server} && tcp.dstport == {number} && tcp.flags.syn == 1"
            ));
        let sure = if port.at_server {
            Confidence::High
        } else {
            Confidence::Medium
        };
        found.push(finding.confidence(sure));
    }
    full
}

fn slow(who: &Who, service: &Service, found: &mut Vec<Finding>) {
    let late = &service.slow_handshakes;
    let longest = service.handshake.max_ns();
    let shortest = round_trip_ns(service);
    let times = longest as f64 / shortest.max(1) as f64;
    let is_slow = longest >= rules::SLOW_HANDSHAKE.ns()
        || (longest >= rules::SLOW_HANDSHAKE_FLOOR.ns()
            && shortest > 0
            && rules::SLOW_HANDSHAKE_FACTOR.is_reached(times)
            && !late.is_empty());
    if !is_slow || late.is_empty() {
        return;
    }
    let cause = match service.resent_syns {
        0 => String::new(),
        resent => format!(
            "; {} needed more than one SYN",
            several(resent, "connection")
        ),
    };
    let summary = format!(
        "{} answered {} of {} late, after up to {}{cause}.",
        who.service(),
        several(late.count(), "SYN"),
        who.client,
        duration(longest),
    );
    found.push(
        Finding::new(&rules::SLOW_SETUP, summary, late.clone())
            .subject(who.subject())
            .check(format!("{} && tcp.flags.syn == 1", who.filter())),
    );
}

fn round_trip_ns(service: &Service) -> u64 {
    let [from_client, from_server] = &service.directions;
    from_client.rtt.min_ns() + from_server.rtt.min_ns()
}
