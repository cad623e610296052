//! How soon a packet can be read by others: from the file that grows, and from a pipe. And what a reader
//! of the growing file sees at any moment: whole records, and at most the beginning of one more.
//! `CAPTURE_TEST_LATENCY` says how many packets are timed.

use std::{
    fs::File,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use capture_tests::{
    TIMEOUT,
    agent::{self, Running},
    count_from_env, eventually,
    netns::{HOST_IF, Lab, PEER_IF},
    random::Random,
    stream::Stream,
    traffic::{self, number_in},
};

use super::one_at_a_time;

const TIMED: usize = 200;
fn growing_file(running: &Running<'_>, name: &str) -> PathBuf {
    let part = running.directory().join(format!("{name}.part"));
    assert!(eventually(TIMEOUT, || part.exists()), "{}", part.display());
    part
}

/// Sends lone packets, and gives how long each took until `read` had it.
fn time(lab: &Lab, mut read: impl FnMut(u32)) -> Vec<Duration> {
    let mut random = Random::from_env(10);
    let socket = lab.peer.within(|| traffic::packet_socket(PEER_IF, 0));
    let packets = count_from_env("CAPTURE_TEST_LATENCY", TIMED);
    (0..packets as u32)
        .map(|number| {
            // At any phase of whatever timer there is.
            thread::sleep(Duration::from_micros(10_000 + random.below(20_000) as u64));
            let begin = Instant::now();
            traffic::send_one(&socket, &traffic::frame(number, 200));
            read(number);
            begin.elapsed()
        })
        .collect()
}

/// Far above what it is on a machine that has other things to do, so that it fails for no other reason.
fn judge(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
    println!(
        "{what}, {} packets: median {:?}, 90 % {:?}, 99 % {:?}, all {:?}",
        took.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
    assert!(at(0.5) < Duration::from_millis(100), "{what}: {took:?}");
    assert!(at(1.0) < Duration::from_secs(1), "{what}: {took:?}");
}

#[test]
fn a_lone_packet_is_soon_in_the_file() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    for name in ["o.pcapng", "o.pcap"] {
        let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", name]);
        let mut stream = Stream::open(&growing_file(&running, name));
        let took = time(&lab, |number| {
            let begin = Instant::now();
            let found = loop {
                if let Some(packet) = stream.packet() {
                    break number_in(packet.bytes);
                }
                assert!(begin.elapsed() < TIMEOUT, "packet {number} does not come");
                // Finer than what is measured.
                thread::sleep(Duration::from_micros(100));
            };
            assert_eq!(found, Some(number));
            // The writer is done: nothing is torn.
            assert_eq!(stream.rest(), 0);
        });
        running.stop().expect_whole("user");
        judge(name, took);
    }
}

#[test]
fn a_lone_packet_is_soon_in_the_pipe() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    let (running, stdout) = agent::piped(&lab.host, &["-i", HOST_IF]);
    running.wait_ready();
    let mut stream = Stream::new(stdout, "the pipe");
    let took = time(&lab, |number| {
        let packet = stream.packet().expect("the pipe is open");
        assert_eq!(number_in(packet.bytes), Some(number));
    });
    // What is still to come is little, and finds room in the pipe.
    running.stop().expect_whole("user");
    assert!(stream.packet().is_none());
    assert_eq!(stream.rest(), 0);
    judge("-w -", took);
}

#[test]
fn a_reader_of_the_growing_file_sees_no_damage() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    for name in ["o.pcapng", "o.pcap"] {
        let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", name]);
        let part = growing_file(&running, name);
        let done = AtomicBool::new(false);
        let (looks, torn) = thread::scope(|scope| {
            let reader = scope.spawn(|| follow(&part, &done));
            // Trickles and bursts.
            for (rate, count) in [(200, 100), (0, 20_000), (2000, 1000), (50_000, 50_000)] {
                traffic::send(&lab.peer, PEER_IF, rate, traffic::frames(0..count, 200));
            }
            done.store(true, Ordering::Relaxed);
            reader
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        println!("{name}: {looks} looks, {torn} of them at the beginning of a record");
        let ended = running.stop().expect_whole("user");
        ended.check(ended.counter("captured") == 71_100, "all of them");
    }
}

/// Reads along, and then what is left; the stream panics where it finds damage.
fn follow(part: &PathBuf, done: &AtomicBool) -> (u32, u32) {
    let mut stream = Stream::new(File::open(part).expect("it is there"), "the growing file");
    let (mut looks, mut torn, mut packets) = (0, 0, 0);
    loop {
        let ends = done.load(Ordering::Relaxed);
        while let Some(packet) = stream.packet() {
            assert_eq!(packet.original_len, 200);
            assert!(number_in(packet.bytes).is_some());
            packets += 1;
        }
        looks += 1;
        torn += u32::from(stream.rest() > 0);
        if ends && packets == 71_100 {
            assert_eq!(stream.rest(), 0);
            return (looks, torn);
        }
        assert!(looks < 1_000_000, "{packets} packets");
        // As often as can be, beside the writer.
        thread::sleep(Duration::from_micros(50));
    }
}
