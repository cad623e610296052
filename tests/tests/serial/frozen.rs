//! An agent that is held up: stopped while traffic goes on, interrupted all the time, or without memory.
//! What is lost is counted exactly, and the file says where.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use capture_tests::{
    TIMEOUT,
    agent::{self, Ended, Running},
    cpus, eventually,
    netns::{HOST_IF, Lab, PEER_IF},
    pcapng::{self, PACKET},
    readers,
    traffic::{self, number_in},
};
use nix::{libc, sys::signal::Signal};

use super::one_at_a_time;

/// Length of a frame, and of its block in a pcapng file.
const FRAME: usize = 300;
const BLOCK: u64 = 344;

/// Waits until the unfinished file has so many packets.
fn wait_written(running: &Running<'_>, packets: u64) {
    let part = running.directory().join("o.pcapng.part");
    let len = || part.metadata().map_or(0, |meta| meta.len());
    let written = eventually(TIMEOUT, || len() >= packets * BLOCK);
    assert!(written, "{} bytes", len());
}

fn freeze(running: &Running<'_>) {
    running.signal(Signal::SIGSTOP);
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", running.pid())).expect("it runs");
        // Behind the name, which is in parentheses.
        let rest = stat.rsplit(") ").next().unwrap_or_default().to_owned();
        rest.chars().next()
    };
    assert!(
        eventually(TIMEOUT, || state() == Some('T')),
        "{:?}",
        state()
    );
}

/// The number of each packet of the file, and how many it says were lost before it.
fn numbers_and_drops(file: &Path) -> Vec<(u32, u64)> {
    let blocks = pcapng::blocks(file);
    let packets = blocks.iter().filter(|block| block.kind == PACKET);
    packets
        .map(|block| {
            // epb_dropcount.
            let drops = block.number64(4).unwrap_or(0);
            (number_in(&block.body).expect("one of ours"), drops)
        })
        .collect()
}

/// Losses are as many as numbers are missing, and no packet says of one that comes after it.
fn assert_gaps_told(ended: &Ended, sent: u32) -> Vec<(u32, u64)> {
    let file = ended.file();
    ended.checked_packets(&file);
    let packets = numbers_and_drops(&file);
    let (mut next, mut missing, mut told) = (0, 0, 0);
    for (number, drops) in &packets {
        ended.check(*number >= next, format_args!("{number} is out of order"));
        missing += u64::from(number - next);
        told += drops;
        ended.check(
            told <= missing,
            format_args!("{number} tells of {drops}, {told} in all, and {missing} are missing"),
        );
        next = number + 1;
    }
    let figures = ended.figures();
    ended.check(figures.matched == u64::from(sent), "all matched");
    ended.check(figures.lost() == figures.ring, "lost in the ring alone");
    ended.check(
        missing + u64::from(sent - next) == figures.ring,
        "as many as are missing",
    );
    packets
}

#[test]
fn a_stopped_agent_counts_what_the_ring_could_not_hold() {
    let _guard = one_at_a_time();
    cpus::stay_on_one();
    let lab = Lab::new();
    for hook in ["tc", "xdp"] {
        let size = format!("{}MiB", 2 * cpus::possible());
        let arguments = ["-i", HOST_IF, "--hook", hook, "--ring-size", &size];
        let arguments = [&arguments[..], &["-w", "o.pcapng"]].concat();
        let running = agent::capture(&lab.host, &arguments);
        traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..500, FRAME));
        wait_written(&running, 500);
        freeze(&running);
        traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(500..20_500, FRAME));
        running.signal(Signal::SIGCONT);
        // What a ring of 2 MiB holds is more than the reader takes at a time.
        running.wait_drained(20_500);
        traffic::send(
            &lab.peer,
            PEER_IF,
            5000,
            traffic::frames(20_500..21_000, FRAME),
        );
        let ended = running.stop().expect_code(0);
        let packets = assert_gaps_told(&ended, 21_000);
        let lost = ended.figures().ring;
        ended.check(lost > 10_000, "the ring is small");
        // One gap, and the first packet behind it says how many.
        let told: Vec<_> = packets.iter().filter(|(_, drops)| *drops > 0).collect();
        ended.check(told == [&(20_500, lost)], format_args!("{told:?}"));
        let before = packets.iter().position(|(number, _)| *number == 20_500);
        let before = before.expect("it is there");
        ended.check(
            packets[..before]
                .iter()
                .map(|(number, _)| *number)
                .eq(0..before as u32),
            "whole until then",
        );
        ended.check(packets.len() - before == 500, "and whole behind it");
        ended.check(
            ended.field("verdict") == format!("lost {lost} of 21000"),
            "the verdict",
        );
    }
}

