//! Network namespaces in which nothing happens but what a test does: fixed addresses, neighbours
//! known beforehand, no router solicitation, no duplicate address detection, no multicast reports.
//! Everything disappears on drop, and what a killed run left behind goes at the next start.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Mutex, Once,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use crate::{
    TIMEOUT,
    bpf::{self, AttachType},
    eventually, output, rights,
};

/// Every namespace of the tests begins with this, the process and a number follow.
const PREFIX: &str = "cap-t-";

/// Address of the host side, where the agent runs.
pub const HOST4: &str = "10.0.0.1";
/// Address of the peer side.
pub const PEER4: &str = "10.0.0.2";
/// IPv6 address of the host side.
pub const HOST6: &str = "fd00::1";
/// IPv6 address of the peer side.
pub const PEER6: &str = "fd00::2";
/// The host side's end of the veth pair, on which most tests capture.
pub const HOST_IF: &str = "cap0";
/// The peer side's end.
pub const PEER_IF: &str = "peer0";
/// MAC address of [`HOST_IF`].
pub const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// MAC address of [`PEER_IF`].
pub const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// One namespace.
#[derive(Debug)]
pub struct Netns {
    name: String,
    /// Agents that run here, and what was attached before the first of them.
    pub(crate) agents: Mutex<(usize, Vec<String>)>,
}

