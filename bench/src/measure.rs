//! One run of one tool: start, wait until it captures, send, wait until it has written, end, count.
//! The figures of the sender's side come from the interface, those of the file from capinfos.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use capture_tests::netns::{HOST_IF, Lab, PEER_IF};
use serde::Serialize;
use tempfile::TempDir;

use crate::{
    case::{Case, Frames, Share, Sink},
    generator::{Amount, Generator, Rate, attach_empty},
    interrupt, lab,
    process::{Memory, Process},
    reported_stats::{self, Claim},
    tool::{Order, Tool},
};

/// Most bytes of a capture file.
pub(crate) const FILE_BYTES: u64 = 3_500_000_000;
/// Bytes that a format adds to a packet, at most.
const OVERHEAD: usize = 64;

/// The place, and what all runs have in common.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) agent: PathBuf,
    pub(crate) directory: TempDir,
    /// For the sender and for the capture.
    pub(crate) cpus: [usize; 2],
    pub(crate) time: Duration,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) frames: Frames,
    pub(crate) share: Share,
    pub(crate) rate: Rate,
    /// Most frames.
    pub(crate) most: u64,
}

/// What came of a run. Times are seconds, sizes bytes.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// Time of sending.
    pub(crate) seconds: f64,
    /// Packets and bytes that the capture's interface has received.
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    /// Those that match by the schedule of the sender.
    pub(crate) matching: u64,
    /// Packets in the file, by capinfos; with `/dev/null` what the tool says.
    pub(crate) captured: u64,
    pub(crate) claim: Claim,
    pub(crate) file_bytes: u64,
    /// CPU time of the process since it was ready, its end included.
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// CPU time until it was ready.
    pub(crate) start: f64,
    /// Time of the sender's CPU in soft interrupts, where the kernel accounts for it.
    pub(crate) softirq: f64,
    pub(crate) memory: Memory,
}

impl Load {
    /// What a case sends at the highest rate.
    pub(crate) fn of(case: Case) -> Self {
        Self {
            frames: case.frames,
            share: case.share,
            rate: Rate::Highest,
            most: match (case.sink, case.share) {
                (Sink::Disk, Share::All) => FILE_BYTES / (case.kept() + OVERHEAD) as u64,
                _ => u64::MAX,
            },
        }
    }
}

impl Bench {
    /// The order of a case, with a file that nobody has yet.
    pub(crate) fn order(&self, case: Case, tool: Tool) -> Order {
        let suffix = if tool == Tool::NetsniffNg {
            "pcap"
        } else {
            "pcapng"
        };
        let file = self.directory.path().join(format!("capture.{suffix}"));
        Order {
            share: case.share,
            snap: case.snap,
            file: (case.sink == Sink::Disk).then_some(file),
            tasks: None,
        }
    }

    /// A run of a case.
    pub(crate) fn case(&self, case: Case, tool: Tool) -> Result<Sample> {
        self.run(tool, &self.order(case, tool), Load::of(case))
    }

    /// A run.
    pub(crate) fn run(&self, tool: Tool, order: &Order, load: Load) -> Result<Sample> {
        let generator = Generator::new(load.frames, load.share, load.rate)?;
        let amount = Amount {
            time: self.time,
            frames: load.most,
        };
        let [sender, _] = self.cpus;
        let send = || {
            let send = generator.send(&self.lab.peer, PEER_IF, sender, amount);
            send.context("cannot send")
        };
        let mut sample = self.around(tool, order, send)?;
        sample.matching = match load.share {
            Share::All => sample.received,
            Share::Percent => sample.received / 100,
            Share::None => 0,
        };
        Ok(sample)
    }

