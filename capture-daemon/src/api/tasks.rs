//! The calls about tasks: they read the JSON of a request and choose the status of the answer.
//! [`Tasks`](crate::tasks::Tasks) decides.

use axum::{
    Extension, Json,
    extract::{FromRequest as _, Request, State},
    response::{IntoResponse as _, Response},
};
use capture_inspector::view::ViewFault;
use capture_store::{
    Action, Creation, Cursor, Failure, Glob, IdempotencyKey, Refusal, TaskFilter, access::Right,
};
use capture_task::{
    plan::{
        Door, Fault, FaultKind, Field, JsonTask, Keyword as _, RequestOrigin, parse_keyword, quote,
    },
    problem::{EDITION, KEY_REUSED, ProblemError, ROLE, Span, UNFINISHED},
    task,
    task::{TaskRecord, TaskSpec},
    wait_text,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value};
use ulid::ULID_LEN;

use super::{
    absent::{Absent, or_absent},
    auth::{Principal, Source},
    extract::{Fields, OfTask, Query},
    new_task::{DryRun, FaultyTask, NewTaskSchema, Tried},
    problem::{Problem, Result},
    scope::TaskPath,
    state::Api,
};
use crate::tasks::{CreateError, Previewed, TaskError, TaskPage, Way};

/// The header by which a client names its request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Most tasks of a page.
const MAX_PAGE: u32 = 1000;

/// States there are.
const MOST_STATES: usize = task::State::WORDS.len();

/// Most characters of a search, which is as long as a name can be.
const MAX_SEARCH: usize = 128;

/// Most characters of a pattern: a name, each character of it behind a backslash.
const MAX_PATTERN: usize = 2 * MAX_SEARCH;

