//! `cargo xtask bench start`: how soon each tool captures, counted from the start of its process, and what memory it has then
//! besides its ring. Tools take turns, on all CPUs, and are asked for the same packets.

use std::{fs, time::Instant};

use anyhow::Result;
use capture_bench::{
    median::median,
    table::{number, table},
    target::Target,
};
use serde::Serialize;

use crate::{
    case::{Share, Snap},
    measure::Bench,
    process::Process,
    rounds::Rounds,
    tool::{Order, Tool},
};

const TOOLS: [Tool; 4] = [Tool::AgentTc, Tool::AgentXdp, Tool::Tcpdump, Tool::Dumpcap];

const MIB: f64 = 1024.0 * 1024.0;

/// Starts of each round.
#[derive(Debug, Serialize)]
pub(crate) struct Starts {
    rounds: Vec<[Start; TOOLS.len()]>,
    /// Size of the agent's program, in bytes.
    program: u64,
}

/// A start. Times are seconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Start {
    seconds: f64,
    cpu: f64,
    /// The most that was resident besides the ring, in bytes.
    memory: u64,
}

impl Starts {
    /// Starts every tool once a round. The first round is for caches, and not kept.
    pub(crate) fn measure(bench: &Bench, rounds: usize) -> Result<Self> {
        let mut kept = Vec::new();
        for round in 0..=rounds {
            let mut starts = Vec::new();
            for tool in TOOLS {
                starts.push(start(bench, tool)?);
            }
            if let (1.., Ok(starts)) = (round, starts.try_into()) {
                kept.push(starts);
            }
        }
        Ok(Self {
            rounds: kept,
            program: fs::metadata(&bench.agent)?.len(),
        })
    }

    fn median(&self, tool: Tool, figure: fn(&Start) -> f64) -> Option<f64> {
        let place = TOOLS.iter().position(|one| *one == tool)?;
        median(self.rounds.iter().map(|round| figure(&round[place])))
    }
}

fn start(bench: &Bench, tool: Tool) -> Result<Start> {
    let order = Order {
        share: Share::Percent,
        snap: Snap::Whole,
        file: Some(bench.directory.path().join("started.pcapng")),
        tasks: None,
    };
    let command = tool.command(&bench.agent, &order);
    let begin = Instant::now();
    let mut process = Process::start_anywhere(&bench.lab.host, &command)?;
    process.wait_said(tool.ready_words())?;
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = process.cpu()?;
    let memory = process.memory();
    process.stop()?;
    Ok(Start {
        seconds,
        cpu: cpu.user + cpu.system,
        memory: memory.peak.saturating_sub(memory.ring),
    })
}

impl Rounds for Starts {
    fn targets(&self) -> Vec<Target> {
        let agent = |figure| self.median(Tool::AgentTc, figure);
        let target = |what: &str, measured, most: f64, unit| {
            Target::at_most(what.to_owned(), measured, [most, most], unit)
        };
        vec![
            target(
                "start of the agent by tc",
                agent(|start| start.seconds * 1e3),
                150.0,
                "ms",
            ),
            target(
                "its memory without rings",
                agent(|start| start.memory as f64 / MIB),
                12.0,
                "MiB",
            ),
            target("its program", Some(self.program as f64 / 1e6), 16.0, "MB"),
        ]
    }

    fn print(&self) {
        let mut table = table(&["tool", "captures after ms", "CPU ms", "memory MiB"]);
        for tool in TOOLS {
            let figure =
                |figure, decimals| number(self.median(tool, figure).unwrap_or(f64::NAN), decimals);
            table.add_row([
                tool.name().to_owned(),
                figure(|start| start.seconds * 1e3, 0),
                figure(|start| start.cpu * 1e3, 0),
                figure(|start| start.memory as f64 / MIB, 1),
            ]);
        }
        println!("{table}\n");
    }
}
