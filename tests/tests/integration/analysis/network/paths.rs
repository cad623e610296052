//! Paths: routes, sizes, and firewalls on the way.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
};

use capture_tests::{
    background::Background,
    lan::{LAN_IF, Lan},
    output,
    room::ring_size,
    traffic,
};

use super::{
    case::{Captured, Case, Made, link, ms, ping, rule, silence, watch, watch_with},
    cases,
};

cases! {
    routers_in_a_circle: Case {
        code: "route.loop",
        beside: &[],
        make: circle,
    };
    routers_in_a_circle_elsewhere: Case {
        code: "route.loop",
        beside: &[],
        make: distant_circle,
    };
    fragments_that_are_dropped: Case {
        code: "ip.fragments",
        beside: &[],
        make: fragments,
    };
    a_small_link_and_no_icmp: Case {
        code: "pmtu.blackhole",
        beside: &[],
        make: small_link,
    };
    a_tunnel_through_icmp: Case {
        code: "icmp.tunnel",
        beside: &[],
        make: icmp_tunnel,
    };
    a_firewall_that_drops: Case {
        code: "tcp.no_answer",
        beside: &[],
        make: |made| connect(made, "drop", true),
    };
    a_firewall_that_resets: Case {
        code: "tcp.refused",
        beside: &[],
        make: |made| connect(made, "reject with tcp reset", true),
    };
    a_port_that_nobody_listens_on: Case {
        code: "tcp.refused",
        beside: &[],
        make: |made| connect(made, "accept", made == Made::Innocent),
    };
    a_firewall_that_says_so: Case {
        code: "tcp.rejected",
        beside: &[],
        make: |made| connect(made, "reject with icmp type admin-prohibited", true),
    };
    a_route_that_is_forbidden: Case {
        code: "tcp.rejected",
        beside: &[],
        make: forbidden_route,
    };
    a_syn_that_was_lost: Case {
        code: "tcp.slow_handshake",
        beside: &[],
        make: late_answer,
    };
    a_queue_that_is_too_long: Case {
        code: "rtt.inflation",
        beside: &["tcp.window_limited"],
        make: long_queue,
    };
    a_firewall_that_forgets: Case {
        code: "tcp.idle_dropped",
        beside: &[],
        make: forgotten,
    };
    flags_that_exclude_each_other: Case {
        code: "proto.malformed",
        beside: &[],
        make: odd_flags,
    };
}

const PORT: u16 = 8080;

/// Two routers on the link of the host that each think the other one knows the way.
fn circle(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [host, one, other] = [0, 1, 2].map(|index| lan.host(index));
    for (router, next) in [(one, 2), (other, 1)] {
        router.sysctl("net/ipv4/ip_forward", "1");
        // To itself where nothing is wrong.
        if made == Made::Wrong || next == 2 {
            router.ip(&format!("route add 10.9.0.0/24 via {}", Lan::ipv4(next)));
        } else {
            router.ip("addr add 10.9.0.9/24 dev lo");
        }
    }
    host.ip(&format!("route add 10.9.0.0/24 via {}", Lan::ipv4(1)));
    watch(host, || {
        ping(host, &["-c", "5", "-i", "0.2", "-W", "1", "10.9.0.9"])
    })
}

/// The same on a link that the capture does not see; or a traceroute, which makes routers say the same.
fn distant_circle(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [host, one, other] = [0, 1, 2].map(|index| lan.host(index));
    link(one, other, 1500);
    host.ip(&format!("route add 10.9.0.0/24 via {}", Lan::ipv4(1)));
    one.ip("route add 10.9.0.0/24 via 10.8.0.2");
    match made {
        Made::Wrong => other.ip("route add 10.9.0.0/24 via 10.8.0.1"),
        Made::Innocent => other.ip("addr add 10.9.0.9/24 dev lo"),
    }
    watch(host, || {
        if made == Made::Innocent {
            for hops in ["1", "1", "1", "2", "2", "2", "3", "3", "3"] {
                ping(host, &["-c", "1", "-W", "1", "-t", hops, "10.9.0.9"]);
            }
        }
        // Errors are sent once a second.
        ping(host, &["-c", "5", "-i", "1.1", "-W", "1", "10.9.0.9"]);
    })
}

fn fragments(made: Made) -> Captured {
    let lan = Lan::new(2);
    let [receiver, sender] = [0, 1].map(|index| lan.host(index));
    if made == Made::Wrong {
        rule(
            sender,
            "netdev",
            &format!("egress device {LAN_IF}"),
            "ip frag-off & 0x1fff != 0 drop",
        );
    }
    watch(receiver, || {
        ping(
            sender,
            &[
                "-c",
                "5",
                "-i",
                "0.2",
                "-W",
                "1",
                "-s",
                "4000",
                &Lan::ipv4(0),
            ],
        );
        silence(&lan);
    })
}

