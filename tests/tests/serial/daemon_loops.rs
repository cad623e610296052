//! Tasks of the daemon that come and go by the hundred, started and stopped and deleted over HTTP: no descriptor,
//! thread, program, map, link or file is left behind. `CAPTURE_TEST_DAEMON_ROUNDS` says how many. And an end
//! while sixty-four run: all are whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};
use capture_tests::{
    TIMEOUT, count_from_env,
    daemon::{self, Daemon, names},
    eventually,
    netns::{HOST_IF, Lab},
    traffic,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::one_at_a_time;

/// The kinds of the tasks that come and go: on a hook of their own kind, with files of their own number.
fn task(number: usize) -> Value {
    let mut task = json!({"name": format!("round {number}"), "interfaces": [HOST_IF]});
    match number % 4 {
        0 => {}
        1 => task["hook"] = json!("xdp-generic"),
        2 => task["interfaces"] = json!(["any"]),
        _ => task["rotate"] = json!({"bytes": 65_536}),
    }
    task
}

/// What a daemon holds, by kind; BPF objects of its descriptors by their IDs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    descriptors: BTreeMap<String, usize>,
    objects: BTreeMap<&'static str, BTreeSet<u32>>,
}

impl Held {
    fn by(daemon: &Daemon) -> Self {
        let mut held = Self::default();
        let process = Path::new("/proc").join(daemon.pid().to_string());
        let descriptors = fs::read_dir(process.join("fd")).expect("the daemon runs");
        for entry in descriptors.flatten() {
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            let target = target.to_string_lossy().into_owned();
            // Sockets and pipes have numbers of their own.
            let kind = target.split(":[").next().unwrap_or_default().to_owned();
            *held.descriptors.entry(kind).or_default() += 1;
            let info = fs::read_to_string(process.join("fdinfo").join(entry.file_name()));
            for line in info.unwrap_or_default().lines() {
                for kind in ["map_id", "prog_id", "link_id"] {
                    let id = line
                        .strip_prefix(kind)
                        .and_then(|rest| rest.strip_prefix(':'));
                    if let Some(id) = id.and_then(|id| id.trim().parse().ok()) {
                        held.objects.entry(kind).or_default().insert(id);
                    }
                }
            }
        }
        held
    }

    fn counts(&self) -> (BTreeMap<String, usize>, BTreeMap<&'static str, usize>) {
        let objects = self.objects.iter().map(|(kind, ids)| (*kind, ids.len()));
        (self.descriptors.clone(), objects.collect())
    }

    /// Of its objects, those that the kernel has.
    fn in_kernel(&self) -> BTreeSet<(&'static str, u32)> {
        // An object that goes during the walk is an error there, and no object.
        let maps = loaded_maps().flatten().map(|map| ("map_id", map.id()));
        let programs = loaded_programs().flatten().map(|one| ("prog_id", one.id()));
        let links = loaded_links().flatten().map(|link| ("link_id", link.id()));
        let all = maps.chain(programs).chain(links);
        all.filter(|(kind, id)| self.objects.get(kind).is_some_and(|ids| ids.contains(id)))
            .collect()
    }

    fn merge(&mut self, other: Self) {
        for (kind, ids) in other.objects {
            self.objects.entry(kind).or_default().extend(ids);
        }
    }
}

/// What is attached, but for the queueing discipline that stays with the interface.
fn attachments(lab: &Lab) -> Vec<String> {
    let mut attachments = lab.host.attachments();
    attachments.retain(|line| !line.contains("clsact"));
    attachments
}

