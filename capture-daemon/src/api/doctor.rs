//! What the doctor says within the daemon.

use std::{convert::Infallible, time::Duration};

use axum::{Json, extract::State};
use capture_engine::doctor::{Check, Report, Status};
use capture_store::{Action, access::Right};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{auth::Principal, blocking::blocking, extract::Query, problem::Result, state::Api};

/// How old an answer may be: programs are loaded for a try each time, however many ask.
const MAX_AGE: Duration = Duration::from_secs(10);

/// All checks.
#[derive(Serialize, ToSchema)]
pub(super) struct DoctorReport {
    /// Whether capturing is possible: no check failed.
    can_capture: bool,
    /// In the order in which a capture depends on them.
    checks: Vec<DoctorCheck>,
}

/// One check.
#[derive(Serialize, ToSchema)]
struct DoctorCheck {
    /// What was looked at.
    name: String,
    /// `ok`, `warning`, `failed`.
    status: &'static str,
    /// What was found, and what that means for a capture.
    detail: String,
    /// What to do about it.
    #[schema(required = true)]
    remedy: Option<String>,
}

impl From<Report> for DoctorReport {
    fn from(report: Report) -> Self {
        let checks = report.checks.into_iter();
        Self {
            can_capture: report.can_capture,
            checks: checks.map(DoctorCheck::from).collect(),
        }
    }
}

impl From<Check> for DoctorCheck {
    fn from(check: Check) -> Self {
        Self {
            name: check.name,
            status: match check.status {
                Status::Ok => "ok",
                Status::Warn => "warning",
                Status::Fail => "failed",
            },
            detail: format!("{}: {}", check.found, check.meaning),
            remedy: check.remedy,
        }
    }
}

/// Whether this host can capture, and what is missing.
///
/// The checks of `capture-agent doctor`, within the daemon and with the rights that it has kept: what only root may see is
/// not visible here. The daemon attaches to the loopback interface for a try. An answer is at most ten seconds old.
#[utoipa::path(
    get,
    path = "/doctor",
    operation_id = "examine",
    tag = "health",
    responses((status = 200, description = "The checks", body = DoctorReport)),
)]
pub(super) async fn show(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Json<DoctorReport>> {
    query.finish()?;
    principal
        .needs(&api, Right::Inspect, Action::Access, "GET /doctor")
        .await?;
    // Held while it is examined, so that the others wait for the same answer.
    let mut examined = api.examined.lock().await;
    if let Some((at, report)) = &*examined
        && at.elapsed() < MAX_AGE
    {
        return Ok(Json(report.clone().into()));
    }
    let tasks = api.tasks.clone();
    let report = blocking(move || Ok::<_, Infallible>(tasks.examine())).await?;
    *examined = Some((Instant::now(), report.clone()));
    Ok(Json(report.into()))
}
