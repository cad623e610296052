//! One run: a relay with faults, the agent at both ends, the analyzer on both captures, and what is known to be true.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use capture_analysis::{Analyzer, Interface, Options, Packet, Report, TcpFigures};
use capture_common::Direction;
use capture_tests::{
    agent,
    netns::{HOST_IF, Netns, PEER_IF},
    output,
    pcapng::{self, INTERFACE, PACKET},
    readers,
    relay::{Arrived, Faults, Log, Relay},
};

use super::judge::findings;

/// Analyzes a pcapng file of the agent.
pub(crate) fn analyze(path: &Path, with_direction: bool) -> Report {
    analyze_each(path, with_direction, |_, _| {})
}

/// Calls `each` after each packet, with its number.
pub(crate) fn analyze_each(
    path: &Path,
    with_direction: bool,
    mut each: impl FnMut(u64, &Analyzer),
) -> Report {
    let mut analyzer = Analyzer::new(Options {
        wireshark_classes: true,
        ..Options::default()
    });
    let mut number = 0;
    let mut interfaces = 0;
    for block in pcapng::blocks(path) {
        let le32 =
            |at: usize| u32::from_ne_bytes(block.body[at..at + 4].try_into().expect("four bytes"));
        match block.kind {
            INTERFACE => {
                let link_type = (le32(0) & 0xffff) as u16;
                analyzer.interface(
                    interfaces,
                    Interface {
                        link_type,
                        ..Interface::default()
                    },
                );
                interfaces += 1;
            }
            PACKET => {
                number += 1;
                let stamp = u64::from(le32(4)) << 32 | u64::from(le32(8));
                let flags = block.option(2).first().map(|flags| flags[0] & 3);
                let direction = match flags {
                    Some(1) => Some(Direction::Ingress),
                    Some(2) => Some(Direction::Egress),
                    _ => None,
                };
                analyzer.packet(&Packet {
                    number,
                    timestamp_ns: stamp,
                    interface: le32(0),
                    direction: direction.filter(|_| with_direction),
                    original_len: le32(16),
                    lost_before: 0,
                    data: &block.body[20..20 + le32(12) as usize],
                });
                each(number, &analyzer);
            }
            _ => {}
        }
    }
    analyzer.finish()
}

/// Classes of Wireshark, in its order of names.
pub(crate) const CLASSES: [&str; 14] = [
    "retransmission",
    "fast_retransmission",
    "spurious_retransmission",
    "out_of_order",
    "duplicate_ack",
    "lost_segment",
    "ack_lost_segment",
    "keep_alive",
    "keep_alive_ack",
    "window_update",
    "window_full",
    "zero_window",
    "zero_window_probe",
    "zero_window_probe_ack",
];

