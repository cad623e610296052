//! Programs of somebody else on the same interface, of every kind: they are shown everything before,
//! during and after a capture, and the capture is whole. Where it cannot be, it says so.

use std::{fs, net::UdpSocket, sync::Arc, thread, time::Duration};

use capture_tests::{
    TIMEOUT,
    agent::{self, Ended, Running},
    netns::{HOST_IF, Lab, PEER_IF},
    other_programs::{DROP, ForeignProgram, NEXT, PASS, Position, Xdp},
    output,
    peer_tools::Tcpdump,
    readers,
    rights::Rights,
    traffic::{self, Direction, number_in},
};
use serde_json::json;

/// Length of every frame.
const LEN: usize = 200;

fn frames(first: u32, count: u32) -> Vec<Vec<u8>> {
    traffic::frames(first..first + count, LEN).collect()
}

fn receive(lab: &Lab, first: u32, count: u32) {
    traffic::send(&lab.peer, PEER_IF, 5000, frames(first, count));
}

fn transmit(lab: &Lab, first: u32, count: u32) {
    traffic::send(&lab.host, HOST_IF, 5000, frames(first, count));
}

fn capture<'a>(lab: &'a Lab, more: &[&str]) -> Running<'a> {
    let arguments = [&["-i", HOST_IF, "-w", "o.pcapng"], more].concat();
    agent::capture(&lab.host, &arguments)
}

fn refused(lab: &Lab, more: &[&str], words: &[&str]) {
    let arguments = [&["-w", "o.pcapng"], more].concat();
    let ended = agent::start(&lab.host, &arguments).wait(TIMEOUT);
    let ended = ended.expect_code(4).expect_stderr(words);
    assert!(ended.directory_names().is_empty(), "nothing is left");
}

fn bytes(ended: &Ended) -> Vec<Vec<u8>> {
    let packets = ended.packets().into_iter();
    packets.map(|packet| packet.bytes).collect()
}

fn clsact(lab: &Lab) {
    let mut tc = lab.host.command("tc");
    output(tc.args(["qdisc", "add", "dev", HOST_IF, "clsact"]));
}

#[test]
fn tc_programs_are_shown_whole_frames_under_every_hook() {
    let lab = Lab::new();
    clsact(&lab);
    let on =
        |direction, position| ForeignProgram::tcx(&lab.host, HOST_IF, direction, position, NEXT);
    let ingress = [
        on(Direction::Ingress, Position::First),
        on(Direction::Ingress, Position::Last),
        ForeignProgram::filter(&lab.host, HOST_IF, Direction::Ingress, NEXT),
    ];
    let egress = [
        on(Direction::Egress, Position::First),
        on(Direction::Egress, Position::Last),
        ForeignProgram::filter(&lab.host, HOST_IF, Direction::Egress, NEXT),
    ];
    let mut sent = 0;
    let mut check = |when: &str, more: u64| {
        sent += more;
        let seen = |program: &ForeignProgram| (program.frames(), program.bytes());
        let expected = (sent, sent * LEN as u64);
        assert_eq!(ingress.each_ref().map(seen), [expected; 3], "{when}");
        assert_eq!(egress.each_ref().map(seen), [expected; 3], "{when}");
    };
    receive(&lab, 0, 50);
    transmit(&lab, 0, 50);
    check("before", 50);
    for hook in ["tc", "xdp", "xdp-generic"] {
        let running = capture(&lab, &["--hook", hook]);
        // Some come while ours is there, too: before it on the way in, after it on the way out.
        let late = [
            on(Direction::Ingress, Position::First),
            on(Direction::Egress, Position::Last),
        ];
        receive(&lab, 0, 200);
        transmit(&lab, 200, 200);
        check(hook, 200);
        let late = late.map(|program| program.frames());
        assert_eq!(late, [200; 2], "{hook}");
        let ended = running.stop().expect_whole("user");
        ended.check(bytes(&ended) == frames(0, 400), "whole frames, in order");
    }
    receive(&lab, 0, 50);
    transmit(&lab, 0, 50);
    check("after", 50);
}

