//! Windows, queues, resets, applications.

use super::simulation::{CLIENT, SERVER, Simulation, send_in_vain};
use crate::Severity;

#[test]
fn zero_window() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(SERVER, 20);
    simulation
        .packet(CLIENT, |packet| packet.window = 0)
        .wait(2000)
        .ack(CLIENT);
    simulation.transfer(SERVER, 20).close();
    let finding = simulation.only("tcp.zero_window");
    assert!(
        finding.summary.starts_with("10.0.0.1 closed"),
        "{}",
        finding.summary
    );
}

#[test]
fn time_between_connections_of_the_same_ports_does_not_count() {
    let mut simulation = Simulation::new();
    for _ in 0..2 {
        simulation.open().transfer(SERVER, 20);
        simulation
            .packet(CLIENT, |packet| packet.window = 0)
            .wait(2000)
            .ack(CLIENT);
        simulation.transfer(SERVER, 20).close().wait(3_600_000);
        simulation.next = simulation.next.map(|next| next.wrapping_add(77_777));
    }
    let summary = simulation.only("tcp.zero_window").summary;
    let (_, share) = summary.split_once("at longest, ").expect("a share");
    let (share, _) = share.split_once(" %").expect("a percentage");
    let share: f64 = share.parse().expect("a number");
    assert!((40.0..95.0).contains(&share), "{summary}");
}

#[test]
fn a_window_that_is_closed_for_a_moment() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(SERVER, 20);
    simulation
        .packet(CLIENT, |packet| packet.window = 0)
        .wait(50)
        .ack(CLIENT);
    simulation.transfer(SERVER, 20).close().nothing();
}

#[test]
fn window_limited() {
    let mut simulation = Simulation::new();
    // 8 KiB, scaled by 128.
    simulation.window = 64;
    simulation.open();
    for _ in 0..100 {
        for _ in 0..8 {
            simulation.send(CLIENT, 1000);
        }
        simulation.wait(20).ack(SERVER);
    }
    simulation.close();
    let finding = simulation.only("tcp.window_limited");
    assert!(
        finding.summary.contains("3.3 Mbit/s") || finding.summary.contains("Mbit/s"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_window_with_room_limits_nothing() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 200).close().nothing();
}

#[test]
fn round_trips_that_grow() {
    let mut simulation = Simulation::new();
    simulation.open();
    for index in 0..200 {
        simulation
            .send(CLIENT, 1000)
            .send(CLIENT, 1000)
            .wait(20 + index * 2)
            .ack(SERVER);
    }
    simulation.close();
    simulation.only("rtt.inflation");
}

#[test]
fn delayed_acknowledgements_are_no_queue() {
    let mut simulation = Simulation::new();
    simulation.open();
    for index in 0..200 {
        let delay = if index % 8 == 0 { 220 } else { 20 };
        simulation
            .send(CLIENT, 1000)
            .send(CLIENT, 1000)
            .wait(delay)
            .ack(SERVER);
    }
    simulation.close().nothing();
}

#[test]
fn reset_in_the_middle() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20);
    simulation.packet(SERVER, |packet| packet.rst = true);
    let finding = simulation.only("tcp.reset_mid");
    assert!(
        finding.summary.starts_with("10.0.0.2 reset"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_reset_behind_the_end_is_nothing() {
    let mut simulation = Simulation::new();
    simulation
        .open()
        .send(CLIENT, 100)
        .wait(20)
        .send(SERVER, 100)
        .close();
    simulation
        .packet(CLIENT, |packet| packet.rst = true)
        .nothing();
}

#[test]
fn reset_from_somewhere_else() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20);
    simulation.packet(SERVER, |packet| (packet.rst, packet.ttl) = (true, 250));
    simulation.wait(10).send(SERVER, 1000);
    let finding = simulation.only("tcp.reset_injected");
    assert!(finding.summary.contains("went on"), "{}", finding.summary);
}

#[test]
fn forgotten_after_a_silence() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 20).wait(600_000);
    send_in_vain(&mut simulation, 300, 4);
    let finding = simulation.only("tcp.idle_dropped");
    assert!(
        finding.summary.contains("After 600 s"),
        "{}",
        finding.summary
    );
}

#[test]
fn a_silence_that_ends_with_an_answer() {
    let mut simulation = Simulation::new();
    simulation
        .open()
        .transfer(CLIENT, 20)
        .wait(600_000)
        .transfer(CLIENT, 20)
        .close()
        .nothing();
}

#[test]
fn small_writes_that_wait() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..10 {
        simulation
            .send(CLIENT, 50)
            .wait(61)
            .ack(SERVER)
            .send(CLIENT, 60)
            .wait(20)
            .send(SERVER, 100)
            .ack(CLIENT)
            .wait(5);
    }
    simulation.close();
    simulation.only("tcp.delack_nagle");
}

#[test]
fn a_server_that_takes_40_ms_is_no_delayed_acknowledgement() {
    let mut simulation = Simulation::new();
    simulation.open();
    for _ in 0..10 {
        simulation
            .send(CLIENT, 50)
            .wait(41)
            .send(SERVER, 100)
            .ack(CLIENT)
            .wait(5);
    }
    simulation.close().nothing();
}

#[test]
fn slow_application() {
    // In a shell it is the command of the user that takes its time.
    for (port, severity) in [(80, Severity::Warn), (22, Severity::Info)] {
        let mut simulation = Simulation::new();
        simulation.ends[SERVER].1 = port;
        simulation.open();
        for _ in 0..5 {
            simulation
                .send(CLIENT, 200)
                .wait(20)
                .ack(SERVER)
                .wait(800)
                .send(SERVER, 1000)
                .ack(CLIENT)
                .wait(10);
        }
        simulation.close();
        assert_eq!(simulation.only("app.slow").severity, severity);
    }
}

#[test]
fn a_slow_network_is_no_slow_application() {
    let mut simulation = Simulation::new();
    simulation.syn().wait(600).syn_ack().ack(CLIENT);
    for _ in 0..5 {
        simulation
            .send(CLIENT, 200)
            .wait(600)
            .ack(SERVER)
            .send(SERVER, 1000)
            .ack(CLIENT)
            .wait(10);
    }
    simulation.close();
    assert!(simulation.codes().is_empty());
}

#[test]
fn a_short_silence_is_not_why_a_path_is_dead() {
    let mut simulation = Simulation::new();
    simulation.open().transfer(CLIENT, 20).wait(100_000);
    send_in_vain(&mut simulation, 300, 4);
    simulation.only("tcp.dead_path");
}

#[test]
fn reset_after_a_silence() {
    let mut simulation = Simulation::new();
    simulation
        .open()
        .transfer(CLIENT, 20)
        .wait(600_000)
        .send(CLIENT, 300)
        .wait(20)
        .packet(SERVER, |packet| packet.rst = true);
    simulation.only("tcp.idle_dropped");
}

#[test]
fn a_receiver_times_the_echo_of_its_acknowledgements() {
    let mut simulation = Simulation::new();
    simulation.open().send(CLIENT, 100).wait(20);
    for _ in 0..50 {
        simulation.send(SERVER, 1448).ack(CLIENT).wait(35);
    }
    simulation.close();
    let report = simulation.report();
    let from_client = &report.conversations[0].directions.as_ref().expect("TCP")[0];
    let rtt = from_client.rtt_us.expect("round trips");
    assert_eq!(rtt.min / 1000, 20, "the handshake");
    assert!((30_000..40_000).contains(&rtt.p50), "{rtt:?}");
}
