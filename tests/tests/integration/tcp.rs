//! Whole TCP transfers, super-frames of the segmentation offload included: what tshark puts
//! together from the capture is what was sent.

use capture_tests::{
    agent,
    netns::{HOST_IF, Lab, PEER_IF},
    random::Random,
    readers,
    room::ring_size,
    traffic,
};

fn data(len: usize) -> Vec<u8> {
    let mut random = Random::from_env(11);
    let mut data = Vec::with_capacity(len);
    while data.len() < len {
        data.extend_from_slice(&random.bits().to_le_bytes());
    }
    data.truncate(len);
    data
}

fn transfer(to_agent: bool, address: &str, offloads: bool, megabytes: usize) {
    let lab = Lab::new();
    if !offloads {
        let off = ["tso", "off", "gso", "off", "gro", "off"];
        lab.host.offloads(HOST_IF, &off);
        lab.peer.offloads(PEER_IF, &off);
    }
    let sent = data(megabytes * 1_000_000);
    let room = ring_size(sent.len());
    let running = agent::capture(
        &lab.host,
        &[
            "--ring-size",
            &room,
            "-i",
            HOST_IF,
            "--hook",
            "tc",
            "--protocol",
            "tcp",
            "--port",
            "8080",
            "-w",
            "o.pcapng",
        ],
    );
    let (client, server) = if to_agent {
        (&lab.peer, &lab.host)
    } else {
        (&lab.host, &lab.peer)
    };
    let address = address.parse().expect("an address");
    let received = traffic::tcp_transfer(client, server, address, &sent);
    assert!(received == sent, "the transfer itself is unharmed");
    let ended = running.stop().expect_whole("user");
    let largest = ended
        .packets()
        .iter()
        .map(|packet| packet.bytes.len())
        .max();
    let largest = largest.unwrap_or_default();
    ended.check(
        offloads == (largest > 1514),
        format_args!("largest frame {largest} bytes"),
    );
    let seen = readers::tcp_stream(&ended.file());
    let difference = seen.iter().zip(&sent).position(|(one, other)| one != other);
    let lengths = format!("{} of {} bytes", seen.len(), sent.len());
    ended.check(
        seen == sent,
        format_args!("{lengths}, first difference {difference:?}"),
    );
    // A gap before a segment may be the path's own loss; an acknowledged gap is the capture's.
    let missing = "tcp.analysis.ack_lost_segment";
    assert_eq!(
        readers::fields(&ended.file(), missing, &["frame.number"]).len(),
        0
    );
}

#[test]
fn a_download_is_whole() {
    transfer(true, "10.0.0.1:8080", true, 40);
}

#[test]
fn an_upload_is_whole() {
    transfer(false, "[fd00::2]:8080", true, 40);
}

#[test]
fn without_offloads_every_segment_is_there() {
    transfer(true, "10.0.0.1:8080", false, 20);
}
