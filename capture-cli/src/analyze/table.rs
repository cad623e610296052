//! The answer as text of 80 columns: what the capture is and whether it is complete, findings with the worst first, figures.

use capture_analysis::{Finding, Report, Severity, TcpFigures, TcpTotal};
use capture_inspector::{Analysis, AnalyzedFile, Comparison, EngineReport};
use capture_task::{bytes_text, count_text, printable};
use textwrap::{WordSeparator, WordSplitter};

const WIDTH: usize = 80;

/// Findings that are shown; JSON has all.
const MOST: usize = 20;

/// Files that are named.
const MOST_FILES: usize = 8;

/// The text, with colours where a terminal shows it.
pub(super) fn text(analysis: &Analysis, color: bool) -> String {
    let Analysis {
        files,
        report,
        engines,
        comparison,
    } = analysis;
    let mut text = String::new();
    push(&mut text, "", &verdict(&report.findings));
    push_files(&mut text, files);
    push(&mut text, "", &extent(report));
    push(&mut text, "", completeness(report));
    for finding in report.findings.iter().take(MOST) {
        text.push('\n');
        push_finding(&mut text, finding, analysis, color);
    }
    if report.findings.len() > MOST {
        let more = report.findings.len() - MOST;
        let line = format!("and {more} more findings; `-o json` has all");
        text.push('\n');
        push(&mut text, "", &line);
    }
    if let Some(comparison) = comparison {
        push_comparison(&mut text, comparison);
    }
    push_engines(&mut text, engines);
    text.push_str(&figures(report));
    text
}

/// What differs from the other capture. New findings are marked above.
fn push_comparison(text: &mut String, comparison: &Comparison) {
    let Comparison {
        baseline,
        new,
        gone,
        changed,
    } = comparison;
    let name = match baseline.files.as_slice() {
        [file] => printable(&file.name),
        files => format!("{} files", files.len()),
    };
    text.push('\n');
    push(text, "", &format!("compared with {name}:"));
    let is_equal = new.is_empty() && gone.is_empty() && changed.is_empty();
    if is_equal {
        push(text, "  ", "no differences");
    }
    if !new.is_empty() {
        let line = format!("{}, marked above", several(new.len() as u64, "finding"));
        wrap(text, "  new     ", "          ", &line);
    }
    for finding in gone.iter().take(MOST) {
        let line = format!("{}: {}", finding.code, printable(&finding.summary));
        wrap(text, "  gone    ", "          ", &line);
    }
    if gone.len() > MOST {
        let more = gone.len() - MOST;
        push(
            text,
            "          ",
            &format!("and {more} more; `-o json` has all"),
        );
    }
    for change in changed.iter().take(MOST) {
        wrap(
            text,
            "  changed ",
            "          ",
            &printable(&change.summary),
        );
    }
}

/// The engines of others, and what each did.
fn push_engines(text: &mut String, engines: &[EngineReport]) {
    for engine in engines {
        text.push('\n');
        push(text, "", &engine.sentence());
    }
}

/// The names, one on a line, and what is wrong with files. Of very many the first ones.
fn push_files(text: &mut String, files: &[AnalyzedFile]) {
    for (index, file) in files.iter().enumerate() {
        if index < MOST_FILES || file.damage.is_some() {
            text.push_str(&format!("{}\n", printable(&file.name)));
        }
        if let Some(damage) = &file.damage {
            let word = if file.packets == 0 {
                "LEFT OUT"
            } else {
                "DAMAGED"
            };
            push(text, "", &format!("{word}: {}", printable(damage)));
        }
    }
    if files.len() > MOST_FILES {
        let line = format!("{} files in all, merged by time", files.len());
        push(text, "", &line);
    }
}

