//! The fixture itself, with tcpdump in the place of the agent: what the other tests rely on.

use std::{thread, time::Duration};

use capture_tests::{
    netns::{HOST_IF, Lab, PEER_IF, PEER4},
    output,
    peer_tools::Tcpdump,
    readers,
    traffic::{self, Ipv4, numbered, udp, udp_frame},
};

/// A second of silence from both sides, then tcpdump has seen exactly what was sent.
#[test]
fn namespaces_are_silent_and_frames_arrive_as_sent() {
    let lab = Lab::new();
    let mut tcpdump = Tcpdump::start(&lab.host, HOST_IF, "");
    // What is tested: nothing comes.
    thread::sleep(Duration::from_secs(1));
    let from = "10.0.0.2:7".parse().expect("an address");
    let to = "10.0.0.1:9".parse().expect("an address");
    let frames: Vec<_> = (0..3000)
        .map(|number| udp_frame(from, to, number, 100))
        .collect();
    assert_eq!(
        traffic::send(&lab.peer, PEER_IF, 10_000, frames.clone()),
        3000
    );
    traffic::send(
        &lab.host,
        HOST_IF,
        0,
        [traffic::arp("10.0.0.1", "10.0.0.2")],
    );
    tcpdump.end(3001);
    let file = tcpdump.file();
    let packets = readers::packets(&file);
    readers::assert_ordered(&packets);
    let mut bytes: Vec<_> = packets.into_iter().map(|packet| packet.bytes).collect();
    assert_eq!(bytes.pop(), Some(traffic::arp("10.0.0.1", "10.0.0.2")));
    let difference = bytes
        .iter()
        .zip(&frames)
        .position(|(one, other)| one != other);
    assert_eq!((bytes.len(), difference), (3000, None));
    assert_eq!(readers::tcpdump_count(&file, "udp and port 9"), 3000);
    assert_eq!(
        readers::fields(&file, "arp", &["arp.dst.proto_ipv4"]),
        [["10.0.0.2"]]
    );
    assert!(lab.host.attachments().is_empty());
}

#[test]
fn ordinary_sockets_reach_each_other() {
    let lab = Lab::new();
    let address = |text: &str| text.parse().expect("an address");
    traffic::udp_echo(&lab.host, &lab.peer, address("10.0.0.2:4000"), 20, 1000);
    traffic::udp_echo(&lab.host, &lab.peer, address("[fd00::2]:4000"), 20, 1000);
    let data = numbered(1, 3_000_000);
    let received = traffic::tcp_transfer(&lab.peer, &lab.host, address("10.0.0.1:4001"), &data);
    assert!(received == data);
}

#[test]
fn the_judge_reads_builders_as_meant() {
    let lab = Lab::new();
    let mut tcpdump = Tcpdump::start(&lab.host, HOST_IF, "");
    let body = udp(1, 9, &numbered(5, 20));
    let packet = Ipv4::new(PEER4, "10.0.0.9", traffic::UDP)
        .options(&[1, 1, 1, 0])
        .packet(&body);
    let tags = [
        (traffic::ETHERTYPE_QINQ, 100),
        (traffic::ETHERTYPE_VLAN, 200),
    ];
    let ah = traffic::authentication(traffic::UDP, &body);
    let chain = traffic::extension(traffic::AUTHENTICATION, 2, &ah);
    let frames = [
        traffic::tagged(&tags, traffic::ETHERTYPE_IPV4, &packet),
        traffic::ipv6_frame("fd00::2", "fd00::9", traffic::HOP_BY_HOP, &chain),
        Ipv4::new(PEER4, "10.0.0.9", traffic::ICMP).frame(&traffic::echo(8, b"hello")),
    ];
    traffic::send(&lab.peer, PEER_IF, 0, frames.clone());
    tcpdump.end(frames.len());
    let file = tcpdump.file();
    let packets = readers::packets(&file);
    let bytes: Vec<_> = packets.into_iter().map(|packet| packet.bytes).collect();
    assert_eq!(bytes, frames);
    let rows = readers::fields(&file, "udp", &["vlan.id", "udp.dstport", "frame.len"]);
    // tshark 4.0 shows the 802.1ad tag as one more vlan.id.
    assert_eq!(rows[0][1..], ["9", "74"]);
    assert_eq!(rows[1], ["", "9", "122"]);
    assert_eq!(
        readers::fields(&file, "icmp.checksum.status == 1", &["frame.number"]).len(),
        1
    );
    assert_eq!(traffic::number_in(&bytes[0]), Some(5));
}

#[test]
fn the_sender_keeps_its_rate() {
    let lab = Lab::new();
    let from = "10.0.0.2:7".parse().expect("an address");
    let to = "10.0.0.1:9".parse().expect("an address");
    let begin = std::time::Instant::now();
    let frames = (0..30_000).map(|number| udp_frame(from, to, number, 1000));
    assert_eq!(traffic::send(&lab.peer, PEER_IF, 30_000, frames), 30_000);
    let took = begin.elapsed().as_secs_f64();
    // Never faster; slower where the machine has other things to do.
    assert!((0.9..10.0).contains(&took), "{took} s");
    let path = format!("/sys/class/net/{HOST_IF}/statistics/rx_packets");
    let received = output(lab.host.command("cat").arg(path));
    assert_eq!(received.trim(), "30000");
}
