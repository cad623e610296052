//! The capture task as it goes in and out: the request, states, stop reasons, counters, and the record that the
//! JSON summary, the sidecar and the API share. A [`TaskSpec`] comes from the command line or from JSON and is
//! only text and numbers; [`crate::plan`] decides whether it is valid.

use std::{
    fmt::{self, Display, Formatter},
    ops::Add,
};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::{
    interruption::{Interruption, gaps_text},
    plan::{
        AddressType, Directions, Format, Hook, Keyword, Oversize, Protocol,
        schema::{
            AddressList, Count, FrameBytes, InterfaceName, Ports, RotateBytes, RotateFiles,
            Seconds, Size,
        },
    },
    tolerant::known_part,
};

/// A task as requested, nothing checked yet. Field names are those of the API and of the messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaskSpec {
    /// Purpose of the task, 1–128 printable characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 128, pattern = r"^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]+$")]
    pub name: Option<String>,
    /// Interface names, at most 256 and none twice, or `any` alone.
    #[schema(value_type = Vec<InterfaceName>, required = true, min_items = 1, max_items = 256)]
    pub interfaces: Vec<String>,
    /// `both`, `ingress`, `egress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Directions>)]
    pub direction: Option<String>,
    /// `auto`, `tc`, `xdp`, `xdp-generic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Hook>)]
    pub hook: Option<String>,
    /// `all`, `tcp`, `udp`, `icmp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Protocol>)]
    pub protocol: Option<String>,
    /// `any`, `ip`, `ip_pair`; derived where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressType>)]
    pub address_type: Option<String>,
    /// One address or CIDR prefix, or a list of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressList>)]
    pub ip: Option<Addresses>,
    /// Ports and ranges of the `ip` endpoint, at most 1024 items. A task has them sorted, with ranges that overlap or
    /// touch as one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Ports>, max_items = 1024)]
    pub ports: Vec<Quantity>,
    /// Addresses of the other endpoint, as `ip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressList>)]
    pub peer_ip: Option<Addresses>,
    /// Ports and ranges of the peer endpoint, as `ports`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Ports>, max_items = 1024)]
    pub peer_ports: Vec<Quantity>,
    /// Also take ICMP and ICMPv6 errors whose quoted packet belongs to the task.
    #[serde(skip_serializing_if = "is_false")]
    pub icmp_errors: bool,
    /// Most bytes kept of a frame, 0–65535; 0 is the whole frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FrameBytes>)]
    pub max_bytes: Option<Quantity>,
    /// `truncate` or `discard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Oversize>)]
    pub oversize: Option<String>,
    /// Seconds, or `90s`, `10m`, `1h30m`, `1d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Seconds>)]
    pub duration: Option<Quantity>,
    /// Stop after exactly so many written packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Count>)]
    pub max_packets: Option<Quantity>,
    /// Stop before the output exceeds this size.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Size>)]
    pub max_file_bytes: Option<Quantity>,
    /// `pcapng` or `pcap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Format>)]
    pub format: Option<String>,
    /// Several files instead of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate: Option<RotateSpec>,
}

/// For fields that are left out where they say nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Rotation as requested.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RotateSpec {
    /// Next file before this size is exceeded; a bare number is in units of 1,000,000 bytes on the
    /// command line (tcpdump's `-C`) and in bytes in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RotateBytes>)]
    pub bytes: Option<Quantity>,
    /// Next file every so many seconds, aligned to the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Seconds>)]
    pub seconds: Option<Quantity>,
    /// Ring size with `bytes`, limit with `seconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RotateFiles>)]
    pub files: Option<Quantity>,
}

/// The addresses of one endpoint as text. A task has one alone as a string and several as a list, none of them within
/// another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Addresses {
    /// One; as it is asked for, also a range, or a list within the text.
    One(String),
    /// Several.
    List(Vec<String>),
}

impl Addresses {
    /// The texts.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
        }
    }
}

impl From<&str> for Addresses {
    fn from(text: &str) -> Self {
        Self::One(text.to_owned())
    }
}

impl Display for Addresses {
    /// Separated by commas, as the command line takes them.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(","))
    }
}

/// A value that people write as a number or as text with a unit: `443`, `"8000-8100"`, `"10m"`. What a field
/// takes of these is in `plan/schema.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, from = "Written")]
pub enum Quantity {
    /// A bare number.
    Number(i64),
    /// Text, parsed by the field that it stands in.
    Text(String),
}

/// A [`Quantity`] as it comes in.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(i64),
    /// Whole, but more than anything can be, which is for the field to say.
    Beyond(u64),
    Text(String),
}

impl From<Written> for Quantity {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(number) => Self::Number(number),
            Written::Beyond(number) => Self::Text(number.to_string()),
            Written::Text(text) => Self::Text(text),
        }
    }
}

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted, not yet capturing.
    Pending,
    /// Every hook is attached.
    Running,
    /// Detached; what is on its way is still being written.
    Stopping,
    /// Ended as asked.
    Completed,
    /// Ended by a fault; what was written stays.
    Failed,
}