impl Netns {
    /// Makes a namespace with `lo` up.
    #[expect(
        clippy::new_without_default,
        reason = "it changes the system, so it is written out"
    )]
    pub fn new() -> Self {
        static SWEEP: Once = Once::new();
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        require_root();
        SWEEP.call_once(remove_leftovers);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        output(Command::new("ip").args(["netns", "add", &name]));
        let this = Self {
            name,
            agents: Mutex::new((0, Vec::new())),
        };
        this.within(|| {
            for (key, value) in [
                ("net/ipv6/conf/default/accept_dad", "0"),
                ("net/ipv6/conf/default/dad_transmits", "0"),
                ("net/ipv6/conf/default/router_solicitations", "0"),
                ("net/ipv6/conf/default/accept_ra", "0"),
                // 1 is "none": no link-local address, and so nothing that announces it.
                ("net/ipv6/conf/default/addr_gen_mode", "1"),
                ("net/ipv4/conf/default/rp_filter", "0"),
                ("net/ipv4/conf/all/rp_filter", "0"),
            ] {
                write_sysctl(key, value);
            }
        });
        this.ip("link set lo up");
        this
    }

    /// Its name, for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// A command that will run in it. The process is the program's own: `ip` only executes it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs lines of `ip` commands in it.
    pub fn ip(&self, lines: &str) {
        let mut child = Command::new("ip")
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ip starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin
            .write_all(lines.as_bytes())
            .expect("ip reads its batch");
        drop(stdin);
        let done = child.wait_with_output().expect("ip ends");
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.success(),
            "ip -n {} failed: {stderr}\n{lines}",
            self.name
        );
    }

    /// Runs a closure on a thread that is in the namespace.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let path = self.path();
        thread::scope(|scope| {
            let worker = scope.spawn(move || {
                let file =
                    File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                // Of a thread that has lowered its own.
                rights::as_root();
                setns(file, CloneFlags::CLONE_NEWNET).expect("setns");
                work()
            });
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Sets a sysctl below `net/`, path with slashes.
    pub fn sysctl(&self, key: &str, value: &str) {
        self.within(|| write_sysctl(key, value));
    }

    /// Switches offloads of an interface: `["tso", "off", "gso", "off"]`.
    pub fn offloads(&self, interface: &str, settings: &[&str]) {
        output(
            self.command("ethtool")
                .args(["-K", interface])
                .args(settings),
        );
    }

    /// Sets both IP addresses (and no route but the connected ones), a fixed MAC address, and up.
    pub fn address(&self, interface: &str, mac: [u8; 6], ipv4: &str, ipv6: &str) {
        let mac = mac_text(mac);
        // Without ARP no solicited-node group is joined, so no MLD report is sent for it.
        self.ip(&format!(
            "link set {interface} address {mac} arp off\n\
             addr add {ipv4}/24 dev {interface}\n\
             link set {interface} up\n\
             addr add {ipv6}/64 dev {interface} nodad\n"
        ));
    }

    /// Makes a neighbour known for good.
    pub fn neighbour(&self, interface: &str, address: &str, mac: [u8; 6]) {
        let mac = mac_text(mac);
        self.ip(&format!(
            "neigh replace {address} lladdr {mac} dev {interface} nud permanent"
        ));
    }

    /// Waits until an interface sends. The first end of a veth pair gets its carrier from the second, but its
    /// queue only when a kernel worker has come by (`linkwatch_do_dev`), and until then what is sent there is
    /// dropped without a word. The worker sets the operational state, and holds the lock that `ip` waits for.
    pub fn wait_until_up(&self, interface: &str) {
        let is_up = || {
            let mut ip = Command::new("ip");
            ip.args(["-n", &self.name, "-o", "link", "show", "dev", interface]);
            output(&mut ip).contains(" state UP ")
        };
        let in_time = eventually(Duration::from_secs(10), is_up);
        assert!(in_time, "{interface} in {} is not up", self.name);
    }

    /// Adds a macvlan device on top of another interface, up and without addresses. It has no
    /// native XDP on any kernel.
    pub fn macvlan(&self, name: &str, lower: &str) {
        self.ip(&format!(
            "link add {name} link {lower} type macvlan mode bridge\nlink set {name} up"
        ));
    }

    /// Adds a VLAN sub-interface with an address.
    ///
    /// # Errors
    /// Where the kernel has no such devices.
    pub fn vlan(&self, name: &str, lower: &str, id: u16, ipv4: &str) -> Result<(), String> {
        self.link(name, "vlan", &["link", lower], &["id", &id.to_string()])?;
        self.ip(&format!(
            "addr add {ipv4}/24 dev {name}\nlink set {name} arp off up"
        ));
        Ok(())
    }

    /// Adds a tunnel between two addresses, without a link header: `ipip`, `sit`, `gre`, `ip6tnl` or `ip6gre`.
    ///
    /// # Errors
    /// Where the kernel has no such devices.
    pub fn tunnel(&self, name: &str, kind: &str, local: &str, remote: &str) -> Result<(), String> {
        self.link(name, kind, &[], &["local", local, "remote", remote])
    }

    /// `ip link add NAME LINK type KIND OPTIONS`.
    fn link(&self, name: &str, kind: &str, link: &[&str], options: &[&str]) -> Result<(), String> {
        let made = Command::new("ip")
            .args(["-n", &self.name, "link", "add", name])
            .args(link)
            .args(["type", kind])
            .args(options)
            .output()
            .expect("ip starts");
        if made.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&made.stderr);
        // The second is what it says where the kernel has no words of its own for it.
        let unknown = ["Unknown device type", "Operation not supported"];
        assert!(
            unknown.iter().any(|words| said.contains(words)),
            "{name} of type {kind}: {said}"
        );
        Err(format!("this kernel has no {kind} devices"))
    }

    /// Whether TCX programs of both directions are on an interface.
    pub fn is_attached(&self, interface: &str) -> bool {
        let attachments = self.attachments();
        ["ingress", "egress"].iter().all(|side| {
            let start = format!("{interface} tcx {side} ");
            attachments.iter().any(|line| line.starts_with(&start))
        })
    }

    /// Waits until an agent that follows interfaces captures on this one.
    pub fn wait_attached(&self, interface: &str) {
        let follows = eventually(TIMEOUT, || self.is_attached(interface));
        assert!(follows, "{interface}: {:?}", self.attachments());
    }

    /// Adds a bridge over interfaces of this namespace, up, and waits until its ports forward. A frame whose tag was stripped on the
    /// way in leaves by the other port with the tag still in metadata.
    pub fn bridge(&self, name: &str, ports: &[&str]) {
        self.ip(&format!(
            "link add {name} type bridge stp_state 0 mcast_snooping 0"
        ));
        for port in ports {
            self.ip(&format!("link set {port} master {name} up"));
        }
        self.ip(&format!("link set {name} up"));
        // A moment after the bridge is up; nobody but the test sends anything.
        let forwards = |port: &str| {
            let mut ip = Command::new("ip");
            ip.args(["-n", &self.name, "-j", "-d", "link", "show", "dev", port]);
            output(&mut ip).contains("\"state\":\"forwarding\"")
        };
        for port in ports {
            assert!(eventually(TIMEOUT, || forwards(port)), "{port} of {name}");
        }
    }

    /// What is attached to the interfaces here: XDP, TCX, and tc filters with their queueing
    /// discipline, one line each.
    pub fn attachments(&self) -> Vec<String> {
        let mut found = Vec::new();
        let links = output(Command::new("ip").args(["-n", &self.name, "-j", "-d", "link"]));
        let links: Value = serde_json::from_str(&links).expect("ip gives JSON");
        for link in links.as_array().expect("a list of links") {
            let name = link["ifname"]
                .as_str()
                .expect("a link has a name")
                .to_owned();
            if let Some(xdp) = link.get("xdp") {
                found.push(format!("{name} xdp {xdp}"));
            }
            for (direction, kind) in [
                ("ingress", AttachType::TcxIngress),
                ("egress", AttachType::TcxEgress),
            ] {
                for program in self.within(|| tcx_programs(&name, kind)) {
                    found.push(format!("{name} tcx {direction} program {program}"));
                }
                let filters = Command::new("tc")
                    .args(["-n", &self.name, "filter", "show", "dev", &name, direction])
                    .output()
                    .expect("tc starts");
                for line in String::from_utf8_lossy(&filters.stdout).lines() {
                    found.push(format!("{name} tc {direction} {}", line.trim()));
                }
            }
        }
        let disciplines = output(Command::new("tc").args(["-n", &self.name, "qdisc", "show"]));
        for line in disciplines.lines().filter(|line| line.contains("clsact")) {
            found.push(line.trim().to_owned());
        }
        found
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Nothing to do about a failure here; the next run sweeps.
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
    }
}

