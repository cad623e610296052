//! `cargo xtask bench viewers`: a task at 50,000 packets a second while nobody looks at it, while one does, and while 200 do.
//! A page of a task holds a stream of events; one of its packets also a stream of those. Viewers share the sender's CPU.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use capture_bench::{
    median::median,
    table::{number, table},
    target::Target,
};
use capture_tests::netns::PEER_IF;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    case::{Frames, Share, Snap},
    generator::{Amount, Generator, Rate, pin},
    interrupt, lab,
    measure::Bench,
    rounds::Rounds,
    service::{Figures, Service},
};

/// Packets a second.
const RATE: f64 = 50_000.0;
const MANY: usize = 200;
/// For all streams to be there.
const BEGIN: Duration = Duration::from_secs(2);
/// Stack of a thread that reads a stream.
const STACK: usize = 256 << 10;

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Viewers {
    Nobody,
    /// One at the packets.
    One,
    /// At the task.
    ManyTasks,
    /// At the packets, by the same filter.
    ManyPackets,
}

/// Runs of each round.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    rounds: Vec<[Run; Viewers::ALL.len()]>,
}

/// A run. Times are seconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Run {
    seconds: f64,
    received: u64,
    captured: u64,
    lost: u64,
    /// CPU time of the daemon and of the processes that read captures for it.
    cpu: f64,
    /// Bytes that all viewers got.
    got: u64,
    /// The longest time from a packet's capture until a viewer had it or a later one. NaN where nobody looks.
    wait: f64,
}

impl Viewers {
    const ALL: [Self; 4] = [Self::Nobody, Self::One, Self::ManyTasks, Self::ManyPackets];

    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::One => "1 at the packets",
            Self::ManyTasks => "200 at the task",
            Self::ManyPackets => "200 at the packets",
        }
    }
}

impl Results {
    /// Measures so many rounds.
    pub(crate) fn measure(bench: &Bench, rounds: usize) -> Result<Self> {
        let mut results = Self { rounds: Vec::new() };
        for round in 0..rounds {
            eprintln!("viewers: round {} of {rounds}", round + 1);
            let runs = Viewers::ALL.map(|viewers| run(bench, viewers));
            let runs: Vec<Run> = runs.into_iter().collect::<Result<_>>()?;
            let runs = runs.try_into().ok().context("a run for each")?;
            results.rounds.push(runs);
        }
        Ok(results)
    }

    fn of(&self, viewers: Viewers) -> Vec<Run> {
        let at = Viewers::ALL.iter().position(|other| *other == viewers);
        let runs = self.rounds.iter().filter_map(|runs| runs.get(at?));
        runs.copied().collect()
    }
}

impl Rounds for Results {
    fn targets(&self) -> Vec<Target> {
        let [nobody, one, tasks, packets] = Viewers::ALL.map(|viewers| self.of(viewers));
        let more = |many: &[Run], few: &[Run], figure: fn(&Run) -> f64| {
            median(
                many.iter()
                    .zip(few)
                    .map(|(many, few)| figure(many) - figure(few)),
            )
        };
        let lost = |run: &Run| 100.0 * run.lost as f64 / run.received.max(1) as f64;
        let target = |what: &str, measured, bounds, unit| {
            Target::at_most(what.to_owned(), measured, bounds, unit)
        };
        vec![
            target(
                "lost more with a viewer, of all packets",
                more(&one, &nobody, lost),
                [0.0, 0.0],
                "%",
            ),
            target(
                "longest wait for a packet to be shown",
                median(one.iter().map(|run| run.wait)),
                [1.0, 0.6],
                "s",
            ),
            target(
                "200 at the task, of a CPU",
                more(&tasks, &nobody, Run::cpu_percent),
                [5.0, 2.0],
                "%",
            ),
            target(
                "199 more at the packets, of a CPU",
                more(&packets, &one, Run::cpu_percent),
                [5.0, 2.0],
                "%",
            ),
        ]
    }

    fn print(&self) {
        let mut table = table(&[
            "viewers",
            "captured/s k",
            "lost",
            "CPU %",
            "downloaded kB/s",
            "longest wait s",
        ]);
        for viewers in Viewers::ALL {
            let runs = self.of(viewers);
            let of = |figure: fn(&Run) -> f64, decimals| {
                let median = median(runs.iter().map(figure));
                number(median.unwrap_or(f64::NAN), decimals)
            };
            table.add_row([
                viewers.name().to_owned(),
                of(|run| run.captured as f64 / run.seconds / 1e3, 1),
                of(|run| run.lost as f64, 0),
                of(Run::cpu_percent, 1),
                of(|run| run.got as f64 / run.seconds / 1e3, 0),
                of(|run| run.wait, 2),
            ]);
        }
        println!("{table}\n");
    }
}

