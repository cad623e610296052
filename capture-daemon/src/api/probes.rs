//! Probes: a filter tried for some seconds before there is a task.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRequest as _, Request, State},
};
use capture_store::{Action, access::Right};
use capture_task::{
    error::ErrorKind,
    plan::{Fault, Field, JsonTask, RequestOrigin},
    preview::ProbeReport,
    problem::ProblemError,
    task::TaskSpec,
};
use http::StatusCode;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    auth::Principal,
    extract::{Fields, Query},
    problem::{Problem, Result},
    state::Api,
};
use crate::tasks::ProbeError;

/// How long a probe takes unless the request says otherwise, in seconds.
const USUAL_SECONDS: u64 = 3;

/// The longest.
const MOST_SECONDS: u64 = 5;

/// The name of what is tried, which needs none.
const NAME: &str = "probe";

/// The body of a request for a probe.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "for the document; the body is read field by field"
)]
pub(super) struct NewProbe {
    /// A task. Its limits and its start do not count, and it needs no name.
    #[schema(value_type = Object)]
    spec: TaskSpec,
    /// How long to look.
    #[schema(minimum = 1, maximum = 5, default = 3)]
    seconds: Option<u64>,
}

/// Tries the filter of a task for some seconds, and says how much passed and matched.
///
/// Nothing is written, and it is not one of the tasks of the day. At most 2 run at the same time, each in a slot that a
/// task could have.
#[utoipa::path(
    post,
    path = "/probes",
    operation_id = "probe",
    tag = "tasks",
    request_body = NewProbe,
    responses(
        (status = 200, description = "What passed", body = ProbeReport),
        (status = 403, description = "Not allowed, as an interface or a hook beyond the role, or a foreign `Host` or `Origin`"),
        (status = 409, description = "An interface is not as a capture needs it"),
        (status = 422, description = "The task is not valid: all that is wrong with it"),
        (
            status = 429, description = "2 probes run",
            headers(("Retry-After" = u64, description = "Seconds")),
        ),
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
    request: Request,
) -> Result<Json<ProbeReport>> {
    query.finish()?;
    // Before anything of the body is read.
    principal
        .needs(&api, Right::Inspect, Action::Probe, "")
        .await?;
    let Fields(fields) = Fields::from_request(request, &()).await?;
    let (spec, seconds, errors) = read(fields);
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let duration = Duration::from_secs(seconds);
    let probed = api.tasks.probe(spec, duration, &principal.actor).await;
    probed.map(Json).map_err(to_problem)
}

/// The request, as far as its fields can be read, and what is wrong with them.
fn read(mut fields: Map<String, Value>) -> (TaskSpec, u64, Vec<ProblemError>) {
    let mut errors = Vec::new();
    let seconds = match fields.remove("seconds") {
        None | Some(Value::Null) => Some(USUAL_SECONDS),
        Some(value) => value.as_u64().filter(|n| (1..=MOST_SECONDS).contains(n)),
    };
    if seconds.is_none() {
        let detail = format!("`seconds` is a whole number from 1 to {MOST_SECONDS}");
        errors.push(ProblemError::new("/seconds", "out_of_range", detail));
    }
    let spec = match fields.remove("spec") {
        Some(Value::Object(spec)) => {
            let JsonTask {
                mut spec, faults, ..
            } = JsonTask::read(named(spec), &[], RequestOrigin::Daemon);
            spec.name.get_or_insert_with(|| NAME.to_owned());
            errors.extend(faults.into_iter().map(within_spec));
            spec
        }
        _ => {
            let detail = "`spec` is missing, or no object: it has the fields of a task";
            errors.push(ProblemError::new("/spec", "required", detail));
            TaskSpec::default()
        }
    };
    for name in fields.keys() {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        let detail = "a probe has no such field; it has `spec` and `seconds`";
        errors.push(ProblemError::new(&pointer, "unknown", detail));
    }
    (spec, seconds.unwrap_or(USUAL_SECONDS), errors)
}

