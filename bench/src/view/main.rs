//! `cargo xtask bench view`: how long somebody waits who looks at the packets of a large file. This program is its own
//! inspector, as the agent is, so that the process, its confinement and its answers are measured too. The file is that of
//! `bench analyze`, read from the page cache.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio, exit},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use capture_bench::{
    machine::Machine,
    median::median,
    table::{self, number},
    target::Target,
};
use capture_inspector::{
    process::{Inspector, Limits, serve_if_asked},
    view::{Question, ViewRequest},
};
use clap::Parser;
use serde_json::Value;

/// A filter that passes a part of the mixture.
const FILTER: &str = "tcp.port == 443 and tcp.flags.syn == 1";

/// Places that are jumped to.
const JUMPS: u64 = 50;

/// Rows of a screen.
const ROWS: u32 = 100;

/// Measures the view of the packets of a large file.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the file goes: 700 bytes a packet
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    /// Packets of the file
    #[arg(long, value_name = "COUNT", default_value_t = 5_000_000)]
    packets: u64,
    /// Rounds, each with an inspector of its own
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seed of the traffic
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Also the same filter by tshark, once
    #[arg(long)]
    tshark: bool,
}

fn main() -> ExitCode {
    if let Some(is_well) = serve_if_asked() {
        exit(i32::from(!is_well));
    }
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    fs::create_dir_all(&arguments.directory)?;
    let directory = tempfile::tempdir_in(&arguments.directory)?;
    let path = directory.path().join("mixture.pcap");
    let maker = env::current_exe()?.with_file_name("bench-analyze");
    let made = Command::new(&maker)
        .arg("--make")
        .arg(&path)
        .args(["--seed", &arguments.seed.to_string()])
        .args(["--packets", &arguments.packets.to_string()])
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", maker.display()))?;
    ensure!(made.success(), "the file was not made");
    // Into the page cache.
    let bytes = std::io::copy(&mut fs::File::open(&path)?, &mut std::io::sink())?;
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds {
        rounds.push(Round::measure(&path)?);
    }
    let packets = rounds.first().map_or(0, |round| round.packets);
    println!("{}\n", Machine::here());
    println!("{packets} packets, {bytes} bytes\n");
    let targets = print(&rounds);
    let peak = rounds.iter().map(|round| round.peak).max().unwrap_or(0);
    println!("\nmost memory of a process: {} MiB", peak >> 10);
    if arguments.tshark {
        println!("{FILTER:?} by tshark: {} s", number(tshark(&path)?, 1));
    }
    table::print_targets(&targets);
    Ok(())
}

/// Prints what was measured, and gives what is to be reached.
fn print(rounds: &[Round]) -> Vec<Target> {
    let of = |name: &str, value: fn(&Round) -> Option<f64>| {
        (name.to_owned(), median(rounds.iter().filter_map(value)))
    };
    let rows = [
        of("first rows, with the start of the process", |r| {
            Some(r.first)
        }),
        of("index of the file", |r| Some(r.indexed)),
        of("last rows", |r| Some(r.end)),
        of("rows anywhere, median", |r| median(r.jumps.iter().copied())),
        of("rows anywhere, longest", |r| {
            r.jumps.iter().copied().reduce(f64::max)
        }),
        of("all of a packet anywhere, longest", |r| {
            r.details.iter().copied().reduce(f64::max)
        }),
        of("first answer of a filter", |r| Some(r.filter_first)),
        of("a filter over all", |r| Some(r.filtered)),
        of("last rows that pass", |r| Some(r.filtered_end)),
        of("processor time of the index", |r| Some(r.index_cpu * 1e3)),
        of("processor time of the filter", |r| Some(r.filter_cpu * 1e3)),
    ];
    let mut shown = table::table(&["what", "ms"]);
    for (name, value) in &rows {
        shown.add_row([
            name.clone(),
            value.map_or("–".to_owned(), |ms| number(ms, 1)),
        ]);
    }
    println!("{shown}");
    vec![
        Target::at_most(rows[0].0.clone(), rows[0].1, [300.0, 100.0], "ms"),
        Target::at_most(rows[2].0.clone(), rows[2].1, [100.0, 20.0], "ms"),
        Target::at_most(rows[4].0.clone(), rows[4].1, [100.0, 20.0], "ms"),
    ]
}

