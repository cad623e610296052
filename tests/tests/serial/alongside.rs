//! The same traffic captured by the agent, by tcpdump and by dumpcap at once: the same packets in the same
//! order, of the same lengths. The files are read side by side as streams; `CAPTURE_TEST_BESIDE` says how
//! many packets there are, ten million in a long run. Rates and buffers are such that no tool loses one,
//! and each says so.

use std::{net::SocketAddr, path::Path, thread, time::Instant};

use capture_tests::{
    agent, count_from_env, cpus,
    netns::{HOST_IF, Lab, PEER_IF},
    peer_tools::Tool,
    readers,
    stream::{Packet, Stream},
    traffic::{self, number_in},
};

use super::one_at_a_time;

/// All of them find room in the buffers of each tool.
const PACKETS: usize = 100_000;
/// Packets a second of one sender.
const RATE: u32 = 30_000;
const SNAP_LEN: &str = "96";
const FILTER: &str = "udp port 9";
const LENGTHS: [usize; 6] = [60, 95, 96, 97, 590, 1514];

/// Frames of a sender that count up: made once for each length, and numbered.
fn frames(sender: u16, count: usize) -> impl Iterator<Item = Vec<u8>> {
    let from = SocketAddr::new("192.0.2.1".parse().expect("an address"), 1000 + sender);
    let to = "192.0.2.2:9".parse().expect("an address");
    let templates = LENGTHS.map(|len| traffic::udp_frame(from, to, 0, len));
    let number_at = 42 + 4;
    (0..count).map(move |number| {
        let mut frame = templates[number % LENGTHS.len()].clone();
        frame[number_at..number_at + 4].copy_from_slice(&(number as u32).to_be_bytes());
        frame
    })
}

/// Which sender's, and its number.
fn identity(packet: &Packet<'_>) -> (usize, u32) {
    let port = u16::from_be_bytes([packet.bytes[34], packet.bytes[35]]);
    let number = number_in(&packet.bytes[42..]).expect("ours alone");
    (usize::from(port - 1000), number)
}

/// Captures what senders send, each on a CPU of its own, and gives the files to a judge: ours first.
fn captured(senders: usize, packets: usize, judge: impl FnOnce([&Path; 3])) {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    let mut tcpdump = Tool::tcpdump(&lab.host, HOST_IF, SNAP_LEN, FILTER);
    let mut dumpcap = Tool::dumpcap(&lab.host, HOST_IF, SNAP_LEN, FILTER);
    let mut arguments = vec!["-i", HOST_IF, "--protocol", "udp", "--port", "9"];
    arguments.extend(["-s", SNAP_LEN, "-w", "o.pcapng"]);
    let running = agent::capture(&lab.host, &arguments);
    let begin = Instant::now();
    thread::scope(|scope| {
        for sender in 0..senders {
            let lab = &lab;
            scope.spawn(move || {
                lab.peer.within(|| {
                    // A frame is received on the CPU that sent it, and two CPUs may overtake each other.
                    cpus::stay_on(sender);
                    let frames = frames(sender as u16, packets / senders);
                    traffic::send_here(PEER_IF, RATE, frames)
                })
            });
        }
    });
    println!("{packets} packets in {:?}", begin.elapsed());
    tcpdump.finish();
    dumpcap.finish();
    let ended = running.stop().expect_whole("user");
    assert_eq!(ended.counter("captured"), packets as u64);
    let ours = ended.file();
    let files = [&ours, &tcpdump.file(), &dumpcap.file()];
    let counts = files.map(|file| readers::packet_count(file));
    assert_eq!(counts, [packets as u64; 3], "packets by capinfos");
    judge([files[0], files[1], files[2]]);
}

#[test]
fn the_same_packets_in_the_same_order() {
    let packets = count_from_env("CAPTURE_TEST_BESIDE", PACKETS);
    captured(1, packets, |files| {
        let [mut ours, mut tcpdump, mut dumpcap] = files.map(Stream::open);
        let mut apart = vec![0_u64; packets];
        for (number, apart) in (0..).zip(&mut apart) {
            let packet = ours.packet().expect("counted before");
            assert_eq!(identity(&packet), (0, number));
            for other in [tcpdump.packet(), dumpcap.packet()] {
                let other = other.expect("counted before");
                assert!(
                    packet.bytes == other.bytes && packet.original_len == other.original_len,
                    "packet {number}: {packet:?}, {other:?}"
                );
                *apart = packet.time_ns.abs_diff(other.time_ns).max(*apart);
            }
        }
        apart.sort_unstable();
        let at = |part: f64| apart[((packets - 1) as f64 * part) as usize];
        println!(
            "time stamps of the tools are apart: median {} ns, 99 % {} ns, all {} ns",
            at(0.5),
            at(0.99),
            at(1.0)
        );
        assert!(at(0.5) < 1_000_000, "half of them within a millisecond");
    });
}

#[test]
fn two_cpus_at_once() {
    let cpus = thread::available_parallelism().expect("it is known").get();
    assert!(cpus > 1, "the machine needs two CPUs");
    let packets = count_from_env("CAPTURE_TEST_BESIDE", PACKETS) / 2 * 2;
    captured(2, packets, |files| {
        for file in files {
            let mut stream = Stream::open(file);
            let mut next = [0; 2];
            while let Some(packet) = stream.packet() {
                let (sender, number) = identity(&packet);
                assert_eq!(number, next[sender], "of sender {sender} in {file:?}");
                next[sender] += 1;
                let len = LENGTHS[number as usize % LENGTHS.len()];
                let lengths = (packet.bytes.len(), packet.original_len as usize);
                assert_eq!(lengths, (len.min(96), len), "{number} in {file:?}");
            }
            assert_eq!(next, [packets as u32 / 2; 2], "{file:?}");
        }
    });
}
