//! The audit log: its lines, whether they are whole, and those about one task.

use axum::{
    Json,
    extract::{FromRequest as _, Request, State},
};
use capture_store::{Action, AuditFilter, AuditLine, AuditPage, Chain, access::Right};
use capture_task::task::rfc3339;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::Principal,
    blocking::blocking,
    extract::{Fields, OfTask, Query},
    problem::{Problem, Result},
    scope::TaskPath,
    state::Api,
    tasks::to_problem,
};

/// Most lines of a page.
const MAX_PAGE: u32 = 1000;

/// Most bytes of a text that is looked for, as long as one of the log.
const MAX_FILTER: usize = 256;

/// Some lines of the log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(super) struct AuditJson {
    /// The lines; a page may be empty and have a next one.
    lines: Vec<AuditEntry>,
    /// Where the next page begins, if there may be one.
    #[schema(required = true, pattern = "^[0-9]+$")]
    next_cursor: Option<String>,
}

/// Who did what.
#[derive(Serialize, ToSchema)]
struct AuditEntry {
    /// Number of the line, from 1, without gaps.
    number: i64,
    #[schema(format = DateTime)]
    time: String,
    /// `uid 1000`, `token NAME ID`, `daemon`, `unknown`.
    who: String,
    /// `socket pid 123`, `tcp ADDRESS:PORT`, `command`, `internal`.
    from: String,
    /// `task.create` and so on.
    action: String,
    /// To what: mostly the ID of a task.
    object: String,
    /// `done`, `refused`, `failed`.
    outcome: String,
    /// Why, or how often.
    #[schema(required = true)]
    detail: Option<String>,
}

/// Whether the log is as it was written.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditVerdict {
    /// Whether every line is, and none is missing.
    valid: bool,
    /// How many lines are.
    lines: i64,
    /// The hash of the last line, to be kept elsewhere; or what is wrong, and where.
    detail: String,
}

impl From<AuditLine> for AuditEntry {
    fn from(line: AuditLine) -> Self {
        let (outcome, detail) = match line.outcome.split_once(": ") {
            Some((outcome, detail)) => (outcome.to_owned(), Some(detail.to_owned())),
            None => (line.outcome, None),
        };
        Self {
            number: line.seq,
            time: rfc3339(line.at),
            who: line.who,
            from: line.from,
            action: line.action,
            object: line.object,
            outcome,
            detail,
        }
    }
}

impl From<AuditPage> for AuditJson {
    fn from(page: AuditPage) -> Self {
        let lines = page.lines.into_iter();
        Self {
            lines: lines.map(AuditEntry::from).collect(),
            next_cursor: page.next.map(|next| next.to_string()),
        }
    }
}

/// Number of a line, in the one form that we write.
fn cursor(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number >= 0 && number.to_string() == text).then_some(number)
}

fn limit(text: &str) -> Option<u32> {
    let limit = text.parse().ok()?;
    (1..=MAX_PAGE).contains(&limit).then_some(limit)
}

fn filter(text: &str) -> Option<String> {
    (1..=MAX_FILTER)
        .contains(&text.len())
        .then(|| text.to_owned())
}

/// Who did what, newest first. The log tells of each look.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "list_audit",
    tag = "access",
    params(
        ("limit" = Option<u32>, Query, description = "Most lines of a page, 1–1000; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]+$", description = "`next_cursor` of the page before"),
        ("action" = Option<String>, Query, min_length = 1, max_length = 256, description = "Only this action, or those of a family: `task` is `task.create` and so on"),
        ("object" = Option<String>, Query, min_length = 1, max_length = 256, description = "Only objects that begin so"),
        ("who" = Option<String>, Query, min_length = 1, max_length = 256, description = "Only lines whose `who` has this in it"),
    ),
    responses(
        (status = 200, description = "Lines", body = AuditJson),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    mut query: Query,
) -> Result<Json<AuditJson>> {
    principal
        .needs(&api, Right::Administer, Action::AuditList, "audit log")
        .await?;
    let text = "1 to 256 bytes of text";
    let wanted = AuditFilter {
        limit: query
            .take("limit", "a number from 1 to 1000", limit)
            .unwrap_or_default(),
        before: query.take("cursor", "the `next_cursor` of a page", cursor),
        action: query.take("action", text, filter),
        object: query.take("object", text, filter),
        who: query.take("who", text, filter),
    };
    query.finish()?;
    let store = api.store.clone();
    let page = blocking(move || store.audit_page(&wanted, &principal.actor)).await?;
    Ok(Json(page.into()))
}

