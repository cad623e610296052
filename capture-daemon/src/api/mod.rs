//! The API over HTTP: `listen` opens the sockets, `server` accepts connections, `auth` lets requests in (`guesses` slows down
//! those who try), `scope` says which tasks they are for, a file for each resource answers them by means of the `state`, and what goes wrong is a `problem`. All decisions about
//! tasks are made in `tasks::Tasks`.

mod about;
mod absent;
mod audit;
mod auth;
mod blocking;
mod connection_pool;
mod console;
mod content_disposition;
mod doctor;
mod event_stream;
mod events;
mod extract;
mod files;
mod findings;
mod follow;
mod guesses;
mod health;
mod host_check;
mod interfaces;
mod listen;
mod new_task;
mod notes;
mod openapi;
mod overview;
mod packets;
mod plain_http;
mod policy;
mod probes;
pub mod problem;
mod questions;
mod quota;
mod range;
mod readiness;
mod scope;
mod server;
mod session;
mod sessions;
mod shared;
mod shared_packets;
mod shares;
mod state;
mod status_counts;
mod storage;
mod streams;
mod tasks;
#[cfg(test)]
mod tests;
mod tls;
mod token_recheck;
mod tokens;
mod version;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn_with_state, map_response},
    response::Response,
};
use http::{HeaderValue, header};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

pub(crate) use self::{about::About, readiness::Writable, status_counts::StatusCounts};
use self::{
    guesses::Guesses,
    listen::Sockets,
    policy::{Policies, Policy},
    problem::Problem,
    readiness::Health,
    server::{Limits, Listening},
    sessions::Sessions,
    state::{Api, ApiState},
};
use super::{config::Config, tasks::Tasks};

/// How often the counts of what has no line of its own are written to the audit log.
const AUDIT_FLUSH_INTERVAL: Duration = Duration::from_secs(60);

/// Whether the API could be served as the configuration says, as far as that can be told without a socket.
pub(crate) fn check(config: &Config) -> crate::error::Result<()> {
    Policy::of(config)?;
    match &config.http.tls {
        Some(tls) => tls::pair(&tls.cert, &tls.key).map(|_| ()),
        None => Ok(()),
    }
}

/// The running API.
pub(crate) struct Server {
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
    pub(crate) async fn start(
        config: &Config,
        tasks: Tasks,
        about: About,
    ) -> crate::error::Result<Self> {
        Self::start_with(config, tasks, about, Limits::default())
    }

    fn start_with(
        config: &Config,
        tasks: Tasks,
        about: About,
        limits: Limits,
    ) -> crate::error::Result<Self> {
        let policies = Policies::new(Policy::of(config)?);
        let mut sockets = Sockets::open(config, policies.current().access.gid())?;
        let (closing, closed) = watch::channel(false);
        let store = tasks.store().clone();
        let answers = Arc::new(StatusCounts::default());
        let api = Api(Arc::new(ApiState {
            about,
            answers: Arc::clone(&answers),
            certificate: sockets.certificate(),
            health: Health::default(),
            guesses: Guesses::default(),
            sessions: Arc::new(Sessions::new(Arc::clone(store.clock()))),
            examined: tokio::sync::Mutex::default(),
            policies: Arc::clone(&policies),
            socket: config.paths.socket.clone(),
            has_tls: config.http.tls.is_some(),
            store,
            tasks,
            closing: closed,
        }));
        let (unix, tcp) = sockets.listeners()?;
        let listening =
            Listening::start(unix, tcp, &router(api.clone()), &policies, &answers, limits);
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
    /// the socket. An error changes nothing.
    pub(crate) fn reload(&self, config: &Config) -> crate::error::Result<()> {
        let policy = Policy::of(config)?;
        self.sockets.reload(config, policy.access.gid())?;
        self.api.policies.set(policy);
        Ok(())
    }

    /// The addresses on which it listens for TCP.
    pub(crate) fn addresses(&self) -> &[std::net::SocketAddr] {
        self.sockets.addresses()
    }

    /// Ends in order: no new connections, those that are there are answered, nothing is left. Gives
    /// what had not ended at the deadline.
    pub(crate) async fn stop(self, deadline: Duration) -> Vec<String> {
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
        .merge(console::router())
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .layer(from_fn_with_state(api.clone(), auth::admit))
        .layer(map_response(problem::or_problem))
        .layer(map_response(harden))
        .layer(DefaultBodyLimit::max(extract::MAX_BODY_BYTES))
        .with_state(api)
}

/// Nothing that we send is for a browser to guess at, to show as a page, or to keep, but what says otherwise itself.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn flush(api: Api) {
    loop {
        tokio::time::sleep(AUDIT_FLUSH_INTERVAL).await;
        api.flush_audit(false).await;
        api.sweep_sessions().await;
    }
}
