//! `cargo xtask bench capture`: whole captures against other tools and against no capture, on this
//! machine, from outside as a user drives them. One CPU sends and receives, another captures.
//!
//! `case` and `scenarios` are what is measured, `tool` with what, `measure` a run, `series` the rounds,
//! `targets`, `cases` and `chart` what comes out. `live`, `viewers` and `start` are benchmarks of their own, `cargo xtask bench live` and so on;
//! `service` is the daemon of the first two.

mod args;
mod case;
mod cases;
mod chart;
mod generator;
mod interrupt;
mod lab;
mod live;
mod measure;
mod process;
mod reported_stats;
mod rounds;
mod scenarios;
mod series;
mod service;
mod start;
mod targets;
mod tool;
mod viewers;

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use capture_bench::{machine::Machine, table, target::Target};
use clap::Parser as _;
use serde_json::json;

use crate::{
    args::{Arguments, Part, Plan},
    measure::Bench,
    rounds::Rounds,
    series::Results,
    targets::targets,
    tool::Tool,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match bench(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    interrupt::watch()?;
    let plan = arguments.plan();
    fs::create_dir_all(&arguments.directory)
        .with_context(|| format!("cannot make {}", arguments.directory.display()))?;
    measure::check_space(&arguments.directory)?;
    let bench = Bench {
        agent: fs::canonicalize(&arguments.agent)
            .with_context(|| format!("no agent {}", arguments.agent.display()))?,
        directory: tempfile::tempdir_in(&arguments.directory)?,
        cpus: generator::two_cpus()?,
        time: plan.time,
        lab: lab::make(),
    };
    let started = jiff::Timestamp::now();
    let (run, rounds) = (
        Run {
            arguments,
            bench: &bench,
            plan: &plan,
            started,
        },
        plan.rounds,
    );
    match arguments.part {
        None => {}
        Some(Part::Live) => return run.report(&live::Live::measure(&bench, rounds)?),
        Some(Part::Viewers) => return run.report(&viewers::Results::measure(&bench, rounds)?),
        Some(Part::Start) => return run.report(&start::Starts::measure(&bench, rounds)?),
    }
    let results = measure_all(&bench, &plan)?;
    let targets = targets(&results);
    let machine = Machine::here();

    println!("{machine}\n");
    cases::print_cases(&results);
    table::print_targets(&targets);
    if let Some(path) = &arguments.svg {
        write(path, &chart::svg(&results, &machine))?;
    }
    if let Some(path) = &arguments.json {
        let versions = versions(&bench.agent, &plan.tools);
        let document = json!({
            "date": started.to_string(),
            "machine": machine,
            "versions": versions,
            "rounds": plan.rounds,
            "seconds": plan.time.as_secs_f64(),
            "cpus": {"sender": bench.cpus[0], "capture": bench.cpus[1]},
            "cases": results.series.iter().map(medians).collect::<Vec<_>>(),
            "left_out": results.left_out,
            "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
        });
        write(path, &(serde_json::to_string_pretty(&document)? + "\n"))?;
    }
    Ok(())
}

/// What was asked for, where and when.
struct Run<'a> {
    arguments: &'a Arguments,
    bench: &'a Bench,
    plan: &'a Plan,
    started: jiff::Timestamp,
}

impl Run<'_> {
    /// Says what came of a benchmark of its own.
    fn report(&self, rounds: &impl Rounds) -> Result<()> {
        let Self {
            arguments,
            bench,
            plan,
            started,
        } = self;
        let targets = rounds.targets();
        let machine = Machine::here();
        println!("{machine}\n");
        rounds.print();
        table::print_targets(&targets);
        if let Some(path) = &arguments.json {
            let document = json!({
                "date": started.to_string(),
                "machine": machine,
                "seconds": plan.time.as_secs_f64(),
                "cpus": {"sender": bench.cpus[0], "capture": bench.cpus[1]},
                "rounds": rounds,
                "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
            });
            write(path, &(serde_json::to_string_pretty(&document)? + "\n"))?;
        }
        Ok(())
    }
}

fn measure_all(bench: &Bench, plan: &Plan) -> Result<Results> {
    let mut results = Results::default();
    let mut tools = Vec::new();
    for tool in &plan.tools {
        if tool.is_there(&bench.agent) {
            tools.push(*tool);
        } else {
            results.leave_out("all cases", *tool, "it is not installed".to_owned());
        }
    }
    for case in &plan.cases {
        let name = case.to_string();
        let mut able = Vec::new();
        for tool in &tools {
            match tool.refuses(case.share, case.snap, case.sink) {
                Some(reason) => results.leave_out(&name, *tool, reason.to_owned()),
                None => able.push(*tool),
            }
        }
        if case.sink == case::Sink::Disk {
            measure::warm_up(bench.directory.path())?;
        }
        results.rounds(&name, &able, plan.rounds, |tool| bench.case(*case, tool))?;
    }
    if plan.tasks {
        scenarios::tasks(bench, plan.rounds, &mut results)?;
    }
    if plan.bulk {
        scenarios::bulk(bench, plan.rounds, &mut results)?;
    }
    if plan.lossless {
        scenarios::lossless(bench, plan.rounds, &mut results)?;
    }
    Ok(results)
}

/// A series with its medians.
fn medians(series: &series::Series) -> serde_json::Value {
    json!({
        "case": series.case,
        "tool": series.tool,
        "received_per_second": series.median(measure::Sample::received_per_second),
        "received_bytes_per_second":
            series.median(|sample| sample.received_bytes as f64 / sample.seconds),
        "captured_per_second": series.median(measure::Sample::captured_per_second),
        "lost": series.median(|sample| sample.lost() as f64),
        "cpu_ns_a_packet": series.median(measure::Sample::cpu_ns),
        "memory_without_ring": series.median(|sample| sample.own_memory() as f64),
        "samples": series.samples,
    })
}

fn versions(agent: &Path, tools: &[Tool]) -> BTreeMap<&'static str, String> {
    let mut versions: BTreeMap<_, _> = tools
        .iter()
        .filter_map(|tool| Some((tool.name(), tool.version(agent)?)))
        .collect();
    versions.extend(scenarios::iperf3_version().map(|version| ("iperf3", version)));
    versions
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
