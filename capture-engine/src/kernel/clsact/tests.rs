//! Marks and turns; filters come and go on this kernel too, which has TCX for itself.

use super::*;

fn filter(priority: u16, kind: &str, protocol: i32) -> TcFilter {
    TcFilter {
        priority,
        protocol: protocol as u16,
        handle: 1,
        kind: kind.to_owned(),
        name: None,
    }
}

#[test]
fn a_mark_is_held_for_as_long_as_it_lives() {
    let mark = OwnerSocket::new().expect("a socket can be bound");
    let name = mark.name.clone();
    assert_eq!(agent(&mark.filter_name(true)), Some(name.as_str()));
    assert_eq!(agent(&mark.filter_name(false)), Some(name.as_str()));
    assert!(!is_gone(&name).expect("a socket can be made"));
    drop(mark);
    assert!(is_gone(&name).expect("a socket can be made"));
}

#[test]
fn filters_of_others_bear_no_mark() {
    assert_eq!(agent("cilium-eth0"), None);
    assert_eq!(agent("other/qdisc"), None);
}

#[test]
fn the_first_priority_of_our_kind_is_taken() {
    assert_eq!(first_priority(&[]), 1);
    let all = libc::ETH_P_ALL;
    assert_eq!(first_priority(&[filter(1, "bpf", all)]), 1);
    assert_eq!(first_priority(&[filter(1, "matchall", all)]), 2);
    assert_eq!(
        first_priority(&[filter(1, "u32", all), filter(2, "bpf", libc::ETH_P_IP)]),
        3
    );
}

#[test]
fn turns_come_one_after_the_other() {
    let first = InterfaceLock::take(u32::MAX);
    assert!(first._socket.is_some());
    let waiter = thread::spawn(|| InterfaceLock::take(u32::MAX)._socket.is_some());
    thread::sleep(Duration::from_millis(50));
    drop(first);
    assert!(waiter.join().expect("the waiter gets its turn"));
}

/// What needs root: programs on interfaces.
mod privileged {
    use std::os::fd::AsFd as _;

    use aya::programs::SchedClassifier;
    use capture_tests::netns::{HOST_IF, Lab};

    use super::*;
    use crate::kernel::{Kernel, object::programs};

    /// A loaded tc program, and the index of an interface to put it on.
    fn with_program(test: impl FnOnce(BorrowedFd<'_>, u32) + Send) {
        let lab = Lab::new();
        lab.host.within(|| {
            let (mut kernel, _reader) = Kernel::load(4 << 20, None).expect("the kernel side");
            let program = kernel.hooks.object().program_mut(programs::TC_INGRESS);
            let program: &mut SchedClassifier =
                program.expect("a program").try_into().expect("of tc");
            program.load().expect("it loads");
            let links = Links::list().expect("interfaces");
            let entry = links.entries().find(|entry| entry.name == HOST_IF);
            let ifindex = entry.expect("an interface").ifindex;
            test(program.fd().expect("a descriptor").as_fd(), ifindex);
        });
    }

    /// The names of the filters; the list also has their priorities, which have none.
    fn names(tc: &TrafficControl, ifindex: u32, side: ClsactSide) -> Vec<String> {
        let filters = tc.filters(ifindex, side).expect("filters").into_iter();
        filters.filter_map(|filter| filter.name).collect()
    }

    #[test]
    fn the_qdisc_goes_with_the_last_filter() {
        with_program(|program, ifindex| {
            let tc = TrafficControl::open().expect("a socket");
            let mut clsact = Clsact::default();
            let [ingress, egress] = ClsactSide::BOTH.map(|side| {
                let attached = clsact.attach((ifindex, HOST_IF), side, program);
                attached.expect("a filter")
            });
            assert_eq!(
                tc.qdisc(ifindex).expect("a qdisc").as_deref(),
                Some("clsact")
            );
            let name = ingress.mark.filter_name(true);
            let here = || ClsactSide::BOTH.map(|side| names(&tc, ifindex, side));
            assert_eq!(here(), [vec![name.clone()], vec![name.clone()]]);
            drop(ingress);
            assert_eq!(here(), [vec![], vec![name]]);
            drop(egress);
            assert_eq!(tc.qdisc(ifindex).expect("an answer"), None);
        });
    }

    #[test]
    fn what_a_killed_agent_left_is_swept() {
        with_program(|program, ifindex| {
            let tc = TrafficControl::open().expect("a socket");
            tc.add_clsact(ifindex).expect("a qdisc");
            let gone = "capture-agent/1/GONE/qdisc";
            for (priority, name) in [(1, gone), (2, "another")] {
                let side = ClsactSide::Ingress;
                let added = tc.add_filter(ifindex, side, priority, name, program);
                added.expect("a filter");
            }
            clean(ifindex);
            assert_eq!(names(&tc, ifindex, ClsactSide::Ingress), ["another"]);
            let filters = tc.filters(ifindex, ClsactSide::Ingress).expect("filters");
            let another = filters.iter().find(|filter| filter.handle != 0);
            tc.delete_filter(ifindex, ClsactSide::Ingress, another.expect("a filter"))
                .expect("it goes");
            tc.add_filter(ifindex, ClsactSide::Egress, 1, gone, program)
                .expect("a filter");
            clean(ifindex);
            assert_eq!(tc.qdisc(ifindex).expect("an answer"), None);
        });
    }
}
