//! The loaded programs against the reference matcher: frames go through `BPF_PROG_TEST_RUN`, tasks
//! through the product's own validation and tables, and the records come back through its rings.
//! Nothing is attached. `CAPTURE_TEST_SEED` repeats or varies a run, `CAPTURE_TEST_DECISIONS`
//! makes it longer.

/// What needs root, and the kernel programs within the binary.
mod privileged {
    use std::net::{IpAddr, Ipv4Addr};

    use aya::programs::{
        Program, ProgramError, SchedClassifier, TestRun as _, TestRunOptions, Xdp,
    };
    use capture_common::{
        Direction, HOOK_POINTS, HookPoint, Interface, LinkLayer, MAX_ENDPOINT_ADDRESSES,
        MAX_INTERFACES, MAX_SLOTS, RecordHeader, address_cell,
    };
    use capture_task::{
        plan,
        plan::{Plan, RequestOrigin},
        task::TaskSpec,
    };
    use capture_tests::{
        generate,
        random::Random,
        reference::{Endpoint, Filter, Matcher, Protocol, Reading, read, read_raw_ip},
        rights,
        traffic::{self, ETHERTYPE_IPV6, Ipv4, UDP, ethernet},
    };

    use super::super::{Kernel, SlotId, TaskEntry, merge::Rings, object::programs};
    use crate::clock::monotonic_ns;

    /// `BPF_PROG_TEST_RUN` gives a frame the loopback interface, which is the first of each
    /// network namespace.
    const LOOPBACK: u32 = 1;

    /// Row of the interface counters.
    const ROW: u32 = 0;

    /// Frames that one set of tasks sees, one after the other.
    const FRAMES: u32 = 1500;

    /// Comparisons of a frame with a set of tasks, unless `CAPTURE_TEST_DECISIONS` says otherwise.
    const DECISIONS: usize = 150_000;

    /// A program, and what it should be like.
    #[derive(Clone, Copy, Debug)]
    struct Subject {
        name: &'static str,
        point: HookPoint,
        /// The value with which every packet goes on.
        verdict: u32,
        /// Takes frames of several buffers. What does not fit into a page of one is in the second.
        multi_buffer: bool,
    }

    /// `TC_ACT_UNSPEC`.
    const UNSPEC: u32 = -1_i32 as u32;
    /// `XDP_PASS`.
    const PASS: u32 = 2;

    const SUBJECTS: [Subject; 4] = [
        Subject {
            name: programs::TC_INGRESS,
            point: HookPoint::TcIngress,
            verdict: UNSPEC,
            multi_buffer: false,
        },
        Subject {
            name: programs::TC_EGRESS,
            point: HookPoint::TcEgress,
            verdict: UNSPEC,
            multi_buffer: false,
        },
        Subject {
            name: programs::XDP_FRAGS,
            point: HookPoint::Xdp,
            verdict: PASS,
            multi_buffer: true,
        },
        Subject {
            name: programs::XDP,
            point: HookPoint::Xdp,
            verdict: PASS,
            multi_buffer: false,
        },
    ];

    /// A task on both sides.
    struct Task {
        filter: Filter,
        /// By hook point: what passes one says nothing of what passes another.
        matchers: [Matcher; HOOK_POINTS],
        slot: SlotId,
        /// Asks for something: other tasks match whatever comes, and prove nothing.
        is_choosy: bool,
        /// The hook points where it captures.
        points: [bool; HOOK_POINTS],
        /// Frames that it should have.
        matched: u64,
        /// Frames that its slot had before.
        before: u64,
    }

    #[derive(Debug, Default)]
    struct BitSlicedCounter {
        decisions: usize,
        /// Frames that the kernel does not run programs on.
        refused: usize,
        /// Decisions for single tasks, those that take everything not counted.
        of_tasks: usize,
        /// Those that were matches.
        matches: usize,
    }

    struct Bench {
        kernel: Kernel,
        rings: Rings,
        random: Random,
        tally: BitSlicedCounter,
        out: Vec<u8>,
        /// Slots that are taken by others.
        taken: usize,
        /// Bytes of a frame that its record must keep, where the frame has so many.
        keeps: usize,
    }

