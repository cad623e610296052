//! A capture file of many protocols, made by scapy and put on the wire by tcpreplay, neither of which
//! knows the product: what each task takes of it is what `tcpdump -r FILE EXPRESSION` takes, packet for
//! packet.

use std::{fs, path::Path, process::Command};

use capture_tests::{
    agent,
    netns::{HOST_IF, Lab, PEER_IF},
    output,
    readers::{self, Packet},
};
use serde_json::{Value, json};

/// As many as capture at the same time.
const MOST_TASKS: usize = 64;

/// Debian's own, for which scapy is installed.
const PYTHON: &str = "/usr/bin/python3";

/// An expression as it is meant: also behind one tag and two. Each `vlan` is one tag further in.
fn behind_tags(expression: &str) -> String {
    format!("({expression}) or (vlan and ({expression})) or (vlan and ({expression}))")
}

/// Fragments behind the first of the datagrams to port 53, which the language cannot follow: by the
/// identification that they alone have, at its offset in either version of IP.
const LATER: &str = "(ip[4:2] = 4660 and ip[6:2] & 0x1fff != 0)";
const LATER6: &str = "(ip6[6] = 44 and ip6[44:4] = 0x12345 and ip6[42:2] & 0xfff8 != 0)";
/// The first one over IPv6, whose ports the language does not look for.
const FIRST6: &str = "(ip6[6] = 44 and ip6[44:4] = 0x12345 and ip6[42:2] & 0xfff8 = 0)";

/// What a task asks for, and the expression that says the same.
fn filters() -> Vec<(Value, String)> {
    let same = |filter: Value, expression: &str| (filter, behind_tags(expression));
    let dns4 = "(src host 192.0.2.53 and src port 53) or (dst host 192.0.2.53 and dst port 53)";
    let dns6 = "(src host 2001:db8::53 and src port 53) or (dst host 2001:db8::53 and dst port 53)";
    let https = "tcp and ((src host 192.0.2.53 and src port 443) or (dst host 192.0.2.53 and dst port 443))";
    vec![
        (json!({}), String::new()),
        // `protochain` finds a protocol behind extension headers.
        same(json!({"protocol": "tcp"}), "tcp or ip6 protochain 6"),
        same(json!({"protocol": "udp"}), "udp or ip6 protochain 17"),
        same(json!({"protocol": "icmp"}), "icmp or ip6 protochain 58"),
        same(json!({"ip": "192.0.2.53"}), "host 192.0.2.53"),
        same(json!({"ip": "192.0.2.0/28"}), "net 192.0.2.0/28"),
        same(json!({"ip": "2001:db8::53"}), "host 2001:db8::53"),
        same(json!({"ip": "2001:db8:1::/48"}), "net 2001:db8:1::/48"),
        same(
            json!({"ip": "192.0.2.53", "peer_ip": "198.51.100.0/24"}),
            "host 192.0.2.53 and net 198.51.100.0/24",
        ),
        same(
            json!({"ip": "2001:db8::10", "peer_ip": "2001:db8::53"}),
            "host 2001:db8::10 and host 2001:db8::53",
        ),
        same(json!({"ip": "203.0.113.5"}), "host 203.0.113.5"),
        same(
            json!({"ip": ["2001:db8::53", "192.0.2.53", "203.0.113.5"]}),
            "host 192.0.2.53 or host 2001:db8::53 or host 203.0.113.5",
        ),
        same(
            json!({"ip": ["198.51.100.0/24", "2001:db8:1::/48", "192.0.2.53"]}),
            "net 198.51.100.0/24 or net 2001:db8:1::/48 or host 192.0.2.53",
        ),
        same(
            json!({"ip": ["192.0.2.53", "2001:db8::53"], "peer_ip": ["198.51.100.0/24", "2001:db8::10"]}),
            "(host 192.0.2.53 or host 2001:db8::53) and (net 198.51.100.0/24 or host 2001:db8::10)",
        ),
        same(
            json!({"protocol": "tcp", "ip": "192.0.2.53, 2001:db8::53", "ports": [443]}),
            "tcp and ((src port 443 and (src host 192.0.2.53 or src host 2001:db8::53)) \
             or (dst port 443 and (dst host 192.0.2.53 or dst host 2001:db8::53)))",
        ),
        same(json!({"ports": [123]}), "port 123"),
        same(json!({"ports": ["67-68"]}), "portrange 67-68"),
        same(json!({"ports": [3868]}), "port 3868"),
        same(
            json!({"protocol": "tcp", "ports": [443, "8000-8100"]}),
            "tcp and (port 443 or portrange 8000-8100)",
        ),
        same(
            json!({"protocol": "tcp", "ip": "192.0.2.53", "ports": [443]}),
            https,
        ),
        (
            json!({"ip": "192.0.2.53", "ports": [53]}),
            format!("{LATER} or {}", behind_tags(dns4)),
        ),
        (
            json!({"ip": "2001:db8::53", "ports": [53]}),
            format!("{FIRST6} or {LATER6} or {}", behind_tags(dns6)),
        ),
        (
            json!({"ports": [53]}),
            format!(
                "{LATER} or {FIRST6} or {LATER6} or {}",
                behind_tags("port 53")
            ),
        ),
    ]
}

