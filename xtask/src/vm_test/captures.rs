//! The files that the guest captured: how many packets by capinfos, which ones by tshark or byte by byte, and
//! whether the agent's own summary says the same. [`super::verdict`] knows what must be in each.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{pcap, tasks};
use crate::command;

/// What a capture must hold.
pub(super) enum Content {
    /// So many packets, which all pass this display filter.
    Packets(usize, &'static str),
    /// So many bytes of TCP payload from 10.77.0.2, and less than a kilobyte of HTTP header.
    Stream(usize),
}

/// All captures of a guest.
pub(super) struct Captures {
    directory: PathBuf,
    /// Packets in each file, by capinfos.
    counts: BTreeMap<PathBuf, usize>,
}

impl Captures {
    /// Counts the packets of all files.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let mut files = Vec::new();
        list(directory, &mut files)?;
        let mut capinfos = Command::new("capinfos");
        capinfos.args(["-T", "-r", "-M", "-c"]).args(&files);
        let table = command::output(&mut capinfos)?;
        Ok(Self {
            directory: directory.to_owned(),
            counts: counts(&table),
        })
    }

    fn packets(&self, file: &Path) -> Result<usize> {
        let count = self.counts.get(file).copied();
        count.with_context(|| format!("there is no file {}", file.display()))
    }

    /// One capture, whose figures are in the summary of this name.
    pub(super) fn check(&self, name: &str, summary: &str, content: &Content) -> Result<()> {
        let packets = self.check_content(name, content)?;
        let records = self.records(summary)?;
        let record = records
            .iter()
            .find(|record| record["files"][0]["name"] == format!("{name}.pcapng"))
            .context("the summary does not name the file")?;
        check_record(record, packets, "complete")
    }

    /// The file of a capture alone; gives the number of its packets.
    pub(super) fn check_content(&self, name: &str, content: &Content) -> Result<usize> {
        let file = self.directory.join(format!("{name}.pcapng"));
        let packets = self.packets(&file)?;
        match content {
            Content::Packets(count, filter) => {
                let good = tshark(&file, filter, &["frame.number"])?.lines().count();
                ensure!(
                    packets == *count && good == *count,
                    "{packets} packets, {good} of them as they should be, and {count} were sent"
                );
            }
            Content::Stream(bytes) => {
                let segments = tshark(&file, "ip.src == 10.77.0.2", &["tcp.seq", "tcp.len"])?;
                let sum = covered(&segments);
                ensure!(
                    (*bytes..bytes + 1000).contains(&sum),
                    "{sum} bytes of the stream, and {bytes} were sent"
                );
            }
        }
        Ok(packets)
    }

    /// The captures of the many tasks on a hook, frame for frame.
    pub(super) fn check_many(&self, hook: &str, many: &[tasks::Expected]) -> Result<()> {
        let name = format!("many-{hook}");
        let records = self.records(&name)?;
        ensure!(
            records.len() == many.len(),
            "{} tasks are reported on, of {}",
            records.len(),
            many.len()
        );
        let mut wrong = Vec::new();
        for (number, (record, expected)) in records.iter().zip(many).enumerate() {
            let file = self.directory.join(&name).join(format!("{number}.pcap"));
            let outcome = self.packets(&file).and_then(|packets| {
                same_frames(&pcap::frames(&fs::read(&file)?)?, &expected.frames)?;
                ensure!(
                    packets == expected.frames.len(),
                    "capinfos counts {packets}"
                );
                check_record(record, packets, "complete")
            });
            if let Err(error) = outcome {
                wrong.push(format!("task {number} {}: {error:#}", expected.what));
            }
        }
        ensure!(
            wrong.is_empty(),
            "{} of {} tasks are wrong, the first ones:\n{}",
            wrong.len(),
            many.len(),
            wrong[..wrong.len().min(4)].join("\n")
        );
        Ok(())
    }

    /// Of the pings that came in, how many have their link header.
    pub(super) fn with_link_header(&self, name: &str) -> Result<(usize, usize)> {
        let file = self.directory.join(format!("{name}.pcapng"));
        let filter = "eth.src == 02:00:00:00:00:02 && ip.src == 10.77.0.2";
        let whole = tshark(&file, filter, &["frame.number"])?.lines().count();
        Ok((whole, self.packets(&file)?))
    }

    /// A file of the guest.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// When the packets of a file were captured, in order, seconds since the epoch.
    pub(super) fn times(&self, name: &str) -> Result<Vec<f64>> {
        let file = self.path(name);
        self.packets(&file)?;
        let times = tshark(&file, "frame", &["frame.time_epoch"])?;
        let times = times.lines().map(|time| time.trim().parse());
        Ok(times.collect::<Result<_, _>>()?)
    }

    /// The record of a task in the summary of this name.
    pub(super) fn record(&self, summary: &str, task: &str) -> Result<Value> {
        let records = self.records(summary)?;
        let mut records = records.into_iter();
        records
            .find(|record| record["name"] == task)
            .with_context(|| format!("no task {task} in the summary"))
    }

    /// The tasks of a summary: itself, or those that it lists.
    fn records(&self, name: &str) -> Result<Vec<Value>> {
        let file = self.directory.join(format!("{name}.json"));
        let summary = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let summary: Value = serde_json::from_slice(&summary).context("the summary is no JSON")?;
        Ok(match summary["tasks"].as_array() {
            Some(tasks) => tasks.clone(),
            None => vec![summary],
        })
    }
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "pcap" || extension == "pcapng")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// The table of capinfos: a file and its packets a line.
fn counts(table: &str) -> BTreeMap<PathBuf, usize> {
    table
        .lines()
        .filter_map(|line| {
            let (file, count) = line.split_once('\t')?;
            Some((file.into(), count.trim().parse().ok()?))
        })
        .collect()
}

