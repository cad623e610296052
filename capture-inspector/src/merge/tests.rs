use std::io::Cursor;

use capture_analysis::PacketId;
use capture_packet::testing::{MILLISECOND, SECOND, framed, ip, tcp, tcp_frame, udp_frame};

use super::*;
use crate::testing::{Pcapng, on_disk};

const CLIENT: (&str, u16) = ("10.0.0.5", 40_000);
const SERVER: (&str, u16) = ("10.0.0.9", 80);
const SYN: u16 = 2;
const ACK: u16 = 16;

fn note(text: &str) -> Vec<u8> {
    udp_frame(CLIENT, SERVER, text.as_bytes())
}

/// A packet that is a finding.
fn land() -> Vec<u8> {
    framed(&ip("10.0.0.9", "10.0.0.9", 6, &tcp((80, 80), SYN, 1, &[])))
}

fn codes(analysis: &Analysis) -> Vec<&'static str> {
    analysis.report.findings.iter().map(|it| it.code).collect()
}

#[test]
fn packets_of_several_files_come_by_time() {
    let from_client = Pcapng::new("a", "eth0")
        .packet(0, &tcp_frame(CLIENT, SERVER, SYN, 0, b""))
        .packet(20 * MILLISECOND, &tcp_frame(CLIENT, SERVER, ACK, 1, b""));
    let from_server = Pcapng::new("b", "eth0").packet(
        10 * MILLISECOND,
        &tcp_frame(SERVER, CLIENT, SYN | ACK, 0, b""),
    );
    // The later one first: what counts are times.
    let mut inputs = [from_server.file("server"), from_client.file("client")];
    let analysis = analyze(&mut inputs).expect("they are read");
    let report = &analysis.report;
    assert_eq!((report.packets, report.duration), (3, 0.02));
    let [conversation] = report.conversations.as_slice() else {
        panic!("{:?}", report.conversations);
    };
    assert_eq!(
        (conversation.client_port, conversation.packets),
        (40_000, [2, 1])
    );
    let figures = conversation.tcp.as_ref().expect("figures");
    assert_eq!(figures.handshake_us, Some(20_000));
    let packets: Vec<_> = analysis.files.iter().map(|file| file.packets).collect();
    assert_eq!(packets, [1, 2]);
}

#[test]
fn findings_name_the_file_of_a_packet() {
    let first = || Pcapng::new("a", "eth0").packet(0, &note("1"));
    let second = || {
        Pcapng::new("b", "eth0")
            .packet(SECOND, &land())
            .packet(2 * SECOND, &note("2"))
    };
    let cited = |analysis: &Analysis| {
        let finding = &analysis.report.findings[0];
        assert_eq!(finding.code, "proto.malformed");
        finding.packets.cited().collect::<Vec<_>>()
    };
    let mut both = [first().file("a"), second().file("b")];
    let both = analyze(&mut both).expect("they are read");
    assert_eq!(cited(&both), [PacketId::OfFile { file: 1, number: 1 }]);
    let only = analyze(&mut [second().file("b")]).expect("it is read");
    assert_eq!(cited(&only), [PacketId::Number(1)]);
}

/// A file of a rotation says what was lost since the capture began, one of another capture what that one lost.
#[test]
fn losses_of_a_rotation_count_once_and_those_of_captures_add_up() {
    let lost = |tasks: [&str; 2], losses: [u64; 2]| {
        let file = |index: usize| {
            Pcapng::new(tasks[index], "eth0")
                .packet(index as u64 * SECOND, &note("x"))
                .lost(losses[index])
                .file("f")
        };
        let analysis = analyze(&mut [file(0), file(1)]).expect("they are read");
        let finding = analysis.report.findings.into_iter().next();
        (finding.map(|it| it.count), analysis.report.complete)
    };
    assert_eq!(lost(["task 1", "task 1"], [5, 8]), (Some(8), Some(false)));
    assert_eq!(lost(["task 1", "task 2"], [5, 8]), (Some(13), Some(false)));
    assert_eq!(lost(["task 1", "task 2"], [0, 0]), (None, Some(true)));
}

#[test]
fn a_capture_is_complete_only_if_each_file_says_so() {
    let says = Pcapng::new("a", "eth0").packet(0, &note("x")).lost(0);
    let says_nothing = Pcapng::new("b", "eth0").packet(SECOND, &note("y"));
    let mut inputs = [says.file("a"), says_nothing.file("b")];
    let analysis = analyze(&mut inputs).expect("they are read");
    assert_eq!(analysis.report.complete, None);
}