/// Packets whose TCP classes are not those of tshark, with both.
pub(crate) fn unlike_tshark(path: &Path) -> Vec<String> {
    let names = CLASSES.map(|class| format!("tcp.analysis.{class}"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let theirs = readers::fields(path, "frame", &names);
    let mut unlike = Vec::new();
    analyze_each(path, true, |number, analyzer| {
        let row = &theirs[number as usize - 1];
        let set = CLASSES
            .iter()
            .zip(row)
            .filter(|(_, value)| !value.is_empty());
        let theirs: Vec<&str> = set.map(|(class, _)| *class).collect();
        let ours = analyzer.wireshark_classes().to_string();
        if ours != theirs.join(" ") {
            unlike.push(format!(
                "packet {number}: [{ours}], tshark [{}]",
                theirs.join(" ")
            ));
        }
    });
    unlike
}

/// A figure of the kernel's, of a namespace.
pub(crate) fn nstat(namespace: &Netns, name: &str) -> u64 {
    let text = output(namespace.command("nstat").args(["-asz", name]));
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .expect("a number")
}

/// What is known of a transfer from the host to the peer.
pub(crate) struct Outcome {
    pub(crate) kernel: u64,
    pub(crate) log: Log,
    pub(crate) arrived: Arrived,
    /// Of the host's capture and of the peer's, with direction and without.
    pub(crate) at_sender: [Option<TcpFigures>; 2],
    pub(crate) at_receiver: [Option<TcpFigures>; 2],
    /// Packets of both captures that Wireshark has in other classes.
    pub(crate) unlike: [Vec<String>; 2],
    pub(crate) sender: Report,
    pub(crate) receiver: Report,
    pub(crate) nstat: [(&'static str, u64); 6],
}

/// A transfer of so many bytes from the host to the peer.
pub(crate) fn transfer(name: &str, faults: [Faults; 2], bytes: usize, peer: &str) -> Outcome {
    run(name, faults, &[], peer, |relay, address| {
        send(relay, address, bytes)
    })
}

pub(crate) fn send(relay: &Relay, address: SocketAddr, bytes: usize) {
    let data: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let listener = relay
        .peer
        .within(|| TcpListener::bind(address).expect("the server binds"));
    thread::scope(|scope| {
        let received = scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a connection comes in");
            let mut received = Vec::new();
            stream.read_to_end(&mut received).expect("the data arrives");
            received.len()
        });
        relay.host.within(|| {
            let mut stream = TcpStream::connect(address).expect("the client connects");
            stream.write_all(&data).expect("the data is sent");
        });
        assert_eq!(
            received.join().expect("the server ends"),
            bytes,
            "the transfer itself"
        );
    });
}

/// Small requests, each of which waits for its answer.
pub(crate) fn talk(relay: &Relay, address: SocketAddr, times: usize) {
    let listener = relay
        .peer
        .within(|| TcpListener::bind(address).expect("the server binds"));
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a connection comes in");
            let mut request = [0; 100];
            while stream.read_exact(&mut request).is_ok() {
                stream.write_all(&request).expect("the answer is sent");
            }
        });
        relay.host.within(|| {
            let mut stream = TcpStream::connect(address).expect("the client connects");
            stream.set_nodelay(true).expect("an option");
            let mut answer = [0; 100];
            for _ in 0..times {
                stream.write_all(&[1; 100]).expect("the request is sent");
                stream.read_exact(&mut answer).expect("the answer arrives");
            }
        });
    });
}

pub(crate) fn run(
    name: &str,
    faults: [Faults; 2],
    settings: &[(&str, &str)],
    peer: &str,
    work: impl FnOnce(&Relay, SocketAddr),
) -> Outcome {
    let seed = std::env::var("CAPTURE_TEST_SEED").map_or(7, |text| text.parse().expect("a number"));
    let relay = Relay::start(seed, faults);
    for (key, value) in settings {
        relay.host.sysctl(key, value);
        relay.peer.sysctl(key, value);
    }
    let arguments = |interface| {
        [
            "-i",
            interface,
            "--hook",
            "tc",
            "--protocol",
            "tcp",
            "-w",
            "o.pcapng",
        ]
    };
    let running = [
        agent::capture(&relay.host, &arguments(HOST_IF)),
        agent::capture(&relay.peer, &arguments(PEER_IF)),
    ];
    work(
        &relay,
        SocketAddr::new(peer.parse().expect("an address"), 8080),
    );
    // The last acknowledgements, and what may be sent again for want of them.
    thread::sleep(Duration::from_millis(700));
    let [one, other] = running;
    let [one, other] = [one.stop(), other.stop()];
    let [log, _] = relay.stop();
    let host = &relay.host;
    let kernel = nstat(host, "TcpRetransSegs");
    let figures = |report: &Report| {
        let conversation = report.conversations.first();
        let directions = conversation.and_then(|conversation| conversation.directions.clone());
        directions.map(|[from_host, _]| from_host)
    };
    let (sender, receiver) = (analyze(&one.file(), true), analyze(&other.file(), true));
    let nstat = [
        "TCPTimeouts",
        "TCPLossProbes",
        "TCPFastRetrans",
        "TCPSlowStartRetrans",
        "TCPDSACKRecv",
        "TCPDSACKOfoRecv",
    ]
    .map(|name| (name, nstat(host, &format!("TcpExt{name}"))));
    let outcome = Outcome {
        kernel,
        arrived: log.arrived(),
        log,
        unlike: [unlike_tshark(&one.file()), unlike_tshark(&other.file())],
        at_sender: [figures(&sender), figures(&analyze(&one.file(), false))],
        at_receiver: [figures(&receiver), figures(&analyze(&other.file(), false))],
        sender,
        receiver,
        nstat,
    };
    for (end, ended) in [("sender", &one), ("receiver", &other)] {
        keep(&format!("{name}-{end}"), &ended.file());
        // tshark shows what is cited.
        findings(&ended.file());
    }
    print(name, &outcome);
    outcome
}

