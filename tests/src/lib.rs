//! Fixtures for whole captures: namespaces, traffic, the agent under test, and the judges.
//!
//! A test makes a [`Lab`](netns::Lab) (two namespaces and the veth pair between them), starts the
//! agent in one of them ([`agent`]), sends frames from either side ([`traffic`]), and has the
//! files read by programs that share no code with the product ([`readers`]). [`mod@reference`] says
//! what a task should have matched, of frames and filters that [`generate`] makes at random.
//! [`relay`] is a network with faults, for the analyzer, and [`lan`] a link with several hosts. Everything panics with context: nothing here is recovered.
//!
//! # What a machine needs
//!
//! Root, network namespaces, veth, tun, macvlan, vxlan and bridge devices, and these Debian packages. What else a
//! test needs (FUSE, devices that not every kernel has) is asked for by [`or_skip!`], and counted where it is
//! missing ([`skips`]).
//!
//! | package | programs |
//! | --- | --- |
//! | `iproute2` | `ip`, `tc` |
//! | `ethtool` | `ethtool` |
//! | `tshark` (with `wireshark-common`) | `tshark`, `capinfos`, `editcap`, `mergecap`, `dumpcap` |
//! | `tcpdump` | `tcpdump` |
//! | `tcpreplay` | `tcpreplay` |
//! | `python3-scapy` | `scapy`, for Debian's `/usr/bin/python3` |
//! | `util-linux`, `mount`, `passwd` | `setpriv`, `unshare`, `nsenter`, `mount`, `umount`, `usermod` |
//! | `systemd` | `systemd-analyze`, `systemd-sysusers`, `systemd-tmpfiles` |
//! | `curl`, `jq`, `openssl` | `curl`, `jq`, `openssl` |
//! | `openssh-server`, `openssh-client` | `sshd`, `ssh`, `ssh-keygen` |
//! | `libcap2-bin` | `setcap` |
//! | `nmap`, `hping3`, `hydra` | `nmap`, `hping3`, `hydra` |
//! | `coreutils` | `sha256sum` |
//! | `iputils-ping`, `iputils-arping`, `nftables` | `ping`, `arping`, `nft` |
//! | `bind9-dnsutils`, `dnsmasq-base`, `busybox-static`, `udhcpc`, `radvd` | `dig`, `dnsmasq`, `busybox`, `udhcpc`, `radvd` |
//! | `dsniff`, `iodine`, `ptunnel` | `arpspoof`, `iodine` and `iodined`, `ptunnel` |
//! | `libndpi-bin` | `ndpiReader` |
//! | `redis-tools` | `redis-cli`, `redis-benchmark`, `redis-check-rdb` |
//! | `samba`, `smbclient`, `postgresql` | `smbd`, `smbclient`, `postgres`, `pgbench`: used where they are, not installed, as the packages start servers |
//!
//! The environment variable `CAPTURE_AGENT_BIN` names the binary under test; `cargo xtask test`
//! sets it. Others make a test longer, or another one:
//!
//! | variable | meaning | usual | long |
//! | --- | --- | --- | --- |
//! | `CAPTURE_TEST_SEED` | seed of what is random | fixed | any |
//! | `CAPTURE_TEST_SKIPS` | file that skipped tests are noted in | standard error | any |
//! | `CAPTURE_TEST_RIGHTS` | rights of the agents under test: `root`, or `unit` for those of the systemd unit | `root` | `unit` |
//! | `CAPTURE_TEST_CHURN` | tasks that come and go | 500 | 5,000 |
//! | `CAPTURE_TEST_KILLS` | captures that are killed | 12 | 1,000 |
//! | `CAPTURE_TEST_BESIDE` | packets captured beside tcpdump and dumpcap | 100,000 | 10,000,000 |
//! | `CAPTURE_TEST_LATENCY` | lone packets that are timed | 200 | 2,000 |
//! | `CAPTURE_TEST_IDLE` | idle connections to the daemon | 10,000 | 20,000 |
//! | `CAPTURE_TEST_PATIENCE` | whether readers that do not read are waited for | 0 | 1 |
//! | `CAPTURE_TEST_REQUESTS` | random requests to the API | 2,000 | 100,000 |
//! | `CAPTURE_TEST_DAEMON_ROUNDS` | tasks of the daemon that come and go | 40 | 1,000 |
//! | `CAPTURE_TEST_DAEMON_KILLS` | kills of the daemon | 8 | 100 |
//! | `CAPTURE_TEST_MUTATED` | mutated capture files that are analyzed | 3,000 | 100,000 |
//! | `CAPTURE_TEST_CAPTURES` | directory of captures whose classes of TCP segments are compared with tshark's | none | any |
//! | `CAPTURE_TEST_KEEP` | directory for the captures that the analyzer is tried on | none | any |
//! | `CAPTURE_TEST_ORDINARY` | seconds of ordinary traffic for the analyzer | 20 | 3,600 |
//! | `CAPTURE_TEST_ORDINARY_MB` | megabytes of a transfer meanwhile | 50 | 1,000 |
//! | `CAPTURE_TEST_DAEMON_LOAD` | seconds of traffic on 64 tasks with 100 clients | 4 | 60 |

use std::{process::Command, time::Duration};

mod accounting;
pub mod agent;
pub mod background;
pub mod bpf;
pub mod counters;
pub mod cpus;
pub mod daemon;
pub mod generate;
pub mod http;
pub mod lan;
pub mod name_server;
pub mod netns;
pub mod openapi;
pub mod other_programs;
pub mod pcapng;
pub mod peer_tools;
pub mod processes;
pub mod random;
pub mod readers;
pub mod record;
pub mod reference;
pub mod relay;
pub mod rights;
pub mod room;
pub mod sandbox;
pub mod seccomp;
pub mod shells;
pub mod signals;
pub mod skips;
pub mod small_disk;
pub mod stream;
pub mod table;
pub mod terminal;
pub mod traffic;

/// Runs a program to its end and gives its standard output; panics with its standard error where
/// it fails.
pub fn output(command: &mut Command) -> String {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}; is it installed?"));
    assert!(
        done.status.success(),
        "{command:?} failed with {}: {}{}",
        done.status,
        String::from_utf8_lossy(&done.stderr),
        String::from_utf8_lossy(&done.stdout),
    );
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// How long a test waits for what has to come: longer than it takes on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks again until the answer is yes; `false` when the time is over.
pub fn eventually(limit: Duration, mut check: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + limit;
    loop {
        if check() {
            return true;
        }
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A number that an environment variable may raise, for long runs.
pub fn count_from_env(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number"))
    })
}
