//! The programs' end of a ring and ours: records of all lengths, over the ends of chunks and of the ring, with and
//! without room. Frames go through `BPF_PROG_TEST_RUN`, on one CPU, so that they are in one ring.

/// What needs root, and the kernel programs within the binary.
mod privileged {
    use std::{
        collections::{BTreeSet, VecDeque},
        sync::atomic::Ordering,
        thread,
        time::Duration,
    };

    use aya::{
        programs::{Program, TestRun as _, TestRunOptions, Xdp},
        util::nr_cpus,
    };
    use capture_common::{CHUNK_LEN, HOOK_POINTS, Interface, LinkLayer};
    use capture_task::plan;
    use capture_tests::{cpus, eventually, random::Random, rights};

    use super::super::super::{
        Kernel, SlotFigures, SlotId, TaskEntry, merge::Rings, object::programs,
    };
    use crate::clock::monotonic_ns;

    /// The interface of frames in `BPF_PROG_TEST_RUN`.
    const LOOPBACK: u32 = 1;

    /// Kept bytes around which a record changes its class, its copy or its alignment.
    const LENGTHS: [usize; 12] = [
        14, 31, 32, 63, 64, 127, 128, 2048, 9000, 16_384, 40_000, 65_000,
    ];

    const LIMIT: Duration = Duration::from_secs(10);

    /// Records to go through the least ring many times.
    const RECORDS: usize = 20_000;

    struct Bench {
        kernel: Kernel,
        rings: Rings,
        slot: SlotId,
        cpu: usize,
        /// Chunks of each ring.
        chunks: usize,
        /// Where the chunks lie in which records were.
        used: BTreeSet<usize>,
        out: Vec<u8>,
    }

    impl Bench {
        /// Rings of so many chunks, a power of two.
        fn new(chunks: usize) -> Self {
            let cpu = 0;
            cpus::stay_on(cpu);
            rights::as_unit();
            let rings = nr_cpus().expect("CPUs") * chunks * CHUNK_LEN;
            let kernel = Kernel::load(rings as u64, None);
            let (mut kernel, reader_side) = kernel.expect("root, and the kernel programs");
            xdp(&mut kernel).load().expect("a kernel with XDP in parts");
            let filter = plan::Filter::default();
            let task = TaskEntry {
                filter: &filter,
                max_bytes: None,
                oversize: plan::Oversize::Truncate,
            };
            let slot = kernel.tables.add(task, monotonic_ns()).expect("room");
            let slot = slot.expect("a free slot");
            kernel.tables.activate(slot);
            let interface = Interface {
                slots: [slot.bit(); HOOK_POINTS],
                ifindex: LOOPBACK,
                row: 0,
                link: LinkLayer::Ethernet as u32,
                displaced: 0,
            };
            kernel.tables.set_interface(interface).expect("room");
            Self {
                kernel,
                rings: reader_side.rings,
                slot,
                cpu,
                chunks,
                used: BTreeSet::new(),
                out: vec![0; 1 << 17],
            }
        }

