//! `task findings`: what the daemon has found in the packets of a task, as text of 80 columns.

use std::borrow::Cow;

use capture_task::{count_text, printable};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::super::{
    args::{OneTask, OutputForm},
    client::{Meant, block_on, find},
    print,
};
use crate::{
    error::{Error, Result},
    exit::Exit,
};

const WIDTH: usize = 80;

/// What is shown of a report. A later daemon may say more.
#[derive(Debug, Deserialize)]
pub(super) struct Report<'a> {
    state: Cow<'a, str>,
    packets: u64,
    skipped: Vec<Skipped>,
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Skipped {
    packets: u64,
}

#[derive(Debug, Deserialize)]
struct Finding {
    code: String,
    severity: String,
    summary: String,
    packets: Vec<Value>,
    check: String,
}

/// Prints the findings of a task.
pub(super) fn show(args: OneTask) -> Result<Exit> {
    let OneTask { task, form, socket } = args;
    let client = socket.client()?;
    let report: Box<RawValue> = block_on(async {
        let id = find(&client, &task, Meant::Newest).await?;
        Ok(client.get(&format!("/tasks/{id}/findings")).await?)
    })?;
    match form.output {
        OutputForm::Json => print(format!("{report}\n").as_bytes())?,
        OutputForm::Table => {
            let report: Report<'_> = serde_json::from_str(report.get()).map_err(|error| {
                Error::runtime(format!(
                    "the findings are not as those of this version are: {error}"
                ))
            })?;
            print(text(&report).as_bytes())?;
        }
    }
    Ok(Exit::Ok)
}

/// How many findings of which severity there are, in a line.
pub(super) fn verdict(report: &Report<'_>) -> String {
    let count = |severity: &str| {
        let findings = report.findings.iter();
        findings.filter(|it| it.severity == severity).count()
    };
    let parts = ["high", "warn", "info"].map(|severity| (count(severity), severity));
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, severity)| format!("{count} {severity}"))
        .collect();
    let found = match parts.as_slice() {
        [] => "nothing found".to_owned(),
        parts => format!("found: {}", parts.join(", ")),
    };
    match &*report.state {
        "live" => format!("{found} so far"),
        _ => found,
    }
}

fn text(report: &Report<'_>) -> String {
    let mut text = format!(
        "{}, in {} packets\n",
        verdict(report),
        count_text(report.packets)
    );
    let skipped: u64 = report.skipped.iter().map(|it| it.packets).sum();
    if skipped > 0 {
        text.push_str(&format!(
            "{} more packets came too fast, and are looked at when the task has ended\n",
            count_text(skipped)
        ));
    }
    for finding in &report.findings {
        let severity = match finding.severity.as_str() {
            "info" => "info".to_owned(),
            other => printable(&other.to_uppercase()),
        };
        text.push_str(&format!("\n{severity}  {}\n", printable(&finding.code)));
        push(&mut text, &printable(&finding.summary));
        let packets: Vec<_> = finding.packets.iter().map(packet).collect();
        if !packets.is_empty() {
            push(&mut text, &format!("packets {}", packets.join(" ")));
        }
        if !finding.check.is_empty() {
            // Not wrapped: it is to be copied.
            text.push_str(&format!("      filter: {}\n", printable(&finding.check)));
        }
    }
    text
}

/// A packet by its number, behind the number of its file where there are several.
fn packet(packet: &Value) -> String {
    match (packet.get("file"), packet.get("number")) {
        (Some(file), Some(number)) => format!("{file}:{number}"),
        _ => printable(&packet.to_string()),
    }
}

fn push(text: &mut String, paragraph: &str) {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent("      ")
        .subsequent_indent("      ")
        .break_words(false);
    text.push_str(&textwrap::fill(paragraph, options));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_first_and_nothing_that_harms_a_terminal() {
        let report = r#"{"state": "live", "packets": 1234, "skipped": [{"since": 1, "until": 2, "packets": 7}],
            "findings": [{"code": "tcp.loss", "severity": "high", "summary": "a\u001b[31m", "packets": [3, {"file": 1, "number": 9}],
            "check": "tcp", "count": 4}, {"code": "capture.cut", "severity": "info", "summary": "b", "packets": [], "check": ""}]}"#;
        let report: Report<'_> = serde_json::from_str(report).expect("a report");
        let wanted = "found: 1 high, 1 info so far, in 1,234 packets\n\
            7 more packets came too fast, and are looked at when the task has ended\n\n\
            HIGH  tcp.loss\n      a\\u{1b}[31m\n      packets 3 1:9\n      filter: tcp\n\n\
            info  capture.cut\n      b\n";
        assert_eq!(text(&report), wanted);
    }
}
