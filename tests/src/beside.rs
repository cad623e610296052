//! tcpdump beside the agent, on the same interface at the same time: the judge of what there was to
//! capture.

use std::{
    process::{Child, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    eventually,
    judge::{self, Packet},
    netns::Netns,
};

const LIMIT: Duration = Duration::from_secs(10);

/// A tcpdump that captures.
#[derive(Debug)]
pub struct Tcpdump {
    child: Child,
    directory: TempDir,
}

impl Tcpdump {
    /// Starts it with an expression, and waits until it captures.
    pub fn start(namespace: &Netns, interface: &str, expression: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("theirs.pcap");
        let mut tcpdump = namespace.command("tcpdump");
        // Packets one by one, with room for those that come meanwhile.
        tcpdump.args([
            "-i",
            interface,
            "-n",
            "-Z",
            "root",
            "-U",
            "--immediate-mode",
        ]);
        tcpdump.args(["--nano", "-B", "65536", "-w"]).arg(&file);
        let child = tcpdump
            .arg(expression)
            .stderr(Stdio::null())
            .spawn()
            .expect("tcpdump starts");
        let begun = eventually(LIMIT, || file.metadata().is_ok_and(|meta| meta.len() >= 24));
        assert!(begun, "tcpdump captures on {interface}");
        Self { child, directory }
    }

    /// Ends it when it has written so many packets, or does not write any more, and gives what it has.
    pub fn packets(mut self, expected: usize) -> Vec<Packet> {
        let file = self.directory.path().join("theirs.pcap");
        let is_there = || {
            let len = file.metadata().expect("it is there").len();
            // Each packet is at least its header; only then is it worth reading them.
            len >= 24 + 16 * expected as u64 && judge::packets(&file).len() >= expected
        };
        eventually(Duration::from_secs(3), is_there);
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("tcpdump runs");
        self.child.wait().expect("tcpdump ends");
        judge::packets(&file)
    }
}
