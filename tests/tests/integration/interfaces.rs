//! Where a task captures: interfaces, `any`, directions, hooks, namespaces, and link types.

use std::{
    net::UdpSocket,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use capture_tests::{
    TIMEOUT,
    agent::{self, Ended},
    eventually,
    netns::{HOST_IF, HOST_MAC, Lab, Netns, PEER_IF},
    or_skip, output, readers,
    table::{Labelled, labels, send},
    traffic::{
        self, Direction, ETHERTYPE_IPV4, ETHERTYPE_QINQ, ETHERTYPE_VLAN, Ipv4, Tun, UDP, number_in,
    },
};

fn both_ways(lab: &Lab, arguments: &[&str]) -> (Ended, Vec<&'static str>) {
    let frames: Vec<Labelled> = vec![
        ("in", traffic::frame(1, 100)),
        ("out", traffic::frame(2, 100)),
    ];
    let running = agent::capture(&lab.host, arguments);
    send(lab, Direction::Ingress, &frames[..1]);
    send(lab, Direction::Egress, &frames[1..]);
    let ended = running.stop().expect_whole("user");
    let labels = labels(&ended, &frames);
    (ended, labels)
}

#[test]
fn direction_and_hook() {
    let lab = Lab::new();
    for hook in ["auto", "tc", "xdp", "xdp-generic"] {
        for (direction, expected, flags) in [
            (
                "both",
                &["in", "out"][..],
                &["0x00000001", "0x00000002"][..],
            ),
            ("ingress", &["in"], &["0x00000001"]),
            ("egress", &["out"], &["0x00000002"]),
        ] {
            let arguments = [
                "-i", HOST_IF, "-w", "o.pcapng", "--hook", hook, "-Q", direction,
            ];
            let (ended, labels) = both_ways(&lab, &arguments);
            ended.check(
                labels == expected,
                format_args!("{hook} {direction}: {labels:?}"),
            );
            let rows = readers::fields(&ended.file(), "", &["frame.packet_flags"]);
            let rows: Vec<_> = rows.concat();
            ended.check(
                rows == flags,
                format_args!("{hook} {direction}: flags {rows:?}"),
            );
            let ready = ended
                .stderr
                .lines()
                .find(|line| line.contains("capturing on "));
            ended.check(
                ready.is_some_and(|line| line.contains(HOST_IF)),
                "cap0 in the line",
            );
        }
    }
}

#[test]
fn several_interfaces() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    lab.pair("cap2", "peer2");
    let arguments = ["-i", HOST_IF, "--interface", "cap1", "-w", "o.pcapng"];
    let running = agent::capture(&lab.host, &arguments);
    for (number, peer) in [(1, PEER_IF), (2, "peer1"), (3, "peer2")] {
        traffic::send(&lab.peer, peer, 0, [traffic::frame(number, 100)]);
    }
    let ended = running.stop().expect_whole("user");
    let numbers: Vec<_> = ended
        .packets()
        .iter()
        .map(|packet| number_in(&packet.bytes))
        .collect();
    ended.check(numbers == [Some(1), Some(2)], format_args!("{numbers:?}"));
    let names = readers::fields(&ended.file(), "", &["frame.interface_name"]);
    assert_eq!(names, [[HOST_IF], ["cap1"]]);
}

#[test]
fn any_follows_interfaces() {
    let lab = Lab::new();
    let arguments = ["-i", "any", "--port", "53", "-w", "o.pcapng"];
    let running = agent::capture(&lab.host, &arguments);
    traffic::send(&lab.peer, PEER_IF, 0, [traffic::frame(1, 100)]);
    lab.pair("late0", "latepeer0");
    // Following takes a moment; everything after it must be there.
    lab.host.wait_attached("late0");
    traffic::send(&lab.peer, "latepeer0", 0, [traffic::frame(2, 100)]);
    traffic::settle();
    lab.host.ip("link del late0");
    lab.pair("later0", "laterpeer0");
    lab.host.wait_attached("later0");
    traffic::send(&lab.peer, "laterpeer0", 0, [traffic::frame(3, 100)]);
    traffic::send(&lab.peer, PEER_IF, 0, [traffic::frame(4, 100)]);
    let ended = running.stop().expect_whole("user");
    let rows = readers::fields(&ended.file(), "", &["frame.interface_name", "frame.number"]);
    let names: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    ended.check(
        names == [HOST_IF, "late0", "later0", HOST_IF],
        format_args!("{names:?}"),
    );
    let numbers: Vec<_> = readers::numbers(&ended.packets()).collect();
    ended.check(numbers == [1, 2, 3, 4], format_args!("{numbers:?}"));
}

