//! The accounts of a capture that has ended: the figures add up, and its summary or closing table, the
//! statistics in its last file, and the packets that capinfos counts in its files all say the same.
//! [`agent`](crate::agent) holds every capture to this at its end.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    agent::Ended,
    counters::Figures,
    pcapng::STATISTICS,
    stream::{Record, Stream},
};

/// Panics unless everything that an end says of its packets agrees.
pub(crate) fn check(ended: &Ended) {
    for record in ended.records() {
        let figures = of_record(ended, &record);
        check_sum(ended, &figures);
        check_verdict(ended, &record, &figures);
        let listed = record["files"].as_array().cloned().unwrap_or_default();
        let files: Vec<_> = listed
            .iter()
            .filter_map(|file| Checked::read(ended, file))
            .collect();
        check_files(ended, &files);
        // Files that a ring removed, and those that the test cannot see, are in the figures all the same.
        let is_ring = !record["spec"]["rotate"]["files"].is_null();
        if files.len() == listed.len() && !is_ring && !files.is_empty() {
            let packets: u64 = files.iter().map(|file| file.packets).sum();
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            let said = record["counters"]["bytes"].as_u64();
            ended.check(
                packets == figures.captured && Some(bytes) == said,
                format_args!("{packets} packets of {bytes} bytes in the files"),
            );
        }
        if let Some(last) = files.last() {
            check_statistics(ended, last, &figures);
        }
    }
    if let Some(table) = Table::find(&ended.stderr) {
        check_table(ended, &table);
    }
}

fn of_record(ended: &Ended, record: &Value) -> Figures {
    let figures = Figures::of_record(record);
    ended.check(
        figures.is_some() && record["counters"]["bytes"].is_u64(),
        "a figure is missing, or no number",
    );
    figures.unwrap_or_default()
}

/// `matched` is the sum of everything that can become of a packet.
fn check_sum(ended: &Ended, figures: &Figures) {
    ended.check(
        figures.matched == figures.accounted(),
        format_args!("{figures:?} do not add up"),
    );
}

fn check_verdict(ended: &Ended, record: &Value, figures: &Figures) {
    let lost = figures.lost();
    let expected = match (lost, record["stop_reason"].as_str()) {
        (0, Some("disk_full" | "io_error" | "interrupted" | "error")) => Value::Null,
        (0, _) => "complete".into(),
        _ => format!("lost {lost} of {}", figures.matched).into(),
    };
    let undecided = record["counters"]["undecided"].as_u64().unwrap_or(u64::MAX);
    let expected = match (expected, undecided) {
        (Value::String(text), 1..) => format!("{text}; {undecided} undecided").into(),
        (expected, _) => expected,
    };
    let verdict = &record["verdict"];
    ended.check(
        *verdict == expected,
        format_args!("verdict {verdict}, not {expected}"),
    );
}

/// A file that can be read, and what is in it.
struct Checked {
    path: PathBuf,
    is_complete: bool,
    /// It could not be cut back or given its name, and is left to the recovery.
    is_unfinished: bool,
    /// As the summary says.
    packets: u64,
    /// Bytes kept, of the packets that are there.
    bytes: u64,
    /// Statistics of each interface: how many were delivered, and the comment.
    statistics: Vec<(u64, String)>,
    is_pcapng: bool,
    /// A copy of standard output, while it is looked at.
    _copy: Option<NamedTempFile>,
}

impl Checked {
    /// A file of the summary, unless nobody can read it back: a pipe, a device, a mount that has gone.
    fn read(ended: &Ended, file: &Value) -> Option<Self> {
        let name = file["name"].as_str().unwrap_or_default();
        let copy = (name == "-" && !ended.stdout.is_empty()).then(|| {
            let copy = NamedTempFile::new().expect("a file");
            fs::write(copy.path(), &ended.stdout).expect("it can be written");
            copy
        });
        let path = match &copy {
            Some(copy) => copy.path().to_owned(),
            None => ended.directory.path().join(name),
        };
        let is_complete = file["complete"] == true;
        let is_readable = path.metadata().is_ok_and(|meta| meta.is_file())
            // A stream that was cut short cannot be cut back.
            && (is_complete || copy.is_none());
        is_readable.then(|| Self::scan(ended, path, file, is_complete, copy))
    }

    fn scan(
        ended: &Ended,
        path: PathBuf,
        file: &Value,
        is_complete: bool,
        copy: Option<NamedTempFile>,
    ) -> Self {
        let has_provisional_name = path.extension().is_some_and(|suffix| suffix == "part");
        let mut checked = Self {
            is_unfinished: !is_complete && has_provisional_name,
            is_pcapng: is_pcapng(&path),
            is_complete,
            packets: file["packets"].as_u64().unwrap_or(u64::MAX),
            bytes: 0,
            statistics: Vec::new(),
            _copy: copy,
            path,
        };
        let mut stream = Stream::open(&checked.path);
        let mut last_ns = 0;
        while let Some(record) = stream.record() {
            match record {
                Record::Packet(packet) => {
                    let is_later = packet.time_ns >= last_ns;
                    ended.check(is_later, format_args!("time goes back in {file}"));
                    last_ns = packet.time_ns;
                    checked.bytes += packet.bytes.len() as u64;
                }
                Record::Block(block) if block.kind == STATISTICS => {
                    // isb_usrdeliv, opt_comment.
                    let delivered = block.number64(8).unwrap_or_default();
                    let comment = block.text(1).unwrap_or_default();
                    checked.statistics.push((delivered, comment));
                }
                Record::Block(_) => {}
            }
        }
        let rest = stream.rest();
        ended.check(
            rest == 0 || checked.is_unfinished,
            format_args!("{rest} bytes too many in {file}"),
        );
        checked
    }
}