    impl Bench {
        fn new(seed: u64) -> Self {
            rights::as_unit();
            let (mut kernel, reader_side) =
                Kernel::load(0, None).expect("root, and the kernel programs");
            for subject in SUBJECTS {
                match program(&mut kernel, subject) {
                    Program::SchedClassifier(program) => program.load(),
                    Program::Xdp(program) => program.load(),
                    _ => panic!("{} is of another type", subject.name),
                }
                .unwrap_or_else(|error| panic!("{}: {error}", subject.name));
            }
            Self {
                kernel,
                rings: reader_side.rings,
                random: Random::from_env(seed),
                tally: BitSlicedCounter::default(),
                out: vec![0; 1 << 16],
                taken: 0,
                keeps: usize::MAX,
            }
        }

        /// Tasks at random, and frames for them.
        fn round(&mut self, link: LinkLayer) {
            let filters = self.filters();
            self.round_of(filters, link);
        }

        /// A set of tasks, each at some of the hook points, and frames for them by any program.
        fn round_of(&mut self, filters: Vec<Filter>, link: LinkLayer) {
            let mut tasks = self.enter(filters);
            let mut interface = Interface {
                slots: [0; HOOK_POINTS],
                ifindex: LOOPBACK,
                row: ROW,
                link: link as u32,
                displaced: 0,
            };
            for task in &tasks {
                for (slots, is_there) in interface.slots.iter_mut().zip(task.points) {
                    *slots |= if is_there { task.slot.bit() } else { 0 };
                }
            }
            self.kernel
                .tables
                .set_interface(interface)
                .expect("room for an interface");
            let before = self.kernel.interface_figures(ROW).expect("counters");
            let (mut seen, mut malformed) = (0, 0);
            for number in 0..FRAMES {
                let subject = *self.random.pick(&SUBJECTS);
                let frame = self.frame(subject, link, number);
                let Some(taken) = self.run(subject, &frame) else {
                    self.tally.refused += 1;
                    continue;
                };
                let reading = match link {
                    LinkLayer::Ethernet => read(&frame),
                    LinkLayer::None => read_raw_ip(&frame),
                };
                seen += 1;
                // Where no task asks for anything nothing is read.
                let point = subject.point as usize;
                let is_read = tasks
                    .iter()
                    .any(|task| task.points[point] && task.is_choosy);
                malformed += u64::from(reading.malformed && is_read);
                self.compare(&mut tasks, subject.point, taken, &reading, &|| {
                    format!("{} {link:?} {frame:02x?}", subject.name)
                });
            }
            let after = self.kernel.interface_figures(ROW).expect("counters");
            assert_eq!(after.seen - before.seen, seen);
            assert_eq!(after.malformed - before.malformed, malformed);
            for task in tasks {
                let matched = self.matched(task.slot) - task.before;
                assert_eq!(
                    matched,
                    task.matched,
                    "counted for {:?}",
                    generate::options(&task.filter)
                );
                self.kernel.tables.remove(task.slot).expect("removal");
            }
        }

        /// As many as there are slots; or a few, which let most frames go by, so that the kernel forgets a
        /// datagram whose identification is used again.
        fn filters(&mut self) -> Vec<Filter> {
            let tasks = if self.random.one_in(4) {
                1 + self.random.below(4)
            } else {
                MAX_SLOTS - self.taken
            };
            let all_take_all = self.random.one_in(8);
            (0..tasks)
                .map(|_| {
                    if all_take_all {
                        Filter::default()
                    } else {
                        generate::filter(&mut self.random)
                    }
                })
                .collect()
        }

        /// Enters and activates new tasks.
        fn enter(&mut self, filters: Vec<Filter>) -> Vec<Task> {
            filters
                .into_iter()
                .map(|filter| {
                    let plan = resolve(&filter);
                    let tables = &mut self.kernel.tables;
                    let slot = tables
                        .add(TaskEntry::from(&plan), monotonic_ns())
                        .expect("room in the tables")
                        .expect("a free slot");
                    tables.activate(slot);
                    Task {
                        is_choosy: plan.filter
                            != plan::Filter {
                                icmp_errors: plan.filter.icmp_errors,
                                ..plan::Filter::default()
                            },
                        matchers: [(); HOOK_POINTS].map(|()| Matcher::new(filter.clone())),
                        filter,
                        slot,
                        points: HookPoint::ALL.map(|_| !self.random.one_in(4)),
                        matched: 0,
                        before: self.matched(slot),
                    }
                })
                .collect()
        }