#[test]
fn tasks_that_come_and_go_leave_nothing() {
    let _guard = one_at_a_time();
    let rounds = count_from_env("CAPTURE_TEST_DAEMON_ROUNDS", 40);
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let round = |number: usize| {
        let id = daemon.run(task(number));
        // Some end with a file, some are taken down while they run.
        let forced = number.is_multiple_of(3);
        if !forced {
            // Enough for several files.
            let packets = if number % 4 == 3 { 600 } else { 20 };
            traffic::send_to_host(&lab, 0..packets, 300);
            daemon.captured(&id, packets.into());
            daemon.stop_task(&id);
        }
        let path = format!("/tasks/{id}?force={forced}");
        daemon.ask("DELETE", &path, None).expect(204);
    };
    // What stays for good comes with the first of each kind.
    (0..12).for_each(round);
    // Connections end after their answers: what is held is what two looks find.
    let look = || (Held::by(&daemon).counts(), attachments(&lab));
    let mut before = look();
    let settled = eventually(TIMEOUT, || {
        std::thread::sleep(Duration::from_millis(300));
        let earlier = std::mem::replace(&mut before, look());
        earlier == before
    });
    assert!(settled, "{before:#?}");
    let (threads, memory) = (daemon.status("Threads"), daemon.status("VmRSS"));
    let mut seen = Held::by(&daemon);
    let began = Instant::now();
    for number in 0..rounds {
        round(number);
        if number % 50 == 0 {
            seen.merge(Held::by(&daemon));
        }
    }
    println!("{rounds} rounds in {:?}", began.elapsed());
    let same = eventually(TIMEOUT, || look() == before);
    assert!(same, "{:#?}, and before: {before:#?}", look());
    // Threads that wait for work come and go.
    let more = daemon.status("Threads").saturating_sub(threads);
    let grown = daemon.status("VmRSS").saturating_sub(memory);
    println!("{more} more threads, {grown} KiB more memory");
    assert!(more < 16, "{more} more threads");
    assert!(grown < 64 << 10, "{grown} KiB more memory");
    assert_eq!(names(&daemon.home().path().join("captures")), [".lock"]);
    assert_eq!(daemon.ask("GET", "/tasks", None).json()["tasks"], json!([]));
    daemon.stop();
    let gone = eventually(TIMEOUT, || seen.in_kernel().is_empty());
    assert!(gone, "{:?}", seen.in_kernel());
    assert_eq!(attachments(&lab), [""; 0]);
}

#[test]
fn an_end_while_sixty_four_run_finishes_them_all() {
    let _guard = one_at_a_time();
    let lab = Lab::new();
    let home = daemon::home(daemon::UNLIMITED);
    let daemon = daemon::start_in(&lab.host, &home);
    let ids: Vec<_> = (0..64)
        .map(|number| {
            let mut task = json!({"interfaces": [HOST_IF], "protocol": "udp", "duration": "10m"});
            if number % 2 == 1 {
                task["format"] = json!("pcap");
            }
            daemon.create(task)
        })
        .collect();
    for id in &ids {
        daemon.reach(id, "running");
    }
    let end = std::thread::scope(|scope| {
        // The end comes in the middle of the traffic.
        let sender = scope.spawn(|| traffic::send_to_host(&lab, 0..5000, 300));
        daemon.captured(&ids[63], 100);
        let began = Instant::now();
        daemon.signal(Signal::SIGTERM);
        let ended = daemon.wait_end();
        println!("ended in {:?}", began.elapsed());
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        sender.join().expect("it sends");
        ended
    });
    assert!(!home.path().join("api.sock").exists(), "{}", end.stderr);
    assert_eq!(attachments(&lab), [""; 0]);
    let daemon = daemon::start_in(&lab.host, &home);
    for id in &ids {
        // The figures and the sidecar are held against the file there.
        let task = daemon.stop_task(id);
        assert_eq!(task["verdict"], "interrupted: 1 gap", "{task}");
        let captured = task["counters"]["captured"].as_u64();
        assert!(captured >= Some(1), "{task}");
    }
    let id = &ids[63];
    let captured = daemon.task(id)["counters"]["captured"].clone();
    assert_eq!(daemon.packets(id).len() as u64, captured);
    daemon.stop();
}
