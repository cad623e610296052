//! What a capture says of itself.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use capture_tests::{
    agent,
    lan::{LAN_IF, Lan},
    netns::Netns,
};
use nix::sys::signal::Signal;

use super::{
    case::{Captured, Case, Made, link, ms, ping, watch, watch_with},
    cases,
};

cases! {
    an_agent_that_stood_still: Case {
        code: "capture.lost",
        // What is lost is a flood.
        beside: &["flood.icmp"],
        make: lost,
    };
    frames_that_were_cut: Case {
        code: "capture.cut",
        beside: &[],
        make: cut,
    };
    both_interfaces_of_a_router: Case {
        code: "capture.duplicates",
        beside: &[],
        make: twice,
    };
    segments_that_the_card_would_make: Case {
        code: "capture.offload",
        beside: &[],
        make: offload,
    };
    one_direction: Case {
        code: "capture.one_sided",
        beside: &[],
        make: one_sided,
    };
}

/// Stopped for longer than its ring holds, or for less.
fn lost(made: Made) -> Captured {
    let lan = Lan::new(2);
    let [host, sender] = [0, 1].map(|index| lan.host(index));
    let arguments = [
        "-i",
        LAN_IF,
        "--hook",
        "tc",
        "--ring-size",
        "4MiB",
        "-w",
        "o.pcapng",
    ];
    let running = agent::capture(host, &arguments);
    running.signal(Signal::SIGSTOP);
    let count = match made {
        Made::Wrong => "6000",
        Made::Innocent => "200",
    };
    ping(
        sender,
        &["-q", "-f", "-c", count, "-s", "1400", &Lan::ipv4(0)],
    );
    running.signal(Signal::SIGCONT);
    running.stop().into()
}

/// Connections from host 0, each with a request, and an answer of this length.
fn talk(lan: &Lan, connections: usize, len: usize) {
    const REQUEST: usize = 1000;
    let address = SocketAddr::new(Lan::ipv4(1).parse().expect("an address"), 8080);
    let listener = lan
        .host(1)
        .within(|| TcpListener::bind(address).expect("the server binds"));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().expect("a connection comes in");
                stream
                    .read_exact(&mut [0; REQUEST])
                    .expect("the request arrives");
                stream.write_all(&vec![2; len]).expect("the answer is sent");
            }
        });
        lan.host(0).within(|| {
            for _ in 0..connections {
                let mut stream = TcpStream::connect(address).expect("the client connects");
                stream
                    .write_all(&[1; REQUEST])
                    .expect("the request is sent");
                stream
                    .read_exact(&mut vec![0; len])
                    .expect("the answer arrives");
            }
        });
    });
}

fn cut(made: Made) -> Captured {
    let lan = Lan::new(2);
    let arguments: &[_] = match made {
        Made::Wrong => &["--max-bytes", "96"],
        Made::Innocent => &[],
    };
    watch_with(lan.host(0), arguments, || talk(&lan, 2, 1000))
}

fn twice(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [client, router, server] = [0, 1, 2].map(|index| lan.host(index));
    link(router, server, 1500);
    client.ip(&format!("route add 10.8.0.0/24 via {}", Lan::ipv4(1)));
    server.ip(&format!("route replace {}/32 via 10.8.0.1", Lan::ipv4(0)));
    let arguments: &[_] = match made {
        Made::Wrong => &["-i", "up0"],
        Made::Innocent => &[],
    };
    watch_with(router, arguments, || {
        ping(client, &["-c", "20", "-i", "0.05", "10.8.0.2"])
    })
}

fn offload(made: Made) -> Captured {
    let lan = Lan::new(2);
    if made == Made::Innocent {
        let off = |host: &Netns| host.offloads(LAN_IF, &["tso", "off", "gso", "off", "gro", "off"]);
        off(lan.host(0));
        off(lan.host(1));
    }
    watch(lan.host(0), || talk(&lan, 1, 300_000))
}

fn one_sided(made: Made) -> Captured {
    let lan = Lan::new(2);
    let direction = match made {
        Made::Wrong => "in",
        Made::Innocent => "both",
    };
    watch_with(lan.host(0), &["--direction", direction], || {
        talk(&lan, 6, 1000);
        thread::sleep(ms(100));
    })
}
