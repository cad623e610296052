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

use super::{
    captures::{Captures, Content},
    clock, daemon,
    machine::{Ended, Machine},
    tasks::{self, HOOKS},
};
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

/// The verifier's last words that are shown.
const VERIFIER_LINES: usize = 40;

/// The pings of the guest: 5 and 5, and 2 and 2 in three fragments each.
const PINGS: Content = Content::Packets(22, "icmp || ip.frag_offset > 0");

/// The captures of what the guest's stack sends, on every hook, as `HOOK-NAME`. The same on all kernels.
const LIVE: &[(&str, Content)] = &[
    ("icmp", PINGS),
    (
        "icmp6",
        Content::Packets(6, "icmpv6 && ipv6.addr == fd77::2"),
    ),
    (
        "udp",
        Content::Packets(
            3,
            "udp.dstport >= 5000 && udp.dstport <= 5100 && ip.dst == 10.79.0.1",
        ),
    ),
    ("tcp", Content::Stream(200_000)),
];

/// Frames larger than a page, whole.
const JUMBO: Content = Content::Packets(6, "icmp && frame.len == 8942 && frame.cap_len == 8942");

/// The captures beside others' programs and after a kill.
const OTHERS: &[(&str, Content)] = &[
    ("foreign", PINGS),
    ("foreign-qdisc", PINGS),
    (
        "generic-egress",
        Content::Packets(11, "ip.src == 10.77.0.1"),
    ),
    ("second", PINGS),
    ("third", PINGS),
    ("after-kill", PINGS),
];

/// The version of a kernel.
type Version = (u32, u32);

/// Since when native XDP takes frames in several buffers.
const SEVERAL_BUFFERS: Version = (5, 18);

/// All checks of a run. `many` is what each of the many tasks must take.
pub(super) fn judge(
    machine: &Machine<'_>,
    ended: Ended,
    many: &[tasks::Expected],
) -> Result<Vec<Check>> {
    let console = fs::read(machine.console())
        .with_context(|| format!("cannot read {}", machine.console().display()))?;
    let console = String::from_utf8_lossy(&console);
    let mut checks = of_guest(&console, ended);
    if !has_ended(&console) {
        return Ok(checks);
    }
    let directory = machine.directory().join("results");
    fs::create_dir_all(&directory)?;
    command::run(
        Command::new("tar")
            .arg("-xzf")
            .arg(machine.results())
            .arg("-C")
            .arg(&directory),
    )
    .context("the guest's results did not arrive whole")?;
    let mut check = |name: String, outcome: Result<()>| {
        checks.push(match outcome {
            Ok(()) => Check::passed(name),
            Err(error) => Check::failed(name, format!("{error:#}")),
        });
    };
    let programs = programs(&directory);
    let loaded = programs.is_ok();
    check("every program loads".to_owned(), programs);
    if !loaded {
        return Ok(checks);
    }
    let version = version(&console).context("the guest named no kernel")?;
    judge_captures(&Captures::read(&directory)?, version, many, check);
    Ok(checks)
}

/// The checks of all captures, by a function that takes each with its outcome. What is expected is the same on
/// every kernel but where the version is asked for.
fn judge_captures(
    captures: &Captures,
    version: Version,
    many: &[tasks::Expected],
    mut check: impl FnMut(String, Result<()>),
) {
    for hook in HOOKS {
        for (name, content) in LIVE {
            let name = format!("{hook}-{name}");
            let outcome = captures.check(&name, &format!("live-{hook}"), content);
            check(format!("capture {name}"), outcome);
        }
        let outcome = captures.check_many(hook, many);
        check(format!("{} tasks by {hook}", many.len()), outcome);
    }
    let mut jumbo = vec!["jumbo-tc", "jumbo-xdp-generic"];
    if version >= SEVERAL_BUFFERS {
        jumbo.push("jumbo-xdp");
    }
    let others = OTHERS.iter().map(|(name, content)| (*name, content));
    for (name, content) in jumbo.into_iter().map(|name| (name, &JUMBO)).chain(others) {
        check(
            format!("capture {name}"),
            captures.check(name, name, content),
        );
    }
    let headers = captures.with_link_header("generic-ours");
    check(
        "tc behind generic XDP sees whole frames".to_owned(),
        headers.and_then(check_link_headers),
    );
    clock::judge(captures, &mut check);
    daemon::judge(captures, &PINGS, check);
}