    /// Has a tool capture what `traffic` sends; that gives the seconds it took.
    pub(crate) fn around(
        &self,
        tool: Tool,
        order: &Order,
        traffic: impl FnOnce() -> Result<f64>,
    ) -> Result<Sample> {
        let mut sample = Sample::default();
        let command = tool.command(&self.agent, order);
        // Detached when it goes out of scope.
        let empty = |hook| attach_empty(hook, &self.lab.host, HOST_IF);
        let _empty = tool.empty_hook().map(empty).transpose()?;
        let mut process = None;
        if !command.is_empty() {
            let [_, capture] = self.cpus;
            let mut started = Process::start(&self.lab.host, capture, &command)?;
            started.wait_ready(tool.ready_words())?;
            process = Some(started);
        }
        let start = process.as_ref().map(Process::cpu).transpose()?;
        let before = lab::received(&self.lab)?;
        let softirq = softirq(self.cpus[0]);
        sample.seconds = traffic()?;
        sample.softirq = self::softirq(self.cpus[0]) - softirq;
        let received = lab::received(&self.lab)?.since(before);
        sample.received = received.packets;
        sample.received_bytes = received.bytes;
        if let (Some(process), Some(start)) = (process, start) {
            process.wait_idle()?;
            sample.memory = process.memory();
            let ended = process.stop()?;
            sample.user = ended.cpu.user - start.user;
            sample.system = ended.cpu.system - start.system;
            sample.start = start.user + start.system;
            sample.claim = tool.claim(&ended.stdout, &ended.stderr);
            sample.captured = match &order.file {
                Some(file) => {
                    sample.file_bytes = fs::metadata(file).map_or(0, |file| file.len());
                    count(file)?
                }
                None => sample.claim.captured.with_context(|| {
                    format!("{} gives no figures: {}", tool.name(), ended.stderr)
                })?,
            };
        }
        Ok(sample)
    }
}

impl Sample {
    /// Packets that matched and are not in the file.
    pub(crate) fn lost(&self) -> u64 {
        self.matching.saturating_sub(self.captured)
    }

    /// CPU time of the process a packet, in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> f64 {
        (self.user + self.system) * 1e9 / self.captured as f64
    }

    pub(crate) fn captured_per_second(&self) -> f64 {
        self.captured as f64 / self.seconds
    }

    pub(crate) fn received_per_second(&self) -> f64 {
        self.received as f64 / self.seconds
    }

    /// Resident memory without rings.
    pub(crate) fn own_memory(&self) -> u64 {
        self.memory.peak.saturating_sub(self.memory.ring)
    }
}

/// Counts the packets of a file by a program that is none of the tools, and removes the file.
fn count(file: &Path) -> Result<u64> {
    let mut capinfos = Command::new("capinfos");
    let output = capinfos.args(["-c", "-M"]).arg(file).output();
    let output = output.context("cannot start capinfos")?;
    interrupt::check()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // The last packet may be cut with tools that end so; those before it are counted nevertheless.
    let counted = reported_stats::capinfos(&text);
    let removed = fs::remove_file(file);
    let counted = counted.with_context(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        format!("capinfos cannot count {}: {stderr}", file.display())
    })?;
    removed.with_context(|| format!("cannot remove {}", file.display()))?;
    Ok(counted)
}

/// Seconds that a CPU has spent in soft interrupts, from `/proc/stat`.
fn softirq(cpu: usize) -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let name = format!("cpu{cpu} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name));
    let ticks = line.and_then(|line| line.split_whitespace().nth(6)?.parse::<f64>().ok());
    ticks.unwrap_or_default() / 100.0
}

/// Writes and removes a file as large as a capture can be. A virtual machine gets memory that it did not
/// use for a while from its host anew, page by page, and the first captures to disk would pay for all.
pub(crate) fn warm_up(directory: &Path) -> Result<()> {
    let path = directory.join("warm-up");
    let mut file =
        fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let block = vec![0_u8; 1 << 20];
    let mut left = FILE_BYTES;
    while left > 0 {
        interrupt::check()?;
        file.write_all(&block)
            .with_context(|| format!("cannot write {}", path.display()))?;
        left = left.saturating_sub(block.len() as u64);
    }
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
}

/// Fails where a capture file of full size does not fit.
pub(crate) fn check_space(directory: &Path) -> Result<()> {
    let disk = nix::sys::statvfs::statvfs(directory)
        .with_context(|| format!("cannot look at {}", directory.display()))?;
    let free = disk.blocks_available() as u64 * disk.fragment_size() as u64;
    ensure!(
        free > 2 * FILE_BYTES,
        "{} has {} GB free; captures of up to {} GB need twice that, or another --directory",
        directory.display(),
        free / 1_000_000_000,
        FILE_BYTES / 1_000_000_000 + 1
    );
    Ok(())
}
