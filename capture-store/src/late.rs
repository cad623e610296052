//! Audit lines that could not be written when their action was done. They wait in memory, with its time, until they
//! can.

use std::{
    collections::VecDeque,
    sync::{MutexGuard, PoisonError},
};

use capture_task::task::rfc3339;

use super::{
    audit::append_text,
    audit_event::{AuditEvent, LateLine, Outcome},
    database::{Need, Store},
    failure::Failure,
};
use crate::access::Caller;

/// Most lines that wait. Beyond them nothing is done that needs a line.
const MAX_LINES: usize = 1000;

impl Store {
    /// Writes a line about what is done, or keeps it in memory where the log cannot be written now.
    /// A refusal is not kept: nothing was done, and anybody can be refused as often as they like.
    ///
    /// # Errors
    /// The line can neither be written nor kept. What should have been logged must then not be done.
    pub fn audit_soon(&self, caller: &Caller, event: AuditEvent<'_>) -> Result<(), Failure> {
        let failure = match self.audit(caller, event) {
            Err(failure) if failure.may_pass() => failure,
            written => return written,
        };
        if matches!(event.outcome, Outcome::Refused(_)) {
            return Ok(());
        }
        let mut late = self.late();
        if late.len() >= MAX_LINES {
            return Err(failure);
        }
        if late.is_empty() {
            log::error!("the audit log cannot be written: {failure}; its lines wait in memory");
        }
        late.push_back(LateLine {
            at: self.0.clock.now(),
            caller: caller.clone(),
            action: event.action,
            object: event.object.to_owned(),
            outcome: event.outcome.text(),
        });
        Ok(())
    }

    /// Writes the lines that wait, each with the time of what it is about; all or none.
    ///
    /// # Errors
    /// The log still cannot be written.
    pub fn write_late(&self) -> Result<(), Failure> {
        let lines: Vec<LateLine> = self.late().iter().cloned().collect();
        if lines.is_empty() {
            return Ok(());
        }
        self.write(Need::Urgent, |transaction, now| {
            for line in &lines {
                let outcome = format!("{} (at {}, written later)", line.outcome, rfc3339(line.at));
                let LateLine {
                    caller,
                    action,
                    object,
                    ..
                } = line;
                append_text(transaction, now, caller, *action, object, outcome)?;
            }
            Ok(())
        })?;
        self.late().drain(..lines.len());
        log::info!("{} lines that waited are in the audit log now", lines.len());
        Ok(())
    }

    /// The lines that still wait, which will be lost, in words.
    pub fn take_late(&self) -> Vec<String> {
        let lines = self.late().drain(..).collect::<Vec<_>>();
        let lines = lines.into_iter().map(|line| {
            let Caller { who, from } = line.caller;
            let (at, action) = (rfc3339(line.at), line.action.as_str());
            let object = line.object.escape_default();
            format!("{at} {who}, {from}: {action} {object} {}", line.outcome)
        });
        lines.collect()
    }

    fn late(&self) -> MutexGuard<'_, VecDeque<LateLine>> {
        self.0.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