#[test]
fn any_shows_each_frame_once_on_loopback_too() {
    let lab = Lab::new();
    let running = agent::capture(&lab.host, &["-i", "any", "--port", "53", "-w", "o.pcapng"]);
    lab.host.within(|| {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("a socket");
        socket.send_to(b"hello", "127.0.0.1:53").expect("sent");
    });
    traffic::send(&lab.peer, PEER_IF, 0, [traffic::frame(1, 100)]);
    let ended = running.stop().expect_whole("user");
    let names = readers::fields(&ended.file(), "", &["frame.interface_name"]).concat();
    // On loopback each frame goes out and comes in; like libpcap, one of the two is shown.
    ended.check(names == ["lo", HOST_IF], format_args!("{names:?}"));
}

#[test]
fn the_last_interface_goes() {
    let lab = Lab::new();
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..10, 100));
    traffic::settle();
    lab.host.ip(&format!("link del {HOST_IF}"));
    let ended = running
        .wait(Duration::from_secs(10))
        .expect_whole("interface_gone");
    assert_eq!(ended.packets().len(), 10);
}

#[test]
fn one_of_two_interfaces_goes() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-i", "cap1", "-w", "o.pcapng"]);
    traffic::send(&lab.peer, "peer1", 0, [traffic::frame(1, 100)]);
    traffic::settle();
    lab.host.ip("link del cap1");
    let said = || running.stderr_so_far().contains("cap1 is gone");
    assert!(eventually(TIMEOUT, said), "{}", running.stderr_so_far());
    traffic::send(&lab.peer, PEER_IF, 0, [traffic::frame(2, 100)]);
    let ended = running.stop().expect_whole("user");
    assert_eq!(ended.packets().len(), 2);
}

#[test]
fn another_namespace_by_name_and_by_path() {
    let lab = Lab::new();
    let elsewhere = Netns::new();
    let path = lab.host.path();
    for place in [lab.host.name(), path.to_str().expect("it is text")] {
        let arguments = ["--netns", place, "-i", HOST_IF, "-w", "o.pcapng"];
        let running = agent::capture(&elsewhere, &arguments);
        assert!(!lab.host.attachments().is_empty(), "attached over there");
        traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..10, 100));
        let ended = running.stop().expect_whole("user");
        // The file is where the user is.
        assert_eq!(ended.packets().len(), 10);
        let left = || lab.host.attachments().is_empty();
        assert!(
            eventually(Duration::from_secs(2), left),
            "{:?}",
            lab.host.attachments()
        );
    }
}

#[test]
fn a_device_without_ethernet_header() {
    let lab = Lab::new();
    let tun = Tun::new(&lab.host, "t0", "10.9.0.1");
    let running = agent::capture(
        &lab.host,
        &["-i", "t0", "--ip", "10.9.0.9", "-w", "o.pcapng"],
    );
    let packet = Ipv4::new("10.9.0.9", "10.9.0.1", UDP).packet(&traffic::udp(5, 6, b"hello"));
    tun.receive(&packet);
    tun.receive(&Ipv4::new("10.9.0.8", "10.9.0.1", UDP).packet(&traffic::udp(5, 6, b"hello")));
    lab.host.within(|| {
        let socket = UdpSocket::bind("10.9.0.1:7").expect("a socket");
        socket.send_to(b"answer", "10.9.0.9:5").expect("sent");
    });
    let ended = running.stop().expect_whole("user");
    let packets: Vec<_> = ended
        .packets()
        .into_iter()
        // The port unreachable that the stack sends for the first is not of interest.
        .filter(|packet| packet.bytes[9] == UDP)
        .collect();
    ended.check(
        packets.len() == 2 && packets[0].bytes == packet,
        format_args!("{packets:02x?}"),
    );
    // What tshark makes of the payload depends on the port; the layers above it are what counts.
    let rows = readers::fields(
        &ended.file(),
        "udp and not icmp",
        &["frame.encap_type", "udp.dstport"],
    );
    let raw_ip = "7"; // WTAP_ENCAP_RAW_IP (wiretap/wtap.h)
    ended.check(
        rows == [[raw_ip, "6"], [raw_ip, "5"]],
        format_args!("{rows:?}"),
    );
}