/// Creates a task.
///
/// It starts as soon as fewer than the most tasks run, or at `start_at`. A request with an
/// `Idempotency-Key` can be repeated for a day: the answer is the first one, and nothing is created.
#[utoipa::path(
    post,
    path = "/tasks",
    operation_id = "create_task",
    tag = "tasks",
    params(
        ("dry_run" = Option<String>, Query, nullable = false, pattern = "^(true|false|1|0|report)$", description = "`true`: create nothing, and say what the task would be and do, or refuse it as a creation would now. `report`: also say by an answer of 200 what is wrong with it; what is beyond quota or disk budget is then a warning"),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$", description = "1–255 visible ASCII characters that name the request"),
    ),
    request_body = NewTaskSchema,
    responses(
        (
            status = 201, description = "The task, pending", body = TaskRecord,
            headers(
                ("Location" = String, description = "The task, relative to the path of the request"),
                ("Idempotency-Replayed" = String, description = "`true` where this is the answer to an earlier request"),
            ),
        ),
        (status = 200, description = "`dry_run`: the task is valid; what it would be and do. With `report` perhaps all that is wrong with it", body = inline(Tried)),
        (status = 403, description = "Not allowed, as an interface or a hook beyond the role, or a foreign `Host` or `Origin`"),
        (status = 409, description = "The key was used for another request"),
        (status = 422, description = "The task is not valid: all that is wrong with it"),
        (
            status = 429, description = "The tasks of the day are used up",
            headers(("Retry-After" = u64, description = "Seconds until the next day")),
        ),
        (status = 507, description = "There is no room for the files, or none for the record"),
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    principal: Principal,
    Extension(source): Extension<Source>,
    mut query: Query,
    headers: HeaderMap,
    request: Request,
) -> Result<Response> {
    // Before anything of the body is read.
    principal
        .needs(&api, Right::Create, Action::TaskCreate, "")
        .await?;
    let expected = "`true`, `false` or `report`";
    let dry_run = query.take("dry_run", expected, DryRun::parse);
    let dry_run = dry_run.unwrap_or_default();
    query.finish()?;
    let key = idempotency_key(&headers)?;
    let Fields(fields) = Fields::from_request(request, &()).await?;
    let (spec, start_at, faults) = read(fields);
    if !faults.is_empty() {
        let all = api.tasks.faults(spec, start_at, faults).await;
        return faulty(all.map_err(|error| Problem::internal(&error))?, dry_run);
    }
    if dry_run != DryRun::No {
        let way = way(&api, &source, &headers);
        let preview = api
            .tasks
            .preview(spec, start_at, &principal.actor, way)
            .await;
        return match preview {
            Ok(Previewed {
                refusal: Some(refused),
                ..
            }) if dry_run == DryRun::Refuse => Err(refusal(CreateError::Refused(refused))),
            // Its warnings say what it is beyond.
            Ok(Previewed { preview, .. }) => Ok(Json(preview).into_response()),
            Err(CreateError::Invalid(faults)) => faulty(faults, dry_run),
            Err(CreateError::NotAllowed(faults)) if dry_run == DryRun::Report => {
                faulty(faults, dry_run)
            }
            Err(error) => Err(refusal(error)),
        };
    }
    let created = api
        .tasks
        .create(spec, &principal.actor, key, start_at)
        .await;
    let (record, replayed) = match created.map_err(refusal)? {
        Creation::New(record) => (record, false),
        Creation::Repeated(record) => (record, true),
    };
    // Relative, as a proxy may have it under another path.
    let location = format!("tasks/{}", record.id);
    let mut response = (StatusCode::CREATED, Json(record)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(header::LOCATION, location);
    }
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Lists tasks, newest first.
#[utoipa::path(
    get,
    path = "/tasks",
    operation_id = "list_tasks",
    tag = "tasks",
    params(
        ("state" = Option<String>, Query, description = "Only tasks in this state, or in one of several with commas between", pattern = "^(pending|running|stopping|completed|failed)(,(pending|running|stopping|completed|failed))*$"),
        ("search" = Option<String>, Query, description = "Only tasks whose name has this in it, in capitals or not. A page may then be empty and have a next one", min_length = 1, max_length = 128),
        ("name" = Option<String>, Query, description = "Only tasks with this name: `*` is any text, `?` any character, and a backslash takes the character behind it as it is. A page may then be empty and have a next one", min_length = 1, max_length = 256),
        ("id" = Option<String>, Query, description = "Only tasks whose ID begins or ends with this", pattern = "^[0-9A-Za-z]{1,26}$"),
        ("since" = Option<String>, Query, description = "Only tasks created at this time or later", format = DateTime),
        ("limit" = Option<u32>, Query, description = "Most tasks of a page, 1–1000; 100 by default. A page of tasks with long lists has fewer", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, pattern = "^t[0-7][0-9a-f]{15}$", description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page of tasks", body = TaskPage)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    mut query: Query,
) -> Result<Json<TaskPage>> {
    principal
        .needs(&api, Right::View, Action::Access, "GET /tasks")
        .await?;
    let states = query.take(
        "state",
        "`pending`, `running`, `stopping`, `completed` or `failed`, or several with commas between",
        |text| {
            let is_short = text.split(',').count() <= MOST_STATES;
            let states = text.split(',').filter(|_| is_short);
            let states = states.map(|word| parse_keyword::<task::State>(word).ok());
            states.collect::<Option<Vec<_>>>().filter(|_| is_short)
        },
    );
    let search = query.take("search", "1 to 128 characters", |text| {
        let is_short = (1..=MAX_SEARCH).contains(&text.chars().count());
        is_short.then(|| text.to_owned())
    });
    let name = query.take("name", "1 to 256 characters", |text| {
        let is_short = (1..=MAX_PATTERN).contains(&text.chars().count());
        is_short.then(|| Glob::new(text))
    });
    let id = query.take("id", "1 to 26 letters and digits", |text| {
        let is_part = (1..=ULID_LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_part.then(|| text.to_ascii_uppercase())
    });
    let since = query.take("since", "a time as in 2026-03-01T08:00:00Z", |text| {
        text.parse::<Timestamp>().ok()
    });
    let limit = query.take("limit", "a number from 1 to 1000", |text| {
        let limit = text.parse().ok()?;
        (1..=MAX_PAGE).contains(&limit).then_some(limit)
    });
    let cursor = query.take("cursor", "the `next_cursor` of a page", Cursor::parse);
    query.finish()?;
    let filter = TaskFilter {
        states: states.unwrap_or_default(),
        search,
        name,
        id,
        since,
        account: api.tasks.scope(&principal.actor),
        limit: limit.unwrap_or_default(),
        cursor,
    };
    api.tasks.list(filter).await.map(Json).map_err(to_problem)
}

or_absent! {
    /// A task, or that it is not there.
    enum Look(Box<TaskRecord>);
}

/// One task.
#[utoipa::path(
    get,
    path = "/tasks/{id}",
    operation_id = "show_task",
    tag = "tasks",
    params(
        OfTask,
        ("absent" = Option<String>, Query, nullable = false, pattern = "^report$", description = "`report`: an answer of 200 also where there is no such task, with the `errors` of the 404"),
    ),
    responses((status = 200, description = "The task; with `absent=report` perhaps that it is not there", body = inline(Look))),
)]
pub(super) async fn show(
    State(api): State<Api>,
    path: Result<TaskPath>,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let reports = query.reports_absence();
    query.finish()?;
    principal
        .needs(&api, Right::View, Action::Access, "GET /tasks/{id}")
        .await?;
    let record = match path {
        Ok(TaskPath(id)) => api.tasks.get(id).await.map_err(to_problem),
        Err(no_id) => Err(no_id),
    };
    match record {
        Err(why) if reports && why.status() == StatusCode::NOT_FOUND => {
            Ok(Absent::because(&why).into_response())
        }
        record => record.map(|record| Json(record).into_response()),
    }
}

/// Asks for the end of a task.
///
/// The answer does not wait for it. One that has ended stays as it is.
#[utoipa::path(
    post,
    path = "/tasks/{id}/stop",
    operation_id = "stop_task",
    tag = "tasks",
    params(OfTask),
    responses(
        (status = 202, description = "The task as it is now", body = TaskRecord),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn stop(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    query: Query,
) -> Result<Response> {
    query.finish()?;
    let record = api
        .tasks
        .stop(id, &principal.actor)
        .await
        .map_err(to_problem)?;
    Ok((StatusCode::ACCEPTED, Json(record)).into_response())
}

/// Removes a task and its files.
#[utoipa::path(
    delete,
    path = "/tasks/{id}",
    operation_id = "delete_task",
    tag = "tasks",
    params(
        OfTask,
        ("force" = Option<bool>, Query, description = "Also if it is running: it is ended first"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "It is running"),
        (status = 507, description = "No space is left to note it, and it has no files that could make some"),
    ),
)]
pub(super) async fn delete(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<StatusCode> {
    let force = query.flag("force");
    query.finish()?;
    let deleted = api.tasks.delete(id, force, &principal.actor).await;
    deleted.map_err(to_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a request came in, and so how the next one may.
fn way(api: &Api, source: &Source, headers: &HeaderMap) -> Way {
    match source {
        Source::Unix { .. } => Way {
            door: Door::Socket(api.socket.display().to_string()),
            connection: None,
        },
        Source::Tcp { address, local } => {
            // The gate has let it through as one of ours.
            let host = headers.get(header::HOST);
            let host = host.and_then(|host| host.to_str().ok());
            let host = host.map_or_else(|| local.to_string(), str::to_owned);
            let scheme = if api.has_tls { "https" } else { "http" };
            Way {
                door: Door::Tcp(format!("{scheme}://{host}")),
                connection: Some([*address, *local]),
            }
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (None, _) => return Ok(None),
        (Some(key), None) => key.to_str().ok().and_then(IdempotencyKey::new),
        (Some(_), Some(_)) => None,
    };
    key.map(Some).ok_or_else(|| {
        Problem::syntax(
            "idempotency_key",
            "`Idempotency-Key` is one name of 1 to 255 visible ASCII characters",
        )
    })
}

/// The request, as far as its fields can be read, and what is wrong with them.
fn read(mut fields: Map<String, Value>) -> (TaskSpec, Option<Timestamp>, Vec<Fault>) {
    let start_at = match fields.remove(Field::StartAt.name()) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| ()),
        Some(_) => Err(()),
    };
    let JsonTask {
        spec, mut faults, ..
    } = JsonTask::read(fields, &[Field::StartAt.name()], RequestOrigin::Daemon);
    if start_at.is_err() {
        faults.push(Fault::of(Field::StartAt, FaultKind::NotATime));
    }
    (spec, start_at.unwrap_or_default(), faults)
}

/// The answer to a task with faults.
fn faulty(faults: Vec<Fault>, dry_run: DryRun) -> Result<Response> {
    let problem = invalid(faults);
    match dry_run {
        DryRun::Report => Ok(Json(FaultyTask::new(problem.body().errors)).into_response()),
        DryRun::No | DryRun::Refuse => Err(problem),
    }
}

fn invalid(faults: Vec<Fault>) -> Problem {
    Problem::faults(StatusCode::UNPROCESSABLE_ENTITY, faults)
}

/// The answer to a task that was not created.
fn refusal(error: CreateError) -> Problem {
    let refusal = match error {
        CreateError::Invalid(faults) => return invalid(faults),
        CreateError::NotAllowed(faults) => return Problem::faults(StatusCode::FORBIDDEN, faults),
        CreateError::Closing => {
            return Problem::unavailable("closing", "the daemon is ending");
        }
        CreateError::Broken(error) => return Problem::internal(&error),
        CreateError::Refused(refusal) => refusal,
    };
    match refusal {
        Refusal::NotAllowed(edition) => Problem::forbidden(
            EDITION,
            format!("the edition {edition} does not capture; `quota.edition` names another"),
        ),
        Refusal::Quota {
            retry_after,
            used,
            limit,
            edition,
        } => {
            let detail = format!(
                "all tasks of today are used, {used} of {limit} (edition {edition}); the next can be created in {}, or once \
                 `quota.tasks_per_day` is raised in the daemon's configuration and reloaded",
                wait_text(retry_after)
            );
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota", detail).retry_after(retry_after)
        }
        Refusal::Budget {
            needed,
            available,
            budget,
        } => {
            let kind = FaultKind::OverDiskBudget {
                needed,
                available,
                budget,
            };
            let fault = Fault::of(Field::MaxFileBytes, kind);
            Problem::faults(StatusCode::INSUFFICIENT_STORAGE, vec![fault])
        }
        Refusal::FullDisk(why) => Problem::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", why),
        Refusal::KeyReused => Problem::conflict(
            KEY_REUSED,
            "this `Idempotency-Key` was used for another request; a new request needs a new key",
        ),
        Refusal::KeyOfRemoved(id) => Problem::conflict(
            KEY_REUSED,
            format!(
                "this `Idempotency-Key` was used for the task {id}, which is deleted; a new request needs a new key"
            ),
        ),
        Refusal::Broken(Failure::NoSpace(error)) => Problem::no_space(&error),
        Refusal::Broken(failure) => Problem::internal(&failure),
    }
}

/// The answer where something was not done to a task.
pub(super) fn to_problem(error: TaskError) -> Problem {
    match error {
        TaskError::NotFound => Problem::not_found("there is no such task, or no such file of it"),
        TaskError::Forbidden => Problem::forbidden(ROLE, "your role does not allow this"),
        TaskError::Unfinished(task::State::Stopping) => Problem::conflict(
            UNFINISHED,
            "the task is stopping and has not ended yet; try again once it has",
        ),
        TaskError::Unfinished(state) => Problem::conflict(
            UNFINISHED,
            format!(
                "the task is {}; stop it first, or give `force=true`",
                state.keyword()
            ),
        ),
        TaskError::FilesRemoved => Problem::new(
            StatusCode::GONE,
            "files_removed",
            "the task's files are removed: their time was over, or others needed the room",
        ),
        TaskError::FilesMissing(why) => Problem::new(StatusCode::NOT_FOUND, "files_missing", why),
        TaskError::NotAnalyzed { code, detail } => Problem::conflict(code, detail),
        TaskError::View(fault) => of_view(fault),
        TaskError::NotShown { code, detail } => Problem::conflict(code, detail),
        TaskError::TooManyNotes(most) => Problem::conflict(
            "too_many_notes",
            format!("the task has {most} notes, which are the most; remove some"),
        ),
        TaskError::NoView { code, detail } => Problem::unavailable(code, detail),
        TaskError::NotShared {
            code: "not_found",
            detail,
        } => Problem::not_found(detail),
        TaskError::NotShared { code, detail } => Problem::conflict(code, detail),
        TaskError::Busy => Problem::unavailable(
            "busy",
            "as many copies of captures are made as can be at once; ask again",
        ),
        TaskError::NoSpace(error) => Problem::no_space(&error),
        TaskError::Broken(error) => Problem::internal(&error),
    }
}

/// What is wrong with a question about packets.
fn of_view(fault: ViewFault) -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    match fault {
        ViewFault::Filter { from, to, detail } => {
            let error = ProblemError::new("/filter", "filter", detail);
            let error = error.of_span(Span { from, to });
            Problem::several(status, "the filter", vec![error])
        }
        ViewFault::Column(name) => {
            let detail = format!("there is no field {}", quote(&name));
            Problem::at(status, "/columns", "unknown", detail)
        }
        ViewFault::NoStream => Problem::conflict(
            "no_stream",
            "the packet is of no stream: it has neither TCP nor UDP",
        ),
        ViewFault::NotExported(why) => Problem::conflict("not_exported", why),
        ViewFault::NoPacket => Problem::not_found("the task has no such packet"),
        ViewFault::NoFile => Problem::not_found("the task has no such file"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(task: Value) -> Map<String, Value> {
        task.as_object().expect("an object").clone()
    }

    #[test]
    fn a_start_may_be_given() {
        let task =
            json!({"name": "n", "interfaces": ["lo"], "start_at": "2026-03-01T08:00:00+02:00"});
        let (spec, start_at, faults) = read(fields(task));
        assert_eq!(faults, []);
        assert_eq!(spec.name.as_deref(), Some("n"));
        let start_at = start_at.expect("a start");
        assert_eq!(start_at.to_string(), "2026-03-01T06:00:00Z");
    }

    #[test]
    fn a_start_that_is_none_stands_beside_the_other_faults() {
        for wrong in [json!(5), json!("tomorrow"), json!("2026-03-01")] {
            let task = json!({"interfaces": ["lo"], "start_at": wrong});
            let (_, _, faults) = read(fields(task));
            let pointers: Vec<_> = faults.iter().map(|fault| &*fault.pointer).collect();
            assert_eq!(pointers, ["/name", "/start_at"], "{wrong}");
        }
    }

    #[test]
    fn one_key_and_a_visible_one() {
        let key = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_str(value).expect("a value");
                headers.append(IDEMPOTENCY_KEY, value);
            }
            idempotency_key(&headers).map(|key| key.map(|key| key.as_str().to_owned()))
        };
        assert_eq!(key(&[]).expect("none"), None);
        assert_eq!(key(&["k-1"]).expect("one"), Some("k-1".to_owned()));
        for wrong in [&[""][..], &["a b"], &["a", "a"], &[&"x".repeat(256)]] {
            assert_eq!(key(wrong).expect_err("no key").code(), "idempotency_key");
        }
    }

    #[test]
    fn the_quota_says_when_to_come_back() {
        use crate::config::Edition;
        let problem = refusal(CreateError::Refused(Refusal::Quota {
            retry_after: 60,
            used: 50,
            limit: 50,
            edition: Edition::Ultimate,
        }));
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "60");
    }
}