/// A link with a smaller MTU behind a router that says so or not.
fn small_link(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [client, router, server] = [0, 1, 2].map(|index| lan.host(index));
    link(router, server, 1300);
    client.ip(&format!("route add 10.8.0.0/24 via {}", Lan::ipv4(1)));
    server.ip(&format!("route replace {}/32 via 10.8.0.1", Lan::ipv4(0)));
    // What the server says to itself of its own link.
    server.ip("route replace 10.8.0.0/24 dev up0 advmss 1460");
    server.ip(&format!(
        "route replace {}/32 via 10.8.0.1 advmss 1460",
        Lan::ipv4(0)
    ));
    if made == Made::Wrong {
        rule(
            router,
            "ip",
            "output",
            "icmp type destination-unreachable drop",
        );
    }
    let address = SocketAddr::new("10.8.0.2".parse().expect("an address"), PORT);
    watch(client, || {
        let listener = server.within(|| TcpListener::bind(address).expect("the server binds"));
        thread::scope(|scope| {
            scope.spawn(move || {
                let (mut stream, _) = listener.accept().expect("a connection comes in");
                let mut received = vec![0; 200];
                stream
                    .read_exact(&mut received)
                    .expect("the small part arrives");
                // Until the client gives up.
                stream.set_read_timeout(Some(ms(8000))).expect("a timeout");
                let _ = stream.read_to_end(&mut received);
            });
            client.within(|| {
                let mut stream = TcpStream::connect(address).expect("the client connects");
                stream.write_all(&[1; 200]).expect("the kernel takes it");
                thread::sleep(ms(200));
                stream.write_all(&[1; 20_000]).expect("the kernel takes it");
                if made == Made::Wrong {
                    thread::sleep(ms(7000));
                    // Its end would be one more event.
                    std::mem::forget(stream);
                }
            });
        });
    })
}

/// ptunnel, or a long ping with a lot in it.
fn icmp_tunnel(made: Made) -> Captured {
    let lan = Lan::new(2);
    let [client, proxy] = [0, 1].map(|index| lan.host(index));
    if made == Made::Innocent {
        return watch(client, || {
            ping(
                client,
                &["-c", "60", "-i", "0.02", "-s", "1000", &Lan::ipv4(1)],
            )
        });
    }
    // The kernel would answer beside it.
    proxy.sysctl("net/ipv4/icmp_echo_ignore_all", "1");
    let _proxy = Background::start(proxy.command("ptunnel").args(["-c", LAN_IF]));
    let service = SocketAddr::new("127.0.0.1".parse().expect("an address"), PORT);
    let listener = proxy.within(|| TcpListener::bind(service).expect("the service binds"));
    watch(client, || {
        let mut ptunnel = client.command("ptunnel");
        ptunnel.args([
            "-p",
            &Lan::ipv4(1),
            "-lp",
            "8000",
            "-da",
            "127.0.0.1",
            "-dp",
            "8080",
        ]);
        let _tunnel = Background::start(&mut ptunnel);
        thread::sleep(ms(1000));
        thread::scope(|scope| {
            scope.spawn(move || {
                let (mut stream, _) = listener.accept().expect("a connection comes in");
                let mut buffer = [0; 4096];
                while let Ok(len @ 1..) = stream.read(&mut buffer) {
                    stream.write_all(&buffer[..len]).expect("the echo is sent");
                }
            });
            client.within(|| {
                let mut stream = TcpStream::connect("127.0.0.1:8000").expect("the tunnel takes it");
                for number in 0..20u8 {
                    let sent = [number; 300];
                    stream.write_all(&sent).expect("the tunnel takes it");
                    stream
                        .read_exact(&mut [0; 300])
                        .expect("the echo comes back");
                }
            });
        });
    })
}

/// A connection to a port behind a rule, and one to it that is let through.
fn connect(made: Made, verdict: &str, listens: bool) -> Captured {
    let lan = Lan::new(2);
    let [client, server] = [0, 1].map(|index| lan.host(index));
    if made == Made::Wrong {
        rule(
            server,
            "ip",
            "input",
            &format!("tcp dport {PORT} {verdict}"),
        );
    }
    let address = SocketAddr::new(Lan::ipv4(1).parse().expect("an address"), PORT);
    let _listener =
        listens.then(|| server.within(|| TcpListener::bind(address).expect("the server binds")));
    watch(client, || {
        client.within(|| {
            let connected = TcpStream::connect_timeout(&address, ms(3500));
            assert_eq!(connected.is_ok(), made == Made::Innocent, "{connected:?}");
        });
        silence(&lan);
    })
}

/// A firewall that lets a connection through only when it is tried again, or at once.
fn late_answer(made: Made) -> Captured {
    let lan = Lan::new(2);
    let [client, server] = [0, 1].map(|index| lan.host(index));
    let address = SocketAddr::new(Lan::ipv4(1).parse().expect("an address"), PORT);
    let _listener = server.within(|| TcpListener::bind(address).expect("the server binds"));
    if made == Made::Wrong {
        rule(server, "ip", "input", &format!("tcp dport {PORT} drop"));
    }
    watch(client, || {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(ms(500));
                output(server.command("nft").args(["flush", "ruleset"]));
            });
            client.within(|| {
                let mut stream =
                    TcpStream::connect_timeout(&address, ms(5000)).expect("the client connects");
                stream.write_all(&[1; 100]).expect("the kernel takes it");
            });
        });
    })
}

