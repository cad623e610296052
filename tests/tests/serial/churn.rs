//! Tasks that come and go by the hundred on one engine, under sustained traffic, while two stay:
//! those that stay miss nothing, those that come and go get nothing that is not theirs, the figures
//! of each add up, and nothing is left in the kernel or in the process. `CAPTURE_TEST_CHURN` says how
//! many come and go; `CAPTURE_TEST_SEED` repeats or varies a run.
//!
//! The engine runs in this process, so that its descriptors can be counted; no other test may run
//! meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use capture_engine::{Ended, Engine, EngineOptions, TaskHandle};
use capture_file::{EarlierFiles, OutputConfig, Target};
use capture_task::{
    plan::{Plan, RequestOrigin},
    task::{State, StopReason, TaskSpec},
};
use capture_tests::{
    count_from_env, eventually,
    generate::{self, request},
    netns::{HOST_IF, Lab, PEER_IF},
    random::Random,
    readers::plain_packets,
    reference::{Filter, Matcher},
    traffic::{self, number_in},
};
use serde_json::{Value, json};

use super::one_at_a_time;

const CHURN: usize = 500;
/// Those that come and go, at once.
const MOST: usize = 12;
/// Frames a second on the interface of the tasks that stay, half of them numbered.
const RATE: u32 = 5000;
/// Frames a second on the other interface.
const OTHER_RATE: u32 = 1000;
/// Generated frames; they are sent over and over.
const FRAMES: u32 = 600;
/// The interface on which nobody stays, so that hooks come and go too.
const OTHER_IF: &str = "cap1";

/// Descriptors of this process by what they are, and what BPF objects they hold.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    descriptors: BTreeMap<String, usize>,
    objects: BTreeSet<(String, u32)>,
}

impl Held {
    fn now() -> Self {
        let mut held = Self::default();
        for entry in fs::read_dir("/proc/self/fd")
            .expect("proc is mounted")
            .flatten()
        {
            let Ok(target) = fs::read_link(entry.path()) else {
                // The descriptor of this very listing.
                continue;
            };
            let target = target.to_string_lossy().into_owned();
            // Sockets and pipes have numbers, and files names, of their own.
            let kind = match target.split_once(':') {
                Some((kind @ ("socket" | "pipe"), _)) => kind.to_owned(),
                Some(_) => target,
                None => "file".to_owned(),
            };
            *held.descriptors.entry(kind).or_default() += 1;
            let info = Path::new("/proc/self/fdinfo").join(entry.file_name());
            for line in fs::read_to_string(info).unwrap_or_default().lines() {
                if let Some((key @ ("map_id" | "prog_id" | "link_id"), id)) = line.split_once(':') {
                    let id = id.trim().parse().expect("a number");
                    held.objects.insert((key.to_owned(), id));
                }
            }
        }
        held
    }

    /// How many objects of each kind.
    fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for (kind, _) in &self.objects {
            *counts.entry(kind.as_str()).or_default() += 1;
        }
        counts
    }
}

/// All BPF objects of the machine.
fn in_kernel() -> BTreeSet<(String, u32)> {
    // An object that goes during the walk is an error there, and no object.
    let maps = loaded_maps()
        .flatten()
        .map(|map| ("map_id".to_owned(), map.id()));
    let programs = loaded_programs()
        .flatten()
        .map(|program| ("prog_id".to_owned(), program.id()));
    let links = loaded_links()
        .flatten()
        .map(|link| ("link_id".to_owned(), link.id()));
    maps.chain(programs).chain(links).collect()
}

/// A task that comes and goes.
struct ShortTask {
    id: TaskHandle,
    filter: Filter,
    file: PathBuf,
    spec: Value,
}

struct Setup<'a> {
    engine: Engine,
    directory: &'a Path,
    pool: &'a [Vec<u8>],
    number: usize,
}

