//! Interfaces that change under a capture: renamed, set down and up, gone and back under the same name,
//! moved to another namespace, and gone with their namespace. An interface is its index, and its name in the
//! file that at the start.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use capture_tests::{
    TIMEOUT, agent, eventually,
    netns::{HOST_IF, Lab, Netns, PEER_IF},
    readers,
    traffic::{self, number_in},
};

fn send(lab: &Lab, peer: &str, number: u32) {
    traffic::send(&lab.peer, peer, 0, [traffic::frame(number, 100)]);
}

/// Interface name and number of each packet.
fn taken(ended: &agent::Ended) -> Vec<(String, u32)> {
    let names = readers::fields(&ended.file(), "", &["frame.interface_name"]).concat();
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

#[test]
fn a_renamed_interface() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let any = agent::capture(&lab.host, &["-i", "any", "--port", "53", "-w", "o.pcapng"]);
    let named = agent::capture(&lab.host, &["-i", "cap1", "-w", "o.pcapng"]);
    send(&lab, "peer1", 1);
    lab.host
        .ip("link set cap1 down\nlink set cap1 name new1\nlink set new1 up");
    lab.peer.wait_until_up("peer1");
    send(&lab, "peer1", 2);
    // Another takes the name that has become free.
    lab.pair("cap1", "peer2");
    lab.host.wait_attached("cap1");
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
        lab.peer.wait_until_up(PEER_IF);
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
        lab.host.wait_attached("cap1");
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
    let named = named.wait(TIMEOUT).expect_whole("interface_gone");
    expect(&named, &[("cap1", 1)]);
    elsewhere.ip("link set cap1 up");
    lab.peer.wait_until_up("peer1");
    // It is no interface of the namespace that is captured.
    send(&lab, "peer1", 2);
    send(&lab, PEER_IF, 3);
    let any = any.stop().expect_whole("user");
    expect(&any, &[("cap1", 1), (HOST_IF, 3)]);
    assert_eq!(elsewhere.attachments(), Vec::<String>::new());
}

/// By name an interface is the one that had it at the start. What comes later is another, and the capture
/// has ended by then, or says that it does not follow.
#[test]
fn a_named_interface_that_comes_back_is_another() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let only = agent::capture(&lab.host, &["-i", "cap1", "-w", "o.pcapng"]);
    let both = agent::capture(&lab.host, &["-i", HOST_IF, "-i", "cap1", "-w", "o.pcapng"]);
    send(&lab, "peer1", 1);
    // Seen by the stack, and so by the hooks, before it goes.
    lab.host.ip("link del cap1");
    lab.pair("cap1", "peer1");
    let only = only.wait(TIMEOUT).expect_whole("interface_gone");
    expect(&only, &[("cap1", 1)]);
    let said = || both.stderr_so_far().contains("cap1 is gone");
    assert!(eventually(TIMEOUT, said), "{}", both.stderr_so_far());
    send(&lab, "peer1", 2);
    send(&lab, PEER_IF, 3);
    // The next capture takes the new one.
    let next = agent::capture(&lab.host, &["-i", "cap1", "-w", "o.pcapng"]);
    send(&lab, "peer1", 4);
    expect(&next.stop().expect_whole("user"), &[("cap1", 4)]);
    let both = both.stop().expect_whole("user");
    expect(&both, &[("cap1", 1), (HOST_IF, 3)]);
}

/// Under traffic: what was matched until then is in the file, none missing, and the figures add up.
#[test]
fn an_interface_that_goes_under_traffic() {
    for (hook, end) in [("tc", "del"), ("xdp", "del"), ("tc", "netns")] {
        let lab = Lab::new();
        let elsewhere = Netns::new();
        let arguments = ["-i", HOST_IF, "--hook", hook, "-w", "o.pcapng"];
        let running = agent::capture(&lab.host, &arguments);
        let part = running.directory().join("o.pcapng.part");
        let stop = AtomicBool::new(false);
        let ended = thread::scope(|scope| {
            let sender = scope.spawn(|| {
                // It ends when its interface goes, or has no carrier any more.
                let frames = (0..)
                    .map(|number| traffic::frame(number, 100))
                    .take_while(|_| !stop.load(Ordering::Relaxed));
                traffic::send_while_up(&lab.peer, PEER_IF, 10_000, frames)
            });
            let grown = || part.metadata().is_ok_and(|meta| meta.len() > 100_000);
            assert!(eventually(TIMEOUT, grown), "{hook}: packets come");
            match end {
                "del" => lab.host.ip(&format!("link del {HOST_IF}")),
                _ => lab
                    .host
                    .ip(&format!("link set {HOST_IF} netns {}", elsewhere.name())),
            }
            let ended = running.wait(TIMEOUT).expect_whole("interface_gone");
            stop.store(true, Ordering::Relaxed);
            sender.join().expect("the sender ends");
            ended
        });
        let whole = readers::is_gapless(&ended.packets());
        ended.check(
            whole,
            format_args!("{hook} {end}: none missing until it went"),
        );
    }
}

/// Deleting a namespace takes its name away: it lives as long as somebody is in it, and the agent is.
#[test]
fn a_namespace_whose_name_is_deleted() {
    let elsewhere = Netns::new();
    let Lab { host, peer } = Lab::new();
    let arguments = ["--netns", host.name(), "-i", HOST_IF, "-w", "o.pcapng"];
    let running = agent::capture(&elsewhere, &arguments);
    let send = |number| traffic::send(&peer, PEER_IF, 0, [traffic::frame(number, 100)]);
    send(1);
    drop(host);
    send(2);
    expect(
        &running.stop().expect_whole("user"),
        &[(HOST_IF, 1), (HOST_IF, 2)],
    );
    // Nobody is in it any more, and the veth pair goes with it.
    let has_gone = || {
        let links = capture_tests::output(peer.command("ip").args(["-o", "link"]));
        !links.contains(PEER_IF)
    };
    assert!(
        eventually(TIMEOUT, has_gone),
        "the namespace is still there"
    );
}

/// The other end of a veth pair goes with its namespace, and ours with it.
#[test]
fn a_namespace_at_the_other_end_that_goes() {
    let lab = Lab::new();
    let named = agent::capture(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
    let any = agent::capture(&lab.host, &["-i", "any", "--port", "53", "-w", "o.pcapng"]);
    send(&lab, PEER_IF, 1);
    capture_tests::output(Command::new("ip").args(["netns", "del", lab.peer.name()]));
    let named = named.wait(TIMEOUT).expect_whole("interface_gone");
    expect(&named, &[(HOST_IF, 1)]);
    expect(&any.stop().expect_whole("user"), &[(HOST_IF, 1)]);
}