#[test]
fn a_stopped_agent_with_traffic_that_does_not_wait() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    let arguments = ["-i", HOST_IF, "--ring-size", "64KiB", "-w", "o.pcapng"];
    let running = agent::capture(&lab.host, &arguments);
    let ended = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            cpus::stay_on_one();
            traffic::send(
                &lab.peer,
                PEER_IF,
                20_000,
                traffic::frames(0..40_000, FRAME),
            )
        });
        for packets in [2000, 6000, 10_000] {
            wait_written(&running, packets);
            freeze(&running);
            // How long it stands still under the traffic.
            thread::sleep(Duration::from_millis(250));
            running.signal(Signal::SIGCONT);
        }
        sender.join().expect("it sends");
        running.stop().expect_code(0)
    });
    let packets = assert_gaps_told(&ended, 40_000);
    ended.check(ended.figures().ring > 0, "the ring is small");
    let told: u64 = packets.iter().map(|(_, drops)| drops).sum();
    ended.check(told == ended.figures().ring, format_args!("{told} told"));
    ended.check(
        packets.last().map(|(number, _)| *number) == Some(39_999),
        "the last one is there",
    );
}

#[test]
fn a_stopped_agent_loses_nothing_that_the_ring_holds() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..500, FRAME));
    freeze(&running);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(500..5500, FRAME));
    // How long it stands still with packets in its ring.
    thread::sleep(Duration::from_millis(500));
    running.signal(Signal::SIGCONT);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(5500..6000, FRAME));
    let ended = running.stop().expect_whole("user");
    let packets = ended.checked_packets(&ended.file());
    let numbers = readers::numbers(&packets);
    ended.check(numbers.eq(0..6000), "all, in order");
}

/// Signals to the process and to each of its threads, and stops, while it captures, rotates and closes.
#[test]
fn a_storm_of_signals_loses_and_repeats_nothing() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    let arguments = ["-i", HOST_IF, "-C", "300kB", "-w", "o.pcapng"];
    let running = agent::capture(&lab.host, &arguments);
    let pid = running.pid() as i32;
    let is_over = AtomicBool::new(false);
    let ended = thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let mut sent = 0_u32;
            while !is_over.load(Ordering::Relaxed) {
                sent += storm(pid);
            }
            sent
        });
        traffic::send(
            &lab.peer,
            PEER_IF,
            10_000,
            traffic::frames(0..20_000, FRAME),
        );
        traffic::settle();
        running.signal(Signal::SIGTERM);
        let ended = running.wait(TIMEOUT).expect_whole("user");
        is_over.store(true, Ordering::Relaxed);
        let sent = storm.join().expect("it blows");
        ended.check(sent > 2000, format_args!("only {sent} signals"));
        ended
    });
    ended.check(ended.files().len() > 10, "it rotates");
    let packets = ended.packets();
    let numbers = readers::numbers(&packets);
    ended.check(numbers.eq(0..20_000), "each once, in order");
}