        fn matched(&self, slot: SlotId) -> u64 {
            let figures = self.kernel.slot_figures(slot).expect("counters");
            assert_eq!((figures.ring_full, figures.copy_failed), (0, 0));
            figures.matched
        }

        fn frame(&mut self, subject: Subject, link: LinkLayer, number: u32) -> Vec<u8> {
            let random = &mut self.random;
            if random.one_in(16) {
                return generate::noise(random, 15);
            }
            if subject.multi_buffer && random.one_in(8) {
                let distance = random.below(12_000);
                let packet = generate::far_ports(random, number, distance);
                return match link {
                    LinkLayer::Ethernet => ethernet(ETHERTYPE_IPV6, &packet),
                    LinkLayer::None => packet,
                };
            }
            match link {
                LinkLayer::Ethernet => generate::frame(random, number),
                LinkLayer::None => generate::raw_ip(random, number),
            }
        }

        /// The tasks for which the program wrote the frame; `None` where it was not run.
        fn run(&mut self, subject: Subject, frame: &[u8]) -> Option<u64> {
            let options = TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut self.out),
                ..TestRunOptions::default()
            };
            let result = match program(&mut self.kernel, subject) {
                Program::SchedClassifier(program) => SchedClassifier::test_run(program, options),
                Program::Xdp(program) => Xdp::test_run(program, options),
                _ => unreachable!("loaded before"),
            };
            let result = match result {
                Ok(result) => result,
                Err(ProgramError::SyscallError(error))
                    if error.io_error.raw_os_error() == Some(libc::EINVAL) =>
                {
                    assert!(
                        subject.point != HookPoint::Xdp && is_no_skb(frame),
                        "{subject:?} is not run on {frame:02x?}"
                    );
                    return None;
                }
                Err(error) => panic!("{subject:?}: {error} on {frame:02x?}"),
            };
            assert_eq!(result.return_value, subject.verdict, "{frame:02x?}");
            let out = &self.out[..result.data_size_out as usize];
            assert_eq!(out, frame, "{subject:?} changed a frame");
            let mut records = Vec::new();
            let expected = &frame[..frame.len().min(self.keeps)];
            self.rings.drain(u64::MAX - 1, usize::MAX, |header, kept| {
                assert_eq!(kept, expected, "{subject:?} kept something else");
                check_header(subject, header, frame);
                records.push(header.slots);
            });
            assert!(records.len() <= 1, "{} records of a frame", records.len());
            Some(records.first().copied().unwrap_or(0))
        }

        fn compare(
            &mut self,
            tasks: &mut [Task],
            point: HookPoint,
            taken: u64,
            reading: &Reading,
            frame: &dyn Fn() -> String,
        ) {
            for task in tasks {
                let is_here = task.points[point as usize];
                let expected = is_here && task.matchers[point as usize].takes_reading(reading);
                let is_taken = taken & task.slot.bit() != 0;
                assert_eq!(
                    is_taken,
                    expected,
                    "slot {}, {:?}, {} here\n{}\n{reading:?}",
                    task.slot.index(),
                    generate::options(&task.filter),
                    if is_here {
                        "captures"
                    } else {
                        "does not capture"
                    },
                    frame(),
                );
                task.matched += u64::from(expected);
                if task.is_choosy {
                    self.tally.of_tasks += 1;
                    self.tally.matches += usize::from(expected);
                }
            }
            self.tally.decisions += 1;
        }
    }

    /// A frame for which `bpf_prog_test_run_skb` makes no skb: nothing behind the Ethernet header, or
    /// less than the IP header that the EtherType promises. XDP gets those, too.
    fn is_no_skb(frame: &[u8]) -> bool {
        let least = match frame[12..14] {
            [0x08, 0x00] => 14 + 20,
            [0x86, 0xdd] => 14 + 40,
            _ => 14 + 1,
        };
        frame.len() < least
    }

    fn program(kernel: &mut Kernel, subject: Subject) -> &mut Program {
        let program = kernel.hooks.object().program_mut(subject.name);
        program.unwrap_or_else(|| panic!("the object has no {}", subject.name))
    }

    fn check_header(subject: Subject, header: &RecordHeader, frame: &[u8]) {
        assert_eq!(header.original_len as usize, frame.len(), "{subject:?}");
        assert_eq!(header.ifindex, LOOPBACK, "{subject:?}");
        let direction = match subject.point {
            HookPoint::TcEgress => Direction::Egress,
            HookPoint::TcIngress | HookPoint::Xdp => Direction::Ingress,
        };
        assert_eq!(header.direction(), Some(direction), "{subject:?}");
    }

    fn resolve(filter: &Filter) -> Plan {
        let request = generate::request(filter);
        let spec: TaskSpec = serde_json::from_value(request.clone())
            .unwrap_or_else(|error| panic!("{request}: {error}"));
        Plan::resolve(&spec, RequestOrigin::Run)
            .unwrap_or_else(|faults| panic!("{request}: {faults:?}"))
    }

    #[test]
    fn loaded_programs_take_what_the_reference_takes() {
        let wanted = std::env::var("CAPTURE_TEST_DECISIONS").map_or(DECISIONS, |text| {
            text.parse()
                .unwrap_or_else(|_| panic!("CAPTURE_TEST_DECISIONS={text} is not a number"))
        });
        let mut bench = Bench::new(21);
        let links = [LinkLayer::Ethernet, LinkLayer::Ethernet, LinkLayer::None];
        let mut rounds = links.into_iter().cycle();
        while bench.tally.decisions < wanted {
            let link = rounds.next().expect("a cycle has no end");
            bench.round(link);
        }
        let BitSlicedCounter {
            decisions,
            refused,
            of_tasks,
            matches,
        } = bench.tally;
        println!(
            "{decisions} frames, {refused} refused, {of_tasks} decisions for tasks, {matches} matches"
        );
        assert!(refused * 50 < decisions, "{refused} frames were refused");
        assert!(
            matches * 100 > of_tasks * 4,
            "only {matches} of {of_tasks} decisions are matches"
        );
    }

    /// No other task has the headers read.
    #[test]
    fn a_single_criterion_is_enough() {
        let address = |text: &str, len| Endpoint {
            addresses: Some(vec![(text.parse().expect("an address"), len)]),
            ports: None,
        };
        let of = |protocol, local, peer| Filter {
            protocol,
            local,
            peer,
            icmp_errors: false,
        };
        let any = Endpoint::default;
        let port = Endpoint {
            addresses: None,
            ports: Some(vec![443..=443]),
        };
        let mut bench = Bench::new(26);
        for filter in [
            of(Protocol::Tcp, any(), any()),
            of(Protocol::Udp, any(), any()),
            of(Protocol::Icmp, any(), any()),
            of(Protocol::All, address("10.1.0.1", 32), any()),
            of(Protocol::All, address("0.0.0.0", 0), any()),
            of(Protocol::All, address("2001:db8::1", 128), any()),
            of(Protocol::All, port, any()),
        ] {
            let before = (bench.tally.of_tasks, bench.tally.matches);
            bench.round_of(vec![filter.clone()], LinkLayer::Ethernet);
            bench.round_of(vec![Filter::default(), filter.clone()], LinkLayer::Ethernet);
            let matches = bench.tally.matches - before.1;
            let of_tasks = bench.tally.of_tasks - before.0;
            let shown = generate::options(&filter);
            assert!(
                0 < matches && matches < of_tasks,
                "{matches} of {of_tasks}: {shown:?}"
            );
        }
    }

    /// An interface in the cell of [`LOOPBACK`].
    fn neighbour(slots: u64) -> Interface {
        Interface {
            slots: [slots; HOOK_POINTS],
            ifindex: LOOPBACK + MAX_INTERFACES as u32,
            row: ROW + 1,
            link: LinkLayer::None as u32,
            displaced: 0,
        }
    }

    #[test]
    fn interfaces_of_one_cell_are_told_apart() {
        let mut bench = Bench::new(22);
        bench
            .kernel
            .tables
            .set_interface(neighbour(u64::MAX))
            .expect("room");
        bench.round(LinkLayer::Ethernet);
        bench
            .kernel
            .tables
            .set_interface(neighbour(0))
            .expect("room");
        bench.round(LinkLayer::Ethernet);
        // The displaced one stays where it is, and goes from there.
        bench
            .kernel
            .tables
            .remove_interface(neighbour(0).ifindex)
            .expect("it is there");
        bench.round(LinkLayer::Ethernet);
        bench
            .kernel
            .tables
            .remove_interface(LOOPBACK)
            .expect("it is there");
        let seen = bench.kernel.interface_figures(ROW).expect("counters").seen;
        let frame = generate::frame(&mut bench.random, 0);
        assert_eq!(bench.run(SUBJECTS[2], &frame), Some(0));
        let figures = bench.kernel.interface_figures(ROW).expect("counters");
        assert_eq!(
            figures.seen, seen,
            "an interface that is not known is not counted"
        );
        bench.round(LinkLayer::Ethernet);
    }

    /// Another IPv4 address with the cell of one that frames and tasks have.
    fn rival(address: &str) -> IpAddr {
        let cell =
            |address: Ipv4Addr| address_cell(&[u64::from(u32::from_ne_bytes(address.octets())), 0]);
        let address: Ipv4Addr = address.parse().expect("an address");
        (1..)
            .map(|step| Ipv4Addr::from_bits(address.to_bits() + step))
            .find(|other| cell(*other) == cell(address))
            .expect("there are many more addresses than cells")
            .into()
    }

    #[test]
    fn addresses_of_one_cell_are_told_apart() {
        let mut bench = Bench::new(23);
        let filter = Filter {
            local: Endpoint {
                addresses: Some(vec![(rival("10.1.0.1"), 32)]),
                ports: None,
            },
            ..Filter::default()
        };
        let plan = resolve(&filter);
        for _ in 0..3 {
            // The rival first, then beside, then gone while others may have the cell.
            let tables = &mut bench.kernel.tables;
            let slot = tables.add(TaskEntry::from(&plan), monotonic_ns());
            let slot = slot.expect("room in the tables").expect("a free slot");
            bench.taken = 1;
            bench.round(LinkLayer::Ethernet);
            bench.round(LinkLayer::None);
            bench.kernel.tables.remove(slot).expect("removal");
            bench.taken = 0;
            bench.round(LinkLayer::Ethernet);
        }
        assert!(bench.tally.matches > 1000, "{:?}", bench.tally);
    }

    /// The kernel uses the element of an address again for the next one. A program may still be reading it where
    /// addresses share a cell, and there alone.
    #[test]
    fn an_element_is_used_again_once_no_program_can_read_it() {
        let mut bench = Bench::new(27);
        let one = "10.1.0.1".parse().expect("an address");
        let other = rival("10.1.0.1");
        for (address, waits) in [
            // New; replaced twice.
            (one, 0),
            (one, 0),
            (one, 0),
            // New, in the same cell.
            (other, 0),
            // Replaced, which leaves the former element; then that one is used again.
            (one, 0),
            (other, 1),
            (one, 2),
        ] {
            let filter = Filter {
                local: Endpoint {
                    addresses: Some(vec![(address, 32)]),
                    ports: None,
                },
                ..Filter::default()
            };
            let tables = &mut bench.kernel.tables;
            let slot = tables.add(TaskEntry::from(&resolve(&filter)), monotonic_ns());
            slot.expect("room in the tables").expect("a free slot");
            let waited = bench.kernel.barrier().lock().waits;
            assert_eq!(waited, waits, "{address}");
        }
    }

    /// What a list is made of.
    #[derive(Clone, Copy, Debug)]
    struct Items {
        v6: bool,
        are_prefixes: bool,
    }

    impl Items {
        const ALL: [Self; 4] = [
            Self::of(false, false),
            Self::of(true, false),
            Self::of(false, true),
            Self::of(true, true),
        ];

        const fn of(v6: bool, are_prefixes: bool) -> Self {
            Self { v6, are_prefixes }
        }

        /// The address of an item; another one of its prefix.
        fn address(self, number: usize, last: u8) -> String {
            let last = if self.are_prefixes { last } else { 1 };
            match self.v6 {
                false => format!("10.{}.{}.{last}", number / 256, number % 256),
                true => format!("2001:db8:0:{number:x}::{last:x}"),
            }
        }

        fn list(self, first: usize) -> Option<Vec<(IpAddr, u8)>> {
            let len = match (self.v6, self.are_prefixes) {
                (false, false) => 32,
                (false, true) => 24,
                (true, false) => 128,
                (true, true) => 64,
            };
            let numbers = first..first + MAX_ENDPOINT_ADDRESSES;
            let address = |number| self.address(number, 0).parse().expect("an address");
            Some(numbers.map(|number| (address(number), len)).collect())
        }

        /// A pair of lists of which no item is in one of another number.
        fn pair(self, number: usize) -> Filter {
            let end = |first| Endpoint {
                addresses: self.list(first),
                ports: None,
            };
            let first = 2 * number * MAX_ENDPOINT_ADDRESSES;
            Filter {
                local: end(first),
                peer: end(first + MAX_ENDPOINT_ADDRESSES),
                ..Filter::default()
            }
        }

        fn frame(self, from: usize, to: usize) -> Vec<u8> {
            let [from, to] = [from, to].map(|number| self.address(number, 7));
            let body = traffic::udp(1, 2, &[0; 20]);
            match self.v6 {
                false => Ipv4::new(&from, &to, UDP).frame(&body),
                true => traffic::ipv6_frame(&from, &to, UDP, &body),
            }
        }
    }

    fn everywhere() -> Interface {
        Interface {
            slots: [u64::MAX; HOOK_POINTS],
            ifindex: LOOPBACK,
            row: ROW,
            link: LinkLayer::Ethernet as u32,
            displaced: 0,
        }
    }

    #[test]
    fn the_tables_hold_the_longest_lists_of_all_tasks() {
        let mut bench = Bench::new(28);
        bench
            .kernel
            .tables
            .set_interface(everywhere())
            .expect("room");
        for items in Items::ALL {
            let started = std::time::Instant::now();
            let enter = |bench: &mut Bench, number| {
                let plan = resolve(&items.pair(number));
                let tables = &mut bench.kernel.tables;
                let slot = tables.add(TaskEntry::from(&plan), monotonic_ns());
                let slot = slot.expect("room in the tables");
                slot.inspect(|slot| tables.activate(*slot))
            };
            let mut slots: Vec<_> = (0..MAX_SLOTS)
                .map(|number| enter(&mut bench, number).expect("a free slot"))
                .collect();
            assert_eq!(enter(&mut bench, MAX_SLOTS), None);
            println!("{items:?}: {:?}", started.elapsed());
            for round in 0..2 {
                for (number, slot) in slots.iter().enumerate() {
                    let first = 2 * number * MAX_ENDPOINT_ADDRESSES;
                    let (local, peer) = (first + 63, first + MAX_ENDPOINT_ADDRESSES);
                    for (from, to, taken) in [
                        (local, peer, slot.bit()),
                        (peer, local, slot.bit()),
                        (local, first, 0),
                        (local, 2 * MAX_SLOTS * MAX_ENDPOINT_ADDRESSES, 0),
                    ] {
                        let frame = items.frame(from, to);
                        let subject = SUBJECTS[number % SUBJECTS.len()];
                        assert_eq!(
                            bench.run(subject, &frame),
                            Some(taken),
                            "{items:?} {number} {round}"
                        );
                    }
                }
                // In full tables one task makes place for another one, which is entered like the former one.
                let last = slots.remove(17);
                bench.kernel.tables.remove(last).expect("removal");
                slots.insert(17, enter(&mut bench, 17).expect("its slot"));
            }
            for slot in slots {
                bench.kernel.tables.remove(slot).expect("removal");
            }
        }
    }

    /// No request asks for so much; it is the kernel that refuses here, with a part of the task in its tables.
    #[test]
    fn a_task_beyond_the_tables_leaves_nothing() {
        let mut bench = Bench::new(29);
        bench
            .kernel
            .tables
            .set_interface(everywhere())
            .expect("room");
        let items = Items::ALL[0];
        let other = resolve(&items.pair(0));
        let tables = &mut bench.kernel.tables;
        let slot = tables
            .add(TaskEntry::from(&other), monotonic_ns())
            .expect("room");
        let slot = slot.expect("a free slot");
        tables.activate(slot);
        for items in [Items::ALL[0], Items::ALL[2]] {
            let mut filter = resolve(&items.pair(0)).filter;
            let all = (0..40_000).map(|number| {
                let first = u32::from(Ipv4Addr::new(10, 0, 0, 0));
                let address = Ipv4Addr::from_bits(first + number * 256);
                ipnet::IpNet::new(address.into(), if items.are_prefixes { 24 } else { 32 })
            });
            filter.local.addresses = Some(all.collect::<Result<_, _>>().expect("prefixes"));
            let task = TaskEntry {
                filter: &filter,
                max_bytes: None,
                oversize: plan::Oversize::Truncate,
            };
            for _ in 0..2 {
                let tables = &mut bench.kernel.tables;
                assert!(tables.add(task, monotonic_ns()).is_err());
                let frame = items.frame(63, MAX_ENDPOINT_ADDRESSES);
                let taken = bench.run(SUBJECTS[0], &frame);
                assert_eq!(taken, Some(if items.are_prefixes { 0 } else { slot.bit() }));
            }
        }
        // Every other slot is free, and so are the tables.
        for number in 1..MAX_SLOTS {
            let plan = resolve(&items.pair(number));
            let slot = bench
                .kernel
                .tables
                .add(TaskEntry::from(&plan), monotonic_ns());
            slot.expect("room in the tables").expect("a free slot");
        }
    }

    #[test]
    fn a_record_keeps_what_any_of_its_tasks_keeps() {
        let mut bench = Bench::new(25);
        let frame = Ipv4::new("10.1.0.2", "10.1.0.1", UDP).frame(&traffic::udp(1, 2, &[0; 200]));
        let filter = plan::Filter::default();
        let mut slots = Vec::new();
        // What is added (a `max_bytes`, or none) or removed (by its number), and what is then kept.
        for (add, remove, keeps) in [
            (Some(Some(64)), None, 64),
            (Some(Some(64)), None, 64),
            (Some(Some(128)), None, 128),
            (None, Some(0), 128),
            (Some(None), None, frame.len()),
            (None, Some(2), frame.len()),
            (None, Some(3), 64),
            (Some(Some(100)), None, 100),
            (None, Some(4), 64),
        ] {
            let tables = &mut bench.kernel.tables;
            if let Some(max_bytes) = add {
                let task = TaskEntry {
                    filter: &filter,
                    max_bytes,
                    oversize: plan::Oversize::Truncate,
                };
                let slot = tables.add(task, monotonic_ns()).expect("room");
                let slot = slot.expect("a free slot");
                tables.activate(slot);
                slots.push(slot);
            }
            if let Some(number) = remove {
                tables.remove(slots[number]).expect("removal");
            }
            let interface = Interface {
                slots: [u64::MAX; HOOK_POINTS],
                ifindex: LOOPBACK,
                row: ROW,
                link: LinkLayer::Ethernet as u32,
                displaced: 0,
            };
            tables.set_interface(interface).expect("room");
            bench.keeps = keeps;
            for subject in SUBJECTS {
                assert!(bench.run(subject, &frame).is_some_and(|taken| taken != 0));
            }
        }
    }

    #[test]
    fn a_reused_identification_belongs_to_the_newer_datagram() {
        let mut bench = Bench::new(24);
        let filter = Filter::from_options(["--ip", "10.1.0.1", "--port", "80"]);
        let tables = &mut bench.kernel.tables;
        let slot = tables.add(TaskEntry::from(&resolve(&filter)), monotonic_ns());
        let slot = slot.expect("room in the tables").expect("a free slot");
        tables.activate(slot);
        let interface = Interface {
            slots: [slot.bit(); HOOK_POINTS],
            ifindex: LOOPBACK,
            row: ROW,
            link: LinkLayer::Ethernet as u32,
            displaced: 0,
        };
        tables.set_interface(interface).expect("room");
        let part = |offset: u16, more, port| {
            let body = traffic::udp(1000, port, &[0; 24]);
            let ip = Ipv4::new("10.1.0.2", "10.1.0.1", UDP);
            ip.fragment(7, offset, more).frame(&body)
        };
        for subject in SUBJECTS {
            let frames = [
                part(0, true, 80),
                part(4, true, 0),
                part(0, true, 443),
                part(4, false, 0),
            ];
            let taken = frames.map(|frame| bench.run(subject, &frame).expect("it runs") != 0);
            assert_eq!(taken, [true, true, false, false], "{subject:?}");
        }
    }
}
