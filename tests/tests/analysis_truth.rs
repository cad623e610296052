//! The analyzer against the truth: transfers over a network with faults that a relay makes, captured at both ends. What
//! was sent again is counted by the kernel and by the relay, what arrived late or twice by the relay.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::Duration,
};

use capture_analysis::{Analyzer, Interface, Options, Packet, Report, TcpFigures};
use capture_common::Direction;
use capture_tests::{
    agent,
    netns::{HOST_IF, Netns, PEER_IF, PEER4, PEER6},
    output,
    pcapng::{self, INTERFACE, PACKET},
    readers,
    relay::{Arrived, Faults, Log, Relay},
};

/// Analyzes a pcapng file of the agent.
fn analyze(path: &Path, with_direction: bool) -> Report {
    analyze_each(path, with_direction, |_, _| {})
}

/// Calls `each` after each packet, with its number.
fn analyze_each(path: &Path, with_direction: bool, mut each: impl FnMut(u64, &Analyzer)) -> Report {
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
const CLASSES: [&str; 14] = [
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
fn unlike_tshark(path: &Path) -> Vec<String> {
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
fn nstat(namespace: &Netns, name: &str) -> u64 {
    let text = output(namespace.command("nstat").args(["-asz", name]));
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value
        .unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .expect("a number")
}

/// What is known of a transfer from the host to the peer.
struct Outcome {
    kernel: u64,
    log: Log,
    arrived: Arrived,
    /// Of the host's capture and of the peer's, with direction and without.
    at_sender: [Option<TcpFigures>; 2],
    at_receiver: [Option<TcpFigures>; 2],
    /// Packets of both captures that Wireshark has in other classes.
    unlike: [Vec<String>; 2],
    sender: Report,
    receiver: Report,
    nstat: [(&'static str, u64); 6],
}

/// A transfer of so many bytes from the host to the peer.
fn transfer(name: &str, faults: [Faults; 2], bytes: usize, peer: &str) -> Outcome {
    run(name, faults, &[], peer, |relay, address| {
        send(relay, address, bytes)
    })
}

fn send(relay: &Relay, address: SocketAddr, bytes: usize) {
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
fn talk(relay: &Relay, address: SocketAddr, times: usize) {
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

fn run(
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
    if let Ok(directory) = std::env::var("CAPTURE_TEST_KEEP") {
        for (end, ended) in [("sender", &one), ("receiver", &other)] {
            let to = Path::new(&directory).join(format!("{name}-{end}.pcapng"));
            std::fs::copy(ended.file(), to).expect("the capture is kept");
        }
    }
    print(name, &outcome);
    outcome
}

fn print(name: &str, outcome: &Outcome) {
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

/// Exact at the sender, within half a percent at the receiver.
fn assert_true(outcome: &Outcome) {
    assert!(
        outcome.unlike.iter().all(Vec::is_empty),
        "classes of Wireshark: {:?}",
        outcome.unlike
    );
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
                outcome.arrived.doubled,
            ),
        ] {
            let tolerated = truth.div_ceil(200);
            assert!(
                found.abs_diff(truth) <= tolerated,
                "{what} at the receiver: {found} instead of {truth}"
            );
        }
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn delayed() -> Faults {
    Faults {
        delay: ms(10),
        ..Faults::default()
    }
}

fn codes(report: &Report) -> Vec<&'static str> {
    report
        .findings
        .iter()
        .map(|finding| finding.code)
        .filter(|code| !code.starts_with("capture."))
        .collect()
}

#[test]
fn a_clean_network() {
    let outcome = transfer("clean", [delayed(); 2], 5_000_000, PEER4);
    assert_true(&outcome);
    assert_eq!(outcome.arrived, Arrived::default());
    assert!(codes(&outcome.sender).is_empty() && codes(&outcome.receiver).is_empty());
}

#[test]
fn loss() {
    for (name, loss) in [("loss-1", 0.01), ("loss-5", 0.05)] {
        let lossy = Faults { loss, ..delayed() };
        let outcome = transfer(name, [lossy, delayed()], 3_000_000, PEER4);
        assert!(outcome.kernel > 0);
        assert_true(&outcome);
        for report in [&outcome.sender, &outcome.receiver] {
            assert_eq!(codes(report), ["tcp.loss"]);
        }
    }
}

#[test]
fn loss_of_acknowledgements_is_no_loss() {
    let lossy = Faults {
        loss_of_acks: 0.2,
        ..delayed()
    };
    let outcome = transfer("acks", [delayed(), lossy], 3_000_000, PEER4);
    assert_true(&outcome);
}

#[test]
fn reordering() {
    let jittery = Faults {
        jitter: ms(6),
        jitter_share: 0.2,
        ..delayed()
    };
    let outcome = transfer("jitter", [jittery, delayed()], 5_000_000, PEER4);
    assert!(outcome.arrived.reordered > 50);
    assert_true(&outcome);
    assert!(codes(&outcome.receiver).contains(&"net.reordering"));
    assert!(!codes(&outcome.sender).contains(&"net.reordering"));
}

#[test]
fn duplication() {
    let doubling = Faults {
        doubled: 0.02,
        ..delayed()
    };
    let outcome = transfer("doubled", [doubling, delayed()], 5_000_000, PEER4);
    assert!(outcome.arrived.doubled > 20);
    assert_true(&outcome);
    assert_eq!(codes(&outcome.receiver), ["net.duplication"]);
}

#[test]
fn everything_at_once() {
    let all = Faults {
        loss: 0.02,
        loss_of_acks: 0.02,
        jitter: ms(5),
        jitter_share: 0.1,
        doubled: 0.01,
        ..delayed()
    };
    let outcome = transfer("all", [all, all], 5_000_000, PEER4);
    assert_true(&outcome);
}

#[test]
fn loss_over_ipv6() {
    let lossy = Faults {
        loss: 0.02,
        ..delayed()
    };
    let outcome = transfer("ipv6", [lossy, delayed()], 3_000_000, PEER6);
    assert!(outcome.kernel > 0);
    assert_true(&outcome);
}

#[test]
fn everything_at_once_over_ipv6() {
    let all = Faults {
        loss: 0.02,
        jitter: ms(5),
        jitter_share: 0.1,
        doubled: 0.01,
        ..delayed()
    };
    let outcome = transfer("all-6", [all, all], 5_000_000, PEER6);
    assert_true(&outcome);
}

#[test]
fn without_timestamps() {
    let all = Faults {
        loss: 0.02,
        jitter: ms(5),
        jitter_share: 0.1,
        doubled: 0.01,
        ..delayed()
    };
    let settings = [("net/ipv4/tcp_timestamps", "0")];
    let outcome = run("no-ts", [all, all], &settings, PEER4, |relay, address| {
        send(relay, address, 3_000_000)
    });
    assert_true(&outcome);
}

#[test]
fn without_selective_acknowledgements() {
    let lossy = Faults {
        loss: 0.02,
        ..delayed()
    };
    let settings = [("net/ipv4/tcp_sack", "0")];
    let outcome = run(
        "no-sack",
        [lossy, delayed()],
        &settings,
        PEER4,
        |relay, address| send(relay, address, 1_000_000),
    );
    assert_true(&outcome);
}

#[test]
fn why_it_was_sent_again() {
    let lossy = Faults {
        loss: 0.15,
        ..delayed()
    };
    let outcome = run("talk", [lossy, delayed()], &[], PEER4, |relay, address| {
        talk(relay, address, 60)
    });
    assert_true(&outcome);
}

/// Codes at the host and at the peer.
fn found(
    name: &str,
    faults: [Faults; 2],
    work: impl FnOnce(&Relay, SocketAddr),
) -> [Vec<&'static str>; 2] {
    let outcome = run(name, faults, &[], PEER4, work);
    [codes(&outcome.sender), codes(&outcome.receiver)]
}

/// A server that takes a connection and does with it what it is told to, while the client does something else.
fn both(
    relay: &Relay,
    address: SocketAddr,
    client: impl FnOnce(TcpStream) + Send,
    server: impl FnOnce(TcpStream) + Send,
) {
    let listener = relay
        .peer
        .within(|| TcpListener::bind(address).expect("the server binds"));
    thread::scope(|scope| {
        scope.spawn(|| server(listener.accept().expect("a connection comes in").0));
        relay
            .host
            .within(|| client(TcpStream::connect(address).expect("the client connects")));
    });
}

/// Leaves a connection open for as long as the tests run, as its end would be one more event.
fn keep(stream: TcpStream) {
    std::mem::forget(stream);
}

#[test]
fn a_path_that_ends() {
    let ends = Faults {
        ends_after: Some(20),
        ..delayed()
    };
    let [host, peer] = found("ends", [ends, delayed()], |relay, address| {
        both(
            relay,
            address,
            |mut stream| {
                for _ in 0..30 {
                    stream.write_all(&[1; 100]).expect("the kernel takes it");
                    thread::sleep(ms(30));
                }
                thread::sleep(ms(7000));
                keep(stream);
            },
            keep,
        );
    });
    assert_eq!(host, ["tcp.dead_path"]);
    assert_eq!(peer, [""; 0], "nothing arrives there");
}

#[test]
fn a_smaller_mtu_on_the_way() {
    let small = Faults {
        mtu: Some(1300),
        ..delayed()
    };
    let [host, _] = found("mtu", [small, delayed()], |relay, address| {
        both(
            relay,
            address,
            |mut stream| {
                stream.write_all(&[1; 200]).expect("the kernel takes it");
                thread::sleep(ms(100));
                stream.write_all(&[1; 20_000]).expect("the kernel takes it");
                thread::sleep(ms(7000));
                keep(stream);
            },
            keep,
        );
    });
    assert_eq!(host, ["pmtu.blackhole"]);
}

#[test]
fn nobody_answers() {
    let over = Faults {
        ends_after: Some(0),
        ..delayed()
    };
    let [host, peer] = found("silence", [over, delayed()], |relay, address| {
        relay.host.within(|| {
            let timeout = ms(7500);
            assert!(TcpStream::connect_timeout(&address, timeout).is_err());
        });
    });
    assert_eq!(host, ["tcp.no_answer"]);
    assert_eq!(peer, [""; 0]);
}

#[test]
fn nothing_listens() {
    let [host, peer] = found("refused", [delayed(); 2], |relay, address| {
        relay
            .host
            .within(|| assert!(TcpStream::connect(address).is_err()));
    });
    assert_eq!([host, peer], [["tcp.refused"], ["tcp.refused"]]);
}

#[test]
fn an_application_that_does_not_read() {
    let [host, peer] = found("unread", [delayed(); 2], |relay, address| {
        both(
            relay,
            address,
            |mut stream| stream.write_all(&[1; 8_000_000]).expect("the data is sent"),
            |mut stream| {
                thread::sleep(ms(3000));
                let mut received = Vec::new();
                stream.read_to_end(&mut received).expect("the data arrives");
            },
        );
    });
    assert_eq!([host, peer], [["tcp.zero_window"], ["tcp.zero_window"]]);
}

#[test]
fn an_application_that_answers_late() {
    let [host, peer] = found("late", [delayed(); 2], |relay, address| {
        both(
            relay,
            address,
            |mut stream| {
                for _ in 0..4 {
                    stream.write_all(&[1; 100]).expect("the request is sent");
                    stream
                        .read_exact(&mut [0; 100])
                        .expect("the answer arrives");
                }
            },
            |mut stream| {
                while stream.read_exact(&mut [0; 100]).is_ok() {
                    thread::sleep(ms(700));
                    stream.write_all(&[1; 100]).expect("the answer is sent");
                }
            },
        );
    });
    assert_eq!([host, peer], [["app.slow"], ["app.slow"]]);
}

#[test]
fn a_reset_in_the_middle() {
    let [host, peer] = found("reset", [delayed(); 2], |relay, address| {
        both(
            relay,
            address,
            |mut stream| {
                stream
                    .write_all(&[1; 100_000])
                    .expect("the request is sent");
                // The server goes away without having read: its kernel resets.
                thread::sleep(ms(500));
            },
            |mut stream| {
                stream
                    .read_exact(&mut [0; 100])
                    .expect("the request arrives");
                thread::sleep(ms(200));
            },
        );
    });
    assert_eq!([host, peer], [["tcp.reset_mid"], ["tcp.reset_mid"]]);
}