/// A task with a name, whether or not it has got one, and without a start, which is now.
fn named(mut spec: Map<String, Value>) -> Map<String, Value> {
    spec.remove(Field::StartAt.name());
    let name = spec.entry("name").or_insert(Value::Null);
    if name.is_null() || name == "" {
        *name = Value::String(NAME.to_owned());
    }
    spec
}

/// A fault of the task, as one of the body that has it in `spec`.
fn within_spec(fault: Fault) -> ProblemError {
    let mut error = ProblemError::from(fault);
    error.pointer.insert_str(0, "/spec");
    error
}

fn invalid(errors: Vec<ProblemError>) -> Problem {
    Problem::several(StatusCode::UNPROCESSABLE_ENTITY, "the probe", errors)
}

fn to_problem(error: ProbeError) -> Problem {
    match error {
        ProbeError::Invalid(faults) => invalid(faults.into_iter().map(within_spec).collect()),
        ProbeError::NotAllowed(faults) => {
            let errors = faults.into_iter().map(within_spec).collect();
            Problem::several(StatusCode::FORBIDDEN, "the probe", errors)
        }
        ProbeError::Busy => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "probes",
            "2 probes run already, and that is the limit; try again in some seconds",
        )
        .retry_after(MOST_SECONDS),
        ProbeError::NoSlot => Problem::unavailable(
            "no_slot",
            "64 tasks run already, and that is the limit; a probe needs the place of one",
        ),
        ProbeError::Closing => Problem::unavailable("closing", "the daemon is ending"),
        ProbeError::Refused(error) if error.kind == ErrorKind::Missing => {
            Problem::unavailable("missing", error.message)
        }
        ProbeError::Refused(error) => Problem::conflict("hook", error.message),
        ProbeError::Broken(error) => Problem::internal(&error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(body: Value) -> Vec<(String, String)> {
        let Value::Object(fields) = body else {
            panic!("a body is an object");
        };
        let (_, _, errors) = read(fields);
        let errors = errors.into_iter();
        errors.map(|error| (error.pointer, error.code)).collect()
    }

    #[test]
    fn a_task_without_a_name_will_do() {
        let body = json!({"spec": {"interfaces": ["lo"], "ports": [53], "start_at": "tomorrow"}});
        let (spec, seconds, errors) = read(body.as_object().expect("an object").clone());
        assert_eq!(errors, []);
        assert_eq!((spec.name.as_deref(), seconds), (Some("probe"), 3));
        for name in [json!(null), json!("")] {
            let body = json!({"spec": {"interfaces": ["lo"], "name": name}, "seconds": 5});
            let (_, seconds, errors) = read(body.as_object().expect("an object").clone());
            assert_eq!((errors, seconds), (vec![], 5));
        }
    }

    #[test]
    fn faults_are_where_they_stand_in_the_body() {
        for (body, expected) in [
            (json!({}), vec![("/spec", "required")]),
            (json!({"spec": []}), vec![("/spec", "required")]),
            (
                json!({"spec": {"interfaces": ["lo"], "ip": "x", "ports": [0, 65536]}, "seconds": 6}),
                vec![
                    ("/seconds", "out_of_range"),
                    ("/spec/ip", "invalid"),
                    ("/spec/ports/1", "out_of_range"),
                ],
            ),
            (
                json!({"spec": {"interfaces": ["lo"]}, "seconds": "3", "a/b": 1}),
                vec![("/seconds", "out_of_range"), ("/a~1b", "unknown")],
            ),
            (
                json!({"spec": {"interfaces": ["lo"]}, "seconds": 0}),
                vec![("/seconds", "out_of_range")],
            ),
        ] {
            let mut found = errors(body.clone());
            found.sort();
            let mut expected: Vec<_> = expected
                .into_iter()
                .map(|(pointer, code)| (pointer.to_owned(), code.to_owned()))
                .collect();
            expected.sort();
            // The kinds of numbers that are no ports are told elsewhere.
            assert_eq!(found, expected, "{body}");
        }
    }
}
