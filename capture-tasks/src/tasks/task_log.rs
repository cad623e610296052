//! Lines of the log for what becomes of a task: created, started, ended, deleted. What else is done to one is logged by
//! the store, with the audit log. Names come from clients, and are quoted.

use capture_store::{TaskId, access::Actor};
use capture_task::{
    bytes_text, count_text,
    plan::{Keyword as _, quote},
    task::{State, StopReason, TaskRecord},
};
use log::Level;

/// Somebody has created it.
pub(super) fn created(record: &TaskRecord, actor: &Actor) {
    let TaskRecord { id, name, spec, .. } = record;
    let (who, from) = (actor.caller.who.short(), actor.caller.from.to_string());
    let interfaces = spec.interfaces.join(", ");
    let start = record.start_at.as_deref();
    let when = start.map_or_else(String::new, |at| format!(", starts at {at}"));
    log::info!(
        event = "task.created", task = id.as_str(), name = name.as_str(), who = who.as_str(), from = from.as_str(),
        interfaces = interfaces.as_str(), start_at = start;
        "task {id} {} is created by {who}, {from}, on {interfaces}{when}",
        quote(name)
    );
}

/// All of its hooks are attached.
pub(super) fn started(record: &TaskRecord) {
    let TaskRecord { id, name, spec, .. } = record;
    let interfaces = spec.interfaces.join(", ");
    log::info!(
        event = "task.started", task = id.as_str(), name = name.as_str(), interfaces = interfaces.as_str();
        "task {id} {} has started on {interfaces}",
        quote(name)
    );
}

/// The end of the daemon interrupts it.
pub(super) fn interrupted(record: &TaskRecord) {
    let TaskRecord {
        id, name, counters, ..
    } = record;
    log::info!(
        event = "task.interrupted", task = id.as_str(), name = name.as_str(), matched = counters.matched,
        captured = counters.captured, lost = counters.dropped.total();
        "task {id} {} is interrupted, as the daemon ends: matched {}, captured {}, lost {}; the next start takes it up again",
        quote(name),
        count_text(counters.matched),
        count_text(counters.captured),
        count_text(counters.dropped.total())
    );
}

/// All of its hooks are attached again, after an interruption.
pub(super) fn taken_up(record: &TaskRecord) {
    let TaskRecord {
        id,
        name,
        interruptions,
        ..
    } = record;
    let gaps = interruptions.len();
    let last = interruptions.last();
    let from = last.map_or("", |gap| gap.from.as_str());
    let until = last
        .and_then(|gap| gap.until.as_deref())
        .unwrap_or_default();
    log::warn!(
        event = "task.resumed", task = id.as_str(), name = name.as_str(), gaps, from, until;
        "task {id} {} is taken up again; nothing was captured from {from} to {until}",
        quote(name)
    );
}

/// It has ended, with these figures. A warning where it failed, or lost something.
pub(super) fn ended(record: &TaskRecord) {
    let TaskRecord {
        id,
        name,
        state,
        stop_reason,
        error,
        counters,
        verdict,
        files,
        ..
    } = record;
    let reason = stop_reason.map_or("", StopReason::keyword);
    let size: u64 = files.iter().map(|file| file.size).sum();
    let lost = counters.dropped.total();
    let outcome = match state {
        State::Failed => "has failed",
        _ => "has ended",
    };
    let level = match (state, lost) {
        (State::Failed, _) | (_, 1..) => Level::Warn,
        _ => Level::Info,
    };
    let fault = error.as_deref();
    let kept = match files.len() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let why = fault.map_or_else(String::new, |error| format!(": {error}"));
    log::log!(
        level,
        event = "task.ended", task = id.as_str(), name = name.as_str(), state = state.keyword(), reason,
        error = fault, matched = counters.matched, captured = counters.captured, bytes = counters.bytes,
        lost, verdict = verdict.as_deref(), files = files.len(), size;
        "task {id} {} {outcome} ({reason}): matched {}, captured {}, lost {}, {}; {kept}, {}{why}",
        quote(name),
        count_text(counters.matched),
        count_text(counters.captured),
        count_text(lost),
        verdict.as_deref().unwrap_or("what it lost is not known"),
        bytes_text(size)
    );
}

/// Somebody has deleted it, and its files with it.
pub(super) fn deleted(id: &TaskId, name: &str, actor: &Actor) {
    let (who, from) = (actor.caller.who.short(), actor.caller.from.to_string());
    log::info!(
        event = "task.deleted", task:% = id, name, who = who.as_str(), from = from.as_str();
        "task {id} {} is deleted by {who}, {from}",
        quote(name)
    );
}
