//! The answer as one HTML page that can be mailed: no script, nothing from elsewhere, light or dark as the reader has it.
//! Everything that a packet or a file may have chosen goes through `printable`, and is escaped by the template.

mod charts;
mod findings;
mod tables;
mod words;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{analysis::Analysis, cited::CitedPacket};

const STYLE: &str = include_str!("style.css");

/// No source at all, and of styles the one in the page: its SHA-256, which a test holds against the file.
const POLICY: &str = concat!(
    "default-src 'none'; base-uri 'none'; form-action 'none'; ",
    "style-src 'sha256-70ds22X1p/pWHawF7l5uImPV8823wR+2Uyo3tgX71nY='"
);

/// The page. `cited` are packets that findings cite, as far as they could be read again.
pub fn html(analysis: &Analysis, cited: &[CitedPacket]) -> String {
    let report = &analysis.report;
    let title = format!(
        "{} – {}",
        words::verdict(&report.findings),
        words::of_files(analysis)
    );
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { (head(analysis)) }
                main {
                    (findings::section(analysis, cited))
                    @if let Some(comparison) = &analysis.comparison { (findings::comparison(comparison)) }
                    @if let Some(series) = &report.series { (charts::section(series)) }
                    (tables::conversations(&report.conversations))
                    (tables::hosts(&report.hosts))
                    (tables::protocols(&report.protocols))
                    @if let Some(dns) = &report.dns { (tables::dns(dns)) }
                    @if let Some(tls) = &report.tls { (tables::tls(tls)) }
                    (tables::cited(analysis, cited))
                }
                footer {
                    "capture-agent " (env!("CARGO_PKG_VERSION")) ". Times are UTC, seconds count from the first packet. "
                    "Sizes are those on the wire."
                }
            }
        }
    };
    page.into_string()
}

/// What was found, and in what.
fn head(analysis: &Analysis) -> Markup {
    let report = &analysis.report;
    html! {
        h1 { (words::verdict(&report.findings)) }
        p class=(words::completeness_class(report.complete)) { (words::completeness(report.complete)) }
        dl.facts {
            dt { @if analysis.files.len() == 1 { "File" } @else { "Files" } }
            dd {
                @for file in analysis.files.iter().take(words::MOST_FILES) {
                    div { (words::shown(&file.name)) }
                }
                @if analysis.files.len() > words::MOST_FILES {
                    div { (analysis.files.len()) " files in all, merged by time" }
                }
                @for file in &analysis.files {
                    @if let Some(damage) = &file.damage {
                        div.bad { (words::shown(&file.name)) " is damaged: " (words::shown(damage)) }
                    }
                }
            }
            dt { "Packets" }
            dd { (words::count(report.packets)) ", " (words::bytes(report.bytes)) }
            @if let Some(first) = report.first {
                dt { "Time" }
                dd { (words::moment(first)) ", " (words::seconds(report.duration)) }
            }
            @if let Some(tcp) = &report.tcp {
                @let figures = &tcp.figures;
                dt { "TCP" }
                dd {
                    (words::count(figures.segments)) " segments, "
                    (words::count(figures.retransmissions)) " resent"
                    @if let Some(rtt) = figures.rtt_us {
                        ", round trip " (words::microseconds(rtt.p50)) " (95 % within " (words::microseconds(rtt.p95)) ")"
                    }
                }
            }
            @if !analysis.engines.is_empty() {
                dt { "Engines" }
                dd { @for engine in &analysis.engines { div { (engine.sentence()) } } }
            }
            @if report.evicted_flows > 0 {
                dt { "Flows" }
                dd { (words::count(report.evicted_flows)) " had to give way to others, so their figures end early" }
            }
        }
    }
}

#[cfg(test)]
mod tests;
