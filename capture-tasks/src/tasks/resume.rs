//! Tasks that outlive a daemon. At its end their files are closed and what is known of them is stored; the next start
//! takes them up again, in a further file and up to the deadline that they had, and the gap is in their record.

use std::time::Duration;

use capture_store::{Action, Change, Outcome, TaskId, access::Actor};
use capture_task::{
    interruption::InterruptionCause,
    plan::Plan,
    task::{StopReason, TaskRecord},
};
use jiff::Timestamp;

use super::{inner::Inner, outcome::TaskOutcome, task_log};

impl Inner {
    /// Stores what is known of a task that the end of the daemon interrupts. Where that fails, the next start goes by
    /// its files, as after a kill.
    pub(super) fn interrupt(&self, id: &TaskId, last: TaskOutcome) {
        let pause = last.pause(InterruptionCause::Shutdown, self.clock.now());
        if let Err(failure) = self.store.update(id, &Change::Interrupted(pause)) {
            log::error!(
                "task {id} is interrupted, and that cannot be stored: {failure}; the next start goes by its files"
            );
        }
        if let Some(record) = self.announce(id) {
            task_log::interrupted(&record);
        }
        self.table().ended(id);
        self.wake.notify_one();
    }

    /// The outcome of a task that is not on the engine: of one that never began, or of one that was not taken up again.
    pub(super) fn off_engine(
        &self,
        id: &TaskId,
        reason: StopReason,
        error: Option<String>,
    ) -> TaskOutcome {
        let outcome = TaskOutcome::before_start(reason, error);
        match self.store.task(id) {
            Ok(Some(stored)) => outcome.behind(&stored.record),
            // It has no row whose figures could be lost.
            Ok(None) | Err(_) => outcome,
        }
    }

    /// Notes in the audit log that a task captures again. It does so whether that can be noted or not.
    pub(super) fn note_taken_up(&self, id: &TaskId) {
        let actor = Actor::daemon();
        let noted = self.write_audit(&actor, Action::TaskResume, &id.to_string(), Outcome::Done);
        if let Err(error) = noted {
            log::error!("task {id} is taken up again, and the audit log does not say so: {error}");
        }
    }
}

/// Whether the row of a task says that it waits to be taken up again.
pub(super) fn is_interrupted(record: &TaskRecord) -> bool {
    !record.state.is_final() && record.open_interruption().is_some()
}

/// What is left of the plan of a task that was interrupted; none where nothing is. The figures of the record are those
/// until then.
pub(super) fn rest_of(mut plan: Plan, record: &TaskRecord, now: Timestamp) -> Option<Plan> {
    if let Some(duration) = plan.duration {
        let rest = duration.checked_sub(passed(record, now))?;
        if rest.is_zero() {
            return None;
        }
        plan.duration = Some(rest);
    }
    if let Some(most) = plan.max_packets {
        let rest = most.checked_sub(record.counters.captured)?;
        if rest == 0 {
            return None;
        }
        plan.max_packets = Some(rest);
    }
    Some(plan)
}

/// Time since the first start of a task. At least that until the interruption, whatever the wall clock says.
fn passed(record: &TaskRecord, now: Timestamp) -> Duration {
    let read = |text: &str| text.parse::<Timestamp>().ok();
    let started = record.started_at.as_deref().and_then(read);
    let open = record.open_interruption().and_then(|open| read(&open.from));
    let since = |at: Timestamp| {
        let passed = started.map(|started| at.duration_since(started));
        passed
            .and_then(|passed| Duration::try_from(passed).ok())
            .unwrap_or_default()
    };
    since(now).max(open.map_or(Duration::ZERO, since))
}

#[cfg(test)]
mod tests {
    use capture_task::task::TaskSpec;
    use serde_json::json;

    use super::*;

    fn record(interruption: Option<&str>) -> TaskRecord {
        let interruptions =
            interruption.map(|from| json!([{"from": from, "until": null, "cause": "shutdown"}]));
        serde_json::from_value(json!({
            "id": "x", "name": "x", "spec": {}, "state": "running", "stop_reason": null, "error": null,
            "created_at": "2026-01-01T11:00:00Z", "started_at": "2026-01-01T12:00:00Z", "ended_at": null,
            "expires_at": null, "verdict": null, "files": [],
            "interruptions": interruptions.unwrap_or_else(|| json!([])),
            "counters": {"matched": 7, "captured": 7, "bytes": 7, "oversize_discarded": 0, "over_limit": 0,
                         "dropped": {"ring": 0, "queue": 0, "write": 0, "copy": 0}}
        }))
        .expect("a record")
    }

    fn rest(spec: serde_json::Value, now: &str) -> Option<(Option<u64>, Option<u64>)> {
        let spec: TaskSpec = serde_json::from_value(spec).expect("a request");
        let origin = capture_task::plan::RequestOrigin::Daemon;
        let plan = Plan::resolve(&spec, origin).expect("a plan");
        let record = record(Some("2026-01-01T12:00:10Z"));
        let plan = rest_of(plan, &record, now.parse().expect("a time"))?;
        Some((plan.duration.map(|it| it.as_secs()), plan.max_packets))
    }

    #[test]
    fn what_is_left_counts_from_the_first_start() {
        let spec = json!({"name": "x", "interfaces": ["lo"], "duration": 60, "max_packets": 9});
        assert_eq!(
            rest(spec.clone(), "2026-01-01T12:00:20Z"),
            Some((Some(40), Some(2)))
        );
        assert_eq!(rest(spec.clone(), "2026-01-01T12:01:00Z"), None);
        // A wall clock that was set back gives no time that was used.
        assert_eq!(
            rest(spec, "2025-01-01T00:00:00Z"),
            Some((Some(50), Some(2)))
        );
        let full = json!({"name": "x", "interfaces": ["lo"], "duration": 60, "max_packets": 7});
        assert_eq!(rest(full, "2026-01-01T12:00:20Z"), None);
    }

    #[test]
    fn only_an_open_interruption_waits_to_be_taken_up() {
        assert!(!is_interrupted(&record(None)));
        let mut open = record(Some("2026-01-01T12:00:10Z"));
        assert!(is_interrupted(&open));
        open.interruptions[0].until = Some("2026-01-01T12:00:20Z".to_owned());
        assert!(!is_interrupted(&open));
    }
}