impl State {
    /// Whether nothing more will happen to the task.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

impl Keyword for State {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("pending", Self::Pending),
        ("running", Self::Running),
        ("stopping", Self::Stopping),
        ("completed", Self::Completed),
        ("failed", Self::Failed),
    ];
}

/// Why a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// `duration` is over.
    Duration,
    /// `max_packets` are written.
    MaxPackets,
    /// The next packet would exceed `max_file_bytes`, or rotation's `files` are used up.
    MaxFileBytes,
    /// A signal, a stop request, or the consumer of `-w -` went away.
    User,
    /// The last interface of the task vanished.
    InterfaceGone,
    /// The disk is full.
    DiskFull,
    /// Writing failed otherwise.
    IoError,
    /// The daemon ended, and the task was not taken up again.
    Shutdown,
    /// Found unfinished at the next start.
    Interrupted,
    /// Anything else; the task's `error` says what. Also what only a later version knows.
    #[serde(other)]
    Error,
}

impl Keyword for StopReason {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("duration", Self::Duration),
        ("max_packets", Self::MaxPackets),
        ("max_file_bytes", Self::MaxFileBytes),
        ("user", Self::User),
        ("interface_gone", Self::InterfaceGone),
        ("disk_full", Self::DiskFull),
        ("io_error", Self::IoError),
        ("shutdown", Self::Shutdown),
        ("interrupted", Self::Interrupted),
        ("error", Self::Error),
    ];
}

impl StopReason {
    /// The final state that goes with the reason.
    pub fn final_state(self) -> State {
        match self {
            Self::Duration
            | Self::MaxPackets
            | Self::MaxFileBytes
            | Self::User
            | Self::InterfaceGone => State::Completed,
            Self::DiskFull | Self::IoError | Self::Shutdown | Self::Interrupted | Self::Error => {
                State::Failed
            }
        }
    }
}

/// What became of the packets that matched. The figures add up, see [`Counters::accounted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Frames on the task's interfaces too short, or with too many headers, to decide every criterion on, which so may not
    /// have matched though they should. Known at the end. Not part of `matched`.
    #[serde(default)]
    #[schema(required = true)]
    pub undecided: u64,
    /// Packets that matched in the kernel.
    pub matched: u64,
    /// Packets written to the output.
    pub captured: u64,
    /// Bytes kept of the packets written, file format overhead not counted.
    pub bytes: u64,
    /// Packets longer than `max_bytes` under `oversize: discard`.
    pub oversize_discarded: u64,
    /// Packets that came after `max_packets` or `max_file_bytes` was reached.
    pub over_limit: u64,
    /// Packets lost, by the place where they were lost.
    pub dropped: Dropped,
}

/// Packets lost, by stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dropped {
    /// No room in the ring: the agent did not drain it fast enough.
    pub ring: u64,
    /// No free buffer: the task's output did not keep up.
    pub queue: u64,
    /// The write failed.
    pub write: u64,
    /// The kernel could not read the frame's bytes.
    pub copy: u64,
}

/// Where packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropStage {
    /// [`Dropped::ring`]
    Ring,
    /// [`Dropped::queue`]
    Queue,
    /// [`Dropped::write`]
    Write,
    /// [`Dropped::copy`]
    Copy,
}

impl Keyword for DropStage {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("ring", Self::Ring),
        ("queue", Self::Queue),
        ("write", Self::Write),
        ("copy", Self::Copy),
    ];
}

impl Dropped {
    /// All losses together.
    pub fn total(&self) -> u64 {
        self.stages().map(|(_, count)| count).sum()
    }

    /// Every stage and what was lost there, also where it was nothing.
    pub fn stages(&self) -> impl Iterator<Item = (DropStage, u64)> {
        let Self {
            ring,
            queue,
            write,
            copy,
        } = *self;
        let stages = [
            (DropStage::Ring, ring),
            (DropStage::Queue, queue),
            (DropStage::Write, write),
            (DropStage::Copy, copy),
        ];
        stages.into_iter()
    }
}

impl Add for Counters {
    type Output = Self;

    /// The figures of several tasks together.
    fn add(self, other: Self) -> Self {
        Self {
            undecided: self.undecided + other.undecided,
            matched: self.matched + other.matched,
            captured: self.captured + other.captured,
            bytes: self.bytes + other.bytes,
            oversize_discarded: self.oversize_discarded + other.oversize_discarded,
            over_limit: self.over_limit + other.over_limit,
            dropped: Dropped {
                ring: self.dropped.ring + other.dropped.ring,
                queue: self.dropped.queue + other.dropped.queue,
                write: self.dropped.write + other.dropped.write,
                copy: self.dropped.copy + other.dropped.copy,
            },
        }
    }
}

impl Counters {
    /// Everything that `matched` must equal once the task has ended.
    pub fn accounted(&self) -> u64 {
        self.captured + self.oversize_discarded + self.over_limit + self.dropped.total()
    }

    /// The verdict on a task that ended for this reason; none where it is not known what was lost.
    pub fn verdict_at(&self, reason: StopReason) -> Option<String> {
        let is_unknown = match reason {
            StopReason::Interrupted => true,
            // Ended by a fault without a count, as by a failed fsync(2): it looks complete and need not be.
            _ => reason.final_state() == State::Failed && self.dropped.total() == 0,
        };
        (!is_unknown).then(|| self.verdict())
    }

