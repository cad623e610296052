//! Judges a machine's run: the checks that the guest made itself, from its console, then every
//! capture, by tshark on the host and by the agent's own summary. What comes before is
//! [`super::machine`].

use std::{
    fmt::{Display, Formatter},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::machine::{Ended, Machine};
use crate::command;

/// A check and how it came out.
pub(super) struct Check {
    name: String,
    /// Why it failed.
    fault: Option<String>,
}

impl Check {
    fn passed(name: String) -> Self {
        Self { name, fault: None }
    }

    /// A check that failed, and why.
    pub(super) fn failed(name: String, why: String) -> Self {
        Self {
            name,
            fault: Some(why),
        }
    }

    /// Whether it passed.
    pub(super) fn is_good(&self) -> bool {
        self.fault.is_none()
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match &self.fault {
            None => write!(f, "pass: {}", self.name),
            Some(why) => write!(f, "FAIL: {}: {why}", self.name),
        }
    }
}

/// What a capture of the guest must hold.
enum Expected {
    /// So many packets, which all pass this display filter.
    Packets(usize, &'static str),
    /// So many bytes of TCP payload from 10.77.0.2, and less than a kilobyte of HTTP header.
    Stream(usize),
}

/// The captures of every hook, as `HOOK-NAME`.
const BY_HOOK: &[(&str, Expected)] = &[
    ("icmp", Expected::Packets(22, "icmp || ip.frag_offset > 0")),
    (
        "icmp6",
        Expected::Packets(6, "icmpv6 && ipv6.addr == fd77::2"),
    ),
    (
        "udp",
        Expected::Packets(
            3,
            "udp.dstport >= 5000 && udp.dstport <= 5100 && ip.dst == 10.77.0.1",
        ),
    ),
    ("tcp", Expected::Stream(200_000)),
];

/// The hooks, by their names in tasks.
const HOOKS: &[&str] = &["tc", "xdp", "xdp-generic"];

/// The captures beside others' filters and after a kill.
const OTHERS: &[&str] = &["foreign", "foreign-qdisc", "second", "third", "after-kill"];

/// All checks of a run.
pub(super) fn judge(machine: &Machine, ended: Ended) -> Result<Vec<Check>> {
    let console = fs::read(machine.console())
        .with_context(|| format!("cannot read {}", machine.console().display()))?;
    let console = String::from_utf8_lossy(&console);
    let mut checks = guest_checks(&console);
    if !console.lines().any(|line| line.trim_end() == "check done") {
        let how = match ended {
            Ended::PoweredOff => "the guest ended early",
            Ended::TimedOut => "the guest did not end in time",
        };
        let tail: Vec<&str> = console.lines().rev().take(8).collect();
        let tail: Vec<&str> = tail.into_iter().rev().map(str::trim).collect();
        checks.push(Check::failed(
            "the whole run".to_owned(),
            format!("{how}; last on its console: {}", tail.join(" | ")),
        ));
        return Ok(checks);
    }
    let captures = machine.directory().join("results");
    fs::create_dir_all(&captures)?;
    command::run(
        Command::new("tar")
            .arg("-xf")
            .arg(machine.results())
            .arg("-C")
            .arg(&captures),
    )
    .context("the guest's results did not arrive whole")?;
    let mut judged = |name: &str, expected: &Expected| {
        checks.push(match capture(&captures, name, expected) {
            Ok(()) => Check::passed(format!("capture {name}")),
            Err(error) => Check::failed(format!("capture {name}"), format!("{error:#}")),
        });
    };
    for hook in HOOKS {
        for (name, expected) in BY_HOOK {
            judged(&format!("{hook}-{name}"), expected);
        }
    }
    for name in OTHERS {
        judged(name, &BY_HOOK[0].1);
    }
    Ok(checks)
}

/// `check pass NAME` and `check fail NAME: why` on the console.
fn guest_checks(console: &str) -> Vec<Check> {
    console
        .lines()
        .filter_map(|line| {
            let line = line.trim().strip_prefix("check ")?;
            if let Some(name) = line.strip_prefix("pass ") {
                return Some(Check::passed(name.to_owned()));
            }
            let (name, why) = line.strip_prefix("fail ")?.split_once(": ")?;
            Some(Check::failed(name.to_owned(), why.to_owned()))
        })
        .collect()
}

/// One capture: the file by tshark, the summary by the sum it must be.
fn capture(directory: &Path, name: &str, expected: &Expected) -> Result<()> {
    let file = directory.join(format!("{name}.pcapng"));
    anyhow::ensure!(file.is_file(), "there is no such file");
    let packets = tshark(&file, "frame", "frame.number")?.lines().count();
    match expected {
        Expected::Packets(count, filter) => {
            let good = tshark(&file, filter, "frame.number")?.lines().count();
            anyhow::ensure!(
                packets == *count && good == *count,
                "{packets} packets, {good} of them as they should be, and {count} were sent"
            );
        }
        Expected::Stream(bytes) => {
            let lengths = tshark(
                &file,
                "ip.src == 10.77.0.2 && !tcp.analysis.retransmission",
                "tcp.len",
            )?;
            let sum: usize = lengths
                .lines()
                .filter_map(|line| line.trim().parse::<usize>().ok())
                .sum();
            anyhow::ensure!(
                (*bytes..bytes + 1000).contains(&sum),
                "{sum} bytes of the stream, and {bytes} were sent"
            );
        }
    }
    let malformed = tshark(&file, "_ws.malformed", "frame.number")?;
    anyhow::ensure!(malformed.is_empty(), "malformed frames: {malformed}");
    let summary = directory.join(format!("{name}.json"));
    let summary =
        fs::read(&summary).with_context(|| format!("cannot read {}", summary.display()))?;
    check_summary(
        &serde_json::from_slice(&summary).context("the summary is no JSON")?,
        packets,
    )
}

/// The summary says what the file has, and that nothing was lost.
fn check_summary(summary: &Value, packets: usize) -> Result<()> {
    let counters = &summary["counters"];
    let count = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
    for name in ["matched", "captured"] {
        anyhow::ensure!(
            count(&counters[name]) == packets as u64,
            "{packets} packets in the file, and the summary says {name}: {}",
            counters[name]
        );
    }
    for stage in ["ring", "queue", "write", "copy"] {
        let dropped = &counters["dropped"][stage];
        anyhow::ensure!(count(dropped) == 0, "dropped.{stage} is {dropped}");
    }
    anyhow::ensure!(
        summary["state"] == "completed",
        "the task's state is {}",
        summary["state"]
    );
    Ok(())
}

/// One field of the packets that pass a display filter, a line a packet. Fragments stay apart.
fn tshark(file: &Path, filter: &str, field: &str) -> Result<String> {
    command::output(
        Command::new("tshark")
            .args(["-n", "-o", "ip.defragment:FALSE", "-r"])
            .arg(file)
            .args(["-Y", filter, "-T", "fields", "-e", field]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guests_checks_are_read_from_its_console() {
        let console = "6.1.0\r\ncheck pass doctor\r\n[1.2] noise\r\ncheck fail a b: left: x\r\n";
        let checks = guest_checks(console);
        let lines: Vec<String> = checks.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["pass: doctor", "FAIL: a b: left: x"]);
    }

    #[test]
    fn a_summary_must_agree_with_the_file() {
        let summary = |matched: u64, ring: u64| {
            serde_json::json!({
                "state": "completed",
                "counters": {
                    "matched": matched,
                    "captured": 5,
                    "dropped": { "ring": ring, "queue": 0, "write": 0, "copy": 0 },
                },
            })
        };
        assert!(check_summary(&summary(5, 0), 5).is_ok());
        assert!(check_summary(&summary(6, 0), 5).is_err());
        assert!(check_summary(&summary(5, 1), 5).is_err());
        assert!(check_summary(&summary(5, 0), 4).is_err());
        assert!(check_summary(&Value::Null, 0).is_err());
    }
}
