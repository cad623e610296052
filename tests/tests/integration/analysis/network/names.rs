//! Names: servers that fail, and what is hidden in queries.

use std::{fs, net::Ipv4Addr, net::UdpSocket, thread, time::Duration};

use capture_tests::{
    background::Background,
    lan::{LAN_IF, Lan},
    name_server::{Answer, NameServer},
    netns::Netns,
};
use tempfile::TempDir;

use super::{
    case::{Captured, Case, Made, any_end, ms, ping, rule, silence, watch},
    cases,
};

cases! {
    queries_that_a_firewall_drops: Case {
        code: "dns.unanswered",
        beside: &[],
        make: dropped_queries,
    };
    a_slow_server: Case {
        code: "dns.slow",
        beside: &[],
        make: slow_server,
    };
    a_server_that_fails: Case {
        code: "dns.servfail",
        beside: &[],
        make: failing_server,
    };
    a_server_that_refuses: Case {
        code: "dns.refused",
        beside: &[],
        make: refusing_server,
    };
    names_that_do_not_exist: Case {
        code: "dns.nxdomain_storm",
        beside: &[],
        make: invented_names,
    };
    long_answers_without_tcp: Case {
        code: "dns.truncated_no_tcp",
        beside: &["tcp.refused"],
        make: long_answers,
    };
    a_forged_answer: Case {
        code: "dns.two_answers",
        beside: &[],
        make: two_answers,
    };
    a_tunnel_through_dns: Case {
        code: "dns.tunnel",
        beside: &[],
        make: dns_tunnel,
    };
    a_host_that_has_every_name: Case {
        code: "name.poisoning",
        beside: &[],
        make: poisoned_names,
    };
}

const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// Asks the server on host 1 from host 0, once each, for names in order.
fn dig(lan: &Lan, names: impl IntoIterator<Item = String>) {
    let mut dig = lan.host(0).command("dig");
    dig.arg(format!("@{}", Lan::ipv4(1)));
    any_end(dig.args(["+tries=1", "+timeout=2", "+short"]).args(names));
}

/// `count` names of hosts in a domain.
fn hosts(domain: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("host{number}.{domain}"))
}

/// A DNS server without others to ask.
fn dnsmasq(host: &Netns, arguments: &[&str]) -> Background {
    let mut dnsmasq = host.command("dnsmasq");
    dnsmasq.args([
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-hosts",
        "--no-resolv",
    ]);
    dnsmasq
        .args(["--user=root", "--log-facility=-", "--pid-file="])
        .args(arguments);
    let mut server = Background::start(&mut dnsmasq);
    server.wait_for("started, version");
    server
}

fn dropped_queries(made: Made) -> Captured {
    let lan = Lan::new(2);
    let _server = dnsmasq(lan.host(1), &["--address=/example/192.0.2.7"]);
    if made == Made::Wrong {
        rule(lan.host(1), "ip", "input", "udp dport 53 drop");
    }
    watch(lan.host(0), || {
        dig(&lan, hosts("example", 4));
        silence(&lan);
    })
}

fn slow_server(made: Made) -> Captured {
    let lan = Lan::new(2);
    let delay = match made {
        Made::Wrong => ms(700),
        Made::Innocent => ms(70),
    };
    let answer = Answer {
        delay,
        address: Some(ADDRESS),
        ..Answer::default()
    };
    let _server = NameServer::start(lan.host(1), &Lan::ipv4(1), move |_| vec![answer]);
    watch(lan.host(0), || dig(&lan, hosts("example", 6)))
}

/// A server that fails for a whole domain, or for one name of many.
fn failing_server(made: Made) -> Captured {
    const SERVFAIL: u8 = 2;
    let lan = Lan::new(2);
    let _server = NameServer::start(lan.host(1), &Lan::ipv4(1), move |name| {
        let is_broken = match made {
            Made::Wrong => name.ends_with("broken.example"),
            Made::Innocent => name == "host3.broken.example",
        };
        vec![match is_broken {
            true => Answer {
                code: SERVFAIL,
                ..Answer::default()
            },
            false => Answer {
                address: Some(ADDRESS),
                ..Answer::default()
            },
        }]
    });
    watch(lan.host(0), || {
        dig(
            &lan,
            hosts("broken.example", 10).chain(hosts("example", 20)),
        )
    })
}

/// A server that is asked for what it does not serve.
fn refusing_server(made: Made) -> Captured {
    let lan = Lan::new(2);
    let _server = dnsmasq(lan.host(1), &["--address=/example/192.0.2.7"]);
    let asked = match made {
        Made::Wrong => "test",
        Made::Innocent => "example",
    };
    watch(lan.host(0), || dig(&lan, hosts(asked, 6)))
}

