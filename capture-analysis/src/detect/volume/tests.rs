use crate::{decode::TcpFlags, report::ProtocolVolume, testing::*};

/// A capture of a bit of everything.
fn mixed() -> Lab {
    let mut lab = Lab::new();
    let (client, server) = (("10.0.0.5", 40_000), ("10.0.0.9", 80));
    lab.send(tcp_frame(client, server, TcpFlags::SYN, 0, b""))
        .send(tcp_frame(
            server,
            client,
            TcpFlags::SYN | TcpFlags::ACK,
            0,
            b"",
        ))
        .send(tcp_frame(client, server, TcpFlags::ACK, 1, b"hello"))
        .send(udp_frame(("10.0.0.5", 5000), ("10.0.0.7", 6000), &[7; 500]))
        .send(udp_frame(("fd00::5", 5000), ("fd00::7", 6000), &[7; 900]))
        .send(framed(&ip(
            "10.0.0.9",
            "10.0.0.5",
            1,
            &icmp(0, 0, 1, &[0; 56]),
        )))
        .send(framed(&ip(
            "10.0.0.9",
            "224.0.0.22",
            2,
            &[0x22, 0, 0xf9, 2, 0, 0, 0, 1],
        )));
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 10, 0, 0, 9]);
    lab.send(ethernet(mac(1), [0xff; 6], 0x0806, &arp));
    let query = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
    lab.send(udp_frame(("10.0.0.5", 5001), ("10.0.0.2", 53), query));
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let again = ("10.0.0.5", 40_001);
    lab.send(tcp_frame(again, server, TcpFlags::SYN, 0, b""))
        .send(tcp_frame(
            server,
            again,
            TcpFlags::SYN | TcpFlags::ACK,
            0,
            b"",
        ))
        .send(tcp_frame(again, server, TcpFlags::ACK, 1, get))
        .send(tcp_frame(
            server,
            again,
            TcpFlags::ACK,
            1,
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ));
    lab
}

/// What Wireshark counts.
#[test]
fn protocols_are_those_of_tshark() {
    let outcome = mixed().end();
    let is_application = |it: &&ProtocolVolume| it.path.matches(':').count() == 2;
    let protocols = &outcome.report.protocols;
    for protocol in protocols.iter().filter(|it| !is_application(it)) {
        let name = protocol.path.rsplit(':').next().expect("a name");
        // By which version of IP, as names at the end of a path are not unique.
        let filter = match protocol.path.split_once(':') {
            Some((version, _)) => format!("{version} && {name}"),
            None => name.to_owned(),
        };
        let Some(lengths) = outcome.tshark(&filter, "frame.len") else {
            return;
        };
        let bytes: u64 = lengths
            .iter()
            .filter_map(|len| len.parse::<u64>().ok())
            .sum();
        assert_eq!(
            (lengths.len() as u64, bytes),
            (protocol.packets, protocol.bytes),
            "{protocol:?}"
        );
    }
    let paths: Vec<_> = outcome
        .report
        .protocols
        .iter()
        .map(|it| it.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "ip",
            "ip:udp",
            "ip:udp:dns",
            "ip:tcp",
            "ip:tcp:http",
            "ip:icmp",
            "ip:igmp",
            "ipv6",
            "ipv6:udp",
            "arp"
        ]
    );
    // All packets of a connection are of its application, those without a byte of it too.
    let of = |path: &str| {
        protocols
            .iter()
            .find(|it| it.path == path)
            .map(|it| it.packets)
    };
    assert_eq!((of("ip:tcp:http"), of("ip:udp:dns")), (Some(4), Some(1)));
}

#[test]
fn hosts_are_those_of_tshark() {
    let outcome = mixed().end();
    assert_eq!(outcome.report.hosts.len(), 9);
    for host in &outcome.report.hosts {
        let version = if host.address.is_v4() { "ip" } else { "ipv6" };
        let count = |way: &str| {
            let filter = format!("{version}.{way} == {}", host.address);
            let lengths = outcome.tshark(&filter, "frame.len")?;
            let bytes: u64 = lengths
                .iter()
                .filter_map(|len| len.parse::<u64>().ok())
                .sum();
            Some((lengths.len() as u64, bytes))
        };
        let (Some(out), Some(inward)) = (count("src"), count("dst")) else {
            return;
        };
        assert_eq!(out, (host.packets_out, host.bytes_out), "{host:?}");
        assert_eq!(inward, (host.packets_in, host.bytes_in), "{host:?}");
    }
    let most: Vec<_> = outcome
        .report
        .hosts
        .iter()
        .map(|it| it.address.to_string())
        .collect();
    assert_eq!(most[..2], ["10.0.0.5", "fd00::5"]);
    // Twice TCP, twice UDP and the echo reply.
    assert_eq!(outcome.report.hosts[0].conversations, 5);
}

/// Parts of a packet have no ports and are of no flow.
#[test]
fn fragments_are_of_their_hosts() {
    let mut lab = Lab::new();
    let header = Header {
        fragment: 0x2000 | 185,
        ..Header::default()
    };
    lab.send(framed(&ip_with(
        header, "10.0.0.5", "10.0.0.9", 17, &[0; 1480],
    )));
    let hosts = lab.end().report.hosts;
    assert_eq!(
        (
            hosts[0].bytes_out + hosts[0].bytes_in,
            hosts[0].conversations
        ),
        (1514, 0)
    );
}

#[test]
fn resends_and_round_trips_are_over_time() {
    let mut lab = Lab::new();
    let (client, server) = (("10.0.0.5", 40_000), ("10.0.0.9", 80));
    let ack = TcpFlags::ACK;
    for number in 0..3 {
        let data = tcp_frame(client, server, ack, 1 + number * 100, &[7; 100]);
        lab.send(data.clone())
            .wait(300 * MILLISECOND)
            .send(data)
            .wait(20 * MILLISECOND);
        lab.wait(SECOND);
    }
    let series = lab.end().report.series.expect("a series");
    let resent = series.retransmissions.expect("resends");
    assert_eq!(resent.iter().sum::<u64>(), 3);
    assert_eq!(series.packets.iter().sum::<u64>(), 7);
    let first = resent
        .iter()
        .position(|count| *count == 1)
        .expect("a resend");
    let at = first as f64 * series.interval;
    assert!((0.3 - series.interval..=0.3).contains(&at), "{at}");
}