/// A bridge hands on a frame with its outer tag still in metadata: the way out of the second port
/// has to put it back, too.
#[test]
fn a_stripped_tag_on_the_way_out() {
    let lab = Lab::new();
    lab.pair("out0", "outpeer0");
    lab.host.ip(&format!("addr flush dev {HOST_IF}"));
    lab.host.bridge("br0", &[HOST_IF, "out0"]);
    let packet = Ipv4::new("192.0.2.1", "192.0.2.2", UDP).packet(&traffic::udp(1, 53, b"data"));
    let tag = [(ETHERTYPE_VLAN, 0x6005)];
    let tags = [(ETHERTYPE_QINQ, 100), (ETHERTYPE_VLAN, 200)];
    let frames: Vec<Labelled> = vec![
        ("plain", traffic::ethernet(ETHERTYPE_IPV4, &packet)),
        ("tag", traffic::tagged(&tag, ETHERTYPE_IPV4, &packet)),
        ("qinq", traffic::tagged(&tags, ETHERTYPE_IPV4, &packet)),
    ];
    let filter = [
        "-i", "out0", "-Q", "egress", "--port", "53", "-w", "o.pcapng",
    ];
    let running = agent::capture(&lab.host, &filter);
    send(&lab, Direction::Ingress, &frames);
    let ended = running.stop().expect_whole("user");
    let labels = labels(&ended, &frames);
    ended.check(
        labels == ["plain", "tag", "qinq"],
        format_args!("{labels:?}"),
    );
}

#[test]
fn vlan_sub_interface() {
    let lab = Lab::new();
    or_skip!(lab.host.vlan("v10", HOST_IF, 10, "10.1.0.1"));
    or_skip!(lab.peer.vlan("v10", PEER_IF, 10, "10.1.0.2"));
    lab.peer
        .ip(&format!("link set {PEER_IF} address 02:00:00:00:00:02"));
    lab.peer.neighbour("v10", "10.1.0.1", HOST_MAC);
    let running = agent::capture(
        &lab.host,
        &["-i", HOST_IF, "-w", "o.pcapng", "--port", "53"],
    );
    lab.peer.within(|| {
        let socket = UdpSocket::bind("10.1.0.2:53").expect("a socket");
        socket.send_to(b"hello", "10.1.0.1:53").expect("sent");
    });
    let ended = running.stop().expect_whole("user");
    let rows = readers::fields(&ended.file(), "udp.srcport == 53 && !icmp", &["vlan.id"]);
    ended.check(rows == [["10"]], format_args!("{rows:?}"));
}

#[test]
fn large_frames_out_of_the_linear_part() {
    let lab = Lab::new();
    lab.host.ip(&format!("link set {HOST_IF} mtu 9000"));
    lab.peer.ip(&format!("link set {PEER_IF} mtu 9000"));
    let from = "192.0.2.1:1000".parse().expect("an address");
    let to = "192.0.2.2:53".parse().expect("an address");
    let lengths = [
        60, 61, 127, 128, 129, 255, 1513, 1514, 4095, 4096, 4097, 9000, 9014,
    ];
    let frames: Vec<_> = lengths
        .iter()
        .zip(0..)
        .map(|(&len, number)| traffic::udp_frame(from, to, number, len))
        .collect();
    for hook in ["tc", "xdp"] {
        let arguments = [
            "-i", HOST_IF, "-w", "o.pcapng", "--port", "53", "--hook", hook,
        ];
        let running = agent::capture(&lab.host, &arguments);
        traffic::send(&lab.peer, PEER_IF, 0, frames.clone());
        traffic::send(&lab.host, HOST_IF, 0, frames.clone());
        let ended = running.stop().expect_whole("user");
        let packets = ended.packets().into_iter();
        let bytes: Vec<_> = packets.map(|packet| packet.bytes).collect();
        let expected = [frames.clone(), frames.clone()].concat();
        ended.check(bytes == expected, "whole frames of every length");
    }
}

/// The line that says `capturing` comes when everything that is sent from then on is captured.
#[test]
fn capturing_means_capturing() {
    let lab = Lab::new();
    for round in 0..5 {
        let running = agent::start(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
        let end = Instant::now() + Duration::from_secs(20);
        while !running.stderr_so_far().contains("capturing on ") {
            assert!(
                Instant::now() < end,
                "not capturing: {}",
                running.stderr_so_far()
            );
            thread::yield_now();
        }
        traffic::send(&lab.peer, PEER_IF, 0, [traffic::frame(round, 100)]);
        traffic::send(&lab.host, HOST_IF, 0, [traffic::frame(100 + round, 100)]);
        let ended = running.stop().expect_whole("user");
        ended.check(ended.counter("captured") == 2, "both frames expected");
    }
}

#[test]
fn doctor_and_listings_work_in_a_namespace() {
    let lab = Lab::new();
    let listing = output(
        lab.host
            .command(agent::binary())
            .args(["interfaces", "-o", "json"]),
    );
    assert!(listing.contains(HOST_IF), "{listing}");
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let mut doctor: Command = lab.host.command(agent::binary());
    doctor.arg("doctor").current_dir(directory.path());
    output(&mut doctor);
}