        /// Shows the program a frame; what it counted for the task.
        fn run(&mut self, frame: &[u8]) -> SlotFigures {
            let before = self.figures();
            let options = TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut self.out),
                ..TestRunOptions::default()
            };
            Xdp::test_run(xdp(&mut self.kernel), options).expect("a frame that XDP takes");
            let figures = self.figures().since(before);
            assert_eq!(figures.matched, 1);
            figures
        }

        fn figures(&self) -> SlotFigures {
            self.kernel.slot_figures(self.slot).expect("counters")
        }

        /// Drains up to `most` records, which must be these frames, the first ones first.
        fn drain(&mut self, most: usize, frames: &mut VecDeque<Vec<u8>>) {
            let expected = most.min(frames.len());
            let start = self.rings.memory().chunks.at(0).addr().get();
            let drained = self.rings.drain(u64::MAX - 1, most, |header, kept| {
                let frame = frames.pop_front().expect("no more than was put in");
                assert_eq!(header.original_len as usize, frame.len());
                assert!(kept == frame, "a record of {} bytes differs", frame.len());
                self.used.insert((kept.as_ptr().addr() - start) / CHUNK_LEN);
            });
            assert_eq!(drained.records, expected);
        }

        /// Each chunk of the ring has one place in it.
        fn check_order(&self) {
            let memory = self.rings.memory();
            let first = self.cpu * self.chunks;
            let order = (first..first + self.chunks).map(|place| memory.order(place));
            let order = order.map(|chunk| chunk.load(Ordering::SeqCst) as usize);
            let order: BTreeSet<_> = order.collect();
            assert_eq!(order, (first..first + self.chunks).collect());
        }
    }

    fn xdp(kernel: &mut Kernel) -> &mut Xdp {
        match kernel.hooks.object().program_mut(programs::XDP_FRAGS) {
            Some(Program::Xdp(program)) => program,
            _ => panic!("the object has no {}", programs::XDP_FRAGS),
        }
    }

    fn frame(random: &mut Random) -> Vec<u8> {
        let near = *random.pick(&LENGTHS) + random.below(9);
        let len = if random.one_in(4) {
            14 + random.below(65_000)
        } else {
            near
        };
        let salt = random.below(256);
        (0..len).map(|at| (at * 7 + salt) as u8).collect()
    }

    #[test]
    fn records_of_all_lengths_are_whole_and_in_order() {
        records_are_whole_and_in_order(2);
    }

    #[test]
    fn and_so_they_are_in_a_ring_of_many_chunks() {
        records_are_whole_and_in_order(16);
    }

    fn records_are_whole_and_in_order(chunks: usize) {
        let mut bench = Bench::new(chunks);
        let mut random = Random::from_env(31);
        let mut frames = VecDeque::new();
        let (mut full, mut bytes) = (0, 0);
        for _ in 0..RECORDS {
            let frame = frame(&mut random);
            let figures = bench.run(&frame);
            assert_eq!(figures.copy_failed, 0);
            if figures.ring_full == 0 {
                bytes += frame.len();
                frames.push_back(frame);
            } else {
                full += 1;
            }
            // Sometimes the reader keeps up, and sometimes it does not.
            if random.one_in(50) || figures.ring_full != 0 && random.one_in(10) {
                let most = random.below(80);
                bench.drain(most, &mut frames);
            }
        }
        bench.drain(usize::MAX, &mut frames);
        assert!(frames.is_empty());
        bench.check_order();
        assert_eq!(
            bench.used.len(),
            chunks,
            "a ring that is full uses all of it"
        );
        assert!(full > 100, "the ring was full {full} times");
        assert!(bytes > 50 * CHUNK_LEN, "{bytes} bytes went through");
    }

    /// What the reader gave back is used again, and the rest of the ring is not touched; not even when all of it
    /// was in use before.
    #[test]
    fn a_reader_that_keeps_up_keeps_the_ring_in_few_chunks() {
        let mut bench = Bench::new(32);
        let per_chunk = CHUNK_LEN / 9000;
        let mut frames = VecDeque::new();
        for (lag, most) in [
            (per_chunk, 3),
            (2 * per_chunk, 4),
            (40 * per_chunk, 32),
            (per_chunk, 6),
        ] {
            bench.drain(usize::MAX, &mut frames);
            bench.used.clear();
            for number in 0..40 * per_chunk {
                let frame = vec![number as u8; 8960];
                if bench.run(&frame).ring_full == 0 {
                    frames.push_back(frame);
                }
                if frames.len() > lag {
                    bench.drain(lag / 2, &mut frames);
                }
            }
            assert!(bench.used.len() <= most, "{:?}", bench.used);
            bench.check_order();
        }
    }

    #[test]
    fn an_empty_ring_has_room_for_the_longest_record_wherever_it_ends() {
        let mut bench = Bench::new(2);
        let long = vec![1; 65_000];
        let step = vec![2; 4072];
        for _ in 0..3 * CHUNK_LEN / 4096 {
            for frame in [&step, &long] {
                let figures = bench.run(frame);
                assert_eq!((figures.ring_full, figures.copy_failed), (0, 0));
                bench.drain(1, &mut VecDeque::from([frame.clone()]));
            }
        }
    }

    /// Where stores are not seen in order the reader waits for programs, but for nobody else who does.
    #[test]
    fn the_reader_does_not_wait_for_whoever_waits_for_programs() {
        let mut bench = Bench::new(2);
        bench.rings.stores_in_order = false;
        let frame = vec![3; 100];
        bench.run(&frame);
        let waiting = bench.kernel.barrier();
        let waiting = waiting.lock();
        let came_back = thread::scope(|scope| {
            let reader = scope.spawn(|| bench.drain(1, &mut VecDeque::from([frame])));
            let came_back = eventually(LIMIT, || reader.is_finished());
            drop(waiting);
            came_back
        });
        assert!(came_back);
    }
}
