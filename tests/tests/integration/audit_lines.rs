//! The audit log of a daemon under test, as its database has it.

use std::sync::Arc;

use capture_store::{AuditFilter, AuditLine, Store, access::Actor, clock::SystemClock};
use capture_tests::daemon::Daemon;

/// The lines of an action, or of a family such as `packets`, oldest first.
pub(crate) fn audit_lines(daemon: &Daemon, action: &str) -> Vec<AuditLine> {
    let path = daemon.home().path().join("state.db");
    let store = Store::open_existing(&path, Arc::new(SystemClock)).expect("the store");
    let filter = AuditFilter {
        limit: 1000,
        action: Some(action.to_owned()),
        ..AuditFilter::default()
    };
    let mut lines = store.audit_list(&filter, &Actor::command()).expect("a log");
    lines.reverse();
    lines
}
