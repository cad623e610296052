//! Interfaces that change under a capture: renamed, set down and up, gone and back under the same name,
//! moved to another namespace. An interface is its index, and its name in the file that at the start.

use std::time::Duration;

use capture_tests::{
    agent, eventually, judge,
    netns::{HOST_IF, Lab, Netns, PEER_IF},
    traffic::{self, number_in},
};

const LIMIT: Duration = Duration::from_secs(10);

fn send(lab: &Lab, peer: &str, number: u32) {
    let from = "192.0.2.1:1000".parse().expect("an address");
    let to = "192.0.2.2:53".parse().expect("an address");
    let frame = traffic::udp_frame(from, to, number, 100);
    traffic::send(&lab.peer, peer, 0, [frame]);
}

/// Interface name and number of each packet.
fn taken(ended: &agent::Ended) -> Vec<(String, u32)> {
    let names = judge::fields(&ended.file(), "", &["frame.interface_name"]).concat();
    let packets = ended.packets();
    let numbers = packets
        .iter()
        .map(|packet| number_in(&packet.bytes).expect("ours alone"));
    names.into_iter().zip(numbers).collect()
}

fn expect(ended: &agent::Ended, expected: &[(&str, u32)]) {
    let taken = taken(ended);
    let same = taken
        .iter()
        .map(|(name, number)| (name.as_str(), *number))
        .eq(expected.iter().copied());
    ended.check(same, format_args!("{taken:?}"));
}

/// Whether hooks of both directions are on an interface.
fn is_attached(namespace: &Netns, interface: &str) -> bool {
    let attachments = namespace.attachments();
    ["ingress", "egress"].iter().all(|side| {
        let start = format!("{interface} tcx {side} ");
        attachments.iter().any(|line| line.starts_with(&start))
    })
}

/// The peer's end has a carrier as soon as ours is up.
fn wait_for_carrier(lab: &Lab, peer: &str) {
    let is_up = || {
        let mut ip = lab.peer.command("ip");
        let text = capture_tests::output(ip.args(["-o", "link", "show", "dev", peer]));
        text.contains("LOWER_UP")
    };
    assert!(eventually(LIMIT, is_up), "{peer} has no carrier");
}

#[test]
fn a_renamed_interface() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let any = agent::capture(&lab.host, &["-i", "any", "--port", "53", "-w", "o.pcapng"]);
    let named = agent::capture(&lab.host, &["-i", "cap1", "-w", "o.pcapng"]);
    send(&lab, "peer1", 1);
    lab.host
        .ip("link set cap1 down\nlink set cap1 name new1\nlink set new1 up");
    wait_for_carrier(&lab, "peer1");
    send(&lab, "peer1", 2);
    // Another takes the name that has become free.
    lab.pair("cap1", "peer2");
    let follows = || is_attached(&lab.host, "cap1");
    assert!(eventually(LIMIT, follows), "{:?}", lab.host.attachments());
    send(&lab, "peer2", 3);
    send(&lab, "peer1", 4);
    let named = named.stop().expect_whole("user");
    expect(&named, &[("cap1", 1), ("cap1", 2), ("cap1", 4)]);
    let any = any.stop().expect_whole("user");
    expect(&any, &[("cap1", 1), ("cap1", 2), ("cap1", 3), ("cap1", 4)]);
}

#[test]
fn an_interface_down_and_up() {
    let lab = Lab::new();
    for interface in [HOST_IF, "any"] {
        let arguments = ["-i", interface, "--port", "53", "-w", "o.pcapng"];
        let running = agent::capture(&lab.host, &arguments);
        send(&lab, PEER_IF, 1);
        lab.host.ip(&format!("link set {HOST_IF} down"));
        lab.host.ip(&format!("link set {HOST_IF} up"));
        wait_for_carrier(&lab, PEER_IF);
        send(&lab, PEER_IF, 2);
        let ended = running.stop().expect_whole("user");
        expect(&ended, &[(HOST_IF, 1), (HOST_IF, 2)]);
    }
}

#[test]
fn an_interface_that_comes_back_under_its_name() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let any = agent::capture(&lab.host, &["-i", "any", "--port", "53", "-w", "o.pcapng"]);
    for number in 0..5 {
        send(&lab, "peer1", number);
        lab.host.ip("link del cap1");
        lab.pair("cap1", "peer1");
        let follows = || is_attached(&lab.host, "cap1");
        assert!(eventually(LIMIT, follows), "{:?}", lab.host.attachments());
    }
    send(&lab, "peer1", 5);
    let any = any.stop().expect_whole("user");
    let expected: Vec<_> = (0..6).map(|number| ("cap1", number)).collect();
    expect(&any, &expected);
}

#[test]
fn an_interface_that_moves_away() {
    let lab = Lab::new();
    let elsewhere = Netns::new();
    lab.pair("cap1", "peer1");
    let any = agent::capture(&lab.host, &["-i", "any", "--port", "53", "-w", "o.pcapng"]);
    let named = agent::capture(&lab.host, &["-i", "cap1", "-w", "o.pcapng"]);
    send(&lab, "peer1", 1);
    lab.host
        .ip(&format!("link set cap1 netns {}", elsewhere.name()));
    let named = named.wait(LIMIT).expect_whole("interface_gone");
    expect(&named, &[("cap1", 1)]);
    elsewhere.ip("link set cap1 up");
    wait_for_carrier(&lab, "peer1");
    // It is no interface of the namespace that is captured.
    send(&lab, "peer1", 2);
    send(&lab, PEER_IF, 3);
    let any = any.stop().expect_whole("user");
    expect(&any, &[("cap1", 1), (HOST_IF, 3)]);
    assert_eq!(elsewhere.attachments(), Vec::<String>::new());
}
