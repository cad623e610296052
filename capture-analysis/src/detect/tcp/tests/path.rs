//! Loss, reordering, doubling, paths that end.

use capture_common::Direction;
use etherparse::Icmpv4Type;

use crate::severity::Severity;

use super::simulation::{CLIENT, SERVER, Simulation, icmp_error, send_in_vain};

/// A segment is lost, and three duplicate acknowledgements ask for it.
fn lose_one(simulation: &mut Simulation) {
    let seq = simulation.next[CLIENT];
    for _ in 0..4 {
        simulation.send(CLIENT, 1000);
    }
    simulation.wait(20);
    for index in 2..5 {
        let sack = (seq + 1000, seq + 1000 * index);
        simulation.packet(SERVER, |packet| {
            (packet.ack, packet.sack) = (Some(seq), Some(sack))
        });
    }
    simulation.resend(CLIENT, seq, 1000).wait(20).ack(SERVER);
}

#[test]
fn loss() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..6 {
        lose_one(&mut simulation);
        simulation.transfer(CLIENT, 20);
    }
    simulation.close();
    let finding = simulation.only("tcp.loss");
    assert_eq!(finding.count, 6);
    assert!(
        finding.summary.contains("6 by fast retransmit"),
        "{}",
        finding.summary
    );
}

#[test]
fn two_losses_are_none_to_speak_of() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..2 {
        lose_one(&mut simulation);
    }
    simulation.transfer(CLIENT, 20).close().nothing();
}

#[test]
fn dead_path() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 20);
    send_in_vain(&mut simulation, 500, 5);
    let finding = simulation.only("tcp.dead_path");
    assert!(finding.summary.contains("6 times"), "{}", finding.summary);
}

#[test]
fn a_path_that_comes_back_is_not_dead() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 20);
    send_in_vain(&mut simulation, 500, 4);
    simulation.wait(20).ack(SERVER).close().nothing();
}

#[test]
fn blackhole() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20).ack(SERVER);
    send_in_vain(&mut simulation, 1448, 5);
    let finding = simulation.only("pmtu.blackhole");
    assert!(
        finding.summary.contains("no ICMP error"),
        "{}",
        finding.summary
    );
}

#[test]
fn blackhole_in_spite_of_a_report() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20).ack(SERVER);
    let seq = simulation.next[CLIENT];
    simulation.send(CLIENT, 1448);
    let code =
        etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 1400 };
    icmp_error(&mut simulation, Icmpv4Type::DestinationUnreachable(code));
    for time in 0..5 {
        simulation.wait(250 << time).resend(CLIENT, seq, 1448);
    }
    let finding = simulation.only("pmtu.blackhole");
    assert!(
        finding.summary.contains("10.9.9.9 reports an MTU of 1400"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_path_that_takes_large_segments_is_dead_and_no_blackhole() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..3 {
        simulation.send(CLIENT, 1448).wait(20).ack(SERVER);
    }
    send_in_vain(&mut simulation, 1448, 5);
    simulation.only("tcp.dead_path");
}

#[test]
fn overtaken() {
    let mut simulation = Simulation::at_server();
    simulation.open();
    for _ in 0..20 {
        let seq = simulation.next[CLIENT];
        // The second was sent first.
        let (first, second) = (simulation.id[CLIENT] + 1, simulation.id[CLIENT]);
        simulation.packet(CLIENT, |packet| {
            (packet.seq, packet.len, packet.id) = (seq + 1000, 1000, first)
        });
        simulation.packet(CLIENT, |packet| {
            (packet.seq, packet.len, packet.id) = (seq, 1000, second)
        });
        simulation.ack(SERVER).wait(20);
    }
    simulation.close();
    let finding = simulation.only("net.reordering");
    assert_eq!(finding.count, 20);
}

#[test]
fn lost_before_the_capture_and_sent_again_is_not_overtaken() {
    let mut simulation = Simulation::at_server();
    simulation.open();
    for _ in 0..20 {
        let seq = simulation.next[CLIENT];
        simulation.packet(CLIENT, |packet| {
            (packet.seq, packet.len) = (seq + 1000, 1000)
        });
        simulation
            .packet(SERVER, |packet| packet.ack = Some(seq))
            .wait(20);
        simulation.resend(CLIENT, seq, 1000).ack(SERVER).wait(20);
    }
    simulation.close();
    let report = simulation.report();
    let tcp = report.tcp.expect("TCP").figures;
    assert_eq!(
        (tcp.reordered, tcp.retransmissions, tcp.lost_before_capture),
        (0, 20, 20)
    );
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].code, "tcp.loss");
}

#[test]
fn doubled() {
    let mut simulation = Simulation::at_server();
    simulation.open();
    for _ in 0..20 {
        simulation.send(CLIENT, 1000);
        let copy = simulation.capture.packets.last().expect("a packet").clone();
        simulation.wait(1);
        simulation
            .capture
            .push(simulation.ns, copy.direction, copy.frame);
        simulation.wait(1).ack(SERVER).wait(20);
    }
    simulation.close();
    let finding = simulation.only("net.duplication");
    assert_eq!(finding.count, 20);
}

/// A segment that arrives, is acknowledged late, and is sent again meanwhile.
fn send_twice(simulation: &mut Simulation) {
    let seq = simulation.next[CLIENT];
    simulation
        .send(CLIENT, 100)
        .wait(50)
        .resend(CLIENT, seq, 100)
        .wait(20);
    simulation.packet(SERVER, |packet| packet.sack = Some((seq, seq + 100)));
}

#[test]
fn resends_for_late_acknowledgements_are_no_loss_to_warn_of() {
    let mut simulation = Simulation::new();
    simulation.open();
    lose_one(&mut simulation);
    for _ in 0..60 {
        send_twice(&mut simulation);
        simulation.transfer(CLIENT, 20);
    }
    simulation.close();
    let report = simulation.report();
    let found: Vec<_> = report.findings.iter().map(|found| found.code).collect();
    assert_eq!(found, ["tcp.loss"]);
    let loss = &report.findings[0];
    assert_eq!(loss.severity, Severity::Info, "{}", loss.summary);
    assert!(
        loss.summary.contains("60 in vain")
            && loss
                .summary
                .ends_with("; 1 was lost after leaving that host."),
        "{}",
        loss.summary
    );
}

#[test]
fn a_resend_that_was_not_needed() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..6 {
        send_twice(&mut simulation);
        simulation.transfer(CLIENT, 20);
    }
    simulation.close();
    let report = simulation.report();
    let tcp = report.tcp.expect("TCP").figures;
    assert_eq!((tcp.retransmissions, tcp.spurious_retransmissions), (6, 6));
    assert_eq!(tcp.tail_loss_probes, 6);
    let summary = &report.findings[0].summary;
    assert!(summary.contains("6 in vain"), "{summary}");
}

#[test]
fn loopback_shows_each_packet_twice_and_doubles_none() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(SERVER, 40).close();
    let once = std::mem::take(&mut simulation.capture.packets);
    for packet in once {
        let (ns, frame) = (packet.ns, packet.frame);
        simulation
            .capture
            .push(ns, Some(Direction::Egress), frame.clone());
        simulation
            .capture
            .push(ns + 3_000, Some(Direction::Ingress), frame);
    }
    let report = simulation.report();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    let tcp = report.tcp.expect("TCP").figures;
    assert_eq!((tcp.retransmissions, tcp.network_duplicates), (0, 0));
}
