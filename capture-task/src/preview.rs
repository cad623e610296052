//! What can be said of a task before it is created, and of the packets that it would take: the answers of a dry run and
//! of a probe, which the daemon writes and the command line reads.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::task::TaskSpec;

/// What a valid task would be and do, were it created now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// Always true: a task that is not valid is an error.
    pub valid: bool,
    /// The task with all defaults filled in.
    pub spec: TaskSpec,
    /// The filter in words.
    pub summary: String,
    /// The filter in the language of pcap-filter(7); empty where every frame matches.
    pub expression: String,
    /// Where tcpdump takes other packets by that expression, a sentence each.
    pub expression_caveats: Vec<String>,
    /// The line of the command line that creates it on this host.
    pub cli: String,
    /// The same as a request over HTTP.
    pub curl: String,
    /// Where in the kernel the packets would be taken, at most 256 interfaces, those with a conflict first. Empty for a
    /// task that starts later.
    #[schema(max_items = 256)]
    pub hooks: Vec<PlannedHook>,
    /// Most bytes that its files can take at one moment.
    pub worst_case_bytes: u64,
    /// Bytes that are free on the file system of the captures, without those that are kept free.
    pub disk_free: u64,
    /// Bytes for the captures of all tasks.
    pub budget: u64,
    /// What is left of them.
    pub budget_left: u64,
    /// What would be left after this task, at the worst.
    pub budget_left_after: u64,
    /// The tasks of the day.
    pub quota: QuotaPreview,
    /// Tasks that run now.
    pub running: u64,
    /// Most tasks that run at the same time.
    pub max_running: u64,
    /// `now`; `waits` where as many tasks run as may; or the time of its start.
    #[schema(pattern = "^(now|waits|[0-9].*Z)$")]
    pub starts: String,
    /// When it ends at the latest; null where its start is not known.
    #[schema(required = true, format = DateTime)]
    pub ends_at: Option<String>,
    /// What to mind; nothing of it makes the task invalid.
    pub warnings: Vec<Warning>,
}

/// A hook that a task would have on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedHook {
    /// The interface.
    pub interface: String,
    /// `tc`, `xdp`, `xdp-generic`.
    pub hook: String,
    /// On what it hangs: `tcx ingress+egress`.
    pub mode: String,
    /// Why it cannot be there, where that is known.
    #[schema(required = true)]
    pub conflict: Option<String>,
}

/// The quota of the caller's account before and after a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaPreview {
    /// Tasks created today.
    pub used: u32,
    /// Tasks a day; null is no limit.
    #[schema(required = true)]
    pub limit: Option<u32>,
    /// Tasks that would be left after this one; null is no limit.
    #[schema(required = true)]
    pub left_after: Option<u32>,
    /// When the next day begins.
    #[schema(format = DateTime)]
    pub resets_at: String,
}

/// Something to mind about a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// JSON pointer (RFC 6901) of the field; empty where it is about the task as a whole.
    pub pointer: String,
    /// Stable word for programs.
    pub code: String,
    /// One sentence for people.
    pub detail: String,
    /// ID of the task that it is about, where it is about another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    pub task: Option<String>,
}

/// What passed while a filter was tried for some seconds, without anything being written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeReport {
    /// Frames that passed the interfaces.
    pub seen: u64,
    /// Those that matched.
    pub matched: u64,
    /// Bytes of these on the wire. Where there were too many to look at each, the others count as their mean.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// The same a second.
    pub rate: Rate,
    /// Where nothing matched, what is near: `Seen from 10.0.0.5: TCP 8443, UDP to 53.`
    #[schema(required = true)]
    pub hint: Option<String>,
    /// Who takes part in what matched, most packets first. Where nothing matched, in what the hint tells of.
    #[schema(max_items = 20)]
    pub talkers: Vec<Talker>,
}

/// How much a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    /// Packets.
    pub packets: f64,
    /// Bytes on the wire.
    pub bytes: f64,
}

/// One end of conversations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Talker {
    /// Address.
    pub address: String,
    /// Port of the service that it offers; null for clients, and where the protocol has no ports.
    #[schema(required = true)]
    pub port: Option<u16>,
    /// `TCP`, `UDP`, `ICMP`, `ARP`, …; `IP 47` for one without a name here.
    pub protocol: String,
    /// Packets from or to it.
    pub packets: u64,
}