/// Lists of addresses, every one another choice of the same, so that tasks share entries of the kernel's tables.
fn lists() -> impl Iterator<Item = (Value, String)> {
    let all = [
        ("host", "192.0.2.53"),
        ("net", "192.0.2.0/28"),
        ("net", "198.51.100.0/24"),
        ("host", "2001:db8::53"),
        ("net", "2001:db8:1::/48"),
        ("host", "2001:db8::10"),
    ];
    (1_u32..1 << all.len())
        .filter(|set| set.count_ones() > 1)
        .map(move |set| {
            let chosen = all
                .iter()
                .enumerate()
                .filter(|(bit, _)| set >> bit & 1 != 0);
            let (terms, texts): (Vec<_>, Vec<_>) = chosen
                .map(|(_, (kind, address))| (format!("{kind} {address}"), *address))
                .unzip();
            (json!({"ip": texts}), behind_tags(&terms.join(" or ")))
        })
}

fn by_expression(everything: &Path, expression: &str, to: &Path) -> Vec<Packet> {
    readers::tcpdump_filter(everything, expression, to);
    readers::packets(to)
}

#[test]
fn a_file_of_scapy_against_the_expressions_of_tcpdump() {
    let directory = tempfile::tempdir().expect("a directory");
    let everything = directory.path().join("everything.pcap");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/mixture.py");
    output(Command::new(PYTHON).arg(script).arg(&everything));
    let mut filters = filters();
    filters.extend(lists());
    filters.truncate(MOST_TASKS);
    assert_eq!(filters.len(), MOST_TASKS);
    let tasks = filters.iter().zip(0..).map(|((filter, _), number)| {
        let mut task = filter.clone();
        task["interfaces"] = json!([HOST_IF]);
        task["write"] = format!("{number}.pcap").into();
        task
    });
    let file = directory.path().join("tasks.json");
    let tasks: Vec<_> = tasks.collect();
    fs::write(&file, json!(tasks).to_string()).expect("it can be written");

    let lab = Lab::new();
    let file = file.to_str().expect("a plain path");
    let running = agent::capture(&lab.host, &["--tasks", file]);
    let mut tcpreplay = lab.peer.command("tcpreplay");
    tcpreplay.args(["--quiet", "--pps", "3000", "-i", PEER_IF]);
    output(tcpreplay.arg(&everything));
    let ended = running.stop().expect_code(0);

    for (number, (filter, expression)) in filters.iter().enumerate() {
        let verdict = &ended.records()[number]["verdict"];
        ended.check(verdict == "complete", format_args!("{filter}: {verdict}"));
        let name = format!("{number}.pcap");
        let taken = readers::packets(&ended.directory.path().join(&name));
        let expected = by_expression(&everything, expression, &directory.path().join(&name));
        println!("{}: {filter}", expected.len());
        let first = (0..taken.len().max(expected.len())).find(|&at| {
            let bytes = |packets: &[Packet]| packets.get(at).map(|packet| packet.bytes.clone());
            bytes(&taken) != bytes(&expected)
        });
        if let Some(at) = first {
            let (taken, expected) = (taken.get(at), expected.get(at));
            panic!(
                "{filter}: packet {at} differs\ntaken    {taken:02x?}\nexpected {expected:02x?}"
            );
        }
        // Only the address inside a tunnel is asked for in vain.
        let in_vain = filter["ip"] == "203.0.113.5";
        assert_eq!(expected.is_empty(), in_vain, "{filter}: {}", expected.len());
    }
}