/// How much, and from when on.
fn extent(report: &Report) -> String {
    let mut line = format!(
        "{}, {}",
        several(report.packets, "packet"),
        bytes_text(report.bytes)
    );
    if let Some(first) = report.first {
        line.push_str(&format!(
            ", {} from {}",
            seconds_text(report.duration),
            first.strftime("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    line
}

fn completeness(report: &Report) -> &'static str {
    match report.complete {
        Some(true) => "complete: the capture lost nothing",
        Some(false) => "NOT complete: the capture itself lost packets",
        None => "not known whether the capture itself lost packets",
    }
}

/// How many of which severity, in one sentence.
fn verdict(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|it| it.severity == severity).count();
    let parts = [
        (count(Severity::High), "high"),
        (count(Severity::Warn), "warn"),
        (count(Severity::Info), "info"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match parts.as_slice() {
        [] => "nothing found".to_owned(),
        parts => format!("found: {}", parts.join(", ")),
    }
}

fn push_finding(text: &mut String, finding: &Finding, analysis: &Analysis, color: bool) {
    let (word, code) = match finding.severity {
        Severity::High => ("HIGH", "31"),
        Severity::Warn => ("WARN", "33"),
        Severity::Info => ("info", "36"),
    };
    let word = match color {
        true => format!("\x1b[1;{code}m{word}\x1b[0m"),
        false => word.to_owned(),
    };
    let comparison = analysis.comparison.as_ref();
    let is_new = comparison.is_some_and(|comparison| comparison.is_new(finding));
    let new = if is_new { "  NEW" } else { "" };
    text.push_str(&format!("{word}  {}{new}\n", finding.code));
    const INDENT: &str = "      ";
    push(text, INDENT, &printable(&finding.summary));
    push(text, INDENT, &evidence(finding, analysis));
    if !finding.alternatives.is_empty() {
        let line = format!("could also be: {}", finding.alternatives.join("; "));
        push(text, INDENT, &line);
    }
    if !finding.check.is_empty() {
        // Not wrapped: it is to be copied.
        text.push_str(&format!("{INDENT}filter: {}\n", printable(&finding.check)));
    }
}

/// Which packets, and when, counted from the first packet as Wireshark does.
fn evidence(finding: &Finding, analysis: &Analysis) -> String {
    let Analysis { files, report, .. } = analysis;
    let mut line = cited(finding, files);
    if line.is_empty() {
        line = several(finding.count, "time");
    }
    let since_start = |time: Option<jiff::Timestamp>| {
        let elapsed = time?.duration_since(report.first?);
        Some(elapsed.as_secs_f64())
    };
    match (since_start(finding.since), since_start(finding.until)) {
        (Some(since), Some(until)) if until - since >= 0.0005 => {
            line.push_str(&format!(", from {since:.3} s to {until:.3} s"));
        }
        (Some(since), _) => line.push_str(&format!(", at {since:.3} s")),
        _ => {}
    }
    line
}

/// The numbers of the packets; of several files, those of each file and its name.
fn cited(finding: &Finding, files: &[AnalyzedFile]) -> String {
    let cited: Vec<_> = finding.packets.cited().collect();
    let parts = cited.chunk_by(|one, other| one.file() == other.file());
    let parts = parts.map(|part| {
        let numbers: Vec<_> = part.iter().map(|id| id.number().to_string()).collect();
        let word = if part.len() == 1 { "packet" } else { "packets" };
        let of_file = match files {
            [_] => String::new(),
            files => {
                let name = files.get(part[0].file()).map_or("?", |file| &file.name);
                format!(" of {}", printable(name))
            }
        };
        format!("{word} {}{of_file}", numbers.join(" "))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// The figures behind the findings.
fn figures(report: &Report) -> String {
    let mut rows = Vec::new();
    if let Some(TcpTotal { bytes, figures }) = &report.tcp {
        rows.push((
            "TCP",
            format!(
                "{}, {}",
                several(figures.segments, "segment"),
                bytes_text(*bytes)
            ),
        ));
        rows.push(("resent", resent(figures)));
        if let Some(rtt) = figures.rtt_us {
            let [min, p50, p95] = [rtt.min, rtt.p50, rtt.p95].map(microseconds_text);
            let line = format!("least {min}, median {p50}, 95 % within {p95}");
            rows.push(("round trip", line));
        }
    }
    let mut label = "talks most";
    for conversation in report.conversations.iter().take(3) {
        let [sent, received] = conversation.bytes;
        rows.push((
            std::mem::take(&mut label),
            format!(
                "{} {} to {}: {} sent, {} received",
                conversation.protocol,
                end(conversation.client.ip(), conversation.client_port),
                end(conversation.server.ip(), conversation.server_port),
                bytes_text(sent),
                bytes_text(received)
            ),
        ));
    }
    let mut text = String::new();
    for (label, value) in rows {
        if text.is_empty() {
            text.push('\n');
        }
        push_labelled(&mut text, label, &value);
    }
    text
}

/// Segments that were sent again, by cause, and what the network did to others; what did not happen is left out.
fn resent(figures: &TcpFigures) -> String {
    let parts = [
        (figures.fast_retransmissions, "fast"),
        (figures.timeouts, "by timeout"),
        (figures.spurious_retransmissions, "spurious"),
        (figures.reordered, "reordered"),
        (figures.network_duplicates, "doubled by the network"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts
        .map(|(count, what)| format!("{} {what}", count_text(count)))
        .collect();
    match (figures.retransmissions, parts.as_slice()) {
        (0, []) => "none".to_owned(),
        (count, []) => several(count, "segment"),
        (count, parts) => format!("{}: {}", several(count, "segment"), parts.join(", ")),
    }
}

fn microseconds_text(us: u64) -> String {
    match us {
        us if us < 1000 => format!("{us} µs"),
        us => format!("{:.1} ms", us as f64 / 1000.0),
    }
}

fn end(ip: std::net::IpAddr, port: u16) -> String {
    match (ip, port) {
        (_, 0) => ip.to_string(),
        _ => std::net::SocketAddr::new(ip, port).to_string(),
    }
}

/// `1 packet`, `1,200 packets`.
fn several(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{} {one}s", count_text(count)),
    }
}

fn seconds_text(seconds: f64) -> String {
    match seconds {
        short if short < 10.0 => format!("{short:.3} s"),
        long => format!("{long:.0} s"),
    }
}

fn push(text: &mut String, indent: &str, paragraph: &str) {
    wrap(text, indent, indent, paragraph);
}

fn push_labelled(text: &mut String, label: &str, value: &str) {
    let first = format!("{label:<11} ");
    wrap(text, &first, "            ", value);
}

/// Between words only: an address or a date is one.
fn wrap(text: &mut String, first: &str, others: &str, paragraph: &str) {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(first)
        .subsequent_indent(others)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    text.push_str(&textwrap::fill(paragraph, options));
    text.push('\n');
}
