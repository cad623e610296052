//! Other tools beside the agent, on the same interface at the same time: the judges of what there was to
//! capture. [`Tcpdump`] is for a few packets, one by one; [`Tool`] for millions, and says what it lost.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    TIMEOUT, eventually,
    netns::Netns,
    readers::{self, Packet},
};

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
        let begun = eventually(TIMEOUT, || {
            file.metadata().is_ok_and(|meta| meta.len() >= 24)
        });
        assert!(begun, "tcpdump captures on {interface}");
        Self { child, directory }
    }

    /// Its file.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("theirs.pcap")
    }

    /// Ends it when it has written so many packets, or does not write any more.
    pub fn end(&mut self, expected: usize) {
        let file = self.file();
        let is_there = || {
            let len = file.metadata().expect("it is there").len();
            // Each packet is at least its header; only then is it worth reading them.
            len >= 24 + 16 * expected as u64 && readers::packets(&file).len() >= expected
        };
        eventually(Duration::from_secs(3), is_there);
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("tcpdump runs");
        self.child.wait().expect("tcpdump ends");
    }

    /// The same, and gives what it has.
    pub fn packets(mut self, expected: usize) -> Vec<Packet> {
        self.end(expected);
        readers::packets(&self.file())
    }
}

impl Drop for Tcpdump {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// tcpdump or dumpcap, with large buffers, into a file that is there to be read at the end.
#[derive(Debug)]
pub struct Tool {
    name: &'static str,
    child: Child,
    directory: TempDir,
}

impl Tool {
    /// Starts tcpdump, cutting packets to `snap_len` bytes, and waits until it captures.
    pub fn tcpdump(namespace: &Netns, interface: &str, snap_len: &str, filter: &str) -> Self {
        let options = ["-n", "-Z", "root", "--nano", "-B", "65536"];
        let more = ["-i", interface, "-s", snap_len, "-w", "theirs", filter];
        let options = [&options[..], &more].concat();
        Self::start(namespace, "tcpdump", &options, "listening on")
    }

    /// The same with dumpcap.
    pub fn dumpcap(namespace: &Netns, interface: &str, snap_len: &str, filter: &str) -> Self {
        let options = ["-q", "-B", "64", "-i", interface, "-s", snap_len];
        let options = [&options[..], &["-w", "theirs", "-f", filter]].concat();
        Self::start(namespace, "dumpcap", &options, "File: ")
    }

    fn start(namespace: &Netns, name: &'static str, options: &[&str], ready: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let words = File::create(directory.path().join("words")).expect("a file");
        let mut command = namespace.command(name);
        command.args(options).current_dir(directory.path());
        let child = command
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let tool = Self {
            name,
            child,
            directory,
        };
        let begun = eventually(TIMEOUT, || tool.words().contains(ready));
        assert!(begun, "{name} captures: {}", tool.words());
        tool
    }

    fn words(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("words")).unwrap_or_default()
    }

    /// What it has captured.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("theirs")
    }

    /// Ends it when it has had everything, and panics unless it says that it lost nothing.
    pub fn finish(&mut self) {
        // The kernel hands over a block that is not full after a second at most, and nobody tells.
        thread::sleep(Duration::from_millis(1500));
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("it runs");
        self.child.wait().expect("it ends");
        let words = self.words();
        let lossless = match self.name {
            "tcpdump" => words.contains("\n0 packets dropped by kernel"),
            // Packets received/dropped on interface 'cap0': 1000/0 (pcap:0/dumpcap:0/…
            _ => words.contains("/0 (pcap:0/dumpcap:0/"),
        };
        assert!(
            lossless,
            "{} lost packets, and cannot be the judge: {words}",
            self.name
        );
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
