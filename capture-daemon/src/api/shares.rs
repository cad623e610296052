//! Shares of a task: who may download its files makes them, and takes them back.

use axum::{
    Json,
    extract::{FromRequest as _, Request, State},
    response::{IntoResponse as _, Response},
};
use capture_store::{Action, MAX_NOTE_BYTES, NewShare, Share, SharedPackets, access::Right};
use capture_task::{plan::parse_keyword, problem::ProblemError, task::rfc3339};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    auth::Principal,
    extract::{Fields, OfTask, Query, SharePath, unknown_fields},
    problem::{Problem, Result},
    scope::TaskPath,
    state::Api,
    tasks::to_problem,
};

/// Least seconds of a share.
const LEAST_EXPIRY: u64 = 60;

/// A share that is wanted.
#[derive(ToSchema)]
#[schema(as = NewShare)]
#[expect(dead_code, reason = "this is what the document says of the body")]
pub(super) struct NewShareSchema {
    /// Seconds until it ends, at most `shares.max_expiry` of the configuration.
    #[schema(minimum = 60)]
    expires_in: u64,
    /// Whether it shows findings.
    #[schema(nullable = false)]
    findings: Option<bool>,
    /// `none` without it. `whole` does not go with `anonymise`: payload may hold addresses.
    #[schema(inline, nullable = false)]
    packets: Option<Packets>,
    /// Whether pseudonyms take the place of addresses; true without it.
    #[schema(nullable = false)]
    anonymise: Option<bool>,
    /// What it is for.
    #[schema(max_length = 1024)]
    note: Option<String>,
}

/// What a share shows of packets.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = SharedPackets)]
#[serde(rename_all = "snake_case")]
pub(super) enum Packets {
    /// Nothing.
    None,
    /// Their headers.
    Headers,
    /// All of them.
    Whole,
}

impl From<SharedPackets> for Packets {
    fn from(packets: SharedPackets) -> Self {
        match packets {
            SharedPackets::None => Self::None,
            SharedPackets::Headers => Self::Headers,
            SharedPackets::Whole => Self::Whole,
        }
    }
}

/// A share in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Share)]
pub(super) struct ShareRecord {
    /// ULID.
    id: String,
    /// ID of the task.
    task: String,
    /// Who made it: `uid 1000`, `token NAME ID`.
    created_by: String,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Whether it shows findings.
    findings: bool,
    /// What it shows of packets.
    packets: Packets,
    /// Whether pseudonyms take the place of addresses.
    anonymise: bool,
    /// What it is for.
    #[schema(required = true)]
    note: Option<String>,
    /// How often it was opened, its packets looked at, or its file fetched.
    uses: u64,
}

impl From<Share> for ShareRecord {
    fn from(share: Share) -> Self {
        let Share {
            id,
            task,
            created_by,
            created_at,
            terms,
            uses,
        } = share;
        Self {
            id: id.to_string(),
            task: task.to_string(),
            created_by,
            created_at: rfc3339(created_at),
            expires_at: rfc3339(terms.expires_at),
            findings: terms.findings,
            packets: terms.packets.into(),
            anonymise: terms.anonymise,
            note: terms.note,
            uses,
        }
    }
}

/// A share with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeShare {
    /// The share.
    share: ShareRecord,
    /// Path and fragment of the page that shows it. The fragment ends with the secret, and is not sent to any server.
    url: String,
}

/// The shares of a task.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShareList {
    /// Those in force, oldest first.
    shares: Vec<ShareRecord>,
}