/// Milliseconds that answers took.
struct Round {
    packets: u64,
    first: f64,
    indexed: f64,
    end: f64,
    jumps: Vec<f64>,
    details: Vec<f64>,
    filter_first: f64,
    filtered: f64,
    filtered_end: f64,
    /// Seconds of processor time of the process for the index, and for a filter over all.
    index_cpu: f64,
    filter_cpu: f64,
    /// Most memory of the process, in KiB.
    peak: u64,
}

impl Round {
    fn measure(path: &Path) -> Result<Self> {
        let file = fs::File::open(path)?;
        let began = Instant::now();
        let mut inspector = Inspector::start(&Limits {
            processor: None,
            ..Limits::default()
        })?;
        inspector.show(0, &file, false)?;
        let answer = rows(&mut inspector, "", 0)?;
        let first = ms(began);
        ensure!(
            answer["rows"].as_array().map(Vec::len) == Some(ROWS as usize),
            "{ROWS} rows"
        );
        let indexed = until_complete(&mut inspector, "")?;
        let index_cpu = cpu()?;
        let began = Instant::now();
        let answer = rows(&mut inspector, "", -i64::from(ROWS))?;
        let end = ms(began);
        let packets = answer["packets"].as_u64().context("packets")?;
        let (mut jumps, mut details) = (Vec::new(), Vec::new());
        for jump in 0..JUMPS {
            // Far from the last one.
            let place = jump * 7_919 * 104_729 % packets;
            let began = Instant::now();
            rows(&mut inspector, "", place as i64)?;
            jumps.push(ms(began));
            let began = Instant::now();
            ask(&mut inspector, "", Question::Packet(place + 1))?;
            details.push(ms(began));
        }
        let (before, began) = (cpu()?, Instant::now());
        rows(&mut inspector, FILTER, 0)?;
        let filter_first = ms(began);
        let filtered = filter_first + until_complete(&mut inspector, FILTER)?;
        let filter_cpu = cpu()? - before;
        let began = Instant::now();
        rows(&mut inspector, FILTER, -i64::from(ROWS))?;
        Ok(Self {
            packets,
            first,
            indexed,
            end,
            jumps,
            details,
            filter_first,
            filtered,
            filtered_end: ms(began),
            index_cpu,
            filter_cpu,
            peak: peak()?,
        })
    }
}

/// The process that this one has started: the one there is.
fn child() -> Result<String> {
    let id = std::process::id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    Ok(children.trim().to_owned())
}

/// Seconds of processor time that the inspector has taken.
fn cpu() -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child()?))?;
    let behind_name = stat.rsplit(") ").next().context("a name")?;
    let mut fields = behind_name.split(' ').skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<f64>().ok());
    let (user, system) = ticks().zip(ticks()).context("times")?;
    // USER_HZ, which is 100 on every architecture.
    Ok((user + system) / 100.0)
}

/// Most memory that it had, in KiB.
fn peak() -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child()?))?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    peak.context("its memory")
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Asks as a page does until all was looked at.
fn until_complete(inspector: &mut Inspector, filter: &str) -> Result<f64> {
    let began = Instant::now();
    while rows(inspector, filter, -1)?["complete"] != true {
        sleep(Duration::from_millis(20));
    }
    Ok(ms(began))
}

fn rows(inspector: &mut Inspector, filter: &str, from: i64) -> Result<Value> {
    let question = Question::Rows {
        from,
        limit: ROWS,
        columns: Vec::new(),
    };
    ask(inspector, filter, question)
}

fn ask(inspector: &mut Inspector, filter: &str, question: Question) -> Result<Value> {
    let request = ViewRequest {
        file: None,
        filter: filter.to_owned(),
        question,
    };
    let answer = inspector.view(request)?;
    let answer = answer.map_err(|fault| anyhow!("{fault:?}"))?;
    Ok(serde_json::from_str(answer.get())?)
}

/// Seconds that tshark takes for the packets that pass the filter.
fn tshark(path: &Path) -> Result<f64> {
    let began = Instant::now();
    let ran = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(path)
        .args(["-Y", FILTER, "-T", "fields", "-e", "frame.number"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot start tshark")?;
    ensure!(ran.success(), "tshark failed");
    Ok(began.elapsed().as_secs_f64())
}
