//! Suricata: its alerts, from the lines of `eve.json`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::IpAddr,
    path::Path,
};

use capture_analysis::{Finding, PacketId, Severity, rules::engine::SURICATA};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    alerts::{Alert, Alerts, Flow, Source, protocol},
    error::Error,
    launch::{Launcher, MOST_OUTPUT, regular, shown, text},
    program::Program,
};
use crate::engine_report::EngineReport;

/// Most bytes of a line of `eve.json`.
const MOST_LINE: u64 = 1 << 20;

/// The configuration of this machine, for its variables and rules; of its outputs alerts are enough.
const INSTALLED: &str = "/etc/suricata/suricata.yaml";
const CONFIGURATION: &str = "\
%YAML 1.1
---
include: /etc/suricata/suricata.yaml
outputs:
  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, types: [alert]}
stats: {enabled: no}
unix-command: {enabled: no}
";

/// Its version.
pub(super) fn about(launcher: &mut Launcher, program: &Program) -> Result<String, Error> {
    let ended = launcher.run(program, vec!["-V".to_owned()], &[])?;
    let after = ended.said.split_once("Suricata version ");
    let version = after.and_then(|(_, after)| after.split_whitespace().next());
    match version {
        Some(version) => Ok(shown(version)),
        None => {
            ended.well(program)?;
            Err(ended.error(program, "does not say its version"))
        }
    }
}

/// Has it look at the files, one after the other.
pub(super) fn run(
    launcher: &mut Launcher,
    program: &Program,
    version: &str,
    rules: Option<&Path>,
) -> (EngineReport, Vec<Finding>) {
    let mut report = EngineReport {
        name: program.kind.name(),
        version: version.to_owned(),
        rules: None,
        alerts: 0,
        note: None,
        error: None,
    };
    let mut alerts = Alerts::default();
    let files = launcher.scratch.files.clone();
    for (index, file) in files.iter().enumerate() {
        let place = (files.len() > 1).then(|| u16::try_from(index).unwrap_or(u16::MAX));
        if let Err(error) = look(
            launcher,
            program,
            (file, place),
            rules,
            &mut report,
            &mut alerts,
        ) {
            report.error = Some(error.to_string());
            break;
        }
    }
    report.alerts = alerts.count;
    if report.error.is_none() && report.rules == Some(0) {
        let words = "there are no rules, so that it finds nothing; `suricata-update` installs some, `--engine-rules` names a file";
        report.note = Some(words.to_owned());
    }
    if alerts.left_out > 0 {
        report.note = Some(format!(
            "{} alerts are left out, as there are too many",
            alerts.left_out
        ));
    }
    let source = Source {
        rule: &SURICATA,
        engine: &format!("Suricata {version}"),
        unit: "alert",
    };
    (report, alerts.findings(&source))
}

fn look(
    launcher: &mut Launcher,
    program: &Program,
    (file, place): (&Path, Option<u16>),
    rules: Option<&Path>,
    report: &mut EngineReport,
    alerts: &mut Alerts,
) -> Result<(), Error> {
    let configuration = launcher.scratch.path().join("suricata.yaml");
    let out = launcher.scratch.out();
    let mut arguments: Vec<String> = Vec::new();
    if Path::new(INSTALLED).exists() {
        fs::write(&configuration, CONFIGURATION).map_err(Error::Scratch)?;
        arguments.extend(["-c".to_owned(), configuration.display().to_string()]);
    }
    let (file, out_text) = (file.display().to_string(), out.display().to_string());
    // Captures of the sender have checksums that its card fills in later.
    arguments.extend(["-r", &file, "-k", "none", "-l", &out_text].map(str::to_owned));
    let mut read = Vec::new();
    if let Some(rules) = rules {
        arguments.extend(["-S".to_owned(), rules.display().to_string()]);
        read.push(rules);
    }
    let ended = launcher.run(program, arguments, &read)?;
    ended.well(program)?;
    let log = text(&out.join("suricata.log"), 1 << 20).unwrap_or_default();
    let said = format!("{}\n{log}", ended.said);
    let (loaded, refused) = rules_of(&said);
    report.rules = Some(loaded);
    if refused > 0 {
        report.note = Some(format!(
            "it refused {refused} of {} rules",
            loaded + refused
        ));
    }
    // It ends with 0 as well where it could not read the file.
    if !said.contains("read 1 file") {
        return Err(ended.error(program, "did not read the file"));
    }
    let unclear = read_alerts(&out.join("eve.json"), place, alerts)?;
    if unclear > 0 {
        return Err(Error::Ended {
            program: program.name(),
            how: format!("wrote {unclear} lines that are no alerts as it makes them"),
        });
    }
    Ok(())
}

