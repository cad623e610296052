//! The calls without a prefix: whether the daemon lives, whether it can do its work, and its figures.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, header};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{
    Api,
    auth::Principal,
    blocking,
    extract::Query,
    problem::{Problem, Result},
};
use crate::{
    access::Right,
    error::Error,
    metrics,
    store::{Action, Known, Store},
};

/// How long the tasks may go without care before the daemon is not ready: the scheduler makes a round
/// at least every other second.
const STALE: Duration = Duration::from_secs(10);

/// How long an answer of the store is good for: anybody may ask, and the store has other work.
const FRESH: Duration = Duration::from_secs(1);

/// The answer of a probe.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// `ok`.
    status: &'static str,
}

/// What is known of the daemon's parts.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When the scheduler was last seen to move.
    moved: Mutex<Option<(u64, Instant)>>,
    /// Whether the store answered, and when that was.
    store: tokio::sync::Mutex<Option<(bool, Instant)>>,
}

impl Health {
    /// Whether tasks are taken care of.
    fn is_moving(&self, pulse: u64) -> bool {
        let now = Instant::now();
        let mut seen = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some((last, since)) if last == pulse => now.duration_since(since) < STALE,
            _ => {
                *seen = Some((pulse, now));
                true
            }
        }
    }

    /// Whether the store answers, and takes changes; however many ask, it is asked once a second.
    async fn store_answers(&self, store: &Store) -> bool {
        let mut known = self.store.lock().await;
        if let Some((answers, since)) = *known
            && since.elapsed() < FRESH
        {
            return answers;
        }
        let store = store.clone();
        let answers = blocking(move || {
            store.totals(&Known::default())?;
            Ok::<_, Error>(store.is_writable())
        });
        let answers = answers.await.unwrap_or(false);
        *known = Some((answers, Instant::now()));
        answers
    }
}

/// Whether the daemon lives. Needs no token.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "is_alive",
    tag = "health",
    responses((status = 200, description = "It lives", body = Status)),
)]
pub(super) async fn live() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// Whether the daemon can do its work. Needs no token.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "is_ready",
    tag = "health",
    responses((status = 200, description = "It can", body = Status)),
)]
pub(super) async fn ready(State(api): State<Api>) -> Result<Json<Status>> {
    if *api.closing.borrow() {
        return Err(Problem::unavailable("closing", "the daemon is ending"));
    }
    if !api.health.is_moving(api.tasks.pulse()) {
        return Err(Problem::unavailable(
            "stalled",
            "tasks are not taken care of; the daemon's log may say why",
        ));
    }
    if !api.health.store_answers(&api.store).await {
        return Err(Problem::unavailable(
            "store",
            "the database does not answer, or takes no changes; the daemon's log says why",
        ));
    }
    Ok(Json(Status { status: "ok" }))
}

/// Figures in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "show_metrics",
    tag = "health",
    responses((status = 200, description = "The figures", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Response> {
    query.finish()?;
    principal
        .needs(&api, Right::View, Action::Access, "GET /metrics")
        .await?;
    let tasks = api.tasks.clone();
    let text = blocking(move || metrics::scrape(&tasks)).await?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pulse_that_stands_still_is_noticed() {
        let health = Health::default();
        assert!(health.is_moving(1));
        tokio::time::advance(STALE / 2).await;
        assert!(health.is_moving(1));
        tokio::time::advance(STALE).await;
        assert!(!health.is_moving(1));
        assert!(health.is_moving(2));
    }
}
