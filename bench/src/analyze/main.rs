//! `cargo xtask bench analyze`: what looking into a file costs, against other tools on the same file. The file is made
//! here, from a seed; each tool reads it from the page cache, on one CPU, in turn with the others.
//!
//! | in the order of flow | |
//! | --- | --- |
//! | `mixture`, `session`, `packet` | the traffic of a host |
//! | `content`, `file` | its bytes, and the file |
//! | `tool` | the programs, their CPU time and memory |
//! | `inside` | the parts of the analysis, measured in a process of their own |
//! | `results` | rounds, medians, targets |

mod content;
mod file;
mod inside;
mod mixture;
mod packet;
mod results;
mod session;
mod tool;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};
use capture_bench::{machine::Machine, table, target::Target};
use clap::Parser;
use serde_json::json;

use self::{mixture::Mixture, results::Results};

/// Measures the analysis of a file against other tools.
#[derive(Debug, Parser)]
struct Arguments {
    /// The agent that is measured
    #[arg(long, value_name = "FILE", required_unless_present_any = ["inside", "make"])]
    agent: Option<PathBuf>,
    /// Where the file goes: 700 bytes a packet
    #[arg(long, value_name = "DIR", required_unless_present_any = ["inside", "make"])]
    directory: Option<PathBuf>,
    /// A smaller file: about two minutes
    #[arg(long)]
    quick: bool,
    /// Packets of the file
    #[arg(long, value_name = "COUNT")]
    packets: Option<usize>,
    /// Rounds, in each of which every tool has its turn
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seed of the traffic
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Also write all figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures the parts of the analysis of a file, and prints them as JSON
    #[arg(long, hide = true, value_name = "FILE")]
    inside: Option<PathBuf>,
    /// Makes a file, of as many flows instead where they are given
    #[arg(long, hide = true, value_name = "FILE")]
    make: Option<PathBuf>,
    #[arg(long, hide = true)]
    flows: Option<usize>,
}

/// Packets of the file, and of a quick one.
const PACKETS: [usize; 2] = [1_100_000, 150_000];

/// Connections that memory is measured with.
const FLOWS: [usize; 4] = [1_000, 16_000, 65_536, 200_000];

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let packets = arguments
        .packets
        .unwrap_or(PACKETS[usize::from(arguments.quick)]);
    if let Some(path) = &arguments.inside {
        println!("{}", serde_json::to_string(&inside::measure(path)?)?);
        return Ok(());
    }
    if let Some(path) = &arguments.make {
        let mixture = match arguments.flows {
            Some(flows) => Mixture::of_flows(arguments.seed, flows),
            None => Mixture::new(arguments.seed, packets),
        };
        let bytes = file::write(&mixture, path)?;
        println!(
            "{}",
            json!({"packets": mixture.packets.len(), "flows": mixture.flows.len(), "bytes": bytes})
        );
        return Ok(());
    }
    let (Some(agent), Some(directory)) = (&arguments.agent, &arguments.directory) else {
        unreachable!("clap asks for them");
    };
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let directory = tempfile::tempdir_in(directory)?;
    let agent = fs::canonicalize(agent).with_context(|| format!("no agent {}", agent.display()))?;
    benchmark(arguments, packets, &agent, directory.path())
}

fn benchmark(arguments: &Arguments, packets: usize, agent: &Path, directory: &Path) -> Result<()> {
    let started = jiff::Timestamp::now();
    let path = directory.join("mixture.pcap");
    let seed = arguments.seed.to_string();
    // In other processes: what this one once used is counted as memory of those that it starts.
    let made = tool::own(&[
        "--make".as_ref(),
        path.as_os_str(),
        "--seed".as_ref(),
        seed.as_ref(),
        "--packets".as_ref(),
        packets.to_string().as_ref(),
    ])?;
    let mut results = Results::new(&made)?;
    results.rounds(agent, &path, arguments.rounds)?;
    fs::remove_file(&path)?;
    for flows in FLOWS {
        tool::own(&[
            "--make".as_ref(),
            path.as_os_str(),
            "--seed".as_ref(),
            seed.as_ref(),
            "--flows".as_ref(),
            flows.to_string().as_ref(),
        ])?;
        results.memory(agent, &path, flows)?;
        fs::remove_file(&path)?;
    }
    let machine = Machine::here();
    let targets = results.targets();
    println!("{machine}\n");
    results.print();
    table::print_targets(&targets);
    if let Some(path) = &arguments.json {
        let mut document = json!({
            "date": started.to_string(),
            "machine": machine,
            "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
        });
        document["results"] = json!(results);
        let text = serde_json::to_string_pretty(&document)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    ensure!(results.agent_worked(), "the agent failed");
    Ok(())
}
