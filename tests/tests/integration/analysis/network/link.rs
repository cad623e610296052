//! Who has which address on a link, and who gives it.

use std::{fs, process::Command, thread};

use capture_tests::{
    TIMEOUT,
    background::Background,
    eventually,
    lan::{LAN_IF, Lan},
    netns::Netns,
    output,
};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{
    case::{Captured, Case, Made, any_end, ms, ping, silence, watch},
    cases,
};

cases! {
    two_hosts_with_one_address: Case {
        code: "arp.conflict",
        beside: &[],
        make: one_address,
    };
    a_host_that_poisons_arp: Case {
        code: "arp.spoof",
        beside: &[],
        make: poisoned,
    };
    two_hosts_with_one_address_of_ipv6: Case {
        code: "ndp.conflict",
        beside: &[],
        make: one_address_of_ipv6,
    };
    a_host_that_takes_an_address_of_another: Case {
        code: "ndp.conflict",
        beside: &[],
        make: taken_address,
    };
    a_host_that_poisons_neighbours: Case {
        code: "ndp.spoof",
        beside: &[],
        make: poisoned_neighbours,
    };
    two_dhcp_servers: Case {
        code: "dhcp.rogue",
        beside: &[],
        make: dhcp_servers,
    };
    a_lease_that_is_refused: Case {
        code: "dhcp.nak",
        beside: &["dhcp.no_offer"],
        make: refused_lease,
    };
    no_dhcp_server: Case {
        code: "dhcp.no_offer",
        beside: &[],
        make: searched_server,
    };
    two_routers_that_contradict_each_other: Case {
        code: "ra.rogue",
        beside: &[],
        make: routers,
    };
}

/// Two hosts with the same address, or one that takes it over from another.
fn one_address(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [asker, first, second] = [0, 1, 2].map(|index| lan.host(index));
    let shared = "10.0.0.9";
    let takes = |host: &Netns| host.ip(&format!("addr add {shared}/24 dev {LAN_IF}"));
    let announces = |host: &Netns| {
        any_end(
            host.command("arping")
                .args(["-U", "-c", "2", "-I", LAN_IF, shared]),
        )
    };
    for index in [1, 2] {
        lan.host(index).ip(&format!("addr flush dev {LAN_IF}"));
    }
    takes(first);
    let asks = || {
        asker.ip(&format!("neigh flush dev {LAN_IF}"));
        ping(asker, &["-c", "2", "-i", "0.2", "-W", "1", shared]);
    };
    watch(asker, || {
        asks();
        match made {
            Made::Wrong => takes(second),
            Made::Innocent => {
                first.ip(&format!("addr flush dev {LAN_IF}"));
                takes(second);
                announces(second);
            }
        }
        for _ in 0..4 {
            asks();
        }
    })
}

/// arpspoof, or a router that answers for what lies behind it.
fn poisoned(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [victim, owner, other] = [0, 1, 2].map(|index| lan.host(index));
    watch(victim, || {
        ping(victim, &["-c", "2", "-i", "0.2", &Lan::ipv4(1)]);
        ping(other, &["-c", "1", &Lan::ipv4(1)]);
        match made {
            Made::Wrong => {
                let mut arpspoof = other.command("arpspoof");
                arpspoof.args(["-i", LAN_IF, "-t", &Lan::ipv4(0), &Lan::ipv4(1)]);
                let running = Background::start(&mut arpspoof);
                // One line a reply, every two seconds. The first ones may answer requests of the victim.
                let has_sent = || running.output().lines().count() >= 6;
                assert!(eventually(TIMEOUT, has_sent), "{}", running.output());
                running.stop();
            }
            Made::Innocent => {
                other.ip("link add up0 type veth peer name up1\nlink set up0 up\nlink set up1 up\nroute add 10.0.0.128/25 dev up0\n");
                other.sysctl("net/ipv4/ip_forward", "1");
                other.sysctl(&format!("net/ipv4/conf/{LAN_IF}/proxy_arp"), "1");
                for last in 200..205 {
                    ping(victim, &["-c", "1", "-W", "1", &format!("10.0.0.{last}")]);
                }
            }
        }
        ping(owner, &["-c", "1", "-W", "1", &Lan::ipv4(0)]);
    })
}

