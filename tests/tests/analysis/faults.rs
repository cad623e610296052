//! Faults of the network, of a host and of an application, and what is found at both ends.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use capture_tests::{
    agent,
    netns::{HOST_IF, Lab, PEER4},
    relay::{Faults, Relay},
    traffic,
};

use crate::run::{analyze, codes, delayed, ms, run, send};

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

#[test]
fn a_reset_by_somebody_else() {
    let forging = Faults {
        reset_after: Some(5),
        ..delayed()
    };
    let [_, peer] = found("forged", [forging, delayed()], |relay, address| {
        both(
            relay,
            address,
            |mut stream| {
                for _ in 0..20 {
                    // The connection ends in between.
                    let _ = stream.write_all(&[1; 100]);
                    thread::sleep(ms(20));
                }
            },
            |mut stream| {
                let mut received = Vec::new();
                assert!(stream.read_to_end(&mut received).is_err(), "it is reset");
            },
        );
    });
    assert_eq!(peer, ["tcp.reset_injected"]);
}

#[test]
fn a_small_receive_buffer() {
    let settings = [("net/ipv4/tcp_rmem", "4096 16384 16384")];
    let outcome = run(
        "window",
        [delayed(); 2],
        &settings,
        PEER4,
        |relay, address| send(relay, address, 2_000_000),
    );
    assert_eq!(codes(&outcome.sender), ["tcp.window_limited"]);
}

#[test]
fn a_full_queue_of_new_connections() {
    let settings = [("net/core/somaxconn", "1")];
    let outcome = run(
        "backlog",
        [delayed(); 2],
        &settings,
        PEER4,
        |relay, address| {
            let listener = relay
                .peer
                .within(|| TcpListener::bind(address).expect("the server binds"));
            relay.host.within(|| {
                thread::scope(|scope| {
                    for _ in 0..8 {
                        let connect = || {
                            let timeout = ms(3500);
                            if let Ok(stream) = TcpStream::connect_timeout(&address, timeout) {
                                keep(stream);
                            }
                        };
                        // Threads of this one, so that they are in its namespace.
                        scope.spawn(connect);
                        thread::sleep(ms(30));
                    }
                });
            });
            std::mem::forget(listener);
        },
    );
    for report in [&outcome.sender, &outcome.receiver] {
        assert_eq!(codes(report), ["tcp.backlog"]);
    }
}

#[test]
fn small_writes_that_wait_for_each_other() {
    let [host, peer] = found("nagle", [delayed(); 2], |relay, address| {
        both(
            relay,
            address,
            |mut stream| {
                for _ in 0..60 {
                    stream.write_all(&[1; 50]).expect("the head is sent");
                    stream.write_all(&[1; 50]).expect("the rest is sent");
                    stream
                        .read_exact(&mut [0; 100])
                        .expect("the answer arrives");
                }
            },
            |mut stream| {
                while stream.read_exact(&mut [0; 100]).is_ok() {
                    stream.write_all(&[1; 100]).expect("the answer is sent");
                }
            },
        );
    });
    assert_eq!([host, peer], [["tcp.delack_nagle"], ["tcp.delack_nagle"]]);
}

#[test]
fn a_fast_transfer_has_no_finding() {
    let lab = Lab::new();
    let running = agent::capture(
        &lab.host,
        &[
            "-i",
            HOST_IF,
            "--hook",
            "tc",
            "--protocol",
            "tcp",
            "--max-bytes",
            "128",
            "-w",
            "o.pcapng",
        ],
    );
    let sent = vec![7; 300_000_000];
    let address = SocketAddr::new(PEER4.parse().expect("an address"), 8080);
    let received = traffic::tcp_transfer(&lab.host, &lab.peer, address, &sent);
    assert!(received == sent, "the transfer itself");
    let ended = running.stop();
    let report = analyze(&ended.file(), true);
    assert_eq!(codes(&report), [""; 0], "{:#?}", report.findings);
}
