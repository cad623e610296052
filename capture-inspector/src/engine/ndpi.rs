//! nDPI: the risks of flows, from the text of `ndpiReader -v 2`, which is there in all versions; JSON came after 4.2.
//! Names out of packets, even passwords, are on the same lines, and so only risks that the engine lists itself are taken,
//! and nothing else is.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use capture_analysis::{Finding, Severity, rules::engine::NDPI};

use super::{
    alerts::{Alert, Alerts, Flow, Source, protocol},
    error::Error,
    launch::{Launcher, MOST_OUTPUT, shown, text},
    program::Program,
};
use crate::engine_report::EngineReport;

/// Risks as they are called there.
type Risks = BTreeMap<String, Severity>;

/// What it says about itself: its version and its risks.
pub(super) fn about(launcher: &mut Launcher, program: &Program) -> Result<String, Error> {
    // Some versions end otherwise than with 0 after their help.
    let ended = launcher.run(program, vec!["-h".to_owned()], &[])?;
    match (version(&ended.said), risks(&ended.said).is_empty()) {
        (Some(_), false) => Ok(ended.said),
        _ => {
            ended.well(program)?;
            Err(ended.error(program, "does not say its version and its risks"))
        }
    }
}

/// Has it look at the files, one after the other.
pub(super) fn run(
    launcher: &mut Launcher,
    program: &Program,
    about: &str,
) -> (EngineReport, Vec<Finding>) {
    let version = version(about).unwrap_or_default();
    let risks = risks(about);
    let mut report = EngineReport {
        name: program.kind.name(),
        version: version.clone(),
        rules: None,
        alerts: 0,
        note: None,
        error: None,
    };
    let mut alerts = Alerts::default();
    for file in launcher.scratch.files.clone() {
        if let Err(error) = look(launcher, program, &file, &risks, &mut alerts) {
            report.error = Some(error.to_string());
            break;
        }
    }
    report.alerts = alerts.count;
    if alerts.left_out > 0 {
        let words = format!(
            "{} risks are left out, as there are too many",
            alerts.left_out
        );
        report.note = Some(words);
    }
    let source = Source {
        rule: &NDPI,
        engine: &format!("nDPI {version}"),
        unit: "flow",
    };
    (report, alerts.findings(&source))
}

fn look(
    launcher: &mut Launcher,
    program: &Program,
    file: &Path,
    risks: &Risks,
    alerts: &mut Alerts,
) -> Result<(), Error> {
    let out = launcher.scratch.out();
    let (flows, times) = (out.join("flows.txt"), out.join("flows.csv"));
    let paths = [file, &flows, &times].map(|path| path.display().to_string());
    let [file, flows_text, times_text] = &paths;
    let arguments = [
        "-q", "-v", "2", "-i", file, "-w", flows_text, "-C", times_text,
    ];
    let ended = launcher.run(program, arguments.map(str::to_owned).to_vec(), &[])?;
    ended.well(program)?;
    let Ok(lines) = text(&flows, MOST_OUTPUT) else {
        return Err(ended.error(program, "wrote no list of flows"));
    };
    let times = times_of(&text(&times, MOST_OUTPUT).unwrap_or_default());
    for line in lines.lines() {
        let Some((flow, found)) = risks_of(line, risks) else {
            continue;
        };
        let during = times.get(&flow);
        for (name, severity) in found {
            alerts.add(Alert {
                id: shown(name),
                text: shown(name),
                severity,
                flow: Some(flow),
                since_ns: during.map(|(since, _)| *since),
                until_ns: during.map(|(_, until)| *until),
                number: 0,
            });
        }
    }
    Ok(())
}

/// Of "Welcome to nDPI 4.2.0".
fn version(about: &str) -> Option<String> {
    let (_, after) = about.split_once("Welcome to nDPI ")?;
    after.split_whitespace().next().map(shown)
}

/// The list at the end of its help: number, name, severity, scores.
fn risks(about: &str) -> Risks {
    let Some((_, list)) = about.split_once("nDPI supported risks:") else {
        return Risks::new();
    };
    list.lines().filter_map(risk).take(1024).collect()
}

fn risk(line: &str) -> Option<(String, Severity)> {
    let (number, rest) = line.trim().split_once(' ')?;
    number.parse::<u16>().ok()?;
    let words = ["Low", "Medium", "High", "Severe", "Critical", "Emergency"];
    let (at, word) = words
        .iter()
        .filter_map(|word| Some((rest.rfind(&format!(" {word} "))?, *word)))
        .max()?;
    let severity = match word {
        "Low" | "Medium" => Severity::Info,
        "High" => Severity::Warn,
        _ => Severity::High,
    };
    Some((rest[..at].trim().to_owned(), severity))
}

/// The flow of a line, and the risks in it, of
/// `1 TCP 10.0.0.1:50003 <-> 10.0.0.2:21 [proto: 1/FTP_CONTROL]…[Risk: ** A **** B **][Risk Score: 100]…`.
fn risks_of<'l>(line: &'l str, known: &Risks) -> Option<(Flow, Vec<(&'l str, Severity)>)> {
    let (_, after) = line.rsplit_once("[Risk: ")?;
    let (names, _) = after.split_once(']')?;
    let mut words = line.split_whitespace();
    words.next()?.parse::<u64>().ok()?;
    let protocol = protocol(words.next()?);
    let (client, client_port) = end(words.next()?)?;
    if !["<->", "->", "<-"].contains(&words.next()?) {
        return None;
    }
    let (server, server_port) = end(words.next()?)?;
    let names = names.split("**").map(str::trim);
    let found: Vec<_> = names
        .filter_map(|name| Some((name, *known.get(name)?)))
        .take(64)
        .collect();
    let flow = Flow {
        client,
        server,
        client_port,
        server_port,
        protocol,
    };
    Some((flow, found))
}

/// `10.0.0.1:80`, `[2001:db8::1]:80`.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    Some((address.parse().ok()?, port.parse().ok()?))
}

/// First and last packet of each flow: `id,protocol,first_seen,last_seen,duration,src_ip,src_port,dst_ip,dst_port,…`.
fn times_of(table: &str) -> BTreeMap<Flow, (u64, u64)> {
    table.lines().filter_map(times_of_line).collect()
}

fn times_of_line(line: &str) -> Option<(Flow, (u64, u64))> {
    let parts: Vec<_> = line.splitn(10, ',').collect();
    let &[
        _,
        protocol,
        first,
        last,
        _,
        client,
        client_port,
        server,
        server_port,
        _,
    ] = parts.as_slice()
    else {
        return None;
    };
    let flow = Flow {
        client: client.parse().ok()?,
        server: server.parse().ok()?,
        client_port: client_port.parse().ok()?,
        server_port: server_port.parse().ok()?,
        protocol: match protocol {
            "1" | "58" => Some("icmp"),
            "6" => Some("tcp"),
            "17" => Some("udp"),
            "132" => Some("sctp"),
            _ => None,
        },
    };
    Some((flow, (nanoseconds(first)?, nanoseconds(last)?)))
}

/// Of seconds with three places.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, milliseconds) = text.split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let milliseconds: u64 = milliseconds.get(..3)?.parse().ok()?;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(milliseconds * 1_000_000)
}
