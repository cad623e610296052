//! What was found in the packets of a task.

use axum::{
    extract::State,
    response::{Html, IntoResponse as _, Response},
};
use capture_inspector::Findings;
use capture_store::{Action, access::Right};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use ulid::Ulid;
use utoipa::ToSchema;

use super::{
    absent::{Absent, or_absent},
    auth::Principal,
    content_disposition::attachment,
    extract::{Fields, OfTask, Query},
    packets::json,
    problem::{Problem, Result},
    scope::{self, TaskPath},
    state::Api,
    tasks::to_problem,
};
use crate::tasks::TaskError;

or_absent! {
    /// A report, or why there is none.
    enum Found(Box<Findings>);
}

/// What was found in the packets of a task.
///
/// Of a running task it is what there was to say a second ago. The event `finding` tells what is new.
#[utoipa::path(
    get,
    path = "/tasks/{id}/findings",
    operation_id = "show_findings",
    tag = "findings",
    params(
        OfTask,
        ("absent" = Option<String>, Query, nullable = false, pattern = "^report$", description = "`report`: an answer of 200 also where there is no report, with the `errors` of the 409"),
    ),
    responses(
        (status = 200, description = "The report; with `absent=report` perhaps why there is none", body = inline(Found)),
        (status = 409, description = "There is none: `analysis_waiting` comes later, `analysis_failed` does not, `not_analyzed` says why"),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let reports = query.reports_absence();
    query.finish()?;
    principal
        .needs(
            &api,
            Right::Inspect,
            Action::Access,
            "GET /tasks/{id}/findings",
        )
        .await?;
    let report = match api.tasks.findings(id).await {
        Err(why @ TaskError::NotAnalyzed { .. }) if reports => {
            return Ok(Absent::because(&to_problem(why)).into_response());
        }
        report => report.map_err(to_problem)?,
    };
    let kind = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, kind)], report.to_string()).into_response())
}

/// Which tasks are to be compared.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "this is what the document says of what `compare` reads"
)]
pub(super) struct Compared {
    /// ID of the task that the report is about.
    #[schema(pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    task: String,
    /// ID of the task that it is compared with.
    #[schema(pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    baseline: String,
}

/// What was found in the packets of a task, and what differs from those of another one.
///
/// Both must have ended. Their files are read anew, and nothing of the answer is kept.
#[utoipa::path(
    post,
    path = "/compare",
    operation_id = "compare_tasks",
    tag = "findings",
    request_body = Compared,
    responses(
        (status = 200, description = "The report, with `comparison`", body = Findings),
        (status = 404, description = "There is no such task"),
        (status = 409, description = "A task has not ended, or its files cannot be analyzed"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 413, description = "The body is too long"),
        (status = 415, description = "The body is not JSON by its type"),
        (status = 422, description = "The body does not name two tasks"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn compare(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
    Fields(mut fields): Fields,
) -> Result<Response> {
    query.finish()?;
    let task = task_of(&mut fields, "task")?;
    let baseline = task_of(&mut fields, "baseline")?;
    if let Some(name) = fields.keys().next() {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let detail = "a comparison has the fields `task` and `baseline`";
        return Err(wrong(&pointer, "unknown", detail));
    }
    for id in [task, baseline] {
        scope::check(&api, &principal, id, "POST /compare").await?;
    }
    let compared = api.tasks.compare(task, baseline, &principal.actor).await;
    Ok(json(&compared.map_err(to_problem)?))
}

/// The ID of a task in a body.
fn task_of(fields: &mut Map<String, Value>, name: &str) -> Result<Ulid> {
    let id = match fields.remove(name) {
        Some(Value::String(id)) => Ulid::from_string(&id).ok(),
        _ => None,
    };
    id.ok_or_else(|| {
        let detail = format!("`{name}` is the ID of a task");
        wrong(&format!("/{name}"), "invalid", detail)
    })
}

fn wrong(pointer: &str, code: &str, detail: impl Into<String>) -> Problem {
    Problem::at(StatusCode::UNPROCESSABLE_ENTITY, pointer, code, detail)
}

/// The report of a task that has ended, as one page of HTML that needs nothing else.
///
/// It shows packets of the files, and so is a download.
#[utoipa::path(
    get,
    path = "/tasks/{id}/report.html",
    operation_id = "download_report",
    tag = "findings",
    params(OfTask),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 409, description = "The task has not ended, or its files cannot be analyzed"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn page(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    query: Query,
) -> Result<Response> {
    query.finish()?;
    let made = api.tasks.report_page(id, &principal.actor).await;
    let (name, page) = made.map_err(to_problem)?;
    let disposition = attachment(&name, ".html");
    Ok(([(header::CONTENT_DISPOSITION, disposition)], Html(page)).into_response())
}
