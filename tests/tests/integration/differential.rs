//! Generated and mutated frames, and random filters: what the agent takes, in order and byte by
//! byte, is what the reference matcher takes. `CAPTURE_TEST_SEED` repeats or varies a run.

use capture_tests::{
    agent::{self, Running},
    generate::{self, options},
    netns::{HOST_IF, Lab, PEER_IF},
    random::Random,
    reference::{Matcher, read},
    traffic,
};

const FRAMES: u32 = 2500;
const FILTERS: usize = 8;

/// The stack takes the outer tag off before tc sees a frame, and drops one that ends before the
/// EtherType behind the tag (`skb_vlan_untag`); tcpdump does not see those either.
fn dropped_before_tc(frame: &[u8]) -> bool {
    matches!([frame[12], frame[13]], [0x81, 0x00] | [0x88, 0xa8]) && frame.len() < 20
}

/// Where the limit of four tags lies depends on whether one of them is in metadata.
fn tags(frame: &[u8]) -> usize {
    let tag = |at: usize| matches!(frame.get(at..at + 2), Some([0x81, 0x00] | [0x88, 0xa8]));
    (0..).take_while(|count| tag(12 + 4 * count)).count()
}

fn compare(hook: &str, egress: bool, seed: u64) {
    let mut random = Random::from_env(seed);
    let stripped = !egress && hook == "tc";
    let frames: Vec<_> = (0..FRAMES)
        .map(|number| generate::frame(&mut random, number))
        .filter(|frame| tags(frame) <= 4)
        .filter(|frame| !(stripped && dropped_before_tc(frame)))
        .collect();
    let filters: Vec<_> = (0..FILTERS)
        .map(|_| generate::filter(&mut random))
        .collect();
    let lab = Lab::new();
    let at_once = if hook == "tc" { FILTERS } else { 1 };
    for filters in filters.chunks(at_once) {
        let running: Vec<Running> = filters
            .iter()
            .map(|filter| {
                let options = options(filter);
                let mut arguments = vec!["-i", HOST_IF, "--hook", hook, "-w", "o.pcapng"];
                arguments.extend(options.iter().map(String::as_str));
                agent::start(&lab.host, &arguments)
            })
            .collect();
        running.iter().for_each(Running::wait_ready);
        match egress {
            true => traffic::send(&lab.host, HOST_IF, 5000, frames.clone()),
            false => traffic::send(&lab.peer, PEER_IF, 5000, frames.clone()),
        };
        for (running, filter) in running.into_iter().zip(filters) {
            let ended = running.stop().expect_whole("user");
            let taken: Vec<_> = ended
                .packets()
                .into_iter()
                .map(|packet| packet.bytes)
                .collect();
            let mut matcher = Matcher::new(filter.clone());
            let expected: Vec<_> = frames
                .iter()
                .filter(|frame| matcher.takes(frame))
                .cloned()
                .collect();
            println!(
                "{:?}: {} of {}",
                options(filter),
                expected.len(),
                frames.len()
            );
            let first =
                (0..taken.len().max(expected.len())).find(|&at| taken.get(at) != expected.get(at));
            if let Some(at) = first {
                let (taken, expected) = (taken.get(at), expected.get(at));
                panic!(
                    "{hook}, {:?}: packet {at} differs\ntaken    {taken:02x?}\n  {:?}\nexpected {expected:02x?}\n  {:?}",
                    options(filter),
                    taken.map(|frame| read(frame)),
                    expected.map(|frame| read(frame)),
                );
            }
        }
    }
}

#[test]
fn tc_on_the_way_in() {
    compare("tc", false, 1);
}

#[test]
fn tc_on_the_way_out() {
    compare("tc", true, 2);
}

#[test]
fn native_xdp() {
    compare("xdp", false, 3);
}

#[test]
fn generic_xdp() {
    compare("xdp-generic", false, 4);
}
