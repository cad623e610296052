//! How a capture ends from outside: in order, or killed.

use std::{fs, sync::Arc, thread, time::Duration};

use capture_tests::{
    TIMEOUT, agent, eventually,
    netns::{HOST_IF, Lab, PEER_IF},
    pcapng, readers,
    signals::{RepeatedSignals, catches},
    traffic::{self},
};
use nix::sys::signal::Signal;
use tempfile::tempdir;

#[test]
fn terminate_and_interrupt_end_in_order() {
    let lab = Lab::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        for hook in ["tc", "xdp"] {
            let arguments = ["-i", HOST_IF, "--hook", hook, "-w", "o.pcapng"];
            let running = agent::capture(&lab.host, &arguments);
            let ended = thread::scope(|scope| {
                scope.spawn(|| {
                    traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..10_000, 500))
                });
                let part = running.directory().join("o.pcapng.part");
                let grown = || part.metadata().is_ok_and(|meta| meta.len() > 600_000);
                let grown = eventually(TIMEOUT, grown);
                running.signal(signal);
                assert!(grown, "it captures in the middle of the traffic");
                running.wait(TIMEOUT).expect_whole("user")
            });
            pcapng::blocks(&ended.file());
            let packets = ended.gapless_packets();
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
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..5000, 500));
    // At once: what is still in the ring belongs to the capture.
    running.signal(Signal::SIGTERM);
    let ended = running.wait(TIMEOUT).expect_whole("user");
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
            scope.spawn(|| {
                traffic::send(&lab.peer, PEER_IF, 10_000, traffic::frames(0..20_000, 500))
            });
            let part = directory.path().join(format!("{file}.part"));
            let grown = || part.metadata().is_ok_and(|meta| meta.len() > 100_000);
            let grown = eventually(TIMEOUT, grown);
            running.signal(Signal::SIGKILL);
            let ended = running.wait(TIMEOUT);
            ended.check(grown, "the unfinished file grows while the capture runs");
            let names = ended.directory_names();
            ended.check(names == [format!("{file}.part")], format_args!("{names:?}"));
        });
        // The next start recovers what is whole, and has the name for itself.
        let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
        running.wait_ready();
        traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..3, 500));
        let ended = running.stop().expect_whole("user");
        let mut names = ended.directory_names();
        names.sort();
        let recovered = format!("o_interrupted.{suffix}");
        ended.check(
            names == [file.clone(), recovered.clone()],
            format_args!("{names:?}"),
        );
        assert_eq!(readers::packets(&directory.path().join(&file)).len(), 3);
        let recovered = directory.path().join(recovered);
        if suffix == "pcapng" {
            pcapng::blocks(&recovered);
        }
        let packets = readers::packets(&recovered);
        assert!(readers::is_gapless(&packets), "the first ones, whole");
        assert!(packets.len() > 150, "{} packets", packets.len());
        assert_eq!(readers::tcpdump_count(&recovered, "udp"), packets.len());
    }
}

#[test]
fn killed_before_it_captures() {
    let lab = Lab::new();
    for delay in [0, 20, 50, 100, 200] {
        let running = agent::start(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
        // The moment is what is tested.
        thread::sleep(Duration::from_millis(delay));
        running.signal(Signal::SIGKILL);
        // Nothing stays attached: checked at every end.
        running.wait(TIMEOUT);
    }
}

/// timeout(1) signals the process and its group, so that one wish comes twice.
#[test]
fn a_signal_that_comes_twice_is_one() {
    let lab = Lab::new();
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..5000, 500));
    for _ in 0..20 {
        running.signal(Signal::SIGTERM);
        // Apart, as a signal that is still pending does not come twice.
        thread::sleep(Duration::from_millis(2));
    }
    let ended = running.wait(TIMEOUT).expect_whole("user");
    assert_eq!(ended.packets().len(), 5000);
}

/// Nobody reads the pipe: an orderly end would wait for it, and a second signal cuts that short.
#[test]
fn a_second_signal_aborts() {
    let lab = Lab::new();
    let directory = Arc::new(tempdir().expect("a directory"));
    let pipe = directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let _both_ends = fs::File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .expect("the FIFO opens");
    let running = agent::start_in(&lab.host, directory, &["-i", HOST_IF, "-w", "pipe"]);
    running.wait_ready();
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..5000, 500));
    running.signal(Signal::SIGTERM);
    // Long enough that it is a second wish, and not one that came twice.
    thread::sleep(Duration::from_millis(1500));
    running.signal(Signal::SIGTERM);
    running
        .wait(Duration::from_secs(1))
        .expect_code(1)
        .expect_stderr(&["aborted by a second signal"]);
}

/// Waits until standard error has so many lines with this.
#[track_caller]
fn says(running: &agent::Running<'_>, words: &str, times: usize) {
    let said = || running.stderr_so_far().matches(words).count() == times;
    assert!(
        eventually(TIMEOUT, said),
        "{times} times {words:?}:\n{}",
        running.stderr_so_far()
    );
}

