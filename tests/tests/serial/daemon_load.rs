//! Sixty-four tasks at once over real traffic, while a hundred clients list, watch and download: every packet
//! is in a file or counted, answers stay quick, and memory bounded. `CAPTURE_TEST_DAEMON_LOAD` says how many
//! seconds; the figures are printed, and asserted only within bounds that a busy machine keeps.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use capture_tests::{
    count_from_env,
    daemon::{self, Daemon},
    http,
    netns::{HOST_IF, Lab, PEER_IF},
    readers, traffic,
};
use serde_json::{Value, json};

use super::one_at_a_time;

const TASKS: u16 = 64;
/// The first port that a task takes.
const PORT: u16 = 10_000;
/// Frames a second; each is for one task, and for the two that take all.
const RATE: u32 = 10_000;
/// Clients that list and look at tasks, that watch events, and that download what there is.
const LISTERS: usize = 60;
const WATCHERS: usize = 20;
const LOADERS: usize = 20;
/// How long a client thinks between two calls.
const PAUSE: Duration = Duration::from_millis(500);

/// Times of answers, by the kind of call.
type Times = Vec<(&'static str, Duration)>;

fn task(number: u16) -> Value {
    let mut task = json!({"name": format!("task {number}"), "interfaces": [HOST_IF], "protocol": "udp",
        "duration": "10m", "max_file_bytes": "1GiB"});
    if number >= 2 {
        task["ports"] = json!([PORT + number]);
    }
    task
}

/// Asks as a command would: a connection for each call.
fn get(socket: &Path, kind: &'static str, target: &str, times: &mut Times) -> http::Answer {
    let began = Instant::now();
    let answer = http::ask(socket, "GET", target, &[], b"");
    times.push((kind, began.elapsed()));
    let answer = answer.unwrap_or_else(|error| panic!("GET {target}: {error}"));
    assert!(answer.status < 500, "{target}: {}", answer.text());
    answer
}

fn list(socket: &Path, ids: &[String], client: usize, done: &AtomicBool) -> Times {
    let mut times = Vec::new();
    let mut turn = client;
    // Not all at the same moment.
    thread::sleep(PAUSE * (client as u32) / (LISTERS as u32));
    while !done.load(Ordering::Relaxed) {
        let id = &ids[turn % ids.len()];
        turn += 1;
        get(socket, "list", "/api/v1/tasks?limit=20", &mut times).expect(200);
        let target = format!("/api/v1/tasks/{id}");
        let task = get(socket, "show", &target, &mut times).expect(200).json();
        assert_eq!(task["state"], "running", "{task}");
        let other = ["/api/v1/quota", "/healthz", "/readyz", "/api/v1/interfaces"];
        get(socket, "other", other[turn % other.len()], &mut times).expect(200);
        thread::sleep(PAUSE);
    }
    times
}

/// Listens to events until it is over; gives their number.
fn watch(socket: &Path, done: &AtomicBool) -> usize {
    let mut stream = UnixStream::connect(socket).expect("connected");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a limit");
    let request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).expect("sent");
    let mut events = 0;
    for line in BufReader::new(stream).lines() {
        let line = line.expect("an event in time");
        assert!(!line.contains("lagged"), "{line}");
        events += usize::from(line.starts_with("event: "));
        if done.load(Ordering::Relaxed) {
            break;
        }
    }
    events
}

/// Downloads what there is, over and over; what was there before does not change.
fn load(socket: &Path, ids: &[String], client: usize, done: &AtomicBool, bytes: &AtomicUsize) {
    let mut turn = client;
    let mut before: Vec<u8> = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let target = format!("/api/v1/tasks/{}/files/0", ids[turn % ids.len()]);
        let file = get(socket, "download", &target, &mut Vec::new()).expect(200);
        bytes.fetch_add(file.body.len(), Ordering::Relaxed);
        assert!(file.body.starts_with(&before), "{target} has changed");
        before = file.body;
        // Every other time the next one.
        if turn % 2 == 1 {
            before.clear();
        }
        turn += turn % 2 + if turn % 2 == 1 { 1 } else { 0 };
        thread::sleep(PAUSE);
    }
}

fn quantile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part) as usize]
}