/// Shares a task that has ended.
///
/// Whoever has the secret sees what the share is for, until it ends, and nothing else. The secret is in this answer alone.
#[utoipa::path(
    post,
    path = "/tasks/{id}/shares",
    operation_id = "create_share",
    tag = "shares",
    params(OfTask),
    request_body = NewShareSchema,
    responses(
        (status = 201, description = "The share", body = MadeShare),
        (status = 409, description = "The task has not ended, shares are switched off, or it has 100 of them"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The share is not valid: all that is wrong with it"),
        (status = 507, description = "There is no room for the copy that it shows, or none for the record"),
    ),
)]
pub(super) async fn create(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    query: Query,
    request: Request,
) -> Result<Response> {
    // Before anything of the body is read.
    principal
        .needs(&api, Right::Download, Action::ShareCreate, &id.to_string())
        .await?;
    query.finish()?;
    let Fields(fields) = Fields::from_request(request, &()).await?;
    let longest = api.tasks.longest_share();
    let terms = read(fields, api.tasks.now(), longest)?;
    let (share, secret) = api
        .tasks
        .share(id, terms, &principal.actor)
        .await
        .map_err(to_problem)?;
    let made = MadeShare {
        share: share.into(),
        url: format!("/#/share/{}", secret.reveal()),
    };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Lists the shares of a task that are in force.
#[utoipa::path(
    get,
    path = "/tasks/{id}/shares",
    operation_id = "list_shares",
    tag = "shares",
    params(OfTask),
    responses((status = 200, description = "The shares", body = ShareList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    query: Query,
) -> Result<Json<ShareList>> {
    query.finish()?;
    principal
        .needs(
            &api,
            Right::Download,
            Action::Access,
            "GET /tasks/{id}/shares",
        )
        .await?;
    let shares = api.tasks.shares(id, &principal.actor).await;
    let shares = shares.map_err(to_problem)?.into_iter();
    Ok(Json(ShareList {
        shares: shares.map(ShareRecord::from).collect(),
    }))
}

/// Takes a share back.
///
/// Its secret opens nothing from then on, and what is being downloaded by it breaks off.
#[utoipa::path(
    delete,
    path = "/shares/{id}",
    operation_id = "revoke_share",
    tag = "shares",
    params(("id" = String, Path, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$", description = "ID of the share, a ULID")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn revoke(
    State(api): State<Api>,
    SharePath(id): SharePath,
    principal: Principal,
    query: Query,
) -> Result<StatusCode> {
    query.finish()?;
    let revoked = api.tasks.revoke_share(id, &principal.actor).await;
    revoked.map_err(to_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is wanted, or all that is wrong with it.
fn read(
    mut fields: Map<String, Value>,
    now: Timestamp,
    longest: SignedDuration,
) -> Result<NewShare> {
    let mut faults = Vec::new();
    let mut fault = |name: &str, code: &str, detail: String| {
        faults.push(ProblemError::new(&format!("/{name}"), code, detail));
    };
    let seconds = longest.as_secs().unsigned_abs();
    let expires_in = match fields.remove("expires_in") {
        None | Some(Value::Null) => {
            fault(
                "expires_in",
                "required",
                "a share ends; say after how many seconds".to_owned(),
            );
            None
        }
        Some(value) => {
            let given = value
                .as_u64()
                .filter(|given| (LEAST_EXPIRY..=seconds).contains(given));
            if given.is_none() {
                let detail =
                    format!("`expires_in` is a number of seconds from {LEAST_EXPIRY} to {seconds}");
                fault("expires_in", "invalid", detail);
            }
            given
        }
    };
    let mut flag = |name: &'static str, default| match fields.remove(name) {
        None | Some(Value::Null) => default,
        Some(Value::Bool(value)) => value,
        Some(_) => {
            fault(name, "invalid", format!("`{name}` is true or false"));
            default
        }
    };
    let findings = flag("findings", false);
    // What is not said shows less.
    let anonymise = flag("anonymise", true);
    let packets = match fields.remove("packets") {
        None | Some(Value::Null) => SharedPackets::None,
        Some(value) => match value.as_str().map(parse_keyword) {
            Some(Ok(packets)) => packets,
            _ => {
                fault(
                    "packets",
                    "invalid",
                    "`packets` is `none`, `headers` or `whole`".to_owned(),
                );
                SharedPackets::None
            }
        },
    };
    if anonymise && packets == SharedPackets::Whole {
        let detail = "whole packets have addresses in their payload; share `headers`, or give `anonymise` as false";
        fault("packets", "conflict", detail.to_owned());
    }
    let note = match fields.remove("note") {
        None | Some(Value::Null) => None,
        Some(Value::String(note)) if note.len() <= MAX_NOTE_BYTES => Some(note),
        Some(_) => {
            let detail = format!("`note` is a text of at most {MAX_NOTE_BYTES} bytes");
            fault("note", "invalid", detail);
            None
        }
    };
    faults.extend(unknown_fields("a share", &fields));
    let expires_at = expires_in
        .and_then(|seconds| i64::try_from(seconds).ok())
        .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok());
    match expires_at {
        Some(expires_at) if faults.is_empty() => Ok(NewShare {
            expires_at,
            findings,
            packets,
            anonymise,
            note: note.filter(|note| !note.is_empty()),
        }),
        _ => Err(Problem::several(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the share",
            faults,
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_json(share: Value) -> Result<NewShare> {
        let fields = share.as_object().expect("an object").clone();
        let now = "2026-03-01T08:00:00Z".parse().expect("a time");
        read(fields, now, SignedDuration::from_hours(24))
    }

    #[test]
    fn what_is_not_said_shows_less() {
        let share = read_json(json!({"expires_in": 3600})).expect("a share");
        assert_eq!(share.expires_at.to_string(), "2026-03-01T09:00:00Z");
        assert_eq!(
            (share.findings, share.packets),
            (false, SharedPackets::None)
        );
        assert!(share.anonymise && share.note.is_none());
    }

    #[test]
    fn every_fault_is_at_its_field() {
        for (share, faults) in [
            (json!({}), vec!["/expires_in required"]),
            (json!({"expires_in": 86_401}), vec!["/expires_in invalid"]),
            (json!({"expires_in": 59}), vec!["/expires_in invalid"]),
            (json!({"expires_in": "1h"}), vec!["/expires_in invalid"]),
            (
                json!({"expires_in": 60, "packets": "whole"}),
                vec!["/packets conflict"],
            ),
            (
                json!({"expires_in": 60, "packets": "all", "findings": 1, "note": "x".repeat(1025), "pakets": 1}),
                vec![
                    "/findings invalid",
                    "/packets invalid",
                    "/note invalid",
                    "/pakets unknown",
                ],
            ),
        ] {
            let problem = read_json(share.clone()).expect_err("it is refused");
            let errors = problem.body().errors;
            let found: Vec<_> = errors
                .iter()
                .map(|error| format!("{} {}", error.pointer, error.code))
                .collect();
            assert_eq!(found, faults, "{share}");
        }
        let whole = json!({"expires_in": 60, "packets": "whole", "anonymise": false});
        read_json(whole).expect("a share");
    }
}
