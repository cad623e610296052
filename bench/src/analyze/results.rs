//! Rounds, in which every tool has its turn, and what comes of them.

use std::path::Path;

use anyhow::{Context as _, Result};
use capture_bench::{
    median::median,
    table::{number, table},
    target::Target,
};
use serde::{Deserialize, Serialize};

use super::{
    inside::Parts,
    tool::{self, Tool, Usage},
};

/// Bytes of a TCP connection in the tables of flows, as `capture_analysis::Options` has it, and most connections.
const FLOW_BYTES: u64 = 256 + 600;
const MOST_FLOWS: usize = 65_536;

const MIB: f64 = (1 << 20) as f64;

/// The file.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Made {
    packets: u64,
    flows: u64,
    bytes: u64,
}

/// All runs of a tool.
#[derive(Debug, Serialize)]
struct Series {
    tool: Tool,
    command: String,
    runs: Vec<Usage>,
    /// Why it has no further runs.
    failure: Option<String>,
}

/// Memory with so many connections.
#[derive(Clone, Copy, Debug, Serialize)]
struct Memory {
    flows: usize,
    peak: u64,
    /// Beyond the tables of flows.
    above_flows: u64,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    file: Made,
    series: Vec<Series>,
    parts: Vec<Parts>,
    memory: Vec<Memory>,
}

impl Results {
    /// Of a file, as it was said when it was made.
    pub(crate) fn new(made: &str) -> Result<Self> {
        let series = Tool::ALL.into_iter().map(|tool| Series {
            tool,
            command: tool.words().join(" "),
            runs: Vec::new(),
            failure: None,
        });
        Ok(Self {
            file: serde_json::from_str(made).context("the file was not made")?,
            series: series.collect(),
            parts: Vec::new(),
            memory: Vec::new(),
        })
    }

    /// Runs each tool so many times. One that fails has no further turn.
    pub(crate) fn rounds(&mut self, agent: &Path, file: &Path, rounds: u16) -> Result<()> {
        for round in 0..usize::from(rounds) {
            eprintln!("round {} of {rounds}", round + 1);
            let count = self.series.len();
            // Each round begins with another one.
            for turn in 0..count {
                let series = &mut self.series[(turn + round) % count];
                if series.failure.is_some() {
                    continue;
                }
                match series.tool.run(agent, file) {
                    Ok(usage) => series.runs.push(usage),
                    Err(error) => {
                        eprintln!("{} left out: {error:#}", series.command);
                        series.failure = Some(format!("{error:#}"));
                    }
                }
            }
            let said = tool::own(&["--inside".as_ref(), file.as_os_str()])?;
            self.parts.push(serde_json::from_str(&said)?);
        }
        Ok(())
    }

    /// Measures the memory of the agent with so many connections.
    pub(crate) fn memory(&mut self, agent: &Path, file: &Path, flows: usize) -> Result<()> {
        eprintln!("memory with {flows} flows");
        let peak = Tool::Agent.run(agent, file)?.peak;
        let tables = flows.min(MOST_FLOWS) as u64 * FLOW_BYTES;
        self.memory.push(Memory {
            flows,
            peak,
            above_flows: peak.saturating_sub(tables),
        });
        Ok(())
    }

    /// Whether there is something to say of the agent.
    pub(crate) fn agent_worked(&self) -> bool {
        self.series(Tool::Agent)
            .is_some_and(|series| series.failure.is_none())
    }

    fn series(&self, tool: Tool) -> Option<&Series> {
        self.series.iter().find(|series| series.tool == tool)
    }

    /// Median of the rounds' ratios of CPU time.
    fn ratio(&self, tool: Tool, other: Tool) -> Option<f64> {
        let pairs = self
            .series(tool)?
            .runs
            .iter()
            .zip(&self.series(other)?.runs);
        median(pairs.map(|(one, two)| one.cpu() / two.cpu()))
    }

    fn part(&self, part: impl Fn(&Parts) -> f64) -> Option<f64> {
        median(self.parts.iter().map(part))
    }

    pub(crate) fn targets(&self) -> Vec<Target> {
        let above = self
            .memory
            .iter()
            .map(|memory| memory.above_flows as f64 / MIB);
        vec![
            Target::at_most(
                "analysis of a packet, without reading".to_owned(),
                self.part(|parts| parts.analyze),
                [250.0, 150.0],
                "ns",
            ),
            Target::at_most(
                "CPU time of analyze / tshark -z conv,tcp".to_owned(),
                self.ratio(Tool::Agent, Tool::Tshark)
                    .map(|ratio| ratio * 100.0),
                [1.0, 0.5],
                "%",
            ),
            Target::at_most(
                "memory beyond the tables of flows".to_owned(),
                above.max_by(f64::total_cmp),
                [64.0, 32.0],
                "MiB",
            ),
        ]
    }

    /// Prints the tables.
    pub(crate) fn print(&self) {
        let Made {
            packets,
            flows,
            bytes,
        } = self.file;
        println!(
            "{packets} packets, {flows} flows, {} MB\n",
            bytes / 1_000_000
        );
        let mut tools = table(&[
            "command",
            "ns a packet",
            "user",
            "system",
            "to analyze",
            "peak MiB",
        ]);
        for series in &self.series {
            let of = |figure: fn(&Usage) -> f64, decimals| {
                number(
                    median(series.runs.iter().map(figure)).unwrap_or(f64::NAN),
                    decimals,
                )
            };
            let each = |seconds: String| {
                let seconds: f64 = seconds.parse().unwrap_or(f64::NAN);
                number(seconds * 1e9 / packets as f64, 0)
            };
            tools.add_row([
                series.command.clone(),
                each(of(Usage::cpu, 6)),
                each(of(|usage| usage.user, 6)),
                each(of(|usage| usage.system, 6)),
                number(self.ratio(series.tool, Tool::Agent).unwrap_or(f64::NAN), 2),
                of(|usage| usage.peak as f64 / MIB, 1),
            ]);
        }
        println!("{tools}");
        for series in &self.series {
            if let Some(failure) = &series.failure {
                println!("{} left out: {failure}", series.command);
            }
        }
        let mut parts = table(&["part of analyze", "ns a packet"]);
        for (name, part) in [
            ("reading", self.part(|parts| parts.read)),
            ("headers", self.part(|parts| parts.decode)),
            (
                "headers, flows, detectors, report",
                self.part(|parts| parts.analyze),
            ),
        ] {
            parts.add_row([name.to_owned(), number(part.unwrap_or(f64::NAN), 0)]);
        }
        println!("\n{parts}\n");
        let mut memory = table(&["connections", "peak MiB", "beyond the tables of flows"]);
        for of in &self.memory {
            let mib = |bytes: u64| number(bytes as f64 / MIB, 1);
            memory.add_row([of.flows.to_string(), mib(of.peak), mib(of.above_flows)]);
        }
        println!("{memory}\n");
    }
}

impl Usage {
    fn cpu(&self) -> f64 {
        self.user + self.system
    }
}
