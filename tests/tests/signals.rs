//! How a capture ends from outside: in order, or killed.

use std::{sync::Arc, thread, time::Duration};

use capture_tests::{
    agent, eventually, judge,
    netns::{HOST_IF, Lab, PEER_IF},
    pcapng,
    traffic::{self, number_in},
};
use nix::sys::signal::Signal;
use tempfile::tempdir;

const LIMIT: Duration = Duration::from_secs(10);

fn frames(count: u32) -> impl Iterator<Item = Vec<u8>> + Send {
    let from = "192.0.2.1:1000".parse().expect("an address");
    let to = "192.0.2.2:53".parse().expect("an address");
    (0..count).map(move |number| traffic::udp_frame(from, to, number, 500))
}

#[test]
fn terminate_and_interrupt_end_in_order() {
    let lab = Lab::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        for hook in ["tc", "xdp"] {
            let arguments = ["-i", HOST_IF, "--hook", hook, "-w", "o.pcapng"];
            let running = agent::capture(&lab.host, &arguments);
            let ended = thread::scope(|scope| {
                scope.spawn(|| traffic::send(&lab.peer, PEER_IF, 10_000, frames(10_000)));
                thread::sleep(Duration::from_millis(500));
                running.signal(signal);
                running.wait(LIMIT).expect_whole("user")
            });
            pcapng::blocks(&ended.file());
            let packets = ended.packets();
            let numbers = packets.iter().filter_map(|packet| number_in(&packet.bytes));
            assert!(
                numbers.eq(0..packets.len() as u32),
                "none missing until the end"
            );
            ended.check(
                packets.len() > 1000,
                format_args!("{} packets", packets.len()),
            );
        }
    }
}

#[test]
fn an_end_in_order_writes_what_was_matched() {
    let lab = Lab::new();
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
    traffic::send(&lab.peer, PEER_IF, 0, frames(5000));
    // At once: what is still in the ring belongs to the capture.
    running.signal(Signal::SIGTERM);
    let ended = running.wait(LIMIT).expect_whole("user");
    assert_eq!(ended.packets().len(), 5000);
}

#[test]
fn killed_in_mid_capture() {
    let lab = Lab::new();
    for (hook, suffix) in [("tc", "pcapng"), ("xdp", "pcap")] {
        let directory = Arc::new(tempdir().expect("a directory"));
        let file = format!("o.{suffix}");
        let arguments = ["-i", HOST_IF, "--hook", hook, "-w", &file];
        let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
        running.wait_ready();
        thread::scope(|scope| {
            scope.spawn(|| traffic::send(&lab.peer, PEER_IF, 10_000, frames(20_000)));
            let part = directory.path().join(format!("{file}.part"));
            let grown = || part.metadata().is_ok_and(|meta| meta.len() > 100_000);
            let grown = eventually(LIMIT, grown);
            running.signal(Signal::SIGKILL);
            let ended = running.wait(LIMIT);
            ended.check(grown, "the unfinished file grows while the capture runs");
            let names = ended.directory_names();
            ended.check(names == [format!("{file}.part")], format_args!("{names:?}"));
        });
        // The next start recovers what is whole, and has the name for itself.
        let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
        running.wait_ready();
        traffic::send(&lab.peer, PEER_IF, 0, frames(3));
        let ended = running.stop().expect_whole("user");
        let mut names = ended.directory_names();
        names.sort();
        let recovered = format!("o_interrupted.{suffix}");
        ended.check(
            names == [file.clone(), recovered.clone()],
            format_args!("{names:?}"),
        );
        assert_eq!(judge::packets(&directory.path().join(&file)).len(), 3);
        let recovered = directory.path().join(recovered);
        if suffix == "pcapng" {
            pcapng::blocks(&recovered);
        }
        let packets = judge::packets(&recovered);
        let numbers = packets.iter().filter_map(|packet| number_in(&packet.bytes));
        assert!(numbers.eq(0..packets.len() as u32), "the first ones, whole");
        assert!(packets.len() > 150, "{} packets", packets.len());
        assert_eq!(judge::tcpdump_count(&recovered, "udp"), packets.len());
    }
}

#[test]
fn killed_before_it_captures() {
    let lab = Lab::new();
    for delay in [0, 20, 50, 100, 200] {
        let running = agent::start(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
        thread::sleep(Duration::from_millis(delay));
        running.signal(Signal::SIGKILL);
        // Nothing stays attached: checked at every end.
        running.wait(LIMIT);
    }
}

/// timeout(1) signals the process and its group, so that one wish comes twice.
#[test]
fn a_signal_that_comes_twice_is_one() {
    let lab = Lab::new();
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
    traffic::send(&lab.peer, PEER_IF, 0, frames(5000));
    for _ in 0..20 {
        running.signal(Signal::SIGTERM);
        thread::sleep(Duration::from_millis(2));
    }
    let ended = running.wait(LIMIT).expect_whole("user");
    assert_eq!(ended.packets().len(), 5000);
}

/// Nobody reads the pipe: an orderly end would wait for it, and a second signal cuts that short.
#[test]
fn a_second_signal_aborts() {
    let lab = Lab::new();
    let directory = Arc::new(tempdir().expect("a directory"));
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let _both_ends = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("the FIFO opens");
    let running = agent::start_in(&lab.host, directory, &["-i", HOST_IF, "-w", "pipe"]);
    running.wait_ready();
    traffic::send(&lab.peer, PEER_IF, 0, frames(5000));
    running.signal(Signal::SIGTERM);
    thread::sleep(Duration::from_millis(1500));
    running.signal(Signal::SIGTERM);
    running
        .wait(Duration::from_secs(1))
        .expect_code(1)
        .expect_stderr(&["aborted by a second signal"]);
}
