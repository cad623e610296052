//! The cases that are no combination of frames, filter and output: the rate that tcpdump keeps up
//! with, sixty-four tasks that match nothing, and TCP in bulk.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use capture_tests::{
    eventually,
    netns::{HOST_IF, HOST4},
};
use serde_json::{Value, json};

use crate::{
    case::{Case, Frames, Share, Sink, Snap},
    generator::{Rate, pin},
    interrupt,
    measure::{Bench, Load},
    series::{Results, highest},
    tool::{Order, Tool},
};

/// Names of these cases.
pub(crate) const LOSSLESS: &str = "64-byte frames at the highest rate without loss in tcpdump";
pub(crate) const TASKS: &str = "64 tasks, none matched";
pub(crate) const BULK: &str = "TCP in bulk, whole to /dev/null";

/// Tasks of [`TASKS`], as many as there can be.
const TASK_COUNT: usize = 64;
/// How exactly the rate is looked for.
const PRECISION: f64 = 0.04;
/// A rate that everything here keeps up with.
const LOW_RATE: f64 = 50_000.0;

/// Looks for the highest rate at which tcpdump loses nothing, and has the agent capture at it.
pub(crate) fn lossless(bench: &Bench, rounds: usize, results: &mut Results) -> Result<()> {
    let case = Case::RATE;
    let run = |tool, rate| {
        let load = Load {
            rate,
            ..Load::of(case)
        };
        bench.run(tool, &bench.order(case, tool), load)
    };
    let top = run(Tool::None, Rate::Highest)?.received_per_second();
    let tried = |rate: f64| {
        let sample = run(Tool::Tcpdump, Rate::Set(rate))?;
        let clean = sample.lost() == 0 && sample.claim.lost == Some(0);
        eprintln!("tcpdump at {rate:.0} packets/s: {} lost", sample.lost());
        Ok(clean)
    };
    match highest([LOW_RATE, top], PRECISION, tried) {
        Ok(Some(rate)) => {
            let tools = [Tool::Tcpdump, Tool::AgentTc, Tool::AgentXdp];
            results.rounds(LOSSLESS, &tools, rounds, |tool| run(tool, Rate::Set(rate)))
        }
        Ok(None) => {
            results.leave_out(LOSSLESS, Tool::Tcpdump, "it loses at any rate".to_owned());
            Ok(())
        }
        Err(error) => {
            interrupt::check()?;
            results.leave_out(LOSSLESS, Tool::Tcpdump, format!("{error:#}"));
            Ok(())
        }
    }
}

/// Sends as fast as it goes past tasks that all ask for something else; empty programs show what of it
/// is the hook's own price.
pub(crate) fn tasks(bench: &Bench, rounds: usize, results: &mut Results) -> Result<()> {
    let tools = [
        Tool::None,
        Tool::EmptyTc,
        Tool::EmptyXdp,
        Tool::AgentTc,
        Tool::AgentXdp,
    ];
    results.rounds(TASKS, &tools, rounds, |tool| {
        // Each task has a file, which stays empty and goes with the directory.
        let directory = tempfile::tempdir_in(bench.directory.path())?;
        let requests: Vec<_> = (0..TASK_COUNT)
            .map(|number| {
                json!({
                    "name": format!("t{number}"),
                    "interfaces": [HOST_IF],
                    "hook": tool.hook(),
                    "ip": format!("10.9.{number}.2"),
                    "ports": [1000 + number],
                    "write": directory.path().join(format!("{number}.pcapng")),
                })
            })
            .collect();
        let file = directory.path().join("tasks.json");
        fs::write(&file, json!({ "tasks": requests }).to_string())
            .with_context(|| format!("cannot write {}", file.display()))?;
        let order = Order {
            share: Share::None,
            snap: Snap::Whole,
            file: None,
            tasks: Some(file),
        };
        let load = Load::of(Case::new(
            Frames::Small,
            Share::None,
            Snap::Whole,
            Sink::Null,
        ));
        bench.run(tool, &order, load)
    })
}

/// iperf3 by the same veth pair. Both its ends run on the sender's CPU, and the capture has its own.
pub(crate) fn bulk(bench: &Bench, rounds: usize, results: &mut Results) -> Result<()> {
    let tools = [Tool::None, Tool::AgentTc, Tool::Tcpdump];
    results.rounds(BULK, &tools, rounds, |tool| {
        let case = Case::new(Frames::Full, Share::All, Snap::Whole, Sink::Null);
        let mut bytes = 0;
        let mut sample = bench.around(tool, &bench.order(case, tool), || {
            let (sent, seconds) = iperf3(bench)?;
            bytes = sent;
            Ok(seconds)
        })?;
        // What TCP has delivered; the interface counts super-frames and headers.
        sample.received_bytes = bytes;
        Ok(sample)
    })
}

/// Bytes received, and the seconds it took.
fn iperf3(bench: &Bench) -> Result<(u64, f64)> {
    let [sender, _] = bench.cpus;
    let seconds = bench.time.as_secs().max(1).to_string();
    thread::scope(|scope| {
        let both = scope.spawn(|| {
            // Threads hand their CPU on to what they start.
            pin(sender)?;
            let mut server = bench.lab.host.command("iperf3");
            let mut server = server
                .args(["-s", "-1"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .context("cannot start iperf3")?;
            let result = eventually(Duration::from_secs(5), || listens(bench))
                .then(|| client(bench, &seconds))
                .context("iperf3 does not listen");
            let _ = server.kill();
            let _ = server.wait();
            result?
        });
        both.join().unwrap_or_else(|_| bail!("iperf3 went wrong"))
    })
}

/// Whether the server is there.
fn listens(bench: &Bench) -> bool {
    let sockets = bench.lab.host.command("ss").args(["-Hltn"]).output();
    sockets.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(":5201"))
}

fn client(bench: &Bench, seconds: &str) -> Result<(u64, f64)> {
    let mut client = bench.lab.peer.command("iperf3");
    let mut child = client
        .args(["-J", "-c", HOST4, "-t", seconds])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start iperf3")?;
    let end = Instant::now() + bench.time + Duration::from_secs(20);
    while child.try_wait()?.is_none() {
        if interrupt::requested() || Instant::now() > end {
            child.kill()?;
            child.wait()?;
            bail!("iperf3 does not end");
        }
        thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "iperf3 failed: {}", output.status);
    delivered(&String::from_utf8_lossy(&output.stdout)).context("iperf3 gives no figures")
}

/// Bytes and seconds from iperf3's JSON.
fn delivered(json: &str) -> Option<(u64, f64)> {
    let report: Value = serde_json::from_str(json).ok()?;
    let sum = &report["end"]["sum_received"];
    Some((sum["bytes"].as_u64()?, sum["seconds"].as_f64()?))
}

/// What this machine needs for [`bulk`].
pub(crate) fn iperf3_version() -> Option<String> {
    let output = Command::new("iperf3").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iperf3_is_understood() {
        let json = r#"{"end":{"sum_sent":{"bytes":9,"seconds":1.0},
            "sum_received":{"bytes":8000,"seconds":2.5}}}"#;
        assert_eq!(delivered(json), Some((8000, 2.5)));
        assert_eq!(delivered(r#"{"error":"unable to connect"}"#), None);
    }
}
