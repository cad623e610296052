//! The calls outside of the prefix: liveness, readiness, metrics.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use capture_store::{Action, access::Right};
use http::{HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::Principal,
    blocking::blocking,
    extract::Query,
    problem::{Problem, Result},
    readiness::Writable,
    state::Api,
};
use crate::metrics;

/// The answer of a probe.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// `ok`.
    status: &'static str,
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
    let Writable { database, captures } = api.health.writable(&api.tasks).await;
    if !database {
        return Err(Problem::unavailable(
            "store",
            "the database does not answer, or takes no changes; the daemon's log says why",
        ));
    }
    if !captures {
        return Err(Problem::unavailable(
            "store",
            "nothing can be written to the directory of captures; the daemon's log says why",
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
    let daemon = metrics::Daemon {
        tasks: api.tasks.clone(),
        quota: api.policies.current().quota.clone(),
        about: api.about,
        answers: Arc::clone(&api.answers),
        writable: api.health.writable(&api.tasks).await,
        certificate_expiry: api.certificate.as_ref().and_then(|it| it.expiry()),
    };
    let text = blocking(move || metrics::scrape(&daemon)).await?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