/// A long transfer through a narrow link, whose queue holds seconds of it, or through a wide one.
fn long_queue(made: Made) -> Captured {
    const LEN: usize = 14_000_000;
    let lan = Lan::new(3);
    let [client, router, server] = [0, 1, 2].map(|index| lan.host(index));
    link(router, server, 1500);
    client.ip(&format!("route add 10.8.0.0/24 via {}", Lan::ipv4(1)));
    server.ip(&format!("route replace {}/32 via 10.8.0.1", Lan::ipv4(0)));
    if made == Made::Wrong {
        let shape = ["rate", "20mbit", "burst", "16kb", "latency", "2s"];
        let mut tc = router.command("tc");
        output(
            tc.args(["qdisc", "add", "dev", "up0", "root", "tbf"])
                .args(shape),
        );
    }
    // A quarter of a second of that rate, and a sender that fills it at once.
    server.sysctl("net/ipv4/tcp_rmem", "4096 131072 600000");
    client.sysctl("net/ipv4/tcp_congestion_control", "reno");
    let address = SocketAddr::new("10.8.0.2".parse().expect("an address"), PORT);
    watch_with(client, &["--ring-size", &ring_size(LEN)], || {
        let sent = vec![1; LEN];
        let received = traffic::tcp_transfer(client, server, address, &sent);
        assert_eq!(received.len(), sent.len());
    })
}

/// A connection that is silent for longer than a firewall on the way remembers it. The silence is made by editcap, which moves
/// what comes after it.
fn forgotten(made: Made) -> Captured {
    let lan = Lan::new(2);
    let [client, server] = [0, 1].map(|index| lan.host(index));
    let address = SocketAddr::new(Lan::ipv4(1).parse().expect("an address"), PORT);
    let listener = server.within(|| TcpListener::bind(address).expect("the server binds"));
    let mut ends = None;
    let before = watch(client, || {
        let mut stream =
            client.within(|| TcpStream::connect(address).expect("the client connects"));
        let (mut other, _) = listener.accept().expect("a connection comes in");
        stream.write_all(&[1; 100]).expect("the request is sent");
        other
            .read_exact(&mut [0; 100])
            .expect("the request arrives");
        other.write_all(&[2; 100]).expect("the answer is sent");
        stream
            .read_exact(&mut [0; 100])
            .expect("the answer arrives");
        ends = Some((stream, other));
    });
    let (mut stream, mut other) = ends.expect("the connection is there");
    if made == Made::Wrong {
        rule(server, "ip", "input", &format!("tcp dport {PORT} drop"));
    }
    let after = watch(client, || {
        stream.write_all(&[3; 100]).expect("the kernel takes it");
        match made {
            Made::Wrong => thread::sleep(ms(7000)),
            Made::Innocent => other
                .read_exact(&mut [0; 100])
                .expect("the request arrives"),
        }
        silence(&lan);
    });
    let later = before.directory.path().join("later.pcapng");
    let both = before.directory.path().join("both.pcapng");
    output(
        Command::new("editcap")
            .args(["-t", "900"])
            .arg(&after.file)
            .arg(&later),
    );
    let mut mergecap = Command::new("mergecap");
    output(mergecap.arg("-w").arg(&both).args([&before.file, &later]));
    Captured {
        file: both,
        ..before
    }
}

/// A router whose route to the server is one that refuses.
fn forbidden_route(made: Made) -> Captured {
    let lan = Lan::new(3);
    let [client, router, server] = [0, 1, 2].map(|index| lan.host(index));
    link(router, server, 1500);
    client.ip(&format!("route add 10.8.0.0/24 via {}", Lan::ipv4(1)));
    server.ip(&format!("route replace {}/32 via 10.8.0.1", Lan::ipv4(0)));
    if made == Made::Wrong {
        router.ip("route add prohibit 10.8.0.2/32");
    }
    let address = SocketAddr::new("10.8.0.2".parse().expect("an address"), PORT);
    let _listener = server.within(|| TcpListener::bind(address).expect("the server binds"));
    watch(client, || {
        client.within(|| {
            let connected = TcpStream::connect_timeout(&address, ms(3500));
            assert_eq!(connected.is_ok(), made == Made::Innocent, "{connected:?}");
        });
    })
}

/// Segments of scapy: with SYN and FIN, or as a stack sends them that closes at once.
fn odd_flags(made: Made) -> Captured {
    let lan = Lan::new(2);
    let [victim, sender] = [0, 1].map(|index| lan.host(index));
    let flags = match made {
        Made::Wrong => "SF",
        Made::Innocent => "FA",
    };
    let script = format!(
        "from scapy.all import *\nfor port in range(5):\n    sendp(Ether(dst='{}')/IP(dst='{}')/TCP(sport=40000+port, dport=22, flags='{flags}'), iface='{LAN_IF}', verbose=False)",
        Lan::mac(0),
        Lan::ipv4(0),
    );
    watch(victim, || {
        output(sender.command("/usr/bin/python3").arg("-c").arg(&script));
    })
}