/// Two namespaces and the veth pair between them.
#[derive(Debug)]
pub struct Lab {
    /// Where the agent runs: [`HOST_IF`] with [`HOST4`] and [`HOST6`].
    pub host: Netns,
    /// The other side: [`PEER_IF`] with [`PEER4`] and [`PEER6`].
    pub peer: Netns,
}

impl Lab {
    /// Makes both, up and silent.
    #[expect(
        clippy::new_without_default,
        reason = "it changes the system, so it is written out"
    )]
    pub fn new() -> Self {
        let this = Self {
            host: Netns::new(),
            peer: Netns::new(),
        };
        this.pair(HOST_IF, PEER_IF);
        this.host.address(HOST_IF, HOST_MAC, HOST4, HOST6);
        this.peer.address(PEER_IF, PEER_MAC, PEER4, PEER6);
        for address in [PEER4, PEER6] {
            this.host.neighbour(HOST_IF, address, PEER_MAC);
        }
        for address in [HOST4, HOST6] {
            this.peer.neighbour(PEER_IF, address, HOST_MAC);
        }
        this
    }

    /// Another veth pair, without addresses, up. The ends never exist outside the two namespaces.
    pub fn pair(&self, host: &str, peer: &str) {
        output(
            Command::new("ip")
                .args([
                    "link",
                    "add",
                    host,
                    "netns",
                    self.host.name(),
                    "type",
                    "veth",
                ])
                .args(["peer", "name", peer, "netns", self.peer.name()]),
        );
        self.host.ip(&format!("link set {host} arp off up"));
        self.peer.ip(&format!("link set {peer} arp off up"));
        self.host.wait_until_up(host);
        self.peer.wait_until_up(peer);
    }
}

/// Panics unless root: a capture test that is skipped says nothing.
pub fn require_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "these tests make network namespaces and need root; run `cargo xtask test` as root"
    );
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// `/proc/sys/net` shows the namespace of the thread that opens it.
fn write_sysctl(key: &str, value: &str) {
    let path = format!("/proc/sys/{key}");
    std::fs::write(&path, value).unwrap_or_else(|error| panic!("{path} = {value}: {error}"));
}

/// Removes namespaces of test processes that no longer live.
fn remove_leftovers() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next())
        else {
            continue;
        };
        if !PathBuf::from("/proc").join(pid).exists() {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// Identifiers of the TCX programs on an interface of this thread's namespace. Asked of the kernel
/// because bpftool before 7.3 knows no TCX.
fn tcx_programs(interface: &str, attach_type: AttachType) -> Vec<u32> {
    let Ok(ifindex) = nix::net::if_::if_nametoindex(interface) else {
        return Vec::new();
    };
    match bpf::attached(ifindex, attach_type) {
        Ok(ids) => ids,
        // A kernel without TCX (before 6.6).
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Vec::new(),
        Err(error) => panic!("TCX query of {interface}: {error}"),
    }
}
