//! What differs from another capture, as one taken when all was well: findings that are new or gone, and figures that have
//! changed by more than chance.

use std::collections::BTreeMap;

use capture_analysis::{Address, Conversation, Finding, Report, Severity, Subject, TcpFigures};
use capture_packet::text;

use crate::{
    analysis::Analysis,
    comparison::{Baseline, Change, Comparison, Figure},
};

/// From which factor on a figure has changed. Quantiles are within a fifth, and loss comes in bursts: less is chance.
const CHANGED_FACTOR: f64 = 2.0;

/// Least difference of a duration in microseconds: below, schedulers and network cards decide.
const LEAST_US: f64 = 1_000.0;

/// Least difference of a share of segments.
const LEAST_SHARE: f64 = 0.005;

/// Fewest segments of TCP that say anything of loss, in each of the captures.
const FEWEST_SEGMENTS: u64 = 50;

/// Fewest resends in the one that has more.
const FEWEST_RESENDS: u64 = 3;

/// Most changes that are listed.
const MOST_CHANGES: usize = 100;

impl Analysis {
    /// Adds what differs from another capture.
    pub(crate) fn compare_with(&mut self, baseline: Analysis) {
        let (now, before) = (&self.report, &baseline.report);
        let mut changed = severities(&before.findings, &now.findings);
        changed.extend(figures(before, now));
        changed.truncate(MOST_CHANGES);
        self.comparison = Some(Comparison {
            new: without(&now.findings, &before.findings),
            gone: without(&before.findings, &now.findings),
            changed,
            baseline: Baseline {
                packets: before.packets,
                bytes: before.bytes,
                first: before.first,
                duration: before.duration,
                complete: before.complete,
                files: baseline.files,
            },
        });
    }
}

/// What a finding is recognised by in another capture. The port of who asks is another one each time.
fn identity(finding: &Finding) -> (&'static str, Subject) {
    let subject = Subject {
        source_port: None,
        ..finding.subject.clone()
    };
    (finding.code, subject)
}

/// Those findings that others have no match for.
fn without(findings: &[Finding], others: &[Finding]) -> Vec<Finding> {
    let mut left = BTreeMap::<_, usize>::new();
    for other in others {
        *left.entry(identity(other)).or_default() += 1;
    }
    let is_matched = |finding: &&Finding| match left.get_mut(&identity(finding)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    findings.iter().filter(is_matched).cloned().collect()
}

/// Findings of both that have another severity.
fn severities(before: &[Finding], now: &[Finding]) -> Vec<Change> {
    let mut known = BTreeMap::new();
    for finding in before {
        known.entry(identity(finding)).or_insert(finding);
    }
    let mut changed = Vec::new();
    for finding in now {
        // Once each: another of the same has nothing to be compared with.
        let Some(other) = known.remove(&identity(finding)) else {
            continue;
        };
        if other.severity != finding.severity {
            let word = |severity| match severity {
                Severity::High => "high",
                Severity::Warn => "warn",
                Severity::Info => "info",
            };
            let (was, is) = (word(other.severity), word(finding.severity));
            changed.push(Change {
                figure: Figure::Severity,
                code: Some(finding.code),
                subject: finding.subject.clone(),
                before: other.count as f64,
                after: finding.count as f64,
                summary: format!(
                    "{} is {is} and was {was}. {}",
                    finding.code, finding.summary
                ),
            });
        }
    }
    changed
}

/// Figures of each server; of all traffic where it is not one server that has changed.
fn figures(before: &Report, now: &Report) -> Vec<Change> {
    let mut changed = Vec::new();
    let servers_before = servers(before);
    for (server, now) in &servers(now) {
        if let Some(before) = servers_before.get(server) {
            let subject = Subject {
                destination: Some(server.0),
                destination_port: Some(server.1),
                protocol: Some("tcp"),
                ..Subject::default()
            };
            tcp_changes(&mut changed, &subject, before, now);
        }
    }
    let all = |report: &Report| Tcp::of_all(report.tcp.as_ref().map(|tcp| &tcp.figures));
    let mut of_all = Vec::new();
    tcp_changes(&mut of_all, &Subject::default(), &all(before), &all(now));
    of_all.retain(|change| !changed.iter().any(|it| it.figure == change.figure));
    changed.extend(of_all);
    let latency = |report: &Report| report.dns.as_ref()?.latency_us.map(|us| us.p50);
    if let (Some(before), Some(now)) = (latency(before), latency(now)) {
        let subject = Subject::default();
        duration_change(&mut changed, Figure::DnsLatency, &subject, before, now);
    }
    changed
}

/// What is compared of TCP.
#[derive(Default)]
struct Tcp {
    segments: u64,
    resends: u64,
    /// Medians, each of so many segments.
    round_trips: Vec<(u64, u64)>,
    handshakes: Vec<(u64, u64)>,
}

impl Tcp {
    fn of_all(figures: Option<&TcpFigures>) -> Self {
        let mut all = Self::default();
        if let Some(figures) = figures {
            all.add(figures);
        }
        all
    }

    fn add(&mut self, figures: &TcpFigures) {
        self.segments += figures.segments;
        self.resends += figures.retransmissions;
        let rtt = figures.rtt_us.map(|rtt| (rtt.p50, figures.segments));
        self.round_trips.extend(rtt);
        self.handshakes
            .extend(figures.handshake_us.map(|us| (us, 1)));
    }

    fn loss(&self) -> f64 {
        self.resends as f64 / self.segments.max(1) as f64
    }
}

/// The median of values that count so many times each.
fn median(values: &[(u64, u64)]) -> Option<u64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    let all: u64 = values.iter().map(|(_, weight)| weight).sum();
    let mut below = 0;
    let median = values.iter().find(|(_, weight)| {
        below += weight;
        below * 2 >= all
    });
    median.map(|(value, _)| *value)
}

