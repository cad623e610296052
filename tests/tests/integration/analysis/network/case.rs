//! One case: how it is made, what must be found, and what may be. The judge of what a finding cites is tshark.

use std::{path::PathBuf, process::Command, sync::Arc, thread, time::Duration};

use capture_tests::{
    agent::{self, Ended},
    lan::{LAN_IF, Lan},
    netns::Netns,
    output,
};
use serde_json::Value;
use tempfile::TempDir;

use super::super::{
    judge::{bad, code, findings},
    run::keep,
};

/// Whether something is made wrong, or as wrong as it may look without being it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Wrong,
    Innocent,
}

/// A capture, and the directory that it is in.
pub(super) struct Captured {
    pub(super) file: PathBuf,
    pub(super) directory: Arc<TempDir>,
}

impl From<Ended> for Captured {
    fn from(ended: Ended) -> Self {
        Self {
            file: ended.file(),
            directory: Arc::clone(&ended.directory),
        }
    }
}

pub(super) struct Case {
    /// The code that is found, of what is wrong, and not of its neighbour.
    pub(super) code: &'static str,
    /// Codes of `warn` or above that may be found beside it.
    pub(super) beside: &'static [&'static str],
    /// Makes it, and gives the capture.
    pub(super) make: fn(Made) -> Captured,
}

impl Case {
    /// Makes both and judges them.
    pub(super) fn check(&self, name: &str) {
        // Side by side, as most of it is waiting.
        let [wrong, innocent] = thread::scope(|scope| {
            [Made::Wrong, Made::Innocent]
                .map(|made| scope.spawn(move || (self.make)(made)))
                .map(|thread| thread.join())
        });
        let [wrong, innocent] = [wrong, innocent]
            .map(|made| made.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        for (made, captured) in [("wrong", &wrong), ("innocent", &innocent)] {
            keep(&format!("{name}-{made}"), &captured.file);
        }
        let [found, of_neighbour] = [&wrong, &innocent].map(|captured| findings(&captured.file));
        for (made, findings) in [(Made::Wrong, &found), (Made::Innocent, &of_neighbour)] {
            for finding in findings {
                println!(
                    "{name}, {made:?}: {} ({}): {}",
                    code(finding),
                    finding["severity"],
                    finding["summary"]
                );
            }
        }
        let has =
            |findings: &[Value], wanted| findings.iter().filter(|it| code(it) == wanted).count();
        assert_eq!(
            has(&found, self.code),
            1,
            "{} is found once: {found:#?}",
            self.code
        );
        let others =
            bad(&found).filter(|it| code(it) != self.code && !self.beside.contains(&code(it)));
        let others: Vec<_> = others.collect();
        assert!(others.is_empty(), "found beside {}: {others:#?}", self.code);
        assert_eq!(
            has(&of_neighbour, self.code),
            0,
            "{} of its neighbour: {of_neighbour:#?}",
            self.code
        );
        let false_ones: Vec<_> = bad(&of_neighbour).collect();
        assert!(
            false_ones.is_empty(),
            "found in the neighbour of {}: {false_ones:#?}",
            self.code
        );
    }
}

/// Captures on the link of a host while something happens.
pub(super) fn watch(host: &Netns, work: impl FnOnce()) -> Captured {
    watch_with(host, &[], work)
}

/// The same with more arguments.
pub(super) fn watch_with(host: &Netns, arguments: &[&str], work: impl FnOnce()) -> Captured {
    let all = [&["-i", LAN_IF, "--hook", "tc", "-w", "o.pcapng"], arguments].concat();
    let running = agent::capture(host, &all);
    work();
    running.stop().expect_whole("user").into()
}

/// A link between two hosts of their own, with `10.8.0.1` and `10.8.0.2`, and nothing else on it.
pub(super) fn link(one: &Netns, other: &Netns, mtu: u16) {
    let mut ip = Command::new("ip");
    ip.args(["link", "add", "up0", "netns", one.name(), "type", "veth"]);
    output(ip.args(["peer", "name", "up0", "netns", other.name()]));
    for (host, address) in [(one, "10.8.0.1"), (other, "10.8.0.2")] {
        host.ip(&format!(
            "link set up0 mtu {mtu} up\naddr add {address}/24 dev up0\n"
        ));
        host.sysctl("net/ipv4/ip_forward", "1");
    }
    one.wait_until_up("up0");
    other.wait_until_up("up0");
}

/// Lets the capture go on for as long as nothing must have happened to be called an absence.
pub(super) fn silence(lan: &Lan) {
    thread::sleep(Duration::from_millis(3300));
    ping(lan.host(0), &["-c", "1", &Lan::ipv4(1)]);
}

/// Runs `ping`, whether it is answered or not.
pub(super) fn ping(host: &Netns, arguments: &[&str]) {
    any_end(host.command("ping").args(arguments));
}

/// Runs a program to its end, which may be a failure.
pub(super) fn any_end(command: &mut Command) -> String {
    let done = command.output();
    let done = done
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}; is it installed?"));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Adds a rule of nftables to a chain of its own, at a hook.
pub(super) fn rule(host: &Netns, family: &str, hook: &str, rule: &str) {
    let rules = format!(
        "table {family} test {{\nchain test {{\ntype filter hook {hook} priority 0\n{rule}\n}}\n}}\n"
    );
    output(host.command("nft").arg(rules));
}

pub(super) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
