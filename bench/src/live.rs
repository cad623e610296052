//! `cargo xtask bench live`: the daemon captures at the highest rate, in turn without and with the live analysis of
//! its task. Daemon and inspector share a CPU, as the sender has the other one: what the analysis takes, the capture
//! lacks.

use std::path::Path;

use anyhow::Result;
use capture_bench::{
    median::median,
    table::{number, table},
    target::Target,
};
use capture_tests::{http, netns::PEER_IF};
use serde::Serialize;

use crate::{
    case::{Case, Share},
    generator::{Amount, Generator, Rate},
    lab,
    measure::{Bench, Load},
    rounds::Rounds,
    service::{Figures, Service},
};

/// Rounds of both.
#[derive(Debug, Serialize)]
pub(crate) struct Live {
    /// Without the analysis.
    without: Vec<Run>,
    /// With it.
    with: Vec<Run>,
}

/// A run. Times are seconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Run {
    /// Of sending.
    seconds: f64,
    /// Packets that the capture's interface received.
    received: u64,
    captured: u64,
    /// As the daemon counts.
    lost: u64,
    /// Packets that the live analysis left out; of one that has nothing to say, all.
    skipped: u64,
    /// CPU time of the daemon, without its inspector.
    cpu: f64,
}

impl Live {
    /// Measures so many rounds.
    pub(crate) fn measure(bench: &Bench, rounds: usize) -> Result<Self> {
        let mut live = Self {
            without: Vec::new(),
            with: Vec::new(),
        };
        for round in 0..rounds {
            eprintln!("live analysis: round {} of {rounds}", round + 1);
            // What one run leaves behind does not always meet the same.
            let first = round % 2 == 1;
            for is_analyzed in [first, !first] {
                let run = run(bench, is_analyzed)?;
                match is_analyzed {
                    true => live.with.push(run),
                    false => live.without.push(run),
                }
            }
        }
        Ok(live)
    }

    /// Of each round, with the analysis and without.
    fn pairs(&self) -> impl Iterator<Item = (&Run, &Run)> {
        self.with.iter().zip(&self.without)
    }
}

impl Rounds for Live {
    fn targets(&self) -> Vec<Target> {
        let slower = median(
            self.pairs()
                .map(|(with, without)| 100.0 * (1.0 - with.rate() / without.rate())),
        );
        let lost = median(
            self.pairs()
                .map(|(with, without)| with.lost_percent() - without.lost_percent()),
        );
        vec![
            Target::at_most(
                "captured more slowly with live analysis".to_owned(),
                slower,
                [5.0, 2.0],
                "%",
            ),
            Target::at_most(
                "lost more with live analysis, of all packets".to_owned(),
                lost,
                [0.0, 0.0],
                "%",
            ),
        ]
    }

    fn print(&self) {
        let mut table = table(&[
            "live analysis",
            "link kpps",
            "captured/s k",
            "lost %",
            "CPU ns a packet",
            "left out of the analysis %",
        ]);
        for (name, runs) in [("without", &self.without), ("with", &self.with)] {
            let of = |figure: fn(&Run) -> f64, decimals| {
                let median = median(runs.iter().map(figure));
                number(median.unwrap_or(f64::NAN), decimals)
            };
            table.add_row([
                name.to_owned(),
                of(|run| run.received as f64 / run.seconds / 1e3, 0),
                of(|run| run.rate() / 1e3, 0),
                of(Run::lost_percent, 2),
                of(|run| run.cpu * 1e9 / run.captured as f64, 0),
                of(
                    |run| 100.0 * run.skipped as f64 / run.captured.max(1) as f64,
                    1,
                ),
            ]);
        }
        println!("{table}\n");
    }
}

impl Run {
    /// Packets captured a second.
    fn rate(&self) -> f64 {
        self.captured as f64 / self.seconds
    }

    fn lost_percent(&self) -> f64 {
        100.0 * self.lost as f64 / self.received.max(1) as f64
    }
}

/// Sends past a daemon of its own.
fn run(bench: &Bench, is_analyzed: bool) -> Result<Run> {
    let case = Case::RATE;
    let service = Service::start(bench, case.snap, is_analyzed)?;
    let [sender, _] = bench.cpus;
    let start = service.process.cpu()?;
    let generator = Generator::new(case.frames, Share::All, Rate::Highest)?;
    let amount = Amount {
        time: bench.time,
        frames: Load::of(case).most,
    };
    let before = lab::received(&bench.lab)?;
    let seconds = generator.send(&bench.lab.peer, PEER_IF, sender, amount)?;
    let received = lab::received(&bench.lab)?.since(before).packets;
    service.process.wait_idle()?;
    let cpu = service.process.cpu()?;
    let skipped = match is_analyzed {
        true => left_out(service.socket(), &service.task("/findings"))?,
        // There is none.
        false => Some(0),
    };
    let Figures { captured, lost } = service.end()?;
    Ok(Run {
        seconds,
        received,
        captured,
        lost,
        skipped: skipped.unwrap_or(captured),
        cpu: cpu.user + cpu.system - start.user - start.system,
    })
}

/// Packets that the latest live report left out; `None` where there is no report.
fn left_out(socket: &Path, target: &str) -> Result<Option<u64>> {
    let answer = http::ask(socket, "GET", target, &[], &[])?;
    if answer.status != 200 {
        return Ok(None);
    }
    let report = answer.json();
    let skipped = report["skipped"].as_array().into_iter().flatten();
    Ok(Some(
        skipped
            .filter_map(|second| second["packets"].as_u64())
            .sum(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(captured: u64, lost: u64) -> Run {
        Run {
            seconds: 2.0,
            received: 1000,
            captured,
            lost,
            skipped: 0,
            cpu: 1.0,
        }
    }

    #[test]
    fn targets_compare_within_rounds() {
        let live = Live {
            without: vec![run(1000, 0), run(500, 500), run(1000, 0)],
            with: vec![run(970, 30), run(485, 515), run(970, 30)],
        };
        let [slower, lost] = &live.targets()[..] else {
            panic!("two targets")
        };
        let measured = slower.measured.expect("it was measured");
        assert!((measured - 3.0).abs() < 1e-9, "{measured}");
        assert_eq!(slower.verdict(), "passed");
        assert_eq!(lost.measured, Some(3.0));
        assert_eq!(lost.verdict(), "MISSED");
    }
}
