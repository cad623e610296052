//! Sixty-four tasks with different filters over one mixture of traffic, against tcpdump: a single
//! tcpdump captures everything beside the agent, and what it then reads from its file by each task's
//! filter expression is what the task's file holds, packet for packet. `CAPTURE_TEST_SECONDS` makes
//! the run longer, `CAPTURE_TEST_SEED` repeats or varies it.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use capture_task::{
    plan::{Plan, RequestOrigin},
    task::TaskSpec,
};
use capture_tests::{
    agent,
    generate::{self, is_common_ground, request},
    netns::{HOST_IF, Lab, PEER_IF},
    peer_tools::Tool,
    random::Random,
    readers::{self, plain_packets},
    reference::read,
    traffic,
};
use serde_json::{Value, json};

use super::one_at_a_time;

const TASKS: usize = 64;
const SECONDS: u64 = 8;
/// Frames a second.
const RATE: u32 = 4000;
/// Different frames; they are sent over and over.
const FRAMES: u32 = 3000;

/// tcpdump's snap length for whole packets.
const WHOLE: &str = "0";

/// Tasks whose expressions all differ, as JSON, and the expressions.
fn tasks(random: &mut Random) -> (Vec<Value>, Vec<String>) {
    let (mut tasks, mut expressions) = (Vec::new(), Vec::new());
    let mut known = HashSet::new();
    while tasks.len() < TASKS {
        let mut task = request(&generate::plain_filter(random));
        task["interfaces"] = json!([HOST_IF]);
        let spec: TaskSpec = serde_json::from_value(task.clone()).expect("a request");
        let Ok(plan) = Plan::resolve(&spec, RequestOrigin::Run) else {
            continue;
        };
        let expression = plan.filter.to_string();
        if known.insert(expression.clone()) {
            task["write"] = format!("{}.pcap", tasks.len()).into();
            tasks.push(task);
            expressions.push(expression);
        }
    }
    (tasks, expressions)
}

#[test]
fn sixty_four_tasks_against_tcpdump() {
    let _guard = one_at_a_time();
    let seconds = std::env::var("CAPTURE_TEST_SECONDS").map_or(SECONDS, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("CAPTURE_TEST_SECONDS={text} is not a number"))
    });
    let mut random = Random::from_env(64);
    let frames: Vec<_> = (0..FRAMES)
        .map(|number| generate::whole_frame(&mut random, number))
        .filter(|frame| is_common_ground(frame) && !read(frame).malformed)
        .collect();
    let (tasks, expressions) = tasks(&mut random);

    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tasks.json");
    fs::write(&file, json!(tasks).to_string()).expect("it can be written");
    let lab = Lab::new();
    let mut tcpdump = Tool::tcpdump(&lab.host, HOST_IF, WHOLE, "");
    let file = file.to_str().expect("a plain path");
    let running = agent::capture(&lab.host, &["--tasks", file]);

    let end = Instant::now() + Duration::from_secs(seconds);
    let mixture = frames.iter().cycle().take_while(|_| Instant::now() < end);
    let sent = traffic::send(&lab.peer, PEER_IF, RATE, mixture.cloned());
    let ended = running.stop().expect_code(0);
    tcpdump.finish();
    let everything = tcpdump.file();
    assert_eq!(plain_packets(&everything).len(), sent);

    ended.files();
    let mut all = 0;
    for (number, (record, expression)) in ended.records().iter().zip(&expressions).enumerate() {
        assert_eq!(record["verdict"], "complete", "{record}");
        let name = format!("{number}.pcap");
        let taken = plain_packets(&ended.directory.path().join(&name));
        let expected = by_expression(&everything, expression, &directory.path().join(&name));
        println!("{}: {expression}", expected.len());
        for (at, (taken, expected)) in taken.iter().zip(&expected).enumerate() {
            assert!(
                taken.bytes == expected.bytes && taken.original_len == expected.original_len,
                "{expression}: packet {at} differs\ntaken    {:02x?}\n  {:?}\nexpected {:02x?}\n  {:?}",
                taken.bytes,
                read(&taken.bytes),
                expected.bytes,
                read(&expected.bytes),
            );
        }
        assert_eq!(taken.len(), expected.len(), "{expression}");
        all += taken.len();
    }
    println!("{sent} frames sent, {all} packets in {TASKS} files");
    assert!(all > sent, "the filters meet the traffic");
}

fn by_expression(everything: &Path, expression: &str, to: &Path) -> Vec<readers::Packet> {
    readers::tcpdump_filter(everything, expression, to);
    plain_packets(to)
}