/// Leaves a capture where it is asked for.
pub(crate) fn keep(name: &str, file: &Path) {
    if let Ok(directory) = std::env::var("CAPTURE_TEST_KEEP") {
        let to = Path::new(&directory).join(format!("{name}.pcapng"));
        std::fs::copy(file, to).expect("the capture is kept");
    }
}

pub(crate) fn print(name: &str, outcome: &Outcome) {
    println!(
        "{name}: kernel {} resends, relay {}, lost {}, doubled {}, arrived {:?}",
        outcome.kernel,
        outcome.log.resent(),
        outcome.log.lost,
        outcome.log.doubled,
        outcome.arrived
    );
    println!("    {:?}", outcome.nstat);
    for figures in [&outcome.at_sender[0], &outcome.at_receiver[0]]
        .into_iter()
        .flatten()
    {
        println!(
            "    fast {}, timeouts {}, probes {}, spurious {}, lost before {}",
            figures.fast_retransmissions,
            figures.timeouts,
            figures.tail_loss_probes,
            figures.spurious_retransmissions,
            figures.lost_before_capture
        );
    }
    for unlike in &outcome.unlike {
        println!(
            "    {} packets unlike tshark: {:?}",
            unlike.len(),
            &unlike[..unlike.len().min(5)]
        );
    }
    for finding in outcome
        .sender
        .findings
        .iter()
        .chain(&outcome.receiver.findings)
    {
        println!(
            "    {} {:?} {}",
            finding.code, finding.severity, finding.summary
        );
    }
}

/// Exact at the sender, and within half a percent at the receiver.
pub(crate) fn assert_true(outcome: &Outcome) {
    assert_within(outcome, 200);
}

/// Exact at the sender; at the receiver a count may be wrong by its `parts`-th part, and by one.
pub(crate) fn assert_within(outcome: &Outcome, parts: u64) {
    let version = output(Command::new("tshark").arg("--version"));
    for (unlike, report) in outcome
        .unlike
        .iter()
        .zip([&outcome.sender, &outcome.receiver])
    {
        // Later versions take what ends a gap within a round trip for out of order.
        let tolerated = match version.contains("Wireshark) 4.0.") {
            true => 0,
            false => report.packets / 50,
        };
        assert!(
            unlike.len() as u64 <= tolerated,
            "classes of Wireshark: {unlike:?}"
        );
    }
    for figures in &outcome.at_sender {
        let figures = figures.as_ref().expect("a conversation");
        assert_eq!(
            figures.retransmissions, outcome.kernel,
            "resends at the sender, as the kernel counts"
        );
        assert_eq!(
            (figures.reordered, figures.network_duplicates),
            (0, 0),
            "nothing arrives there"
        );
    }
    for figures in &outcome.at_receiver {
        let figures = figures.as_ref().expect("a conversation");
        for (what, found, truth) in [
            ("resends", figures.retransmissions, outcome.arrived.resent),
            ("reordered", figures.reordered, outcome.arrived.reordered),
            (
                "duplicates",
                figures.network_duplicates,
                // Acknowledgements count where their packets have an identification.
                figures.network_duplicates.clamp(
                    outcome.arrived.doubled,
                    outcome.arrived.doubled + outcome.arrived.doubled_acks,
                ),
            ),
        ] {
            let tolerated = truth.div_ceil(parts);
            assert!(
                found.abs_diff(truth) <= tolerated,
                "{what} at the receiver: {found} instead of {truth}"
            );
        }
    }
}

pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn delayed() -> Faults {
    Faults {
        delay: ms(10),
        ..Faults::default()
    }
}

pub(crate) fn codes(report: &Report) -> Vec<&'static str> {
    report
        .findings
        .iter()
        .map(|finding| finding.code)
        .filter(|code| !code.starts_with("capture."))
        .collect()
}
