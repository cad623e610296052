//! What the figures of DNS servers mean.

use std::collections::BTreeMap;

use crate::network::dns::{
    detector::Detector,
    servers::{Failures, Server},
};
use crate::{
    address::Address,
    app::dns::Name,
    evidence::Evidence,
    facts::{Facts, confidence},
    filter::filter,
    finding::{Confidence, Finding, Subject},
    rules::{Rule, dns as rules},
    severity::Severity,
    text::{duration, several},
};

pub(super) fn findings(dns: &Detector, facts: &Facts, findings: &mut Vec<Finding>) {
    let open = open(dns, facts);
    for (address, server) in dns.servers.sorted() {
        findings.extend(unanswered(
            address,
            server,
            open.get(&address),
            dns.answers > 0,
            facts,
        ));
        findings.extend(slow(address, server));
        let (servfail, refused) = (&server.servfail, &server.refused);
        findings.extend(failures(
            &rules::SERVFAIL,
            "SERVFAIL",
            2,
            address,
            server,
            servfail,
        ));
        findings.extend(failures(
            &rules::REFUSED,
            "REFUSED",
            5,
            address,
            server,
            refused,
        ));
        findings.extend(two_answers(address, server, facts));
    }
    truncated(dns, facts, findings);
}

fn subject(server: Address, name: Option<Name>) -> Subject {
    Subject {
        destination: Some(server),
        destination_port: Some(53),
        protocol: Some("udp"),
        name: name.map(|name| name.to_string()),
        ..Subject::default()
    }
}

/// Queries of each server that are still open, those that the capture watched for long enough.
fn open(dns: &Detector, facts: &Facts) -> BTreeMap<Address, Evidence> {
    let open = dns.open.iter().filter(|(_, open)| open.answers == 0);
    let mut open: Vec<_> = open
        .filter(|(_, open)| facts.may_claim_absence(open.ns))
        .map(|(key, open)| (key.server, open.number, open.ns))
        .collect();
    open.sort_unstable_by_key(|(_, number, _)| *number);
    let mut by_server = BTreeMap::<_, Evidence>::new();
    for (server, number, ns) in open {
        by_server.entry(server).or_default().add(number, ns);
    }
    by_server
}

fn unanswered(
    address: Address,
    server: &Server,
    open: Option<&Evidence>,
    are_answers_seen: bool,
    facts: &Facts,
) -> Option<Finding> {
    // What was given up during the capture counts only where nothing was lost either.
    let mut packets = match facts.may_claim_absence(0) {
        true => server.unanswered.clone(),
        false => Evidence::default(),
    };
    if let Some(open) = open {
        packets.merge(open);
    }
    let share = packets.count() as f64 / server.queries.max(1) as f64;
    if packets.count() < rules::UNANSWERED.count() || !rules::UNANSWERED_SHARE.is_reached(share) {
        return None;
    }
    let (severity, summary) = match server.answers {
        0 => (
            Severity::High,
            format!("{address} answered none of {} DNS queries.", server.queries),
        ),
        _ => (
            Severity::Warn,
            format!(
                "{address} left {} of {} DNS queries unanswered.",
                packets.count(),
                server.queries
            ),
        ),
    };
    let check = format!("dns.flags.response == 0 && {}", filter("dst", address));
    Some(
        Finding::new(&rules::NO_ANSWER, summary, packets)
            .severity(severity)
            // Where no server answers at all, the capture may have only one direction.
            .confidence(match are_answers_seen {
                true => Confidence::High,
                false => Confidence::Medium,
            })
            .subject(subject(address, None))
            .check(check),
    )
}

