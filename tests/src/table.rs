//! Many filters on the same traffic: one agent for each, all at once on one interface, and a list
//! of labels for what each should have taken.

use crate::{
    agent::{self, Ended, Running},
    netns::{HOST_IF, Lab, PEER_IF},
    reference::{Filter, Matcher},
    traffic::{self, Direction},
};

/// A frame with the name that the expectations use. The bytes are unique among their set.
pub type Labelled = (&'static str, Vec<u8>);

/// Sends the frames in or out, seen from the agent's interface. On the direction in the stack moves the outer VLAN tag into
/// metadata before tc sees the frame; on the direction out tags stay where the sender put them.
pub fn send(lab: &Lab, direction: Direction, frames: &[Labelled]) {
    let bytes: Vec<_> = frames.iter().map(|(_, frame)| frame.clone()).collect();
    match direction {
        Direction::Ingress => traffic::send(&lab.peer, PEER_IF, 2000, bytes),
        Direction::Egress => traffic::send(&lab.host, HOST_IF, 2000, bytes),
    };
}

/// The labels of what was captured; frames that were not sent panic.
pub fn labels(ended: &Ended, frames: &[Labelled]) -> Vec<&'static str> {
    let packets = ended.packets();
    let label = |bytes: &Vec<u8>| frames.iter().find(|(_, frame)| frame == bytes);
    packets
        .iter()
        .map(|packet| match label(&packet.bytes) {
            Some((label, _)) => *label,
            None => {
                ended.check(false, format_args!("nobody sent this frame: {packet:02x?}"));
                unreachable!("the check fails")
            }
        })
        .collect()
}

/// What the reference takes of the frames, whose order matters for fragments.
fn reference(filter: &str, frames: &[Labelled]) -> Vec<&'static str> {
    let mut matcher = Matcher::new(Filter::from_options(filter.split_whitespace()));
    let taken = frames.iter().filter(|(_, frame)| matcher.takes(frame));
    taken.map(|(label, _)| *label).collect()
}

/// Labels separated by spaces; `*` stands for all of them.
fn expected(labels: &'static str, frames: &[Labelled]) -> Vec<&'static str> {
    match labels {
        "*" => frames.iter().map(|(label, _)| *label).collect(),
        some => some.split_whitespace().collect(),
    }
}

/// Starts an agent for every filter, sends the frames, and compares what each took with the labels
/// beside the filter. The reference matcher has to agree with the labels, too.
pub fn check(
    direction: Direction,
    hook: &str,
    frames: &[Labelled],
    filters: &[(&str, &'static str)],
) {
    for (filter, labels) in filters {
        let (reference, expected) = (reference(filter, frames), expected(labels, frames));
        assert_eq!(
            reference, expected,
            "the reference on the expectation for `{filter}`"
        );
    }
    let lab = Lab::new();
    let mut wrong = Vec::new();
    // Native XDP is one program an interface; tc takes many.
    let at_once = if hook.starts_with("xdp") { 1 } else { 8 };
    for filters in filters.chunks(at_once) {
        let running: Vec<Running> = filters
            .iter()
            .map(|(filter, _)| {
                let mut arguments = vec!["-i", HOST_IF, "-w", "out.pcapng", "--hook", hook];
                arguments.extend(filter.split_whitespace());
                agent::start(&lab.host, &arguments)
            })
            .collect();
        running.iter().for_each(Running::wait_ready);
        send(&lab, direction, frames);
        for (running, (filter, expectation)) in running.into_iter().zip(filters) {
            let ended = running.stop().expect_whole("user");
            let (taken, expected) = (labels(&ended, frames), expected(expectation, frames));
            if taken != expected {
                wrong.push(format!(
                    "{hook} {direction:?} {filter}\n took     {taken:?}\n expected {expected:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