impl Setup<'_> {
    fn add(&mut self, spec: &Value) -> (TaskHandle, PathBuf) {
        let file = self.directory.join(format!("{}.pcap", self.number));
        self.number += 1;
        let task: TaskSpec = serde_json::from_value(spec.clone()).expect("a request");
        let plan = Plan::resolve(&task, RequestOrigin::Run).expect("a valid task");
        let config = OutputConfig {
            target: Target::File(file.clone()),
            task_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            space: None,
            owner: None,
            earlier: EarlierFiles::default(),
        };
        let id = self
            .engine
            .add(&plan, config)
            .unwrap_or_else(|error| panic!("{spec}: {error}"));
        (id, file)
    }

    fn short_task(&mut self, random: &mut Random) -> ShortTask {
        let filter = generate::filter(random);
        let mut spec = request(&filter);
        spec["format"] = "pcap".into();
        spec["interfaces"] = match random.below(3) {
            0 => json!([HOST_IF]),
            1 => json!([OTHER_IF]),
            _ => json!([HOST_IF, OTHER_IF]),
        };
        if random.one_in(3) {
            spec["direction"] = "ingress".into();
        }
        if random.one_in(4) {
            spec["direction"] = "ingress".into();
            spec["hook"] = "xdp-generic".into();
        }
        if random.one_in(4) {
            spec["max_packets"] = (1 + random.below(50)).into();
        }
        let (id, file) = self.add(&spec);
        ShortTask {
            id,
            filter,
            file,
            spec,
        }
    }

    fn remove(&mut self, id: TaskHandle, spec: &Value) -> Ended {
        let ended = self
            .engine
            .remove(id, StopReason::User)
            .unwrap_or_else(|error| panic!("{spec}: {error}"));
        let counters = ended.counters;
        assert_eq!(counters.matched, counters.accounted(), "{spec}: {ended:?}");
        assert_eq!(counters.dropped.total(), 0, "{spec}: {ended:?}");
        assert_eq!(
            ended.stop_reason.final_state(),
            State::Completed,
            "{spec}: {ended:?}"
        );
        ended
    }

    /// Ends a short_task and judges its file; gives the packets in it.
    fn leave(&mut self, short_task: ShortTask) -> usize {
        let ShortTask {
            id,
            filter,
            file,
            spec,
        } = short_task;
        let ended = self.remove(id, &spec);
        let packets = plain_packets(&file);
        assert_eq!(
            ended.counters.captured,
            packets.len() as u64,
            "{spec}: {ended:?}"
        );
        // The second time the memory of fragmented datagrams is full: more it can never take.
        let mut matcher = Matcher::new(filter);
        let takes = (0..2)
            .flat_map(|_| self.pool)
            .filter(|frame| matcher.takes(frame));
        let takes: HashSet<_> = takes.collect();
        for packet in &packets {
            let is_taken = match number_in(&packet.bytes) {
                Some(number) if packet.bytes == numbered(number) => matcher.takes(&packet.bytes),
                _ => takes.contains(&packet.bytes),
            };
            assert!(is_taken, "{spec}: has {:02x?}", packet.bytes);
        }
        fs::remove_file(&file).expect("it is ours");
        packets.len()
    }
}

/// The frames that the first of the staying tasks wants.
fn numbered(number: u32) -> Vec<u8> {
    let from = "10.9.0.2:40000".parse().expect("an address");
    let to = "10.9.0.1:9".parse().expect("an address");
    traffic::udp_frame(from, to, number, 80)
}

/// What the stack and the limit of tags make differ, as in the differential tests.
fn is_plain(frame: &[u8]) -> bool {
    !matches!([frame[12], frame[13]], [0x81, 0x00] | [0x88, 0xa8])
}