/// By address and port of the server, as far as conversations are reported.
fn servers(report: &Report) -> BTreeMap<(Address, u16), Tcp> {
    let mut servers = BTreeMap::<_, Tcp>::new();
    for conversation in &report.conversations {
        let Conversation {
            server,
            server_port,
            tcp: Some(figures),
            ..
        } = conversation
        else {
            continue;
        };
        let of_server = servers.entry((*server, *server_port)).or_default();
        of_server.add(figures);
    }
    servers
}

fn tcp_changes(changed: &mut Vec<Change>, subject: &Subject, before: &Tcp, now: &Tcp) {
    let (was, is) = (before.loss(), now.loss());
    let enough = before.segments.min(now.segments) >= FEWEST_SEGMENTS
        && before.resends.max(now.resends) >= FEWEST_RESENDS;
    if enough && has_changed(was, is, LEAST_SHARE) {
        let percent = |share: f64| share * 100.0;
        changed.push(Change {
            figure: Figure::Loss,
            code: None,
            subject: subject.clone(),
            before: was,
            after: is,
            summary: format!(
                "Of the TCP segments{} {:.1} % were sent again, before {:.1} %.",
                with(subject),
                percent(is),
                percent(was)
            ),
        });
    }
    for (figure, before, now) in [
        (Figure::RoundTrip, &before.round_trips, &now.round_trips),
        (Figure::Handshake, &before.handshakes, &now.handshakes),
    ] {
        if let (Some(before), Some(now)) = (median(before), median(now)) {
            duration_change(changed, figure, subject, before, now);
        }
    }
}

fn duration_change(
    changed: &mut Vec<Change>,
    figure: Figure,
    subject: &Subject,
    before_us: u64,
    now_us: u64,
) {
    let (before, after) = (before_us as f64, now_us as f64);
    if !has_changed(before, after, LEAST_US) {
        return;
    }
    let what = match figure {
        Figure::Handshake => "Handshakes of TCP",
        Figure::DnsLatency => "Answers of DNS",
        _ => "Round trips of TCP",
    };
    let shown = |us: u64| text::duration(us * 1000);
    changed.push(Change {
        figure,
        code: None,
        subject: subject.clone(),
        before,
        after,
        summary: format!(
            "{what}{} take {}, before {} (medians).",
            with(subject),
            shown(now_us),
            shown(before_us)
        ),
    });
}

fn has_changed(before: f64, after: f64, least: f64) -> bool {
    let (less, more) = (before.min(after), before.max(after));
    more >= less * CHANGED_FACTOR && more - less >= least
}

fn with(subject: &Subject) -> String {
    match (subject.destination, subject.destination_port) {
        (Some(address), Some(port)) => format!(" with {address} port {port}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
