//! What is written can be read, and what is cut short is not taken for an answer.

use super::*;

/// Length of the header of the family in these messages.
const FAMILY_LEN: usize = 20;

/// Numbers of attributes: one that holds others, and one in it.
const OUTER: u32 = 2;
const INNER: u32 = 7;

fn sample() -> Vec<u8> {
    let mut request = Request::new(libc::RTM_NEWTFILTER, 0, &[1; FAMILY_LEN]);
    request.attribute(1, b"bpf\0");
    request.nested(OUTER, |options| {
        options.attribute(6, &9_i32.to_ne_bytes());
        options.attribute(INNER, b"a name\0");
    });
    request.finish()
}

#[test]
fn what_is_written_can_be_read() {
    let mut names = Vec::new();
    let read = read_answer(&sample(), FAMILY_LEN, &mut |answer| {
        assert_eq!(answer.header, [1; FAMILY_LEN]);
        let name = attribute(answer.attributes, OUTER).and_then(|outer| attribute(outer, INNER));
        names.extend(name.map(text));
    });
    let more = Datagram {
        is_end: false,
        is_consistent: true,
    };
    assert_eq!(read.expect("a whole message"), more);
    assert_eq!(names, ["a name"]);
}

#[test]
fn a_dump_that_was_interrupted_is_told() {
    let mut sample = sample();
    let flags = u16_at(&sample, 6).expect("a header") | libc::NLM_F_DUMP_INTR as u16;
    sample[6..8].copy_from_slice(&flags.to_ne_bytes());
    let read = read_answer(&sample, FAMILY_LEN, &mut |_| {});
    assert!(!read.expect("a whole message").is_consistent);
}

#[test]
fn every_cut_is_an_error_or_an_answer_without_the_rest() {
    let sample = sample();
    for end in 1..sample.len() {
        assert!(
            read_answer(&sample[..end], FAMILY_LEN, &mut |_| {}).is_err(),
            "{end}"
        );
    }
    for end in 0..sample.len() - HEADER_LEN - FAMILY_LEN {
        let attributes = &sample[HEADER_LEN + FAMILY_LEN..][..end];
        let _ = attribute(attributes, OUTER);
    }
}

#[test]
fn errors_and_ends_are_told_apart() {
    let message = |kind: i32, value: i32| {
        let mut message = Vec::new();
        message.extend(20_u32.to_ne_bytes());
        message.extend((kind as u16).to_ne_bytes());
        message.extend([0; 10]);
        message.extend(value.to_ne_bytes());
        message
    };
    let read = |bytes: Vec<u8>| read_answer(&bytes, FAMILY_LEN, &mut |_| {});
    assert!(read(message(libc::NLMSG_DONE, 0)).is_ok_and(|read| read.is_end));
    assert!(read(message(libc::NLMSG_ERROR, 0)).is_ok_and(|read| read.is_end));
    let error = read(message(libc::NLMSG_ERROR, -libc::EEXIST)).expect_err("an error");
    assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
}