#[test]
fn tasks_come_and_go_under_traffic() {
    let _guard = one_at_a_time();
    let churn = count_from_env("CAPTURE_TEST_CHURN", CHURN);
    let mut random = Random::from_env(500);
    let pool: Vec<_> = (0..FRAMES)
        .map(|number| generate::frame(&mut random, number))
        .filter(|frame| is_plain(frame))
        .collect();
    let directory = tempfile::tempdir().expect("a directory");
    let lab = Lab::new();
    lab.pair(OTHER_IF, "peer1");
    let before = Held::now();
    let stop = AtomicBool::new(false);
    let everything = || {
        (0..)
            .flat_map(|number| [numbered(number), pool[number as usize % pool.len()].clone()])
            .take_while(|_| !stop.load(Ordering::Relaxed))
    };
    let ours = lab.host.within(|| {
        let engine = Engine::start(EngineOptions {
            ring_size: 64 << 20,
        });
        let mut setup = Setup {
            engine: engine.unwrap_or_else(|error| panic!("the engine starts: {error}")),
            directory: directory.path(),
            pool: &pool,
            number: 0,
        };
        let by_number = json!({"interfaces": [HOST_IF], "format": "pcap", "protocol": "udp",
            "ip": "10.9.0.1", "ports": [9], "peer_ip": "10.9.0.0/24"});
        let all = json!({"interfaces": [HOST_IF], "format": "pcap"});
        let staying = [by_number, all].map(|spec| (setup.add(&spec), spec));
        // Programs load when the first hook needs them, and stay.
        let first = json!({"interfaces": [OTHER_IF], "format": "pcap", "hook": "xdp-generic",
            "direction": "ingress"});
        let (id, file) = setup.add(&first);
        setup.remove(id, &first);
        fs::remove_file(file).expect("it is ours");
        let start = Held::now();

        let sent = thread::scope(|scope| {
            let sender = scope.spawn(|| traffic::send(&lab.peer, PEER_IF, RATE, everything()));
            let other = scope.spawn(|| {
                let frames = pool.iter().cycle().cloned();
                let frames = frames.take_while(|_| !stop.load(Ordering::Relaxed));
                traffic::send(&lab.peer, "peer1", OTHER_RATE, frames)
            });
            let begin = Instant::now();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let mut short_tasks = Vec::new();
                let (mut count, mut packets) = (0, 0);
                while count < churn {
                    if short_tasks.len() < MOST && (short_tasks.is_empty() || random.one_in(2)) {
                        short_tasks.push(setup.short_task(&mut random));
                    } else {
                        let at = random.below(short_tasks.len());
                        packets += setup.leave(short_tasks.swap_remove(at));
                        count += 1;
                    }
                }
                for short_task in short_tasks {
                    packets += setup.leave(short_task);
                }
                println!(
                    "{count} came and went in {:?}, with {packets} packets",
                    begin.elapsed()
                );
                packets
            }));
            stop.store(true, Ordering::Relaxed);
            let sent = sender.join().expect("the sender ends");
            other.join().expect("the other sender ends");
            match done {
                Ok(packets) => assert!(packets > 0, "they meet the traffic"),
                Err(panic) => std::panic::resume_unwind(panic),
            }
            sent
        });
        traffic::settle();

        let end = Held::now();
        assert_eq!(
            start.descriptors, end.descriptors,
            "descriptors grew or shrank"
        );
        assert_eq!(start.counts(), end.counts());
        let [
            ((numbers, numbers_file), by_number),
            ((all, all_file), everything_spec),
        ] = staying;
        setup.remove(numbers, &by_number);
        setup.remove(all, &everything_spec);
        let packets = plain_packets(&numbers_file);
        let found = packets.iter().map(|packet| number_in(&packet.bytes));
        assert!(
            found.eq((0..sent.div_ceil(2) as u32).map(Some)),
            "{} of {} numbered packets",
            packets.len(),
            sent.div_ceil(2)
        );
        let packets = plain_packets(&all_file);
        println!("{sent} frames sent, {} captured", packets.len());
        stop.store(false, Ordering::Relaxed);
        let expected = everything().take(sent);
        assert!(
            packets.len() == sent && packets.iter().map(|packet| &packet.bytes[..]).eq(expected),
            "the task that takes everything has {} of {sent} packets",
            packets.len()
        );
        end.objects
    });

    assert_eq!(lab.host.attachments(), Vec::<String>::new());
    // Maps and programs are freed a grace period later.
    let mut left = BTreeSet::new();
    let gone = eventually(Duration::from_secs(5), || {
        left = in_kernel().intersection(&ours).cloned().collect();
        left.is_empty() && Held::now() == before
    });
    assert!(
        gone,
        "left in the kernel: {left:?}\nbefore {before:?}\nafter {:?}",
        Held::now()
    );
    let names: Vec<_> = fs::read_dir(directory.path())
        .expect("it is there")
        .flatten()
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