#[test]
fn xdp_programs_count_on_beside_tc() {
    for how in [Xdp::Native, Xdp::Generic] {
        let lab = Lab::new();
        let theirs = ForeignProgram::xdp(&lab.host, HOST_IF, how);
        receive(&lab, 0, 50);
        let attached = lab.host.attachments();
        for hook in ["xdp", "xdp-generic"] {
            refused(&lab, &["-i", HOST_IF, "--hook", hook], &[HOST_IF, "XDP"]);
        }
        assert_eq!(lab.host.attachments(), attached, "{how:?}: untouched");
        if how == Xdp::Generic && Rights::from_env() == Rights::Unit {
            refused(&lab, &["-i", HOST_IF], &[HEADLESS, UNSEEN]);
            continue;
        }
        let running = capture(&lab, &["--hook", "tc"]);
        receive(&lab, 0, 200);
        transmit(&lab, 200, 200);
        let ended = running.stop().expect_whole("user");
        let whole = bytes(&ended) == frames(0, 400);
        ended.check(whole, format_args!("{how:?}: whole frames, in order"));
        receive(&lab, 0, 50);
        assert_eq!(theirs.frames(), 300, "{how:?}");
    }
}

/// On the way in ours is first, and tcpdump too comes before every verdict. On the way out both come
/// after a drop; but a verdict that lets pass and asks nobody else hides the packet from us alone.
#[test]
fn verdicts_of_others_and_the_view_of_tcpdump() {
    for (verdict, both_out, ours_out) in [(NEXT, 200, 200), (PASS, 200, 0), (DROP, 0, 0)] {
        let lab = Lab::new();
        let on = |direction, position| {
            ForeignProgram::tcx(&lab.host, HOST_IF, direction, position, verdict)
        };
        let _theirs = [
            on(Direction::Ingress, Position::First),
            on(Direction::Egress, Position::First),
        ];
        let tcpdump = Tcpdump::start(&lab.host, HOST_IF, "");
        let running = capture(&lab, &[]);
        receive(&lab, 0, 200);
        if verdict == DROP {
            // A packet socket would be told, and would try again.
            lab.host.within(|| {
                let socket = UdpSocket::bind("10.0.0.1:0").expect("a socket");
                for _ in 0..20 {
                    socket.send_to(b"hello", "10.0.0.2:9").expect("sent");
                }
            });
        } else {
            transmit(&lab, 200, 200);
        }
        let ours = bytes(&running.stop().expect_whole("user"));
        let theirs = tcpdump.packets(200 + both_out).into_iter();
        let theirs: Vec<_> = theirs.map(|packet| packet.bytes).collect();
        assert!(
            theirs == frames(0, 200 + both_out as u32),
            "{verdict}: tcpdump"
        );
        assert!(ours == frames(0, 200 + ours_out), "{verdict}: ours");
    }
}

const HEADLESS: &str = "without their link header";

/// What is said of a program that may not be looked at.
const UNSEEN: &str = "can only be seen with CAP_SYS_ADMIN";

#[test]
fn generic_xdp_that_takes_the_link_header_away_is_refused() {
    let lab = Lab::new();
    lab.host.macvlan("mv0", HOST_IF);
    lab.pair("cap1", "peer1");
    let theirs = ForeignProgram::xdp(&lab.host, HOST_IF, Xdp::GenericFrags);
    let words = [HEADLESS, HOST_IF, "-Q egress", "xdp-generic"];
    refused(&lab, &["-i", HOST_IF], &words);
    refused(&lab, &["-i", "any"], &words);
    refused(&lab, &["-i", HOST_IF, "-Q", "ingress"], &words);
    // The stack hands the same frame on.
    refused(&lab, &["-i", "mv0"], &[HEADLESS, HOST_IF, "mv0"]);
    let running = capture(&lab, &["-Q", "egress"]);
    receive(&lab, 0, 100);
    transmit(&lab, 0, 100);
    let ended = running.stop().expect_whole("user");
    ended.check(bytes(&ended) == frames(0, 100), "what goes out");
    let running = agent::capture(&lab.host, &["-i", "cap1", "-w", "o.pcapng"]);
    traffic::send(&lab.peer, "peer1", 0, frames(0, 10));
    let ended = running.stop().expect_whole("user");
    ended.check(bytes(&ended) == frames(0, 10), "another interface");
    assert_eq!(theirs.frames(), 100);
}

