//! What every call has at hand: tasks, store, the policy of the moment.

use std::sync::Arc;

use tokio::sync::watch;

use super::{blocking::blocking, policy::Policies, readiness::Health};
use crate::{
    access::Caller,
    store::{Action, AuditEvent, Outcome, Store},
    tasks::Tasks,
};

/// Where all calls but the probes are.
pub(super) const PREFIX: &str = "/api/v1";

#[derive(Clone)]
pub(super) struct Api(pub(super) Arc<ApiState>);

pub(super) struct ApiState {
    pub(super) tasks: Tasks,
    pub(super) store: Store,
    pub(super) policies: Arc<Policies>,
    pub(super) health: Health,
    /// Whether the server is about to end: streams that would go on for ever then do not.
    pub(super) closing: watch::Receiver<bool>,
}

impl Api {
    /// Notes that `caller` was refused `action` on `object`.
    pub(super) async fn refused(&self, caller: Caller, action: Action, object: &str, why: &str) {
        let (store, object, why) = (self.store.clone(), object.to_owned(), why.to_owned());
        let written = blocking(move || {
            let event = AuditEvent {
                action,
                object: &object,
                outcome: Outcome::Refused(&why),
            };
            store.audit(&caller, event)
        });
        // The request is refused either way, and the log of the daemon has the error.
        let _ = written.await;
    }

    /// Writes the counts of what had no line of its own in the audit log.
    pub(super) async fn flush_audit(&self, all: bool) {
        let store = self.store.clone();
        // The log of the daemon has the error.
        let _ = blocking(move || store.flush_audit(all)).await;
    }
}

impl std::ops::Deref for Api {
    type Target = ApiState;

    fn deref(&self) -> &ApiState {
        &self.0
    }
}