/// Two hosts with the same address of IPv6, or one that takes it over from another.
fn one_address_of_ipv6(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [asker, first, second] = [0, 1, 2].map(|index| lan.host(index));
    let shared = format!("fd00::9/64 dev {LAN_IF} nodad");
    first.ip(&format!("addr add {shared}"));
    // It tells everybody.
    second.sysctl(&format!("net/ipv6/conf/{LAN_IF}/ndisc_notify"), "1");
    let asks = || {
        asker.ip(&format!("neigh flush dev {LAN_IF}"));
        ping(asker, &["-c", "2", "-i", "0.2", "-W", "1", "fd00::9"]);
    };
    watch(asker, || {
        asks();
        if made == Made::Innocent {
            first.ip(&format!("addr del fd00::9/64 dev {LAN_IF}"));
        }
        second.ip(&format!("addr add {shared}"));
        for _ in 0..4 {
            asks();
        }
    })
}

/// Duplicate address detection of an address that another host has, or nobody.
fn taken_address(made: Made) -> Captured {
    let lan = Lan::new(3);
    let host = lan.host(2);
    for (key, value) in [("accept_dad", "1"), ("dad_transmits", "2")] {
        host.sysctl(&format!("net/ipv6/conf/{LAN_IF}/{key}"), value);
    }
    let address = match made {
        Made::Wrong => Lan::ipv6(1),
        Made::Innocent => "fd00::77".to_owned(),
    };
    watch(lan.host(0), || {
        host.ip(&format!("addr add {address}/64 dev {LAN_IF}"));
        thread::sleep(ms(3000));
        ping(lan.host(0), &["-c", "2", "-i", "0.2", &address]);
    })
}

/// Advertisements of scapy in the name of another host, or a proxy for hosts that are elsewhere.
fn poisoned_neighbours(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [victim, _, other] = [0, 1, 2].map(|index| lan.host(index));
    watch(victim, || {
        for host in [victim, other] {
            ping(host, &["-c", "2", "-i", "0.2", &Lan::ipv6(1)]);
        }
        match made {
            Made::Wrong => {
                let script = format!(
                    "from scapy.all import *\nsendp(Ether(dst='{}')/IPv6(src='{owner}', dst='{}')/ICMPv6ND_NA(tgt='{owner}', R=0, S=1, O=1)/ICMPv6NDOptDstLLAddr(lladdr='{}'), iface='{LAN_IF}', count=6, inter=0.5, verbose=False)",
                    Lan::mac(0),
                    Lan::ipv6(0),
                    Lan::mac(2),
                    owner = Lan::ipv6(1),
                );
                output(other.command("/usr/bin/python3").arg("-c").arg(&script));
            }
            Made::Innocent => {
                other.sysctl("net/ipv6/conf/all/forwarding", "1");
                other.sysctl(&format!("net/ipv6/conf/{LAN_IF}/proxy_ndp"), "1");
                for last in 200..205 {
                    let address = format!("fd00::{last}");
                    other.ip(&format!("neigh add proxy {address} dev {LAN_IF}"));
                    ping(victim, &["-c", "1", "-W", "1", &address]);
                }
            }
        }
    })
}

/// A DHCP server, dnsmasq.
fn dnsmasq(host: &Netns, arguments: &[&str]) -> Background {
    let mut dnsmasq = host.command("dnsmasq");
    dnsmasq.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--user=root",
    ]);
    dnsmasq.args([
        "--no-ping",
        "--dhcp-authoritative",
        "--log-facility=-",
        "--pid-file=",
    ]);
    dnsmasq.arg(format!("--interface={LAN_IF}")).args(arguments);
    // Leases of others are none of its own.
    dnsmasq.arg("--leasefile-ro");
    let mut server = Background::start(&mut dnsmasq);
    server.wait_for("lease time");
    server
}

/// A DHCP client, udhcpc, that runs `script` for each event, of which it tries three times.
fn udhcpc(host: &Netns, script: &str) -> Command {
    let mut udhcpc = host.command("udhcpc");
    udhcpc.args(["-f", "-i", LAN_IF, "-s", script, "-t", "3", "-T", "1"]);
    udhcpc
}