/// How many rules it loaded and refused, of "1 rule files processed. 1 rules successfully loaded, 1 rules failed".
fn rules_of(said: &str) -> (u64, u64) {
    let number = |line: &str, words: &str| -> Option<u64> {
        let (before, _) = line.split_once(words)?;
        before.trim_end().rsplit(' ').next()?.parse().ok()
    };
    let mut lines = said.lines();
    let found = lines.find_map(|line| {
        let loaded = number(line, "rules successfully loaded")?;
        Some((loaded, number(line, "rules failed").unwrap_or(0)))
    });
    found.unwrap_or((0, 0))
}

/// Reads alerts, and says how many lines make no sense.
fn read_alerts(path: &Path, place: Option<u16>, alerts: &mut Alerts) -> Result<u64, Error> {
    let file = match regular(path) {
        Ok(file) => file,
        // Without rules there may be none.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(Error::Scratch(error)),
    };
    let mut reader = BufReader::new(file.take(MOST_OUTPUT));
    let mut line = Vec::new();
    let mut unclear = 0;
    loop {
        line.clear();
        let count = reader.by_ref().take(MOST_LINE).read_until(b'\n', &mut line);
        if count.map_err(Error::Scratch)? == 0 {
            return Ok(unclear);
        }
        match serde_json::from_slice::<Line>(&line) {
            Ok(line) if line.event_type != "alert" => {}
            Ok(Line { alert: None, .. }) | Err(_) => unclear += 1,
            Ok(line) => alerts.add(line.into_alert(place)),
        }
    }
}

/// A line of `eve.json`, as far as it is used.
#[derive(Deserialize)]
struct Line {
    event_type: String,
    timestamp: Option<String>,
    pcap_cnt: Option<u64>,
    src_ip: Option<IpAddr>,
    dest_ip: Option<IpAddr>,
    src_port: Option<u16>,
    dest_port: Option<u16>,
    proto: Option<String>,
    alert: Option<Rule>,
    flow: Option<FlowOf>,
}

#[derive(Default, Deserialize)]
struct Rule {
    #[serde(default)]
    gid: u64,
    #[serde(default)]
    signature_id: u64,
    #[serde(default)]
    rev: u64,
    #[serde(default)]
    signature: String,
    severity: Option<u64>,
}

#[derive(Deserialize)]
struct FlowOf {
    src_ip: Option<IpAddr>,
    dest_ip: Option<IpAddr>,
    src_port: Option<u16>,
    dest_port: Option<u16>,
}

impl Line {
    fn into_alert(self, place: Option<u16>) -> Alert {
        let flow = self.flow();
        let rule = self.alert.unwrap_or_default();
        let moment = self.timestamp.and_then(|text| {
            let time = Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?;
            u64::try_from(time.as_nanosecond()).ok()
        });
        let number = self.pcap_cnt.filter(|number| *number > 0);
        let packet = number.map(|number| match place {
            None => PacketId::Number(number),
            Some(file) => PacketId::OfFile { file, number },
        });
        Alert {
            id: format!("{}:{}:{}", rule.gid, rule.signature_id, rule.rev),
            text: format!(
                "“{}” ({}:{}:{})",
                shown(&rule.signature),
                rule.gid,
                rule.signature_id,
                rule.rev
            ),
            severity: match rule.severity {
                Some(1) => Severity::High,
                Some(2) => Severity::Warn,
                _ => Severity::Info,
            },
            flow,
            since_ns: moment,
            until_ns: moment,
            number: packet.map_or(0, PacketId::packed),
        }
    }

    /// Whoever opened the flow is the client, also where the alert is about an answer.
    fn flow(&self) -> Option<Flow> {
        let of = self.flow.as_ref();
        let of_flow = of.and_then(|of| Some((of.src_ip?, of.dest_ip?, of.src_port, of.dest_port)));
        let of_packet = || Some((self.src_ip?, self.dest_ip?, self.src_port, self.dest_port));
        let (client, server, client_port, server_port) = of_flow.or_else(of_packet)?;
        Some(Flow {
            client,
            server,
            client_port: client_port.unwrap_or(0),
            server_port: server_port.unwrap_or(0),
            protocol: self.proto.as_deref().and_then(protocol),
        })
    }
}
