//! What is written can be read, and what is cut short is not taken for an answer.

use super::*;

fn sample() -> Vec<u8> {
    let tc = TcMsg {
        ifindex: 7,
        handle: 1,
        parent: ClsactSide::Egress.parent(),
        info: filter_info(3, libc::ETH_P_ALL as u16),
    };
    let mut request = Request::new(libc::RTM_NEWTFILTER, 0, tc);
    request.attribute(TCA_KIND, b"bpf\0");
    request.nested(TCA_OPTIONS, |options| {
        options.attribute(TCA_BPF_FD, &9_i32.to_ne_bytes());
        options.attribute(TCA_BPF_NAME, b"a name\0");
    });
    request.finish()
}

#[test]
fn a_filter_that_is_written_can_be_read() {
    let mut filters = Vec::new();
    let ended = read_answer(&sample(), TC_LEN, &mut |answer| {
        assert_eq!(TcMsg::read(answer.header).ifindex, 7);
        filters.push(TcFilter::read(&answer));
    });
    assert!(!ended.expect("a whole message"));
    let expected = TcFilter {
        priority: 3,
        protocol: libc::ETH_P_ALL as u16,
        handle: 1,
        kind: "bpf".to_owned(),
        name: Some("a name".to_owned()),
    };
    assert_eq!(filters, [expected]);
}

#[test]
fn every_cut_is_an_error_or_a_filter_without_the_rest() {
    let sample = sample();
    for end in 1..sample.len() {
        assert!(
            read_answer(&sample[..end], TC_LEN, &mut |_| {}).is_err(),
            "{end}"
        );
    }
    for end in 0..sample.len() - HEADER_LEN - TC_LEN {
        let attributes = &sample[HEADER_LEN + TC_LEN..][..end];
        let _ = attribute(attributes, TCA_OPTIONS);
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
    let read = |bytes: Vec<u8>| read_answer(&bytes, TC_LEN, &mut |_| {});
    assert!(read(message(libc::NLMSG_DONE, 0)).is_ok_and(|ended| ended));
    assert!(read(message(libc::NLMSG_ERROR, 0)).is_ok_and(|ended| ended));
    let error = read(message(libc::NLMSG_ERROR, -libc::EEXIST)).expect_err("an error");
    assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
}
