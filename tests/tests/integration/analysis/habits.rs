//! How hosts talk, made for real: beacons, much that goes out, and replies that are far larger than what was asked.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use capture_analysis::{Finding, Report, Severity};
use capture_tests::{
    cpus,
    netns::{HOST_IF, HOST_MAC, HOST4, Lab, PEER_IF, PEER_MAC},
    room::ring_size,
};

use super::security::{found, found_with, listen};

/// An address that is not of a private network, for the peer.
const OUTSIDE: &str = "203.0.113.7";

/// Bytes of a transfer that is large enough to be told, and finds room wherever it has to wait.
const MUCH: usize = 51_000_000;

/// A lab whose peer is outside.
fn lab_with_outside() -> Lab {
    let lab = Lab::new();
    lab.host.ip(&format!("route add {OUTSIDE} dev {HOST_IF}"));
    lab.host.neighbour(HOST_IF, OUTSIDE, PEER_MAC);
    lab.peer.ip(&format!("addr add {OUTSIDE}/32 dev {PEER_IF}"));
    lab.peer.neighbour(PEER_IF, HOST4, HOST_MAC);
    lab
}

fn of<'a>(report: &'a Report, code: &str) -> &'a Finding {
    let mut found = report
        .findings
        .iter()
        .filter(|finding| finding.code == code);
    let finding = found
        .next()
        .unwrap_or_else(|| panic!("no {code}: {:#?}", report.findings));
    assert!(found.next().is_none(), "{code} is there twice");
    finding
}

#[test]
fn a_beacon() {
    let lab = lab_with_outside();
    let address = SocketAddr::new(OUTSIDE.parse().expect("an address"), 443);
    let report = found(&lab, |lab| {
        let listener = lab.peer.within(|| std::net::TcpListener::bind(address));
        let listener = listener.expect("the server binds");
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..22 {
                    let (mut stream, _) = listener.accept().expect("a connection comes in");
                    stream
                        .write_all(b"nothing to do")
                        .expect("the answer is sent");
                }
            });
            lab.host.within(|| {
                for _ in 0..22 {
                    let mut stream = TcpStream::connect(address).expect("the client connects");
                    stream
                        .read_to_end(&mut Vec::new())
                        .expect("the answer arrives");
                    thread::sleep(Duration::from_millis(1200));
                }
            });
        });
    });
    let finding = of(&report, "beacon");
    assert_eq!(finding.severity, Severity::Warn);
    let begin = "10.0.0.1 connects to 203.0.113.7 tcp port 443 every 1.2 s";
    assert!(finding.summary.starts_with(begin), "{}", finding.summary);
}

#[test]
fn much_that_goes_out() {
    let lab = lab_with_outside();
    let address = SocketAddr::new(OUTSIDE.parse().expect("an address"), 8080);
    let report = found_with(&lab, &["--ring-size", &ring_size(MUCH)], |lab| {
        // Segments that two CPUs send overtake each other.
        cpus::stay_on_one();
        let sent = vec![7; MUCH];
        let received = capture_tests::traffic::tcp_transfer(&lab.host, &lab.peer, address, &sent);
        assert_eq!(received.len(), sent.len(), "the transfer itself");
    });
    let finding = of(&report, "exfil.volume");
    // What is sent again counts too, and on a busy machine a large frame may be.
    let (begin, then) = ("10.0.0.1 sent 51.", " MB out to 203.0.113.7 within ");
    let summary = &finding.summary;
    assert!(
        summary.starts_with(begin) && summary.contains(then),
        "{summary}"
    );
}

#[test]
fn a_transfer_inside_has_no_finding() {
    let lab = Lab::new();
    let listener = listen(&lab.host, 8080);
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let report = found_with(&lab, &["--ring-size", &ring_size(MUCH)], |lab| {
        cpus::stay_on_one();
        let sent = vec![7; MUCH];
        capture_tests::traffic::tcp_transfer(&lab.peer, &lab.host, address, &sent);
    });
    let codes = report.findings.iter().map(|finding| finding.code);
    let codes: Vec<_> = codes.filter(|code| !code.starts_with("capture.")).collect();
    assert_eq!(codes, [""; 0]);
}

/// Asks a server `times` with a few bytes, from a new port each time, and gets `len` back.
fn ask(lab: &Lab, port: u16, times: usize, len: usize) {
    let address = SocketAddr::new(HOST4.parse().expect("an address"), port);
    let server = lab
        .host
        .within(|| UdpSocket::bind(address).expect("the server binds"));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..times {
                let (_, from) = server.recv_from(&mut [0; 100]).expect("a request arrives");
                server
                    .send_to(&vec![7; len], from)
                    .expect("the reply is sent");
            }
        });
        lab.peer.within(|| {
            for _ in 0..times {
                let client = UdpSocket::bind("0.0.0.0:0").expect("the client binds");
                client
                    .send_to(b"get all\r\n", address)
                    .expect("the request is sent");
                let limit = Some(capture_tests::TIMEOUT);
                client.set_read_timeout(limit).expect("a limit is set");
                client.recv(&mut [0; 2000]).expect("the reply arrives");
            }
        });
    });
}

#[test]
fn replies_that_are_far_larger_than_what_was_asked() {
    let lab = Lab::new();
    let report = found(&lab, |lab| ask(lab, 11_211, 1000, 1400));
    let finding = of(&report, "flood.amplification");
    let begin = "memcached of 10.0.0.1 sent 10.0.0.2 1.4 MB in 1000 datagrams within ";
    assert!(finding.summary.starts_with(begin), "{}", finding.summary);
}

#[test]
fn replies_of_ordinary_size_have_no_finding() {
    let lab = Lab::new();
    let report = found(&lab, |lab| ask(lab, 11_211, 2000, 80));
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
}