/// What two hosts saw of the same packets is there once; what a sender repeats over the edge of a rotation stays.
#[test]
fn copies_are_packets_of_other_captures() {
    let file = |task: &str, after_ns: u64| {
        let mut file = Pcapng::new(task, "eth0");
        for number in 0..12 {
            let text = format!("packet {number}");
            file = file.packet(after_ns + number * 100, &note(&text));
        }
        file.file(task)
    };
    let two_hosts = analyze(&mut [file("host 1", 0), file("host 2", 50)]).expect("they are read");
    assert_eq!(codes(&two_hosts), ["capture.duplicates"]);
    let rotation = analyze(&mut [file("task", 0), file("task", 2_000)]).expect("they are read");
    assert_eq!(codes(&rotation), [""; 0]);
}

#[test]
fn a_pipe_is_merged_as_well() {
    let pipe = Pcapng::new("a", "eth0")
        .packet(0, &tcp_frame(CLIENT, SERVER, SYN, 0, b""))
        .packet(2 * MILLISECOND, &tcp_frame(CLIENT, SERVER, ACK, 1, b""));
    let file =
        Pcapng::new("b", "eth0").packet(MILLISECOND, &tcp_frame(SERVER, CLIENT, SYN | ACK, 0, b""));
    let mut inputs = [
        file.file("b"),
        Input::stream("-", Cursor::new(pipe.bytes())),
    ];
    let analysis = analyze(&mut inputs).expect("they are read");
    let figures = analysis.report.tcp.expect("TCP").figures;
    assert_eq!((figures.segments, figures.handshake_us), (3, Some(2_000)));
}

#[test]
fn damage_ends_one_file_and_not_the_others() {
    let whole = Pcapng::new("a", "eth0")
        .packet(0, &note("1"))
        .packet(SECOND, &note("2"));
    let mut cut = Pcapng::new("b", "eth0")
        .packet(1, &note("3"))
        .packet(2, &note("4"))
        .bytes();
    cut.truncate(cut.len() - 6);
    let mut inputs = [
        on_disk("cut", &cut),
        whole.file("whole"),
        on_disk("none", b"no capture"),
    ];
    let analysis = analyze(&mut inputs).expect("some of it is read");
    assert_eq!(analysis.report.packets, 3);
    let damage: Vec<_> = analysis
        .files
        .iter()
        .map(|file| file.damage.is_some())
        .collect();
    assert_eq!(damage, [true, false, true]);

    let error = analyze(&mut [on_disk("none", b"no capture")]).expect_err("nothing is read");
    assert_eq!(error.name, "none");
}

#[test]
fn files_of_a_rotation_are_open_one_at_a_time() {
    let files = (0..40).map(|index| {
        Pcapng::new("task", "eth0")
            .packet(index * SECOND, &note("x"))
            .packet(index * SECOND + 1, &note("y"))
            .file("f")
    });
    let mut inputs: Vec<_> = files.collect();
    let mut merge = Merge::of(&mut inputs);
    merge.begin();
    let open = |merge: &Merge<'_>| merge.files.iter().filter(|it| it.reader.is_some()).count();
    assert_eq!(open(&merge), 0);
    while merge.step() {
        assert!(open(&merge) <= 1, "{} are open", open(&merge));
    }
    let (_, report) = merge.finish();
    assert_eq!(report.packets, 80);
}

/// Whatever file a packet is in, it is the same capture.
#[test]
fn a_capture_is_the_same_in_any_number_of_files() {
    let packets = (0..400_u64).map(|number| {
        let (client, server) = (("10.0.0.5", 40_000 + (number % 7) as u16), SERVER);
        let (from, to) = if number % 3 == 0 {
            (server, client)
        } else {
            (client, server)
        };
        let text = format!("packet {number}");
        let sequence = 1 + number as u32 * 20;
        let frame = match number % 2 {
            0 => tcp_frame(from, to, ACK, sequence, text.as_bytes()),
            _ => udp_frame(from, to, text.as_bytes()),
        };
        (number * MILLISECOND, frame)
    });
    let packets: Vec<_> = packets.collect();
    let split = |files: usize| {
        let mut random = 1_u64;
        let mut parts: Vec<_> = (0..files)
            .map(|file| Pcapng::new(&format!("host {file}"), "eth0"))
            .map(Some)
            .collect();
        for (after_ns, frame) in &packets {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let file = (random >> 33) as usize % files;
            parts[file] = parts[file].take().map(|part| part.packet(*after_ns, frame));
        }
        let mut inputs: Vec<_> = parts
            .into_iter()
            .flatten()
            .map(|part| part.file("f"))
            .collect();
        let report = analyze(&mut inputs).expect("they are read").report;
        let hosts = (report.hosts, report.protocols, report.series, report.tcp);
        (
            report.packets,
            report.bytes,
            report.first,
            report.last,
            hosts,
        )
    };
    let one = split(1);
    for files in [2, 3, 9, 40] {
        assert_eq!(split(files), one, "{files} files");
    }
}