    /// The verdict on a task that was interrupted: `interrupted: N gaps`, with what it lost besides; none where it was
    /// not.
    pub fn verdict_with(&self, interruptions: &[Interruption]) -> Option<String> {
        let gaps = gaps_text(interruptions)?;
        Some(match (self.dropped.total(), self.undecided) {
            (0, 0) => format!("interrupted: {gaps}"),
            (0, undecided) => format!("interrupted: {gaps}; {undecided} undecided"),
            _ => format!("interrupted: {gaps}, {}", self.verdict()),
        })
    }

    /// `complete`, or `lost N of M`; with `; N undecided` behind it where there are such frames.
    pub fn verdict(&self) -> String {
        let verdict = match self.dropped.total() {
            0 => "complete".to_owned(),
            lost => format!("lost {lost} of {}", self.matched),
        };
        match self.undecided {
            0 => verdict,
            undecided => format!("{verdict}; {undecided} undecided"),
        }
    }
}

/// One capture file of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileRecord {
    /// Number in order of writing, from 0.
    pub index: u64,
    /// Path as the user gave it (`run`), or the file's name in the task's directory (daemon); `-` is
    /// standard output.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Packets in it.
    pub packets: u64,
    /// Whether the file was finished: every record whole, statistics written, synced.
    pub complete: bool,
    /// SHA-256 of the finished file in lower-case hexadecimal; null for standard output.
    #[schema(required = true, pattern = "^[0-9a-f]{64}$")]
    pub sha256: Option<String>,
}

/// A task with everything that is known of it; the schema of the JSON summary and of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskRecord {
    /// ULID.
    #[schema(pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    pub id: String,
    /// Name, given or derived.
    pub name: String,
    /// The request.
    #[serde(deserialize_with = "known_spec")]
    pub spec: TaskSpec,
    /// Where it is.
    pub state: State,
    /// Why it ended, once it has.
    #[schema(required = true)]
    pub stop_reason: Option<StopReason>,
    /// One sentence on what went wrong, where something did.
    #[schema(required = true)]
    pub error: Option<String>,
    /// RFC 3339, UTC, milliseconds, as all times.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it shall start, where it was asked to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub start_at: Option<String>,
    /// When every hook was attached, by the clock of its packets.
    #[schema(required = true, format = DateTime)]
    pub started_at: Option<String>,
    /// When it stopped matching, by the clock of its packets: a step of the wall clock is not in it.
    #[schema(required = true, format = DateTime)]
    pub ended_at: Option<String>,
    /// When the files will be removed; null in `run`, which removes nothing.
    #[schema(required = true, format = DateTime)]
    pub expires_at: Option<String>,
    /// The figures.
    pub counters: Counters,
    /// `complete`, `lost N of M`, or `interrupted: N gaps` where it was taken up again, once it has ended.
    #[schema(
        required = true,
        pattern = "^(complete|lost [0-9]+ of [0-9]+|interrupted: [0-9]+ gaps?(, lost [0-9]+ of [0-9]+)?)(; [0-9]+ undecided)?$"
    )]
    pub verdict: Option<String>,
    /// When it captured nothing though it had begun, as the daemon ended; absent where that never was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interruptions: Vec<Interruption>,
    /// The files, in order.
    pub files: Vec<FileRecord>,
    /// Who created it, in the daemon: `uid 1000`, `token NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whose quota it counts against, in the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// How many findings there are; absent where it was not analyzed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<FindingCounts>,
}

impl TaskRecord {
    /// The interruption that is not over: the task waits to be taken up again, or never was.
    pub fn open_interruption(&self) -> Option<&Interruption> {
        let last = self.interruptions.last();
        last.filter(|last| last.until.is_none())
    }
}

/// A request of a record, which may be of a later version.
fn known_spec<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TaskSpec, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(known_part(&value).0)
}

/// How many findings of each severity a report has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingCounts {
    /// What needs to be mended.
    pub high: u64,
    /// What needs a look.
    pub warn: u64,
    /// What is good to know.
    pub info: u64,
}

impl FindingCounts {
    /// Those of a report, JSON; none where it is no report.
    pub fn of_report(report: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Report {
            #[serde(default)]
            findings: Vec<Finding>,
        }
        #[derive(Deserialize)]
        struct Finding {
            severity: Severity,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Severity {
            High,
            Warn,
            Info,
        }
        let report: Report = serde_json::from_str(report).ok()?;
        let mut counts = Self::default();
        for finding in report.findings {
            match finding.severity {
                Severity::High => counts.high += 1,
                Severity::Warn => counts.warn += 1,
                Severity::Info => counts.info += 1,
            }
        }
        Some(counts)
    }
}

/// The time so many nanoseconds since the Unix epoch, where it is one that can be told.
pub fn time_of(unix_ns: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(unix_ns)).ok()
}

/// A time as records have it: RFC 3339, UTC, milliseconds.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}