impl Run {
    /// Of one CPU.
    fn cpu_percent(&self) -> f64 {
        100.0 * self.cpu / self.seconds
    }
}

/// Sends past a daemon of its own, with these viewers.
fn run(bench: &Bench, viewers: Viewers) -> Result<Run> {
    let service = Service::start(bench, Snap::Head, true)?;
    let [sender, _] = bench.cpus;
    let events = "/api/v1/events".to_owned();
    let packets = service.task("/packets?follow=true");
    let (paths, count) = match viewers {
        Viewers::Nobody => (Vec::new(), 0),
        Viewers::One => (vec![events, packets], 1),
        Viewers::ManyTasks => (vec![events], MANY),
        // With the other stream there would be more connections than one account may have.
        Viewers::ManyPackets => (vec![packets], MANY),
    };
    let got = Arc::new(AtomicU64::new(0));
    let mut streams = Vec::new();
    for path in (0..count).flat_map(|_| &paths) {
        streams.push(Stream::open(service.socket(), path, sender, &got)?);
    }
    interrupt::sleep(BEGIN)?;
    let start = service.process.family_cpu()?;
    got.store(0, Relaxed);
    let generator = Generator::new(Frames::Small, Share::All, Rate::Set(RATE))?;
    let amount = Amount {
        time: bench.time,
        frames: u64::MAX,
    };
    let before = lab::received(&bench.lab)?;
    // What the sender says leaves out the time in which others had its CPU.
    let started = Instant::now();
    generator.send(&bench.lab.peer, PEER_IF, sender, amount)?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = service.process.family_cpu()? - start;
    let got = got.load(Relaxed);
    let received = lab::received(&bench.lab)?.since(before).packets;
    let mut wait = f64::NAN;
    for stream in streams {
        wait = wait.max(stream.close()?);
    }
    let Figures { captured, lost } = service.end()?;
    Ok(Run {
        seconds,
        received,
        captured,
        lost,
        cpu,
        got,
        wait,
    })
}

/// A stream of events, read as it comes.
struct Stream {
    connection: UnixStream,
    reader: JoinHandle<Result<f64>>,
}

impl Stream {
    fn open(socket: &Path, path: &str, cpu: usize, got: &Arc<AtomicU64>) -> Result<Self> {
        let mut connection = UnixStream::connect(socket).context("the API")?;
        write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let (stream, got) = (connection.try_clone()?, Arc::clone(got));
        let reader = thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || {
                pin(cpu)?;
                read(stream, &got)
            })
            .context("a thread for a viewer")?;
        Ok(Self { connection, reader })
    }

    /// Ends it, and gives the longest wait.
    fn close(self) -> Result<f64> {
        let _ = self.connection.shutdown(Shutdown::Both);
        let read = self.reader.join();
        read.unwrap_or_else(|_| Err(anyhow::anyhow!("a viewer panicked")))
    }
}

/// Reads until the end, and gives the longest wait for a packet. The chunks of HTTP/1.1 end within lines nowhere but
/// between the parts of an event, and their sizes are lines of their own.
fn read(stream: impl Read, got: &AtomicU64) -> Result<f64> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    ensure!(line.starts_with("HTTP/1.1 200"), "a viewer got {line}");
    let (mut wait, mut last) = (f64::NAN, None::<Timestamp>);
    loop {
        line.clear();
        let length = lines.read_line(&mut line)?;
        if length == 0 {
            return Ok(wait);
        }
        got.fetch_add(length as u64, Relaxed);
        let Some(newest) = newest(&line) else {
            continue;
        };
        // A packet right behind the last that was shown has waited for all this time.
        if let Some(shown) = last {
            let now = Timestamp::now();
            wait = wait.max(now.duration_since(shown).as_secs_f64());
        }
        last = Some(newest);
    }
}

/// The time of the newest packet, where a line has packets.
fn newest(line: &str) -> Option<Timestamp> {
    if !line.starts_with('{') {
        return None;
    }
    let answer: Value = serde_json::from_str(line).ok()?;
    let row = answer["rows"].as_array()?.last()?;
    row["time"].as_str()?.parse().ok()
}