/// How many bytes of a stream there are in segments, each a line of sequence number and length. What was sent
/// again counts once; order does not matter: two CPUs may overtake each other.
fn covered(segments: &str) -> usize {
    let mut segments: Vec<(usize, usize)> = segments
        .lines()
        .filter_map(|line| {
            let (start, len) = line.split_once('\t')?;
            let start = start.parse().ok()?;
            Some((start, start + len.trim().parse::<usize>().ok()?))
        })
        .collect();
    segments.sort_unstable();
    let (mut sum, mut known) = (0, 0);
    for (start, end) in segments {
        sum += end.saturating_sub(start.max(known));
        known = known.max(end);
    }
    sum
}

fn same_frames(taken: &[(Vec<u8>, usize)], expected: &[(Vec<u8>, usize)]) -> Result<()> {
    let differs = taken
        .iter()
        .zip(expected)
        .position(|(one, other)| one != other);
    if let Some(at) = differs {
        bail!(
            "packet {at} is {:02x?} of {} bytes, not {:02x?} of {}",
            taken[at].0,
            taken[at].1,
            expected[at].0,
            expected[at].1
        );
    }
    ensure!(
        taken.len() == expected.len(),
        "{} packets, and {} should have been taken",
        taken.len(),
        expected.len()
    );
    Ok(())
}

/// The record says what the file has, that nothing was lost, and its figures add up.
pub(super) fn check_record(record: &Value, packets: usize, verdict: &str) -> Result<()> {
    let counters = &record["counters"];
    let count = |value: &Value| {
        value
            .as_u64()
            .with_context(|| format!("{counters} lacks a figure"))
    };
    let captured = count(&counters["captured"])?;
    ensure!(
        captured == packets as u64,
        "{packets} packets in the file, and the summary says captured: {captured}"
    );
    let mut sum =
        captured + count(&counters["oversize_discarded"])? + count(&counters["over_limit"])?;
    for stage in ["ring", "queue", "write", "copy"] {
        let dropped = count(&counters["dropped"][stage])?;
        ensure!(dropped == 0, "dropped.{stage} is {dropped}");
        sum += dropped;
    }
    let matched = count(&counters["matched"])?;
    ensure!(
        matched == sum,
        "matched is {matched}, and the others add up to {sum}"
    );
    for (field, value) in [("state", "completed"), ("verdict", verdict)] {
        ensure!(record[field] == value, "{field} is {}", record[field]);
    }
    Ok(())
}

/// Fields of the packets that pass a display filter and are well formed, a line a packet. Fragments stay
/// apart.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Result<String> {
    let filter = format!("({filter}) && !_ws.malformed");
    let mut tshark = Command::new("tshark");
    tshark
        .args(["-n", "-o", "ip.defragment:FALSE", "-r"])
        .arg(file)
        .args(["-Y", &filter, "-T", "fields"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    command::output(&mut tshark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_must_agree_with_the_file_and_add_up() {
        let record = |matched: u64, over_limit: u64, ring: u64, verdict: &str| {
            serde_json::json!({
                "state": "completed",
                "verdict": verdict,
                "counters": {
                    "matched": matched,
                    "captured": 5,
                    "oversize_discarded": 0,
                    "over_limit": over_limit,
                    "dropped": { "ring": ring, "queue": 0, "write": 0, "copy": 0 },
                },
            })
        };
        assert!(check_record(&record(5, 0, 0, "complete"), 5, "complete").is_ok());
        assert!(check_record(&record(7, 2, 0, "complete"), 5, "complete").is_ok());
        assert!(check_record(&record(6, 0, 0, "complete"), 5, "complete").is_err());
        assert!(check_record(&record(6, 0, 1, "complete"), 5, "complete").is_err());
        assert!(check_record(&record(5, 0, 0, "lost 1 of 6"), 5, "complete").is_err());
        assert!(check_record(&record(5, 0, 0, "complete"), 4, "complete").is_err());
        assert!(check_record(&Value::Null, 0, "complete").is_err());
    }

    #[test]
    fn frames_are_compared_one_by_one() {
        let frame = |byte: u8, len: usize| (vec![byte; 4], len);
        let expected = [frame(1, 60), frame(2, 60)];
        assert!(same_frames(&expected, &expected).is_ok());
        assert!(same_frames(&expected[..1], &expected).is_err());
        assert!(same_frames(&[frame(1, 60), frame(3, 60)], &expected).is_err());
        assert!(same_frames(&[frame(1, 60), frame(2, 61)], &expected).is_err());
    }

    #[test]
    fn a_stream_is_counted_once_and_in_any_order() {
        assert_eq!(covered("1\t10\n21\t10\n11\t10\n11\t10\n31\t0\n"), 30);
        assert_eq!(covered("1\t10\n5\t10\n"), 14);
        assert_eq!(covered("1\t10\n21\t10\n"), 20);
        assert_eq!(covered(""), 0);
    }

    #[test]
    fn counts_are_read_from_the_table() {
        let counts = counts("/r/a.pcap\t12\n/r/b.pcap\t0\n");
        assert_eq!(counts.get(Path::new("/r/a.pcap")), Some(&12));
        assert_eq!(counts.len(), 2);
    }
}