fn report(times: &Times) -> Duration {
    let mut all: Vec<_> = times.iter().map(|(_, time)| *time).collect();
    for kind in ["list", "show", "other"] {
        let of_kind = times.iter().filter(|(other, _)| *other == kind);
        let mut of_kind: Vec<_> = of_kind.map(|(_, time)| *time).collect();
        let [middle, late] = [0.5, 0.99].map(|part| quantile(&mut of_kind, part));
        println!(
            "{kind}: {} answers, median {middle:?}, p99 {late:?}",
            of_kind.len()
        );
    }
    let [middle, late, last] = [0.5, 0.99, 1.0].map(|part| quantile(&mut all, part));
    println!(
        "all: {} answers, median {middle:?}, p99 {late:?}, most {last:?}",
        all.len()
    );
    late
}

/// What a task has, and what was sent to it.
fn assert_accounted(daemon: &Daemon, id: &str, sent: u64) -> u64 {
    // That the figures add up is checked there.
    let task = daemon.stop_task(id);
    let counters = &task["counters"];
    assert_eq!(counters["matched"], sent, "{task}");
    let captured = counters["captured"].as_u64().expect("a number");
    let files = task["files"].as_array().expect("files");
    let path = daemon
        .captures(id)
        .join(files[0]["name"].as_str().expect("a name"));
    assert_eq!(readers::packet_count(&path), captured, "{task}");
    let verdict = match sent - captured {
        0 => "complete".to_owned(),
        lost => format!("lost {lost} of {sent}"),
    };
    assert_eq!(task["verdict"], verdict, "{task}");
    sent - captured
}

#[test]
fn sixty_four_tasks_and_a_hundred_clients() {
    let _guard = one_at_a_time();
    let seconds = count_from_env("CAPTURE_TEST_DAEMON_LOAD", 4) as u32;
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let ids: Vec<_> = (0..TASKS)
        .map(|number| daemon.create(task(number)))
        .collect();
    for id in &ids {
        daemon.reach(id, "running");
    }
    let frames = seconds * RATE;
    let (done, bytes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let socket = daemon.socket();
    let (mut times, mut events) = (Vec::new(), 0);
    thread::scope(|scope| {
        let (socket, ids, done, bytes) = (&socket, &ids, &done, &bytes);
        let watchers: Vec<_> = (0..WATCHERS)
            .map(|_| scope.spawn(move || watch(socket, done)))
            .collect();
        let listers: Vec<_> = (0..LISTERS)
            .map(|client| scope.spawn(move || list(socket, ids, client, done)))
            .collect();
        for client in 0..LOADERS {
            scope.spawn(move || load(socket, ids, client, done, bytes));
        }
        let from = "10.0.0.2:4000".parse().expect("an address");
        let frames = (0..frames).map(|number| {
            let port = PORT + 2 + (number % u32::from(TASKS - 2)) as u16;
            let to = std::net::SocketAddr::from(([10, 0, 0, 1], port));
            traffic::udp_frame(from, to, number, 200)
        });
        traffic::send(&lab.peer, PEER_IF, RATE, frames);
        done.store(true, Ordering::Relaxed);
        for lister in listers {
            times.extend(lister.join().expect("it is answered"));
        }
        for watcher in watchers {
            events += watcher.join().expect("it hears");
        }
    });
    let late = report(&times);
    let (resident, most) = (daemon.status("VmRSS"), daemon.status("VmHWM"));
    println!(
        "{events} events, {} MiB downloaded; resident {} MiB, at most {} MiB",
        bytes.load(Ordering::Relaxed) >> 20,
        resident >> 10,
        most >> 10
    );
    let lost: u64 = ids
        .iter()
        .enumerate()
        .map(|(index, id)| {
            let others = u32::from(TASKS - 2);
            let sent = match index.checked_sub(2) {
                None => frames,
                Some(index) => frames / others + u32::from((index as u32) < frames % others),
            };
            assert_accounted(&daemon, id, sent.into())
        })
        .sum();
    println!(
        "{} packets for {TASKS} tasks, {lost} lost and counted",
        3 * frames
    );
    assert!(events >= WATCHERS * seconds as usize / 2, "{events} events");
    assert!(late < Duration::from_secs(2), "{late:?}");
    assert!(most < 1 << 20, "{most} KiB");
    daemon.stop();
}
