//! Who talked to whom, by which protocol, and the packets that findings cite.

use std::net::SocketAddr;

use capture_analysis::{Address, Conversation, DnsReport, HostVolume, ProtocolVolume, TlsReport};
use maud::{Markup, html};

use super::{findings, words};
use crate::{analysis::Analysis, cited::CitedPacket};

/// Rows of a table; JSON has more.
const MOST_ROWS: usize = 25;

/// A table that scrolls in its own place where there is no room for it.
fn table(title: &str, rows: usize, head: Markup, body: Markup) -> Markup {
    html! {
        section {
            h2 { (title) }
            div.scroll tabindex="0" role="region" aria-label=(title) {
                table {
                    thead { tr { (head) } }
                    tbody { (body) }
                }
            }
            @if rows > MOST_ROWS {
                p.faint { "The first " (MOST_ROWS) " of " (words::count(rows as u64)) "." }
            }
        }
    }
}

pub(super) fn conversations(conversations: &[Conversation]) -> Markup {
    if conversations.is_empty() {
        return html! {};
    }
    let head = html! {
        th { "Protocol" } th { "Client" } th { "Server" }
        th.number { "Sent" } th.number { "Received" } th.number { "Packets" }
        th.number { "Duration" } th.number { "Round trip" } th.number { "Resent" }
    };
    let body = html! {
        @for it in conversations.iter().take(MOST_ROWS) {
            tr {
                td { (it.protocol) }
                td { (end(it.client, it.client_port)) }
                td { (end(it.server, it.server_port)) }
                td.number { (words::bytes(it.bytes[0])) }
                td.number { (words::bytes(it.bytes[1])) }
                td.number { (words::count(it.packets[0] + it.packets[1])) }
                td.number { (words::seconds(it.duration)) }
                @let rtt = it.tcp.as_ref().and_then(|tcp| tcp.rtt_us);
                td.number { @if let Some(rtt) = rtt { (words::microseconds(rtt.p50)) } }
                td.number { @if let Some(tcp) = &it.tcp { (words::count(tcp.retransmissions)) } }
            }
        }
    };
    table("Conversations", conversations.len(), head, body)
}

pub(super) fn hosts(hosts: &[HostVolume]) -> Markup {
    if hosts.is_empty() {
        return html! {};
    }
    let head = html! {
        th { "Address" } th.number { "Sent" } th.number { "Received" }
        th.number { "Packets sent" } th.number { "Packets received" } th.number { "Conversations" }
    };
    let body = html! {
        @for host in hosts.iter().take(MOST_ROWS) {
            tr {
                td { (host.address) }
                td.number { (words::bytes(host.bytes_out)) }
                td.number { (words::bytes(host.bytes_in)) }
                td.number { (words::count(host.packets_out)) }
                td.number { (words::count(host.packets_in)) }
                td.number { (words::count(host.conversations)) }
            }
        }
    };
    table("Hosts", hosts.len(), head, body)
}

pub(super) fn protocols(protocols: &[ProtocolVolume]) -> Markup {
    if protocols.is_empty() {
        return html! {};
    }
    let carriers = protocols.iter().filter(|it| !it.path.contains(':'));
    let all: u64 = carriers.map(|it| it.packets).sum();
    let head = html! {
        th { "Protocol" } th.number { "Packets" } th.number { "Share" } th.number { "Bytes" }
    };
    let body = html! {
        @for it in protocols.iter().take(MOST_ROWS) {
            @let depth = it.path.matches(':').count();
            @let name = it.path.rsplit(':').next().unwrap_or_default();
            tr {
                td class=(format!("depth-{depth}")) { (words::shown(name)) }
                td.number { (words::count(it.packets)) }
                td.number { (format!("{:.1} %", it.packets as f64 * 100.0 / all.max(1) as f64)) }
                td.number { (words::bytes(it.bytes)) }
            }
        }
    };
    table("Protocols", protocols.len(), head, body)
}

pub(super) fn dns(dns: &DnsReport) -> Markup {
    let head = html! { th { "Name" } th.number { "Queries" } };
    let body = html! {
        @for it in dns.names.iter().take(MOST_ROWS) {
            tr {
                td.wide { (words::shown(&it.name)) }
                td.number { (words::count(it.queries)) }
            }
        }
    };
    html! {
        (table("DNS", dns.names.len(), head, body))
        p.faint {
            (words::count(dns.queries)) " queries, " (words::count(dns.answers)) " answers"
            @if let Some(latency) = dns.latency_us {
                ", half of them within " (words::microseconds(latency.p50))
                ", 95 % within " (words::microseconds(latency.p95))
            }
            @for (code, count) in &dns.codes { ", " (words::count(*count)) " " (code) }
            "."
        }
    }
}

pub(super) fn tls(tls: &TlsReport) -> Markup {
    let head = html! { th { "Server name" } th.number { "Connections" } };
    let body = html! {
        @for it in tls.names.iter().take(MOST_ROWS) {
            tr {
                td.wide { (words::shown(&it.name)) }
                td.number { (words::count(it.connections)) }
            }
        }
    };
    html! {
        (table("TLS", tls.names.len(), head, body))
        p.faint {
            (words::count(tls.connections)) " connections"
            @if tls.over_quic > 0 { ", " (words::count(tls.over_quic)) " of them over QUIC" }
            @for (version, count) in &tls.versions { ", " (words::count(*count)) " " (version) }
            "."
        }
    }
}

/// All of them: findings link to their rows.
pub(super) fn cited(analysis: &Analysis, cited: &[CitedPacket]) -> Markup {
    if cited.is_empty() {
        return html! {};
    }
    let has_files = analysis.files.len() > 1;
    html! {
        section {
            h2 { "Packets cited" }
            div.scroll tabindex="0" role="region" aria-label="Packets cited" {
                table {
                    thead {
                        tr {
                            th.number { "Number" }
                            @if has_files { th { "File" } }
                            th.number { "Time" } th { "Source" } th { "Destination" }
                            th { "Protocol" } th.number { "Length" } th { "What it is" }
                        }
                    }
                    tbody {
                        @for packet in cited {
                            tr id=(findings::anchor(packet.id)) {
                                td.number { (packet.id.number()) }
                                @if has_files { td { (findings::file_name(analysis, packet.id)) } }
                                td.number { (since_start(analysis, packet)) }
                                td { (words::shown(&packet.source)) }
                                td { (words::shown(&packet.destination)) }
                                td { (words::shown(&packet.protocol)) }
                                td.number { (packet.original_len) }
                                td { (words::shown(&packet.info)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn since_start(analysis: &Analysis, packet: &CitedPacket) -> String {
    let first = analysis.report.first.zip(packet.time);
    let elapsed = first.map(|(first, time)| time.duration_since(first).as_secs_f64());
    elapsed.map_or_else(String::new, |elapsed| format!("{elapsed:.6}"))
}

fn end(address: Address, port: u16) -> String {
    match port {
        0 => address.to_string(),
        port => SocketAddr::new(address.ip(), port).to_string(),
    }
}