/// One round of signals; how many.
fn storm(pid: i32) -> u32 {
    let mut sent = 0;
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    let ids = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for thread in ids.collect::<Vec<i32>>() {
        for signal in [libc::SIGWINCH, libc::SIGCHLD, libc::SIGURG, libc::SIGCONT] {
            // SAFETY: plain system call on numbers; a thread that has gone is an error of no interest.
            let done = unsafe { libc::syscall(libc::SYS_tgkill, pid, thread, signal) };
            sent += u32::from(done == 0);
        }
    }
    // A stop interrupts waits that ignored signals do not.
    for signal in [libc::SIGSTOP, libc::SIGCONT] {
        // SAFETY: as above.
        sent += u32::from(unsafe { libc::kill(pid, signal) } == 0);
    }
    // Between two rounds, in which it gets on.
    thread::sleep(Duration::from_millis(1));
    sent
}

/// From here on the agent gets half a mebibyte of memory, which is less than a buffer. `RLIMIT_AS` would
/// not do: glibc's arenas have address space in store, and beside that limit the kernel does not
/// even ask for `RLIMIT_DATA` when they use it (`mprotect_fixup` in mm/mprotect.c).
fn take_memory_away(pid: u32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let data = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kibibytes: u64 = data
        .and_then(|data| data.trim_end_matches("kB").trim().parse().ok())
        .unwrap_or_else(|| panic!("{pid}: {data:?}"));
    let limit = libc::rlimit {
        rlim_cur: (kibibytes + 512) << 10,
        rlim_max: libc::RLIM_INFINITY,
    };
    let pid = pid as i32;
    // SAFETY: the new limit is whole and lives; the old one is not asked for.
    let done = unsafe {
        libc::prlimit(
            pid,
            libc::RLIMIT_DATA,
            &raw const limit,
            std::ptr::null_mut(),
        )
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// A consumer that does not read makes the task want more buffers, which there is no memory for: packets
/// are lost and counted, and when the consumer reads again the capture goes on.
#[test]
fn without_memory_packets_are_counted_and_the_capture_goes_on() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    for form in ["json", "table"] {
        let directory = Arc::new(tempfile::tempdir().expect("a directory"));
        let pipe = directory.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let mut consumer = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&pipe)
            .expect("the reading end");
        nix::fcntl::fcntl(
            &consumer,
            nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty()),
        )
        .expect("reads that wait");
        let arguments = ["-i", HOST_IF, "-w", "pipe"];
        let running = agent::start_as(&lab.host, Arc::clone(&directory), form, &arguments);
        running.wait_ready();
        take_memory_away(running.pid());
        // 42 MB, which the buffers would hold if there was memory for them.
        let large = traffic::frames(0..30_000, 1400);
        traffic::send(&lab.peer, PEER_IF, 30_000, large);
        traffic::settle();
        let reader = thread::spawn(move || {
            let mut stream = Vec::new();
            consumer.read_to_end(&mut stream).expect("it can be read");
            stream
        });
        // Room again.
        running.wait_drained(30_000);
        traffic::send(
            &lab.peer,
            PEER_IF,
            5000,
            traffic::frames(30_000..30_500, FRAME),
        );
        let ended = running.stop().expect_code(0);
        let copy = directory.path().join("copy.pcapng");
        fs::write(&copy, reader.join().expect("it reads")).expect("it can be written");
        let figures = ended.figures();
        ended.check(figures.matched == 30_500, "all matched");
        ended.check(figures.queue > 0, "lost for want of a buffer");
        ended.check(figures.lost() == figures.queue, "and of nothing else");
        ended.checked_packets(&copy);
        let packets = numbers_and_drops(&copy);
        let told: u64 = packets.iter().map(|(_, drops)| drops).sum();
        let last = packets.last().map_or(0, |(number, _)| *number);
        ended.check(
            told + u64::from(30_499 - last) == figures.queue,
            format_args!("{told} told until {last}"),
        );
        // Perhaps with a single buffer, and while that is on its way there is none.
        let later = packets.iter().filter(|(number, _)| *number >= 30_000);
        let later = later.count();
        ended.check(later > 50, format_args!("{later} of the last 500"));
    }
}
