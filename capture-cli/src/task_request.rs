//! One task of a foreground capture: its request and its plan, with where its packets go. It comes from options or
//! from a file of tasks.

use std::path::Path;

use capture_file::{Target, size_faults};
use capture_task::{
    plan::{Fault, Format, Plan, normalise},
    task::TaskSpec,
};

/// One task, with where its packets go.
#[derive(Debug)]
pub(super) struct TaskRequest {
    /// The task as asked for.
    pub(super) spec: TaskSpec,
    /// The task as it will be executed.
    pub(super) plan: Plan,
    /// Where the packets go; `None` is a file named by us.
    pub(super) target: Option<Target>,
}

impl TaskRequest {
    /// A task whose format, unless given, follows from its file.
    pub(super) fn new(mut spec: TaskSpec, mut plan: Plan, target: Option<Target>) -> Self {
        normalise(&mut spec);
        if spec.format.is_none()
            && let Some(Target::File(path)) = &target
        {
            plan.format = format_of(path);
        }
        Self { spec, plan, target }
    }

    /// Limits that no file of this format could keep.
    pub(super) fn size_faults(&self) -> Vec<Fault> {
        size_faults(&self.plan)
    }
}

/// The suffix of the name decides, as nobody expects pcapng in a `.pcap`.
fn format_of(path: &Path) -> Format {
    let is_pcap = path
        .extension()
        .is_some_and(|suffix| suffix.eq_ignore_ascii_case("pcap"));
    if is_pcap {
        Format::Pcap
    } else {
        Format::Pcapng
    }
}
