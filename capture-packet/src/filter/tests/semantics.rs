//! What Wireshark 4.0 cannot be asked.

use super::{super::Filter, oracle::passing};
use crate::{fields::fields, frame::Frame, testing::tcp_frame, testing::udp_frame};

fn filter(text: &str) -> Filter {
    text.parse()
        .unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn frames() -> Vec<(u64, Vec<u8>)> {
    vec![
        (
            0,
            tcp_frame(("10.0.0.1", 40_000), ("10.0.0.2", 443), 2, 7, &[]),
        ),
        (0, udp_frame(("10.0.0.1", 40_000), ("10.0.0.2", 53), b"x")),
    ]
}

/// Wireshark has it since 4.2.
#[test]
fn xor_is_one_and_not_the_other() {
    for (text, expected) in [
        ("tcp xor ip", &[2][..]),
        ("tcp ^^ udp", &[1, 2]),
        ("ip xor frame", &[]),
        // Weaker than `and`, stronger than `or`.
        ("ip xor udp and tcp", &[1, 2]),
        ("udp or ip xor ip", &[2]),
    ] {
        assert_eq!(passing(&filter(text), 1, &frames()), expected, "{text}");
    }
}

#[test]
fn true_and_false_in_lower_case() {
    assert_eq!(passing(&filter("tcp.flags.syn == true"), 1, &frames()), [1]);
    assert_eq!(
        passing(&filter("tcp.flags.syn == false"), 1, &frames()),
        [0; 0]
    );
}

/// In a pattern only the regular expression knows `\.` and `\d`.
#[test]
fn escapes_of_patterns_need_no_second_backslash() {
    for text in [
        "frame.interface_name matches \"^eth\\d$\"",
        "frame.interface_name ~ \"TH0\"",
    ] {
        let data = &frames()[0].1;
        let frame = Frame {
            number: 1,
            time: None,
            link_type: 1,
            wire_len: data.len() as u32,
            interface: 0,
            interface_name: Some("eth0"),
            data,
        };
        assert!(filter(text).matches(&frame), "{text}");
        assert!(
            !filter("frame.time_relative >= 0").matches(&frame),
            "it has no time"
        );
        assert!(filter("tcp").matches_fields(&frame, &fields(1, data)));
    }
}

/// A field of the name of a value: the colon says which is meant.
#[test]
fn a_colon_makes_a_value_of_a_word() {
    assert!("frame contains :data".parse::<Filter>().is_err());
    assert!("frame contains :da".parse::<Filter>().is_ok());
    assert!("frame contains data".parse::<Filter>().is_ok());
}

#[test]
fn what_frames_alone_say_needs_no_fields() {
    for (text, needs_fields) in [
        ("frame.number == 1 and frame.len > 2", false),
        ("frame contains \"x\"", false),
        ("frame.protocols contains \"x\"", true),
        ("frame.number == 1 or tcp", true),
        ("count(tcp.port) > 1", true),
        ("", false),
    ] {
        assert_eq!(filter(text).needs_fields, needs_fields, "{text}");
    }
}