/// The checks that a guest made itself, and whether it came to its end.
pub(super) fn of_guest(console: &str, ended: Ended) -> Vec<Check> {
    let mut checks = guest_checks(console);
    if !has_ended(console) {
        checks.push(Check::failed(
            "the whole run".to_owned(),
            early(console, ended),
        ));
    }
    checks
}

fn has_ended(console: &str) -> bool {
    console.lines().any(|line| line.trim_end() == "check done")
}

/// How a run ended too soon.
fn early(console: &str, ended: Ended) -> String {
    let how = match ended {
        Ended::PoweredOff => "the guest ended early",
        Ended::TimedOut => "the guest did not end in time",
    };
    let tail: Vec<&str> = console.lines().rev().take(8).collect();
    let tail: Vec<&str> = tail.into_iter().rev().map(str::trim).collect();
    format!("{how}; last on its console: {}", tail.join(" | "))
}

/// The release that the guest printed first, as `6.1.0-50-cloud-amd64`.
fn version(console: &str) -> Option<Version> {
    console.lines().find_map(|line| {
        let mut parts = line.trim().split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
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

/// The doctor tried the three programs of this kernel. Where one was refused, the end of what the verifier
/// says is the error.
fn programs(directory: &Path) -> Result<()> {
    let report = fs::read(directory.join("doctor.json")).context("there is no report")?;
    let report: Value = serde_json::from_slice(&report).context("the report is no JSON")?;
    let loads = |name: &str| {
        let checks = report["checks"].as_array().into_iter().flatten();
        checks.filter(|check| check["status"] == "ok").any(|check| {
            check["name"]
                .as_str()
                .is_some_and(|there| there.starts_with(name))
        })
    };
    let refused: Vec<&str> = ["capture_tc_ingress", "capture_tc_egress", "capture_xdp"]
        .into_iter()
        .filter(|name| !loads(name))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    let file = directory.join("verifier.txt");
    let log = fs::read(&file).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    anyhow::bail!(
        "not loaded: {}; all of the verifier's words are in {}, and they end so:\n{}",
        refused.join(", "),
        file.display(),
        lines[lines.len().saturating_sub(VERIFIER_LINES)..].join("\n")
    );
}

/// Eleven pings came in. Programs that take frames in several buffers would take the link header away from
/// tc on newer kernels; ours takes them in one.
fn check_link_headers((whole, all): (usize, usize)) -> Result<()> {
    anyhow::ensure!(
        whole == 11 && all >= 11,
        "{whole} of {all} frames have their link header, not 11 of 11 or more"
    );
    Ok(())
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
    fn a_guest_that_does_not_end_has_failed() {
        let good = |console: &str| {
            let checks = of_guest(console, Ended::PoweredOff);
            checks.iter().all(Check::is_good)
        };
        assert!(good("check pass doctor\r\ncheck done\r\n"));
        assert!(!good("check pass doctor\r\n"));
    }

    #[test]
    fn the_version_is_what_the_guest_printed_first() {
        let console = "SeaBIOS (version 1)\r\n7.2.13+deb14-cloud-amd64\r\ncheck pass a.b\r\n";
        assert_eq!(version(console), Some((7, 2)));
        assert_eq!(version("check pass doctor\n"), None);
    }

    #[test]
    fn every_link_header_counts() {
        assert!(check_link_headers((11, 12)).is_ok());
        assert!(check_link_headers((0, 12)).is_err());
        assert!(check_link_headers((10, 10)).is_err());
    }
}