#[test]
fn generic_xdp_that_comes_later_ends_the_task_as_failed() {
    let lab = Lab::new();
    let running = capture(&lab, &[]);
    let egress = capture(&lab, &["-Q", "egress"]);
    receive(&lab, 0, 50);
    let theirs = ForeignProgram::xdp(&lab.host, HOST_IF, Xdp::GenericFrags);
    let ended = running.wait(TIMEOUT).expect_code(1);
    ended.check(ended.field("state") == "failed", "failed expected");
    ended.check(ended.field("stop_reason") == "error", "error expected");
    ended.check(ended.field("error").contains(HEADLESS), HEADLESS);
    ended.check(ended.summary()["verdict"].is_null(), "no verdict");
    ended.check(bytes(&ended) == frames(0, 50), "what came before is there");
    // Whom it does not concern goes on.
    transmit(&lab, 0, 50);
    drop(theirs);
    let ended = egress.stop().expect_whole("user");
    ended.check(bytes(&ended) == frames(0, 50), "what goes out");
}

/// Generic XDP of our own leaves tc its link header, also that of another agent that may be looked at, and may come
/// and go beside it.
#[test]
fn our_generic_xdp_and_tc_go_together() {
    let lab = Lab::new();
    let tc = capture(&lab, &["--hook", "tc"]);
    receive(&lab, 0, 50);
    let generic = capture(&lab, &["--hook", "xdp-generic"]);
    if Rights::from_env() == Rights::Unit {
        let tc = tc.wait(TIMEOUT).expect_code(1);
        tc.check(tc.field("error").contains(UNSEEN), UNSEEN);
        generic.stop().expect_whole("user");
        return;
    }
    let later = capture(&lab, &["--hook", "tc", "-Q", "ingress"]);
    receive(&lab, 50, 100);
    let generic = generic.stop().expect_whole("user");
    assert!(bytes(&generic) == frames(50, 100), "xdp-generic");
    receive(&lab, 150, 50);
    let later = later.stop().expect_whole("user");
    let numbers: Vec<_> = bytes(&later).iter().map(|frame| number_in(frame)).collect();
    assert!(numbers.into_iter().eq((50..200).map(Some)), "tc, later");
    let tc = tc.stop().expect_whole("user");
    assert!(bytes(&tc) == frames(0, 200), "tc");
}

/// The same of tasks of one agent, which knows its own program also where it may not look at those of others.
#[test]
fn tasks_of_one_agent_capture_by_generic_xdp_and_tc() {
    for rights in [Rights::Root, Rights::Unit] {
        let lab = Lab::new();
        let tasks = json!([
            {"name": "tc", "interfaces": [HOST_IF], "write": "tc.pcapng"},
            {"name": "generic", "interfaces": [HOST_IF], "hook": "xdp-generic", "write": "generic.pcapng"},
            {"name": "later", "interfaces": [HOST_IF], "hook": "tc", "direction": "ingress", "write": "later.pcapng"},
        ]);
        let [directory, other] = [0, 1].map(|_| tempfile::tempdir().expect("a directory"));
        let file = other.path().join("tasks.json");
        fs::write(&file, tasks.to_string()).expect("it can be written");
        for path in [directory.path(), other.path()] {
            rights.give(path);
        }
        let mut command = rights.command(&lab.host);
        command.args(["run", "-o", "json", "--tasks"]).arg(&file);
        let running = agent::spawn(&lab.host, Arc::new(directory), command);
        running.wait_ready();
        // Longer than it takes to look at the programs of the interface once more.
        thread::sleep(Duration::from_millis(1500));
        receive(&lab, 0, 100);
        let ended = running.stop().expect_code(0);
        for record in ended.records() {
            let whole = record["state"] == "completed" && record["counters"]["captured"] == 100;
            ended.check(whole, format_args!("{rights:?}: {record}"));
        }
        for file in ended.files() {
            let packets = readers::packets(&file).into_iter();
            let bytes: Vec<_> = packets.map(|packet| packet.bytes).collect();
            ended.check(
                bytes == frames(0, 100),
                format_args!("{rights:?}: {}", file.display()),
            );
        }
    }
}

/// Where programs of others cannot be looked at, generic XDP of either kind is refused, for the reason that there is.
#[test]
fn generic_xdp_that_cannot_be_looked_at_is_refused() {
    let lab = Lab::new();
    let _theirs = ForeignProgram::xdp(&lab.host, HOST_IF, Xdp::Generic);
    let directory = tempfile::tempdir().expect("a directory");
    Rights::Unit.give(directory.path());
    let mut command = Rights::Unit.command(&lab.host);
    command.args(["run", "-i", HOST_IF, "-w", "o.pcapng"]);
    let ended = agent::spawn(&lab.host, Arc::new(directory), command).wait(TIMEOUT);
    ended.expect_code(4).expect_stderr(&[HEADLESS, UNSEEN]);
}