fn is_pcapng(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == [0x0a, 0x0d, 0x0d, 0x0a]
}

/// As many packets as the summary says are in each file, by capinfos, who has nothing to complain of.
fn check_files(ended: &Ended, files: &[Checked]) {
    // An empty file, of an output that failed at once, is none to it.
    let readable = |file: &&Checked| {
        !file.is_unfinished && file.path.metadata().is_ok_and(|meta| meta.len() > 0)
    };
    let files: Vec<_> = files.iter().filter(readable).collect();
    if files.is_empty() {
        return;
    }
    let mut capinfos = Command::new("capinfos");
    capinfos.args(["-T", "-r", "-M", "-c"]);
    let done = capinfos
        .args(files.iter().map(|file| &file.path))
        .output()
        .expect("capinfos starts");
    let complaint = String::from_utf8_lossy(&done.stderr);
    ended.check(
        done.status.success() && complaint.is_empty(),
        format_args!("capinfos: {complaint}"),
    );
    let table = String::from_utf8_lossy(&done.stdout);
    let counts: Vec<_> = table
        .lines()
        .filter_map(|line| line.rsplit_once('\t')?.1.parse::<u64>().ok())
        .collect();
    let expected: Vec<_> = files.iter().map(|file| file.packets).collect();
    ended.check(
        counts == expected,
        format_args!("capinfos counts {counts:?}, the summary {expected:?}"),
    );
}

/// The statistics at the end of the last file: the figures of the task, and of all its interfaces together
/// the packets that were captured.
fn check_statistics(ended: &Ended, last: &Checked, figures: &Figures) {
    if !last.is_pcapng || !last.is_complete {
        return;
    }
    ended.check(
        !last.statistics.is_empty(),
        "no statistics in the last file",
    );
    let delivered: u64 = last.statistics.iter().map(|(count, _)| count).sum();
    ended.check(
        delivered == figures.captured,
        format_args!("statistics: {delivered} delivered"),
    );
    for (_, comment) in &last.statistics {
        // Where a silent period has closed the last file, and another would have had a price, there are none.
        let is_timed = ended.argument("-G") || ended.argument("--rotate-seconds");
        let is_ring = ended.argument("-W") || ended.argument("--rotate-files");
        let is_excused = is_timed && (is_ring || ended.argument("--max-file-bytes"));
        let agree = match comment.matches('=').count() {
            0 => is_excused,
            8 => Figures::of_comment(comment) == Some(*figures),
            _ => false,
        };
        ended.check(agree, format_args!("statistics say `{comment}`"));
    }
}

/// The closing table of one task.
#[derive(Debug)]
struct Table {
    figures: Figures,
    is_complete: bool,
    files: Vec<String>,
}

impl Table {
    fn find(stderr: &str) -> Option<Self> {
        let rows: Vec<_> = stderr
            .lines()
            .filter_map(|line| line.split_at_checked(12))
            .map(|(label, value)| (label.trim_end(), value))
            .collect();
        let lost = rows.iter().find(|row| row.0 == "lost")?.1;
        Some(Self {
            figures: Figures::of_table(stderr)?,
            is_complete: lost.ends_with("the capture is complete"),
            files: rows
                .iter()
                .filter(|row| row.0 == "file")
                .filter_map(|row| Some(row.1.rsplit_once(" (")?.0.to_owned()))
                .collect(),
        })
    }
}

/// The table adds up, and says what the last file's statistics and the packets in all files say.
fn check_table(ended: &Ended, table: &Table) {
    check_sum(ended, &table.figures);
    let code = ended.status.code();
    ended.check(
        table.is_complete == (table.figures.lost() == 0 && code == Some(0)),
        format_args!("{table:?} with exit code {code:?}"),
    );
    let files = table
        .files
        .iter()
        .map(|name| ended.directory.path().join(name));
    let files: Vec<_> = files.filter(|path| path.is_file()).collect();
    let is_ring = ended.argument("-W") || ended.argument("--rotate-files");
    if files.is_empty() || files.len() != table.files.len() || is_ring {
        return;
    }
    let (mut packets, mut comments) = (0, Vec::new());
    for path in &files {
        let mut stream = Stream::open(path);
        comments.clear();
        while let Some(record) = stream.record() {
            match record {
                Record::Packet(_) => packets += 1,
                Record::Block(block) if block.kind == STATISTICS => comments.extend(block.text(1)),
                Record::Block(_) => {}
            }
        }
    }
    ended.check(
        packets == table.figures.captured,
        format_args!("{packets} packets in the files of {table:?}"),
    );
    for comment in comments {
        ended.check(
            Figures::of_comment(&comment) == Some(table.figures),
            format_args!("statistics say `{comment}`, the table {table:?}"),
        );
    }
}
