//! What every call has at hand: tasks, store, the policy of the moment.

use std::{path::PathBuf, sync::Arc};

use capture_engine::doctor::Report;
use capture_store::{
    Action, AuditEvent, Outcome, Store,
    access::{Actor, Caller},
};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use super::{
    about::About,
    blocking::blocking,
    guesses::Guesses,
    policy::Policies,
    problem::Result,
    readiness::Health,
    sessions::{Sessions, object_of},
    status_counts::StatusCounts,
    tls::Certificate,
};
use crate::tasks::Tasks;

/// Where all calls but those about the daemon itself are.
pub(super) const PREFIX: &str = "/api/v1";

/// Where a token is exchanged for a session, and one is told who one is.
pub(super) const SESSION: &str = "/api/v1/session";

#[derive(Clone)]
pub(super) struct Api(pub(super) Arc<ApiState>);

pub(super) struct ApiState {
    pub(super) about: About,
    pub(super) answers: Arc<StatusCounts>,
    /// The one of the TCP listener, where it has one.
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) tasks: Tasks,
    pub(super) store: Store,
    pub(super) policies: Arc<Policies>,
    pub(super) health: Health,
    pub(super) guesses: Guesses,
    /// Path of the Unix socket.
    pub(super) socket: PathBuf,
    /// Whether TCP is within TLS.
    pub(super) has_tls: bool,
    pub(super) sessions: Arc<Sessions>,
    /// The last examination by the doctor, and when it was.
    pub(super) examined: Mutex<Option<(Instant, Report)>>,
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

    /// Notes what `caller` did.
    ///
    /// # Errors
    /// It cannot be noted, and so must not be done.
    pub(super) async fn done(&self, caller: Caller, action: Action, object: &str) -> Result<()> {
        let (store, object) = (self.store.clone(), object.to_owned());
        blocking(move || store.audit(&caller, AuditEvent::done(action, &object))).await
    }

    /// Ends the sessions that are over, and notes them.
    pub(super) async fn sweep_sessions(&self) {
        let api = self.clone();
        // The log of the daemon has the error.
        let _ = blocking(move || {
            let in_use = api.store.tokens_in_use()?;
            for session in api.sessions.sweep(|token| in_use.contains(&token)) {
                let object = object_of(&session);
                let event = AuditEvent::done(Action::SessionEnd, &object);
                api.store.audit(&Actor::daemon().caller, event)?;
            }
            Ok::<_, capture_store::Error>(())
        })
        .await;
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
