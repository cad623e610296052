//! The API over HTTP: `server` accepts connections, `auth` lets requests in, a file for each resource
//! answers them, and what goes wrong is a `problem`. All decisions about tasks are made in
//! [`Tasks`].

mod auth;
mod connection_pool;
mod content_disposition;
mod events;
mod extract;
mod files;
mod health;
mod host_check;
mod interfaces;
mod listen;
mod new_task;
mod openapi;
pub mod problem;
mod quota;
mod range;
mod server;
mod tasks;
#[cfg(test)]
mod tests;
mod tls;
mod token_recheck;
mod write_timeout;

use std::{fmt::Display, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn_with_state, map_response},
    response::Response,
};
use http::{HeaderValue, header};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use self::{
    auth::{Policies, Policy},
    listen::Sockets,
    problem::{Problem, Result},
    server::{Limits, Listening},
};
use super::{
    access::Caller,
    config::Config,
    store::{Action, AuditEvent, Outcome, Store},
    tasks::Tasks,
};

/// Where all calls but the probes are.
const PREFIX: &str = "/api/v1";

/// How often the counts of what has no line of its own are written to the audit log.
const FLUSH: Duration = Duration::from_secs(60);

/// What handlers have at hand.
#[derive(Clone)]
struct Api(Arc<ApiState>);

struct ApiState {
    tasks: Tasks,
    store: Store,
    policies: Arc<Policies>,
    health: health::Health,
    /// Whether the server is about to end: streams that would go on for ever then do not.
    closing: watch::Receiver<bool>,
}

impl Api {
    /// Notes that `caller` was refused `action` on `object`.
    async fn refused(&self, caller: Caller, action: Action, object: &str, why: &str) {
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
    async fn flush_audit(&self, all: bool) {
        let store = self.store.clone();
        // As above.
        let _ = blocking(move || store.flush_audit(all)).await;
    }
}

impl std::ops::Deref for Api {
    type Target = ApiState;

    fn deref(&self) -> &ApiState {
        &self.0
    }
}

/// Whether the API could be served as the configuration says, as far as that can be told without a socket.
///
/// # Errors
/// The certificate or the group of the socket cannot be used.
pub fn check(config: &Config) -> crate::error::Result<()> {
    Policy::of(config)?;
    match &config.http.tls {
        Some(tls) => tls::pair(&tls.cert, &tls.key).map(|_| ()),
        None => Ok(()),
    }
}

/// The running API.
pub struct Server {
    api: Api,
    closing: watch::Sender<bool>,
    listening: Listening,
    sockets: Sockets,
    flushing: JoinHandle<()>,
}

impl Server {
    /// Opens the sockets and begins to answer.
    ///
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// A socket cannot be opened, another daemon has it, or the certificate cannot be used.
    pub async fn start(config: &Config, tasks: Tasks) -> crate::error::Result<Self> {
        Self::start_with(config, tasks, Limits::default())
    }

    fn start_with(config: &Config, tasks: Tasks, limits: Limits) -> crate::error::Result<Self> {
        let policies = Policies::new(Policy::of(config)?);
        let mut sockets = Sockets::open(config, policies.current().access.gid())?;
        let (closing, closed) = watch::channel(false);
        let store = tasks.store().clone();
        let api = Api(Arc::new(ApiState {
            health: health::Health::default(),
            policies: Arc::clone(&policies),
            store,
            tasks,
            closing: closed,
        }));
        let (unix, tcp) = sockets.listeners()?;
        let listening = Listening::start(unix, tcp, &router(api.clone()), &policies, limits);
        let flushing = tokio::spawn(flush(api.clone()));
        Ok(Self {
            api,
            closing,
            listening,
            sockets,
            flushing,
        })
    }

    /// Takes over what may change while it runs: the certificate, the names of the host, the group of
    /// the socket.
    ///
    /// # Errors
    /// Something of it cannot be used; then nothing has changed.
    pub fn reload(&self, config: &Config) -> crate::error::Result<()> {
        let policy = Policy::of(config)?;
        self.sockets.reload(config, policy.access.gid())?;
        self.api.policies.set(policy);
        Ok(())
    }

    /// The addresses on which it listens for TCP.
    pub fn addresses(&self) -> &[std::net::SocketAddr] {
        self.sockets.addresses()
    }

    /// Ends in order: no new connections, those that are there are answered, nothing is left. Gives
    /// what had not ended at the deadline.
    pub async fn stop(self, deadline: Duration) -> Vec<String> {
        self.closing.send_replace(true);
        let cut = self.listening.stop(Instant::now() + deadline).await;
        self.flushing.abort();
        self.api.flush_audit(true).await;
        self.sockets.close();
        match cut {
            0 => Vec::new(),
            cut => vec![format!("{cut} connections to the API")],
        }
    }
}

/// All calls, behind the gate.
fn router(api: Api) -> Router {
    let (router, _) = openapi::router().split_for_parts();
    router
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .layer(from_fn_with_state(api.clone(), auth::admit))
        .layer(map_response(problem::or_problem))
        .layer(map_response(harden))
        .layer(DefaultBodyLimit::max(extract::BODY_BYTES))
        .with_state(api)
}

/// Nothing that we send is for a browser to guess at, to show as a page, or to keep.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn flush(api: Api) {
    loop {
        tokio::time::sleep(FLUSH).await;
        api.flush_audit(false).await;
    }
}

/// Runs what waits for the disk on a thread that may.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    E: Display + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Problem::internal(&error)),
        Err(error) => Err(Problem::internal(&error)),
    }
}
