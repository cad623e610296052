//! Connections that do not come to be, or late.

use std::net::Ipv4Addr;

use etherparse::Icmpv4Type;

use super::simulation::{CLIENT, SERVER, Simulation, icmp_error};

#[test]
fn an_ordinary_connection_has_no_finding() {
    let mut simulation = Simulation::new();
    simulation
        .open()
        .send(CLIENT, 100)
        .wait(20)
        .transfer(SERVER, 100)
        .close();
    let report = simulation.report();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    let tcp = report.conversations[0].tcp.as_ref().expect("TCP");
    assert_eq!(tcp.retransmissions, 0);
    assert_eq!(tcp.handshake_us.map(|us| us / 1000), Some(20));
    assert_eq!(tcp.seen_from, crate::SeenFrom::Receiver);
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["tcp"]["retransmissions"], 0);
    assert_eq!(json["conversations"][0]["lost_before_capture"], 0);
    assert_eq!(
        json["conversations"][0]["directions"][0]["seen_from"],
        "sender"
    );
}

#[test]
fn no_answer() {
    let mut simulation = Simulation::new();
    simulation
        .syn()
        .wait(1000)
        .syn_again()
        .wait(2000)
        .syn_again();
    let finding = simulation.only("tcp.no_answer");
    assert!(
        finding.summary.contains("10.0.0.2 port 80"),
        "{}",
        finding.summary
    );
}

#[test]
fn one_syn_or_the_end_of_the_capture_is_no_silence() {
    Simulation::new().syn().nothing();
    let mut simulation = Simulation::new();
    simulation.syn().wait(1000).syn_again();
    assert!(
        simulation.capture.analyze().findings.is_empty(),
        "the capture ends at once"
    );
}

#[test]
fn refused() {
    let mut simulation = Simulation::new();
    simulation
        .syn()
        .wait(20)
        .packet(SERVER, |packet| packet.rst = true);
    simulation.only("tcp.refused");
}

#[test]
fn refusals_of_several_ports_are_one_finding() {
    let mut simulation = Simulation::new();
    for port in 1..11 {
        simulation.ends[SERVER].1 = port;
        simulation
            .syn()
            .wait(1)
            .packet(SERVER, |packet| packet.rst = true);
        simulation.again();
    }
    let finding = simulation.only("tcp.refused");
    assert_eq!(finding.count, 10);
    assert!(finding.summary.contains("9 other"), "{}", finding.summary);
}

#[test]
fn services_of_one_client_and_clients_of_one_service_are_called_so() {
    let sentence = |vary: fn(&mut Simulation, u16)| {
        let mut simulation = Simulation::new();
        for number in 1..7 {
            vary(&mut simulation, number);
            refuse(&mut simulation);
        }
        simulation.only("tcp.refused").summary
    };
    let clients = sentence(|simulation, number| simulation.ends[CLIENT].0 = host(number));
    assert!(clients.contains("5 other clients"), "{clients}");
    let services = sentence(|simulation, number| simulation.ends[SERVER].1 = number);
    assert!(services.contains("5 other services"), "{services}");
    let pairs = sentence(|simulation, number| {
        simulation.ends[CLIENT].0 = host(number % 2);
        simulation.ends[SERVER].1 = 80 + number / 2;
    });
    assert!(
        pairs.contains("5 other pairs of client and service"),
        "{pairs}"
    );
}

fn host(number: u16) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, number as u8)
}

fn refuse(simulation: &mut Simulation) {
    simulation
        .syn()
        .wait(1)
        .packet(SERVER, |packet| packet.rst = true);
    simulation.again();
}

/// A connection to each of many ports, all of which are closed.
fn scan(simulation: &mut Simulation) {
    let ends = simulation.ends;
    simulation.ends = [(host(66), 30_000), (host(1), 0)];
    for port in 1..2000 {
        simulation.ends[SERVER].1 = port;
        refuse(simulation);
    }
    simulation.ends = ends;
}

#[test]
fn a_scan_hides_no_refusal() {
    let mut simulation = Simulation::new();
    let refuse_port = |simulation: &mut Simulation, port| {
        simulation.ends[SERVER].1 = port;
        for _ in 0..3 {
            refuse(simulation);
        }
    };
    refuse_port(&mut simulation, 81);
    scan(&mut simulation);
    refuse_port(&mut simulation, 82);
    // The host that scans may have a client of its own.
    simulation.ends[CLIENT] = (host(66), 50_000);
    refuse_port(&mut simulation, 83);
    let report = simulation.capture.analyze();
    let refused = report.findings.iter();
    let refused = refused.filter(|finding| finding.code == "tcp.refused");
    let mut refused: Vec<_> = refused.map(|finding| &*finding.summary).collect();
    refused.sort_unstable();
    let expected = [
        "10.0.0.2 port 81 refused 3 connections of 10.0.0.1 with a reset.",
        "10.0.0.2 port 82 refused 3 connections of 10.0.0.1 with a reset.",
        "10.0.0.2 port 83 refused 3 connections of 10.0.1.66 with a reset.",
    ];
    assert_eq!(refused, expected);
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.code == "scan.ports")
    );
}

#[test]
fn rejected() {
    let mut simulation = Simulation::new();
    simulation.syn();
    let code = etherparse::icmpv4::DestUnreachableHeader::FilterProhibited;
    icmp_error(&mut simulation, Icmpv4Type::DestinationUnreachable(code));
    let finding = simulation.only("tcp.rejected");
    assert!(finding.summary.contains("10.9.9.9"), "{}", finding.summary);
}

#[test]
fn a_time_exceeded_rejects_nothing() {
    let mut simulation = Simulation::new();
    simulation.open();
    let code = etherparse::icmpv4::TimeExceededCode::TtlExceededInTransit;
    icmp_error(&mut simulation, Icmpv4Type::TimeExceeded(code));
    simulation.close().nothing();
}

#[test]
fn slow_handshake() {
    let mut simulation = Simulation::new();
    simulation
        .syn()
        .wait(1000)
        .syn_again()
        .wait(20)
        .syn_ack()
        .ack(CLIENT)
        .transfer(CLIENT, 10)
        .close();
    let finding = simulation.only("tcp.slow_handshake");
    assert!(
        finding.summary.contains("more than one SYN"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_far_server_is_not_slow() {
    let mut simulation = Simulation::new();
    simulation
        .syn()
        .wait(300)
        .syn_ack()
        .ack(CLIENT)
        .send(CLIENT, 100)
        .wait(300)
        .ack(SERVER)
        .close();
    simulation.nothing();
}

#[test]
fn backlog() {
    let mut simulation = Simulation::at_server();
    for index in 0..10 {
        simulation.syn();
        if index % 2 == 0 {
            simulation.wait(1000).syn_again();
        }
        simulation
            .syn_ack()
            .wait(20)
            .ack(CLIENT)
            .transfer(CLIENT, 20)
            .close()
            .again();
    }
    let finding = simulation.only("tcp.backlog");
    assert!(
        finding.summary.contains("5 connections"),
        "{}",
        finding.summary
    );
}