fn dhcp_servers(made: Made) -> Captured {
    let lan = Lan::new(3);
    let client = lan.host(0);
    watch(client, || {
        let range = "--dhcp-range=10.0.0.100,10.0.0.120";
        let _first = dnsmasq(lan.host(1), &[range]);
        let _second = (made == Made::Wrong).then(|| dnsmasq(lan.host(2), &[range]));
        for _ in 0..2 {
            output(udhcpc(client, "/bin/true").args(["-q", "-n"]));
        }
    })
}

/// Sets what a lease says, as a client has to renew it from its address.
const SCRIPT: &str = "#!/bin/sh
ip address flush dev $interface
case $1 in bound|renew) ip address add $ip/24 dev $interface;; esac
";

/// A server that comes back with other addresses: it has none for the client that it refuses, or a new one.
fn refused_lease(made: Made) -> Captured {
    let directory = TempDir::new().expect("a directory");
    let script = directory.path().join("script");
    fs::write(&script, SCRIPT).expect("the script is written");
    output(Command::new("chmod").arg("+x").arg(&script));
    let lan = Lan::new(2);
    let [client, server] = [0, 1].map(|index| lan.host(index));
    server.ip(&format!("addr add 10.0.7.2/24 dev {LAN_IF}"));
    watch(client, || {
        let before = dnsmasq(server, &["--dhcp-range=10.0.0.100,10.0.0.100"]);
        let mut udhcpc = Background::start(&mut udhcpc(client, script.to_str().expect("a name")));
        udhcpc.wait_for("lease of 10.0.0.100 obtained");
        before.stop();
        let range = match made {
            Made::Wrong => "--dhcp-range=10.0.7.0,static",
            Made::Innocent => "--dhcp-range=10.0.7.100,10.0.7.100",
        };
        let _after = dnsmasq(server, &[range]);
        udhcpc.signal(Signal::SIGUSR1);
        udhcpc.wait_for("received DHCP NAK");
        if made == Made::Innocent {
            udhcpc.wait_for("lease of 10.0.7.100 obtained");
        }
        thread::sleep(ms(4500));
        udhcpc.stop();
    })
}

fn searched_server(made: Made) -> Captured {
    let lan = Lan::new(2);
    let client = lan.host(0);
    watch(client, || {
        let _server = (made == Made::Innocent)
            .then(|| dnsmasq(lan.host(1), &["--dhcp-range=10.0.0.100,10.0.0.120"]));
        any_end(udhcpc(client, "/bin/true").args(["-q", "-n"]));
        silence(&lan);
    })
}

/// radvd, with a prefix.
fn radvd(lan: &Lan, index: usize, prefix: &str, directory: &TempDir) -> Background {
    let host = lan.host(index);
    host.ip(&format!(
        "addr add fe80::{:x}/64 dev {LAN_IF} nodad",
        index + 1
    ));
    host.sysctl("net/ipv6/conf/all/forwarding", "1");
    let file = directory.path().join(format!("radvd-{index}"));
    let interval = "MinRtrAdvInterval 3; MaxRtrAdvInterval 4;";
    let configuration =
        format!("interface {LAN_IF} {{ AdvSendAdvert on; {interval} prefix {prefix} {{ }}; }};\n");
    fs::write(&file, configuration).expect("the configuration is written");
    let mut radvd = host.command("radvd");
    radvd.args(["-n", "-m", "stderr", "-C"]).arg(&file);
    Background::start(radvd.arg("-p").arg(file.with_extension("pid")))
}

fn routers(made: Made) -> Captured {
    let directory = TempDir::new().expect("a directory");
    let lan = Lan::new(3);
    watch(lan.host(0), || {
        let _first = radvd(&lan, 1, "2001:db8:1::/64", &directory);
        let prefix = match made {
            Made::Wrong => "2001:db8:2::/64",
            Made::Innocent => "2001:db8:1::/64",
        };
        let _second = radvd(&lan, 2, prefix, &directory);
        thread::sleep(ms(6000));
    })
}
