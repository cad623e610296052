//! `-w -`: a capture as a stream, to a reader that lives, that dies, and to a terminal.

use std::{
    fs::{self, File},
    io::Read as _,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use capture_tests::{
    agent,
    counters::Figures,
    eventually,
    netns::{HOST_IF, Lab, Netns, PEER_IF},
    output, pcapng, readers,
    terminal::PseudoTerminal,
    traffic::{self, number_in},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The agent with its standard output in a pipe that the test holds.
fn piped(namespace: &Netns, arguments: &[&str]) -> (Child, ChildStdout) {
    let mut command = namespace.command(agent::binary());
    command
        .args(["run", "-w", "-", "-i", HOST_IF])
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the agent starts");
    let stdout = child.stdout.take().expect("it is piped");
    (child, stdout)
}

fn wait_ready(child: &mut Child) {
    let stderr = child.stderr.as_mut().expect("it is piped");
    let (mut text, mut byte) = (String::new(), [0]);
    while !text.contains("capturing on ") || !text.ends_with('\n') {
        let read = stderr.read(&mut byte).expect("standard error can be read");
        assert!(read == 1, "it ended before it captured: {text}");
        text.push(char::from(byte[0]));
    }
}

#[test]
fn the_summary_goes_to_standard_error() {
    let lab = Lab::new();
    for format in ["pcapng", "pcap"] {
        let arguments = ["-i", HOST_IF, "-w", "-", "--format", format];
        let running = agent::capture(&lab.host, &arguments);
        traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..1000, 100));
        let ended = running.stop().expect_whole("user");
        ended.check(
            ended.stderr.contains("\"stop_reason\""),
            "JSON on standard error",
        );
        ended.check(ended.directory_names().is_empty(), "no file");
        assert_eq!(ended.counter("captured"), 1000);
        assert_eq!(ended.summary()["files"][0]["name"], "-");
        let file = ended.directory.path().join("copy");
        fs::write(&file, &ended.stdout).expect("it can be written");
        assert_eq!(readers::packets(&file).len(), 1000);
        assert_eq!(readers::tcpdump_count(&file, "udp port 53"), 1000);
    }
}

#[test]
fn tshark_reads_along() {
    let lab = Lab::new();
    let (mut agent, stdout) = piped(&lab.host, &["-o", "json"]);
    let directory = tempfile::tempdir().expect("a directory");
    let lines = directory.path().join("lines");
    let mut tshark = Command::new("tshark")
        .args(["-n", "-l", "-r", "-", "-T", "fields", "-e", "frame.number"])
        .stdin(stdout)
        .stdout(File::create(&lines).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("tshark starts");
    wait_ready(&mut agent);
    let count = || {
        fs::read_to_string(&lines)
            .expect("it can be read")
            .lines()
            .count()
    };
    for round in 1..=3 {
        traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..50, 100));
        // Live: they are there while the capture goes on, not at its end.
        let seen = eventually(Duration::from_secs(5), || count() == round * 50);
        assert!(seen, "round {round}: {} packets shown", count());
    }
    signal(&agent, Signal::SIGINT);
    let done = agent.wait_with_output().expect("it ends");
    assert_eq!(
        done.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(
        tshark.wait().expect("tshark ends").success(),
        "the stream ends whole"
    );
    assert_eq!(count(), 150);
}

#[test]
fn a_reader_that_goes_is_a_quiet_end() {
    let lab = Lab::new();
    let (mut agent, mut stdout) = piped(&lab.host, &["-o", "json"]);
    wait_ready(&mut agent);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..20, 100));
    stdout.read_exact(&mut [0; 500]).expect("packets come");
    drop(stdout);
    // Nothing more can be written, and the next packet shows it.
    let mut status = None;
    let ended = eventually(Duration::from_secs(10), || {
        traffic::send(&lab.peer, PEER_IF, 0, [traffic::frame(99, 100)]);
        status = agent.try_wait().expect("it is our child");
        status.is_some()
    });
    if !ended {
        let _ = agent.kill();
    }
    let done = agent.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(ended, "it goes on without a reader: {stderr}");
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{stderr}");
    // Quiet: besides the JSON, no word of it.
    let words = ["error:", "roken pipe", "panicked"];
    assert!(!words.iter().any(|word| stderr.contains(word)), "{stderr}");
    assert!(
        stderr.contains("\"user\""),
        "the stop reason is user: {stderr}"
    );
    assert!(lab.host.attachments().is_empty());
}

