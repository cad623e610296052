//! Connections that do not come to be, or late.

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
fn a_thousand_refusals_are_one_finding() {
    let mut simulation = Simulation::new();
    for port in 1..1001 {
        simulation.ends[SERVER].1 = port;
        simulation
            .syn()
            .wait(1)
            .packet(SERVER, |packet| packet.rst = true);
        simulation.again();
    }
    let finding = simulation.only("tcp.refused");
    assert_eq!(finding.count, 1000);
    assert!(finding.summary.contains("999 other"), "{}", finding.summary);
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
