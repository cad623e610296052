//! The options, and the plan that they come to.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

use crate::{
    case::{Case, Frames},
    scenarios::{BULK, LOSSLESS, TASKS},
    tool::Tool,
};

/// Measures whole captures against other tools and against no capture.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// The agent that is measured
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: PathBuf,
    /// Where capture files go, each up to 3.5 GB and removed once counted
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Few and short rounds: about two minutes
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Every tool, and every combination of frames, filter, snap length and output: hours
    #[arg(long)]
    full: bool,
    /// Only these tools; may be repeated
    #[arg(long, value_enum, value_name = "TOOL")]
    tool: Vec<Tool>,
    /// Only cases with these frames, and none of the special cases; may be repeated
    #[arg(long, value_enum, value_name = "BYTES")]
    frame: Vec<Frames>,
    /// Only cases whose name, as in the tables, has this in it
    #[arg(long, value_name = "WORDS")]
    case: Option<String>,
    /// Rounds, in each of which every tool has its turn
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Seconds of sending in each run
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,
    /// Nothing but this benchmark of its own
    #[arg(long, hide = true, value_enum, conflicts_with_all = ["full", "tool", "frame", "case", "svg"])]
    pub(crate) part: Option<Part>,
    /// Also write all figures as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also draw a chart
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// A benchmark of its own.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Part {
    /// The daemon with the live analysis of its task against the same without
    Live,
    /// The daemon while nobody, one and many look at its task
    Viewers,
    /// How soon each tool captures
    Start,
}

/// What is measured.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tools: Vec<Tool>,
    pub(crate) cases: Vec<Case>,
    pub(crate) tasks: bool,
    pub(crate) bulk: bool,
    pub(crate) lossless: bool,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
}

impl Arguments {
    /// The plan.
    pub(crate) fn plan(&self) -> Plan {
        let tools = if !self.tool.is_empty() {
            let mut tools = self.tool.clone();
            tools.sort_unstable();
            tools.dedup();
            tools
        } else if self.full {
            Tool::ALL.to_vec()
        } else {
            Tool::USUAL.to_vec()
        };
        // Frames that the usual cases do not have are still frames to measure.
        let mut cases = if self.full || !self.frame.is_empty() {
            Case::every()
        } else if self.quick {
            vec![Case::RATE, Case::BYTES]
        } else {
            vec![Case::RATE, Case::BYTES, Case::FEW]
        };
        if !self.frame.is_empty() {
            cases.retain(|case| self.frame.contains(&case.frames));
            if !self.full {
                cases.retain(|case| case.is_usual());
            }
        }
        let chosen = |name: &str| self.case.as_ref().is_none_or(|words| name.contains(words));
        cases.retain(|case| chosen(&case.to_string()));
        let special = |name| self.frame.is_empty() && chosen(name);
        Plan {
            tasks: special(TASKS) && tools.iter().any(|tool| tool.is_agent()),
            bulk: special(BULK),
            lossless: special(LOSSLESS) && !self.quick && tools.contains(&Tool::Tcpdump),
            tools,
            cases,
            rounds: usize::from(self.rounds.unwrap_or(if self.quick { 3 } else { 5 })),
            time: Duration::from_secs(self.seconds.unwrap_or(if self.quick { 1 } else { 2 })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(options: &[&str]) -> Plan {
        let fixed = ["bench", "--agent", "a", "--directory", "d"];
        let arguments = Arguments::try_parse_from(fixed.iter().chain(options));
        arguments.expect("valid options").plan()
    }

    #[test]
    fn a_plain_run_has_five_rounds_and_the_targets() {
        let plan = plan(&[]);
        assert_eq!((plan.rounds, plan.time.as_secs()), (5, 2));
        assert_eq!(plan.cases, [Case::RATE, Case::BYTES, Case::FEW]);
        assert!(plan.tasks && plan.bulk && plan.lossless);
    }

    #[test]
    fn options_choose() {
        let chosen = plan(&["--tool", "tcpdump", "--tool", "none", "--frame", "512"]);
        assert_eq!(chosen.tools, [Tool::None, Tool::Tcpdump]);
        assert!(!chosen.cases.is_empty());
        assert!(
            chosen
                .cases
                .iter()
                .all(|case| case.frames == Frames::Middle)
        );
        assert!(!chosen.bulk && !chosen.lossless);
        assert_eq!(plan(&["--full"]).cases.len(), Case::every().len());
        let tasks = plan(&["--case", "64 tasks"]);
        assert!(tasks.cases.is_empty() && tasks.tasks && !tasks.bulk && !tasks.lossless);
        assert_eq!(plan(&["--quick", "--rounds", "7"]).rounds, 7);
    }
}
