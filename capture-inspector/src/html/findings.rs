//! The findings, the worst first, each with the packets that show it.

use capture_analysis::{Confidence, Finding, PacketId};
use jiff::Timestamp;
use maud::{Markup, html};

use super::words;
use crate::{analysis::Analysis, cited::CitedPacket, comparison::Comparison};

pub(super) fn section(analysis: &Analysis, cited: &[CitedPacket]) -> Markup {
    let findings = &analysis.report.findings;
    html! {
        section aria-label="Findings" {
            @if !findings.is_empty() { h2 { "Findings" } }
            @for (number, finding) in findings.iter().enumerate() {
                (article(analysis, cited, number + 1, finding))
            }
        }
    }
}

/// What differs from the other capture.
pub(super) fn comparison(comparison: &Comparison) -> Markup {
    let Comparison {
        baseline,
        new,
        gone,
        changed,
    } = comparison;
    let files: Vec<_> = baseline
        .files
        .iter()
        .map(|file| words::shown(&file.name))
        .collect();
    html! {
        section {
            h2 { "Compared with " (files.join(", ")) }
            p.faint {
                (words::count(baseline.packets)) " packets, " (words::bytes(baseline.bytes)) ", "
                (words::seconds(baseline.duration))
            }
            @if new.is_empty() && gone.is_empty() && changed.is_empty() { p { "No differences." } }
            @if !new.is_empty() { p { "New findings: " (new.len()) ", marked above." } }
            @if !gone.is_empty() {
                h3 { "Gone" }
                ul {
                    @for finding in gone {
                        li class=(words::severity(finding.severity)) {
                            span.word { (words::severity(finding.severity)) } " "
                            code { (finding.code) } " " (words::shown(&finding.summary))
                        }
                    }
                }
            }
            @if !changed.is_empty() {
                h3 { "Changed" }
                ul { @for change in changed { li { (words::shown(&change.summary)) } } }
            }
        }
    }
}

fn article(analysis: &Analysis, cited: &[CitedPacket], number: usize, finding: &Finding) -> Markup {
    let severity = words::severity(finding.severity);
    let comparison = analysis.comparison.as_ref();
    let is_new = comparison.is_some_and(|comparison| comparison.is_new(finding));
    html! {
        article class=(format!("finding {severity}")) id=(format!("f{number}")) {
            p.head {
                span.word { (severity) }
                code { (finding.code) }
                @if is_new { span.badge { "new" } }
                span.faint { (confidence(finding.confidence)) }
            }
            h3 { (words::shown(&finding.summary)) }
            p.faint { (evidence(analysis, cited, finding)) }
            @if !finding.alternatives.is_empty() {
                p.faint { "Could also be: " (finding.alternatives.join("; ")) "." }
            }
            @if !finding.check.is_empty() {
                pre title="Display filter for Wireshark and tshark" { (words::shown(&finding.check)) }
            }
            p.faint { "Source: " (words::shown(&finding.reference)) }
        }
    }
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::High => "high confidence",
        Confidence::Medium => "medium confidence",
        Confidence::Low => "low confidence",
    }
}

/// Which packets, and when.
fn evidence(analysis: &Analysis, cited: &[CitedPacket], finding: &Finding) -> Markup {
    let packets: Vec<_> = finding.packets.cited().collect();
    if packets.is_empty() {
        return html! { (words::count(finding.count)) " times" };
    }
    let files = packets.chunk_by(|one, other| one.file() == other.file());
    html! {
        @for (index, packets) in files.enumerate() {
            @if index > 0 { ", " }
            @if packets.len() == 1 { "packet" } @else { "packets" }
            @for id in packets { " " (link(cited, *id)) }
            @if analysis.files.len() > 1 { " of " (file_name(analysis, packets[0])) }
        }
        (when(analysis, finding))
    }
}

/// The name of the file of a packet.
pub(super) fn file_name(analysis: &Analysis, id: PacketId) -> String {
    let file = analysis.files.get(id.file());
    file.map_or_else(String::new, |file| words::shown(&file.name))
}

/// To its row, where there is one.
fn link(cited: &[CitedPacket], id: PacketId) -> Markup {
    let is_there = cited.binary_search_by_key(&id, |packet| packet.id).is_ok();
    html! {
        @if is_there { a href=(format!("#{}", anchor(id))) { (id.number()) } } @else { (id.number()) }
    }
}

/// The fragment identifier of a packet.
pub(super) fn anchor(id: PacketId) -> String {
    format!("p{}-{}", id.file(), id.number())
}

fn when(analysis: &Analysis, finding: &Finding) -> String {
    let since_start = |time: Option<Timestamp>| {
        let elapsed = time?.duration_since(analysis.report.first?);
        Some(elapsed.as_secs_f64())
    };
    match (since_start(finding.since), since_start(finding.until)) {
        (Some(since), Some(until)) if until - since >= 0.0005 => {
            format!("; from {since:.3} s to {until:.3} s")
        }
        (Some(since), _) => format!("; at {since:.3} s"),
        _ => String::new(),
    }
}