#[test]
fn a_terminal_is_refused() {
    let lab = Lab::new();
    let terminal = PseudoTerminal::open();
    let mut command = lab.host.command(agent::binary());
    command
        .args(["run", "-i", HOST_IF, "-w", "-"])
        .stdin(Stdio::null());
    command
        .stdout(Stdio::from(terminal.slave))
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the agent starts");
    let done = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("terminal"), "{stderr}");
    assert!(lab.host.attachments().is_empty());
    drop(terminal.master);
}

#[test]
fn a_terminal_shows_progress() {
    let lab = Lab::new();
    let terminal = PseudoTerminal::open();
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let mut command = lab.host.command(agent::binary());
    command.args(["run", "-i", HOST_IF, "-w", "o.pcapng", "--duration", "2"]);
    command
        .current_dir(directory.path())
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(terminal.slave));
    let shown = on_terminal(command, terminal.master, || ());
    assert!(shown.contains("capturing on "), "{shown}");
    assert!(shown.contains(REWRITTEN), "a live line: {shown:?}");
}

/// How a line begins that is written over another one.
const REWRITTEN: &str = "\r\x1b[K";

/// All that a command shows on a terminal; something is done when it captures.
fn on_terminal(mut command: Command, master: OwnedFd, then: impl FnOnce()) -> String {
    let mut child = command.spawn().expect("it starts");
    // The command holds the other end of the terminal until it is dropped.
    drop(command);
    let mut master = File::from(master);
    let (mut shown, mut some, mut then) = (Vec::new(), [0; 4096], Some(then));
    // A terminal whose last writer has gone gives an error, not an end.
    while let Ok(count @ 1..) = master.read(&mut some) {
        shown.extend(&some[..count]);
        if String::from_utf8_lossy(&shown).contains("capturing on ")
            && let Some(then) = then.take()
        {
            then();
        }
    }
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(child.wait().expect("it ends").success(), "{shown}");
    shown
}

/// The example of `run --help`, typed at a terminal: the reader has the screen for itself until the end.
#[test]
fn a_reader_has_the_terminal_for_itself() {
    let lab = Lab::new();
    let help = output(Command::new(agent::binary()).args(["run", "--help"]));
    let example = help.lines().map(str::trim);
    let mut example =
        example.filter(|line| line.starts_with("capture-agent run ") && line.contains("-w - |"));
    let example = example.next().expect("an example").to_owned();
    let agent = agent::binary();
    let typed = example
        .replace("capture-agent", agent.to_str().expect("a plain path"))
        .replace("eth0 ", &format!("{HOST_IF} --duration 3s "))
        .replace("10.0.0.5", "192.0.2.2");
    let terminal = PseudoTerminal::open();
    let other = || Stdio::from(terminal.slave.try_clone().expect("a descriptor"));
    let mut command = lab.host.command("sh");
    command.args(["-c", &typed]).env("TERM", "xterm");
    command.stdin(other()).stdout(other()).stderr(other());
    drop(terminal.slave);
    let count = 20;
    let shown = on_terminal(command, terminal.master, || {
        traffic::send(&lab.peer, PEER_IF, 20, traffic::frames(0..count, 100));
    });
    let packets = shown.lines().filter(|line| line.contains("192.0.2.1"));
    let packets: Vec<_> = packets.collect();
    assert_eq!(packets.len() as u32, count, "{shown}");
    for line in packets {
        let number = line.split_whitespace().next().map(str::parse::<u32>);
        assert!(matches!(number, Some(Ok(_))), "{line:?} in:\n{shown}");
    }
    assert!(!shown.contains('\x1b'), "{shown:?}");
    assert!(shown.contains("capture is complete"), "{shown}");
}

/// A consumer of the stream, its own standard output in a file.
fn consumer(command: &mut Command, stdout: ChildStdout, file: &Path) -> Child {
    command
        .stdin(stdout)
        .stdout(File::create(file).expect("a file"))
        .spawn()
        .expect("the consumer starts")
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id() as i32);
    kill(pid, signal).expect("it runs");
}

/// The figures of the closing table of an agent that ends by itself or was told to, which add up.
fn figures(agent: Child, code: i32) -> Figures {
    let done = agent.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{stderr}");
    let figures = Figures::of_table(&stderr).unwrap_or_else(|| panic!("no table: {stderr}"));
    assert_eq!(figures.matched, figures.accounted(), "{stderr}");
    figures
}