fn slow(address: Address, server: &Server) -> Option<Finding> {
    let slow = server.slow.count();
    let share = slow as f64 / server.answers.max(1) as f64;
    if slow < rules::SLOW_ANSWERS.count() || !rules::SLOW_SHARE.is_reached(share) {
        return None;
    }
    let summary = format!(
        "{address} took {} or longer for {slow} of {} DNS answers; the median was {}, the slowest {}.",
        duration(rules::SLOW.ns()),
        server.answers,
        duration(server.latency.quantile_ns(0.5)),
        duration(server.latency.max_ns())
    );
    let check = format!("dns.flags.response == 1 && {}", filter("src", address));
    Some(
        Finding::new(&rules::SLOW_SERVER, summary, server.slow.clone())
            .subject(subject(address, None))
            .check(check),
    )
}

fn failures(
    rule: &'static Rule,
    code: &str,
    number: u8,
    address: Address,
    server: &Server,
    failures: &Failures,
) -> Option<Finding> {
    let count = failures.packets.count();
    let share = count as f64 / server.answers.max(count).max(1) as f64;
    if count < rules::FAILURES.count() || !rules::FAILURE_SHARE.is_reached(share) {
        return None;
    }
    let name = failures.name?;
    let which = match failures.has_others {
        true => format!("for several names, the first of them {name}"),
        false => format!("for {name}"),
    };
    let summary = format!(
        "{address} answered {count} of {} DNS queries with {code}, {which}.",
        server.answers.max(count)
    );
    let is_most = rules::MOST_FAIL.is_reached(share) && failures.has_others;
    let check = format!("dns.flags.rcode == {number} && {}", filter("src", address));
    Some(
        Finding::new(rule, summary, failures.packets.clone())
            .severity(if is_most {
                Severity::High
            } else {
                rule.severity
            })
            .subject(subject(address, Some(name)))
            .check(check),
    )
}

fn two_answers(address: Address, server: &Server, facts: &Facts) -> Option<Finding> {
    let name = server.twice?;
    // Two packets each.
    let count = server.two_answers.count() / 2;
    let summary = match count {
        1 => format!(
            "One query for {name} was answered twice in the name of {address}, with different answers."
        ),
        _ => format!(
            "{count} queries, the first for {name}, were answered twice in the name of {address}, with different answers."
        ),
    };
    let check = format!("dns.flags.response == 1 && {}", filter("src", address));
    Some(
        Finding::new(&rules::TWO_ANSWERS, summary, server.two_answers.clone())
            .count(count)
            .confidence(confidence(facts, Confidence::Medium))
            .subject(subject(address, Some(name)))
            .check(check),
    )
}

/// Truncated answers that nobody asked for again by TCP, or that TCP did not get either.
fn truncated(dns: &Detector, facts: &Facts, findings: &mut Vec<Finding>) {
    let pairs = dns.truncated.iter().filter(|(_, truncated)| {
        !truncated.is_connected
            && !truncated.is_resolved
            && facts.may_claim_absence(truncated.packets.until_ns())
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by_key(|(pair, truncated)| (pair.1, truncated.packets.since_ns()));
    for pairs in pairs.chunk_by(|(one, _), (other, _)| one.1 == other.1) {
        let server = pairs[0].0.1;
        let mut packets = Evidence::default();
        for (_, truncated) in pairs {
            packets.merge(&truncated.packets);
        }
        let tried = pairs
            .iter()
            .filter(|(_, truncated)| truncated.is_tried)
            .count();
        let who = match pairs {
            [((client, _), _)] => client.to_string(),
            more => format!("{} clients", more.len()),
        };
        let (severity, what) = match tried {
            0 => (Severity::Warn, "never asked again by TCP"),
            _ => (Severity::High, "asked again by TCP, which was not answered"),
        };
        let summary = format!(
            "{who} got {} from {server} and {what}.",
            several(packets.count(), "truncated DNS answer")
        );
        let check = format!("dns.flags.truncated == 1 && {}", filter("src", server));
        findings.push(
            Finding::new(&rules::TRUNCATED, summary, packets)
                .severity(severity)
                .subject(subject(server, None))
                .check(check),
        );
    }
}