/// Looks whether any line was changed, put in or taken out.
#[utoipa::path(
    post,
    path = "/audit/verify",
    operation_id = "verify_audit",
    tag = "access",
    request_body = Object,
    responses(
        (status = 200, description = "Whether it is whole", body = AuditVerdict),
        (status = 422, description = "The body is not an empty object"),
    ),
)]
pub(super) async fn verify(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
    request: Request,
) -> Result<Json<AuditVerdict>> {
    principal
        .needs(&api, Right::Administer, Action::AuditVerify, "audit log")
        .await?;
    query.finish()?;
    let Fields(fields) = Fields::from_request(request, &()).await?;
    if !fields.is_empty() {
        let detail = "the body is `{}`: there is nothing to say about it";
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown",
            detail,
        ));
    }
    let store = api.store.clone();
    let chain = blocking(move || store.audit_verify(&principal.actor)).await?;
    Ok(Json(match chain {
        Chain::Verified { lines, head } => AuditVerdict {
            valid: true,
            lines,
            detail: head,
        },
        Chain::BrokenAt { seq, why } => AuditVerdict {
            valid: false,
            lines: seq - 1,
            detail: format!("line {seq}: {why}"),
        },
    }))
}

/// What was done to a task and its files, oldest first.
#[utoipa::path(
    get,
    path = "/tasks/{id}/history",
    operation_id = "show_history",
    tag = "tasks",
    params(
        OfTask,
        ("limit" = Option<u32>, Query, description = "Most lines of a page, 1–1000; 100 by default", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, pattern = "^[0-9]+$", description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Lines", body = AuditJson)),
)]
pub(super) async fn history(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<Json<AuditJson>> {
    principal
        .needs(
            &api,
            Right::Inspect,
            Action::Access,
            "GET /tasks/{id}/history",
        )
        .await?;
    let limit = query.take("limit", "a number from 1 to 1000", limit);
    let after = query.take("cursor", "the `next_cursor` of a page", cursor);
    query.finish()?;
    // One that is not there has no history to show, though the log may know of it.
    api.tasks.get(id).await.map_err(to_problem)?;
    let store = api.store.clone();
    let page =
        blocking(move || store.history(&id, limit.unwrap_or_default(), after.unwrap_or_default()));
    Ok(Json(page.await?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(cursor("0"), Some(0));
        assert_eq!(cursor("17"), Some(17));
        for wrong in ["", "-1", "+1", "01", " 1", "1e3", "9223372036854775808"] {
            assert_eq!(cursor(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_outcome_has_its_reason_apart() {
        let line = |outcome: &str| {
            let entry = AuditEntry::from(AuditLine {
                seq: 1,
                at: jiff::Timestamp::UNIX_EPOCH,
                who: String::new(),
                from: String::new(),
                action: String::new(),
                object: String::new(),
                outcome: outcome.to_owned(),
                previous: [0; 32],
                hash: [0; 32],
            });
            (entry.outcome, entry.detail)
        };
        assert_eq!(line("done"), ("done".to_owned(), None));
        let again = ("done".to_owned(), Some("5 more times".to_owned()));
        assert_eq!(line("done: 5 more times"), again);
        let refused = ("refused".to_owned(), Some("role: none".to_owned()));
        assert_eq!(line("refused: role: none"), refused);
    }
}