/// Names that malware invents, or a search list that asks twice for every name.
fn invented_names(made: Made) -> Captured {
    let lan = Lan::new(2);
    let _server = dnsmasq(
        lan.host(1),
        &["--address=/example/192.0.2.7", "--local=/test/"],
    );
    watch(lan.host(0), || match made {
        Made::Wrong => dig(&lan, hosts("test", 150)),
        Made::Innocent => dig(&lan, hosts("example.test", 60).chain(hosts("example", 90))),
    })
}

/// Answers that do not fit into a datagram, of a server without TCP and of one with it.
fn long_answers(made: Made) -> Captured {
    let lan = Lan::new(2);
    let server = lan.host(1);
    let ask = || {
        let mut dig = lan.host(0).command("dig");
        dig.arg(format!("@{}", Lan::ipv4(1)))
            .args(["+tries=1", "+timeout=2", "+bufsize=512"]);
        any_end(dig.args(["txt", "long.example"]));
    };
    if made == Made::Wrong {
        let truncated = Answer {
            truncated: true,
            ..Answer::default()
        };
        let _server = NameServer::start(server, &Lan::ipv4(1), move |_| vec![truncated]);
        return watch(lan.host(0), || {
            ask();
            silence(&lan);
        });
    }
    let text = "x".repeat(240);
    let records: Vec<_> = (0..6)
        .map(|number| format!("--txt-record=long.example,{number}{text}"))
        .collect();
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    let _server = dnsmasq(server, &records);
    watch(lan.host(0), || {
        ask();
        silence(&lan);
    })
}

/// An answer that another one follows, with another address or with the same.
fn two_answers(made: Made) -> Captured {
    let lan = Lan::new(2);
    let _server = NameServer::start(lan.host(1), &Lan::ipv4(1), move |_| {
        let forged = match made {
            Made::Wrong => Ipv4Addr::new(203, 0, 113, 6),
            Made::Innocent => ADDRESS,
        };
        [forged, ADDRESS]
            .map(|address| Answer {
                address: Some(address),
                ..Answer::default()
            })
            .to_vec()
    });
    watch(lan.host(0), || dig(&lan, hosts("example", 3)))
}

/// iodine, or somebody who asks for many hosts of a domain.
fn dns_tunnel(made: Made) -> Captured {
    let lan = Lan::new(2);
    let [client, server] = [0, 1].map(|index| lan.host(index));
    if made == Made::Innocent {
        let _server = dnsmasq(server, &["--address=/example/192.0.2.7"]);
        let names = (0..120).map(|number| format!("web-{number}.frankfurt.cdn.example"));
        return watch(client, || dig(&lan, names));
    }
    let secret = ["-f", "-P", "secret"];
    let mut iodined = server.command("iodined");
    iodined
        .args(secret)
        .args(["-c", "10.77.0.1", "tunnel.example"]);
    let mut server = Background::start(&mut iodined);
    server.wait_for("Listening to dns for domain");
    watch(client, || {
        let mut iodine = client.command("iodine");
        iodine
            .args(secret)
            .args(["-r", &Lan::ipv4(1), "tunnel.example"]);
        let mut tunnel = Background::start(&mut iodine);
        tunnel.wait_for("Connection setup complete");
        ping(
            client,
            &["-c", "60", "-i", "0.03", "-s", "600", "10.77.0.1"],
        );
    })
}

/// Answers of scapy to everybody on the link; of every name, or of its own alone.
fn poisoned_names(made: Made) -> Captured {
    let lan = Lan::new(3);
    let directory = TempDir::new().expect("a directory");
    let script = directory.path().join("responder.py");
    let names = match made {
        Made::Wrong => format!("joker='{}'", Lan::ipv4(2)),
        Made::Innocent => format!("joker=False, match={{b'files': '{}'}}", Lan::ipv4(2)),
    };
    let text = format!(
        "from scapy.all import *\nprint('ready', flush=True)\nLLMNR_am(iface='{LAN_IF}', {names})()\n"
    );
    fs::write(&script, text).expect("the script is written");
    let mut responder = Background::start(lan.host(2).command("/usr/bin/python3").arg(&script));
    responder.wait_for("ready");
    thread::sleep(ms(500));
    let client = lan.host(0);
    watch(client, || {
        client.within(|| {
            let socket = UdpSocket::bind((Ipv4Addr::new(10, 0, 0, 1), 0)).expect("a socket");
            for (id, name) in ["printer", "files", "intranet", "wpad", "files"]
                .into_iter()
                .enumerate()
            {
                socket
                    .send_to(&llmnr(id as u8, name), "224.0.0.252:5355")
                    .expect("the query is sent");
                thread::sleep(Duration::from_millis(300));
            }
        });
    })
}

/// A query of LLMNR for the address of a name (RFC 4795 section 2.1.1).
fn llmnr(id: u8, name: &str) -> Vec<u8> {
    let mut query = vec![0, id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8];
    query.extend(name.bytes());
    query.extend([0, 0, 1, 0, 1]);
    query
}
