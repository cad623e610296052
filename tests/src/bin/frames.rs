//! Frames for a guest of `cargo xtask vm-test`: `frames make FILE` writes them into a pcap file on the host,
//! always the same ones, and `frames send FILE INTERFACE` sends them by an interface of the guest. xtask
//! chooses tasks for them and has tcpdump say which frames are whose.

use std::{env, fs, net::SocketAddr, path::Path};

use capture_tests::{
    generate,
    random::Random,
    readers::plain_packets,
    reference::read,
    traffic::{self, ETHERTYPE_IPV4, ETHERTYPE_VLAN, Ipv4, UDP},
};

/// Different frames at random, before those are left out of which pcap's expressions say something else.
const RANDOM: u32 = 1500;
/// Long frames, and frames with a VLAN tag.
const LONG: u32 = 60;
const TAGGED: u32 = 20;
/// Frames a second, which an emulated CPU can follow.
const RATE: u32 = 800;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["make", file] => make(Path::new(file)),
        ["send", file, interface] => {
            let frames = plain_packets(Path::new(file)).into_iter();
            let sent = traffic::send_here(interface, RATE, frames.map(|packet| packet.bytes));
            println!("{sent} frames sent by {interface}");
        }
        _ => panic!("usage: frames make FILE, or frames send FILE INTERFACE"),
    }
}

/// A nanosecond pcap file (draft-ietf-opsawg-pcap) in host byte order.
fn make(file: &Path) {
    let mut bytes = Vec::new();
    for word in [0xa1b2_3c4d, 4 << 16 | 2, 0, 0, 262_144, 1_u32] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    for (number, frame) in (0_u32..).zip(frames()) {
        let len = frame.len() as u32;
        for word in [number, 0, len, len] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&frame);
    }
    fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

fn frames() -> Vec<Vec<u8>> {
    let mut random = Random::from_env(10);
    let mut frames: Vec<_> = (0..RANDOM)
        .map(|number| generate::whole_frame(&mut random, number))
        .filter(|frame| generate::is_common_ground(frame) && !read(frame).malformed)
        .collect();
    let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
    let ways = [
        (address("10.1.0.1:80"), address("10.1.0.2:40000")),
        (address("10.1.1.3:40000"), address("10.2.0.4:443")),
        (address("[2001:db8::1]:80"), address("[2001:db8::2]:40000")),
    ];
    for number in 0..LONG {
        let (from, to) = ways[number as usize % ways.len()];
        frames.push(traffic::udp_frame(
            from,
            to,
            number,
            100 + 20 * number as usize,
        ));
    }
    for number in 0..TAGGED {
        let body = traffic::udp(40_000, 53, &traffic::numbered(number, 64));
        let packet = Ipv4::new("10.3.0.1", "10.3.0.2", UDP).packet(&body);
        let tag = (ETHERTYPE_VLAN, 100 + number as u16);
        frames.push(traffic::tagged(&[tag], ETHERTYPE_IPV4, &packet));
    }
    frames
}