#[test]
fn figures_on_request() {
    let lab = Lab::new();
    for quiet in [&[][..], &["-q"]] {
        let arguments = [
            &["-i", HOST_IF, "--duration", "1h", "-w", "o.pcapng"],
            quiet,
        ]
        .concat();
        let running = agent::capture(&lab.host, &arguments);
        for round in 1..=2_u32 {
            traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..5, 500));
            // Those that are on their way to the file are not captured yet.
            let all = format!("s of 1h: matched {0}, captured {0} (", 5 * round);
            let said = running.asks_until(|stderr| stderr.contains(&all));
            assert!(said, "{all}\n{}", running.stderr_so_far());
        }
        let ended = running.stop().expect_whole("user");
        let lines = ended.stderr.lines();
        let mut figures = lines.filter(|line| line.contains("matched "));
        ended.check(
            figures.all(|line| line.starts_with("capture-agent: ") && line.ends_with(", lost 0")),
            "a line each",
        );
    }
}

#[test]
fn figures_of_several_tasks() {
    let lab = Lab::new();
    let directory = Arc::new(tempdir().expect("a directory"));
    let task = |name: &str, rest: &str| {
        format!("[[tasks]]\nname = \"{name}\"\ninterfaces = [\"{HOST_IF}\"]\n{rest}\n")
    };
    let tasks = task("all", "") + &task("three", "max_packets = 3") + &task("none", "ports = [54]");
    fs::write(directory.path().join("t.toml"), tasks).expect("a file");
    let running = agent::start_in(&lab.host, directory, &["--tasks", "t.toml", "-q"]);
    running.wait_ready();
    running.signal(Signal::SIGUSR1);
    says(&running, "matched 0, captured 0 (0 B), lost 0", 3);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..5, 500));
    let counted = |stderr: &str, name: &str, words: &str| {
        let mut lines = stderr.lines();
        lines.any(|line| line.contains(&format!("{name:?}: ")) && line.contains(words))
    };
    let all = running.asks_until(|stderr| {
        counted(stderr, "all", "matched 5, captured 5 (2.5 kB), lost 0")
            && counted(
                stderr,
                "three",
                "ended (packet limit reached) after 0s: matched ",
            )
    });
    assert!(all, "{}", running.stderr_so_far());
    running.stop().expect_code(0);
}

/// SIGUSR2 has all in the file that was captured until then.
#[test]
fn flushed_on_request() {
    let lab = Lab::new();
    let running = agent::capture(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
    let part = running.directory().join("o.pcapng.part");
    let copy = running.directory().join("copy.pcapng");
    for round in 1..=3 {
        traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..50, 500));
        running.signal(Signal::SIGUSR2);
        let mut count = 0;
        let all = eventually(TIMEOUT, || {
            fs::copy(&part, &copy).expect("it is written");
            let stream = fs::read(&copy).expect("a copy");
            fs::write(&copy, &stream[..pcapng::whole_len(&stream)]).expect("a copy");
            count = readers::packets(&copy).len();
            count == 50 * round
        });
        assert!(all, "{count} packets in round {round}");
    }
    fs::remove_file(copy).expect("it is there");
    assert_eq!(running.stop().expect_whole("user").packets().len(), 150);
}

/// From the moment at which it can catch them to its end, while it loads programs and while it drains.
#[test]
fn requests_at_any_moment_end_nothing() {
    let lab = Lab::new();
    for arguments in [&[][..], &["--hook", "xdp"]] {
        let arguments = [&["-i", HOST_IF, "-w", "o.pcapng"], arguments].concat();
        let running = agent::start(&lab.host, &arguments);
        assert!(eventually(TIMEOUT, || catches(
            running.pid(),
            Signal::SIGUSR2
        )));
        let requests = &[Signal::SIGUSR1, Signal::SIGUSR2];
        let repeated = RepeatedSignals::start(running.pid(), requests, Duration::from_micros(200));
        running.wait_ready();
        traffic::send(&lab.peer, PEER_IF, 20_000, traffic::frames(0..2000, 500));
        let ended = running.stop().expect_whole("user");
        let sent = repeated.end();
        assert!(sent > 100, "{sent} signals");
        assert_eq!(ended.packets().len(), 2000);
    }
}

/// The verifier gives up (EAGAIN) where a signal is pending, and one that comes twice is one here, too.
#[test]
fn an_end_while_it_loads_is_in_order() {
    let lab = Lab::new();
    for delay in (0..200).step_by(20) {
        let running = agent::start(&lab.host, &["-i", HOST_IF, "-w", "o.pcapng"]);
        assert!(eventually(TIMEOUT, || catches(
            running.pid(),
            Signal::SIGTERM
        )));
        // The moment is what is tested, and how often the signal comes.
        thread::sleep(Duration::from_millis(delay));
        let echoes =
            RepeatedSignals::start(running.pid(), &[Signal::SIGTERM], Duration::from_millis(5));
        thread::sleep(Duration::from_millis(60));
        echoes.end();
        running.wait(TIMEOUT).expect_whole("user");
    }
}

/// What waits for the reader of a FIFO says so again.
#[test]
fn figures_while_it_waits_for_a_reader() {
    let lab = Lab::new();
    let directory = Arc::new(tempdir().expect("a directory"));
    nix::unistd::mkfifo(&directory.path().join("ff"), nix::sys::stat::Mode::S_IRWXU)
        .expect("a FIFO");
    let running = agent::start_in(&lab.host, directory, &["-i", HOST_IF, "-w", "ff"]);
    says(&running, "waiting for a reader of ff", 1);
    running.signal(Signal::SIGUSR2);
    running.signal(Signal::SIGUSR1);
    says(&running, "waiting for a reader of ff", 2);
    running.signal(Signal::SIGTERM);
    running.wait(TIMEOUT).expect_code(1);
}
