//! Others on the same interface go on unharmed: tc filters, tcpdump, further agents, and the
//! traffic itself.

use std::time::Duration;

use capture_tests::{
    agent,
    netns::{HOST_IF, Lab, PEER_IF},
    output,
    peer_tools::Tcpdump,
    traffic::{self, numbered},
};

/// Packets that the filter which mirrors to a device has handled. iproute2 shows the filters of
/// both directions whichever is asked for, so the device tells them apart.
fn mirrored(lab: &Lab, device: &str) -> u64 {
    let mut command = lab.host.command("tc");
    let text = output(command.args(["-s", "filter", "show", "dev", HOST_IF, "ingress"]));
    let action = format!("Mirror to device {device})");
    let figures = text
        .split_once(&action)
        .and_then(|(_, rest)| rest.split_once("Sent "));
    let count = figures.and_then(|(_, rest)| rest.split_whitespace().nth(2)?.parse().ok());
    count.unwrap_or_else(|| panic!("no figures for {device} in: {text}"))
}

#[test]
fn clsact_filters_see_everything_before_during_and_after() {
    let lab = Lab::new();
    for device in ["in0", "out0"] {
        lab.host
            .ip(&format!("link add {device} type ifb\nlink set {device} up"));
    }
    output(
        lab.host
            .command("tc")
            .args(["qdisc", "add", "dev", HOST_IF, "clsact"]),
    );
    for (direction, device) in [("ingress", "in0"), ("egress", "out0")] {
        let filter = "protocol all prio 1 u32 match u32 0 0 action mirred egress mirror dev";
        let mut command = lab.host.command("tc");
        command.args(["filter", "add", "dev", HOST_IF, direction]);
        output(command.args(filter.split(' ')).arg(device));
    }
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..10, 200));
    for hook in ["tc", "xdp", "xdp-generic"] {
        let before = (mirrored(&lab, "in0"), mirrored(&lab, "out0"));
        let running = agent::capture(
            &lab.host,
            &["-i", HOST_IF, "--hook", hook, "-w", "o.pcapng"],
        );
        traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..500, 200));
        traffic::send(&lab.host, HOST_IF, 5000, traffic::frames(0..300, 200));
        let ended = running.stop().expect_whole("user");
        assert_eq!(ended.counter("captured"), 800, "{hook}");
        let after = (mirrored(&lab, "in0"), mirrored(&lab, "out0"));
        assert_eq!(
            (after.0 - before.0, after.1 - before.1),
            (500, 300),
            "{hook}"
        );
    }
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..10, 200));
    assert_eq!(mirrored(&lab, "in0"), 1520);
}

#[test]
fn tcpdump_sees_the_same() {
    let lab = Lab::new();
    let tcpdump = Tcpdump::start(&lab.host, HOST_IF, "");
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", "ours.pcapng"]);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..1000, 200));
    traffic::send(&lab.host, HOST_IF, 5000, traffic::frames(0..1000, 200));
    let ended = running.stop().expect_whole("user");
    let ours = ended.packets();
    let theirs = tcpdump.packets(2000);
    assert_eq!((ours.len(), theirs.len()), (2000, 2000));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.bytes, theirs.bytes);
        let apart = ours.time_ns.abs_diff(theirs.time_ns);
        assert!(apart < 50_000_000, "the two clocks are {apart} ns apart");
    }
}

#[test]
fn agents_at_the_same_time_do_not_mix() {
    let lab = Lab::new();
    let start = |more: &[&str]| {
        let arguments = [&["-i", HOST_IF, "-w", "o.pcapng"], more].concat();
        agent::capture(&lab.host, &arguments)
    };
    let all = start(&[]);
    let short = start(&["--port", "53", "-s", "60"]);
    let xdp = start(&["--hook", "xdp", "--port", "53"]);
    let few = start(&["-c", "5"]);
    let none = start(&["--port", "54"]);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..1000, 200));
    let few = few
        .wait(Duration::from_secs(10))
        .expect_whole("max_packets");
    traffic::send(&lab.host, HOST_IF, 5000, traffic::frames(0..1000, 200));
    assert_eq!(few.packets().len(), 5);
    assert_eq!(none.stop().expect_whole("user").packets().len(), 0);
    let xdp = xdp.stop().expect_whole("user").packets();
    let short = short.stop().expect_whole("user").packets();
    let all = all.stop().expect_whole("user").packets();
    assert_eq!((all.len(), short.len(), xdp.len()), (2000, 2000, 2000));
    assert!(all.iter().all(|packet| packet.bytes.len() == 200));
    assert!(
        short
            .iter()
            .all(|packet| packet.bytes.len() == 60 && packet.original_len == 200)
    );
}

#[test]
fn traffic_is_unharmed_under_every_hook() {
    let lab = Lab::new();
    let address = |text: &str| text.parse().expect("an address");
    for hook in ["tc", "xdp-generic", "xdp"] {
        let arguments = ["-i", HOST_IF, "--hook", hook, "-w", "o.pcapng", "-s", "60"];
        let running = agent::capture(&lab.host, &arguments);
        traffic::udp_echo(&lab.peer, &lab.host, address("10.0.0.1:4000"), 500, 1400);
        traffic::udp_echo(&lab.peer, &lab.host, address("[fd00::1]:4000"), 500, 1400);
        // Larger than the MTU: fragments on the wire.
        traffic::udp_echo(&lab.host, &lab.peer, address("10.0.0.2:4000"), 50, 20_000);
        traffic::udp_echo(&lab.host, &lab.peer, address("[fd00::2]:4000"), 50, 20_000);
        let data = numbered(1, 5_000_000);
        let port = format!("10.0.0.1:{}", 5000 + hook.len());
        let received = traffic::tcp_transfer(&lab.peer, &lab.host, address(&port), &data);
        assert!(received == data, "{hook}: the transfer is unharmed");
        let ended = running.stop().expect_whole("user");
        ended.check(ended.counter("captured") > 2000, "it captured meanwhile");
    }
}
