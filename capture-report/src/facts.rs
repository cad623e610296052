//! Facts of a machine. What cannot be had is said in its place.

use std::{
    fs::{self, File},
    io::{BufReader, Read as _},
    process::{Command, Stdio},
};

use capture_engine::{interfaces, possible_cpus, procfs};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

/// Lines of the daemon's log.
const LOG_LINES: &str = "2000";

/// Most bytes of what another program says.
const MOST_OUTPUT: u64 = 4 << 20;

/// The daemon's unit.
const UNIT: &str = "capture-agent.service";

/// The program, the system, the kernel, the machine.
pub fn versions(commit: &str) -> Value {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned());
    let marks = [
        "/run/systemd/container",
        "/.dockerenv",
        "/run/.containerenv",
    ];
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": Some(commit).filter(|commit| !commit.is_empty()),
        "architecture": std::env::consts::ARCH,
        "kernel": procfs::release().ok(),
        "kernel_build": procfs::build().ok(),
        "system": system,
        "container_marks": marks.into_iter().filter(|mark| fs::metadata(mark).is_ok()).collect::<Vec<_>>(),
        "possible_cpus": possible_cpus(),
        "memory": memory.lines().next(),
    })
}

/// Options of the kernel that decide on BPF, and its switches.
pub fn kernel() -> String {
    const WORDS: [&str; 11] = [
        "BPF",
        "XDP",
        "NET_CLS",
        "NET_SCH_INGRESS",
        "BTF",
        "SECURITY_LOCKDOWN",
        "CONFIG_LSM",
        "CONFIG_SECCOMP",
        "CONFIG_PREEMPT",
        "CONFIG_NET_NS",
        "CONFIG_USER_NS",
    ];
    const FILES: [&str; 8] = [
        "/proc/sys/kernel/unprivileged_bpf_disabled",
        "/proc/sys/net/core/bpf_jit_enable",
        "/proc/sys/net/core/bpf_jit_harden",
        "/proc/sys/net/core/bpf_jit_limit",
        "/proc/sys/kernel/tainted",
        "/sys/kernel/security/lockdown",
        "/sys/kernel/security/lsm",
        "/sys/kernel/btf/vmlinux",
    ];
    let mut text = String::new();
    for path in FILES {
        let found = match path.ends_with("vmlinux") {
            true => fs::metadata(path).map(|file| format!("{} bytes", file.len())),
            false => fs::read_to_string(path),
        };
        let found = found.unwrap_or_else(|error| format!("not visible ({error})"));
        text.push_str(&format!("{path}: {}\n", found.trim()));
    }
    match options() {
        Some((path, options)) => {
            text.push_str(&format!("\n{path}:\n"));
            let lines = options.lines();
            for line in lines.filter(|line| WORDS.iter().any(|word| line.contains(word))) {
                text.push_str(&format!("{line}\n"));
            }
        }
        None => text.push_str("\nThe kernel's options are not visible.\n"),
    }
    text
}

/// Where the kernel's options are, and all of them.
fn options() -> Option<(String, String)> {
    let packed = "/proc/config.gz";
    if let Ok(file) = File::open(packed) {
        let mut text = String::new();
        let decoder = GzDecoder::new(BufReader::new(file));
        if decoder.take(MOST_OUTPUT).read_to_string(&mut text).is_ok() {
            return Some((packed.to_owned(), text));
        }
    }
    let release = procfs::release().ok()?;
    let places = [
        format!("/boot/config-{release}"),
        format!("/lib/modules/{release}/config"),
    ];
    places
        .into_iter()
        .find_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text)))
}

/// The interfaces without their addresses.
pub fn interfaces() -> Value {
    let entries = interfaces::list().unwrap_or_default().into_iter();
    let entries = entries.map(|entry| {
        json!({
            "name": entry.name,
            "index": entry.ifindex,
            "state": entry.state.as_str(),
            "link": entry.link_description(),
            "mtu": entry.mtu,
            "driver": interfaces::driver(&entry.name),
        })
    });
    Value::Array(entries.collect())
}

/// What the service manager says of the service, with its exposure.
pub fn unit() -> String {
    let about = |arguments: &[&str]| format!("$ {}\n{}\n", arguments.join(" "), said(arguments));
    let properties = "--property=ActiveState,SubState,Result,NRestarts,ExecMainStatus,MemoryCurrent,FragmentPath,DropInPaths";
    [
        &["systemctl", "show", UNIT, properties][..],
        &["systemctl", "cat", "--no-pager", UNIT],
        &["systemd-analyze", "security", "--no-pager", UNIT],
    ]
    .map(about)
    .concat()
}

/// The last lines of the service in the journal.
pub fn log() -> String {
    said(&[
        "journalctl",
        "--no-pager",
        "--quiet",
        "--output=short-iso",
        "--lines",
        LOG_LINES,
        "--unit",
        UNIT,
    ])
}

/// What a program of the system says, or why it says nothing.
fn said(arguments: &[&str]) -> String {
    let [program, arguments @ ..] = arguments else {
        return String::new();
    };
    let started = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output();
    match started {
        Ok(output) => {
            let mut text = output.stdout;
            text.extend(output.stderr);
            text.truncate(MOST_OUTPUT as usize);
            if text.is_empty() {
                return "(nothing)\n".to_owned();
            }
            String::from_utf8_lossy(&text).into_owned()
        }
        Err(error) => format!("{program} does not start: {error}\n"),
    }
}