/// What a consumer got, cut to its last whole packet.
fn packets_got(file: &Path) -> Vec<readers::Packet> {
    let stream = fs::read(file).expect("it can be read");
    let whole = file.with_extension("whole.pcapng");
    fs::write(&whole, &stream[..pcapng::whole_len(&stream)]).expect("it can be written");
    readers::packets(&whole)
}

/// `head` takes what it wants and goes: a quiet end, and what it did not take is counted.
#[test]
fn what_a_reader_that_goes_did_not_take_is_counted() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("head");
    let (mut agent, stdout) = piped(&lab.host, &["-o", "table"]);
    let mut head = consumer(Command::new("head").args(["-c", "20000"]), stdout, &file);
    wait_ready(&mut agent);
    traffic::send(&lab.peer, PEER_IF, 5000, traffic::frames(0..2000, 100));
    assert!(head.wait().expect("head ends").success());
    let ended = eventually(Duration::from_secs(10), || {
        traffic::send(&lab.peer, PEER_IF, 0, [traffic::frame(9999, 100)]);
        agent.try_wait().expect("it is our child").is_some()
    });
    assert!(ended, "it goes on without a reader");
    let figures = figures(agent, 0);
    let got = packets_got(&file);
    assert!(readers::is_gapless(&got), "the first ones");
    // The pipe had taken more than the reader did.
    assert!(
        got.len() > 100 && figures.captured >= got.len() as u64,
        "{figures:?}"
    );
    assert_eq!((figures.ring, figures.queue), (0, 0), "{figures:?}");
    assert!(figures.write > 0, "{figures:?}");
}

/// Slower than the traffic, but it reads: it gets everything, the rest at the end.
#[test]
fn a_slow_reader_gets_everything() {
    let lab = Lab::new();
    let (mut agent, mut stdout) = piped(&lab.host, &["-o", "table"]);
    let reader = thread::spawn(move || {
        let (mut stream, mut buffer) = (Vec::new(), [0; 8192]);
        loop {
            // What makes it slow.
            thread::sleep(Duration::from_millis(2));
            match stdout.read(&mut buffer).expect("it can be read") {
                0 => return stream,
                read => stream.extend_from_slice(&buffer[..read]),
            }
        }
    });
    wait_ready(&mut agent);
    // Some 50 MB/s against 4.
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..40_000, 100));
    traffic::settle();
    signal(&agent, Signal::SIGTERM);
    let figures = figures(agent, 0);
    assert_eq!((figures.matched, figures.captured), (40_000, 40_000));
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("slow");
    fs::write(&file, reader.join().expect("it reads")).expect("it can be written");
    let numbers: Vec<_> = packets_got(&file)
        .iter()
        .filter_map(|packet| number_in(&packet.bytes))
        .collect();
    assert!(numbers.into_iter().eq(0..40_000), "each once, in order");
}

/// A consumer that is stopped costs packets of the queue, and holds up the end no longer than said. What
/// the pipe took counts as captured, to the packet.
#[test]
fn a_stopped_reader_costs_packets_and_no_time() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    for goes_on in [true, false] {
        let file = directory.path().join(format!("cat-{goes_on}"));
        let (mut agent, stdout) = piped(&lab.host, &["-o", "table", "--ring-size", "128MiB"]);
        let mut cat = consumer(&mut Command::new("cat"), stdout, &file);
        wait_ready(&mut agent);
        signal(&cat, Signal::SIGSTOP);
        traffic::send(&lab.peer, PEER_IF, 40_000, traffic::frames(0..60_000, 1400));
        traffic::settle();
        if goes_on {
            signal(&cat, Signal::SIGCONT);
        }
        let asked = Instant::now();
        signal(&agent, Signal::SIGTERM);
        let figures = figures(agent, i32::from(!goes_on));
        assert!(
            asked.elapsed() < Duration::from_secs(8),
            "{:?}",
            asked.elapsed()
        );
        signal(&cat, Signal::SIGCONT);
        assert!(cat.wait().expect("cat ends").success());
        assert_eq!((figures.matched, figures.ring), (60_000, 0), "{figures:?}");
        assert!(figures.queue > 0, "{figures:?}");
        assert_eq!(figures.write == 0, goes_on, "{figures:?}");
        assert_eq!(packets_got(&file).len() as u64, figures.captured);
    }
}
