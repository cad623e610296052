//! What a share shows. Whoever asks here has its secret and is nobody else.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use capture_inspector::Findings;
use capture_task::task::{Counters, State as TaskState, StopReason, rfc3339};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    absent::{Absent, or_absent},
    auth::ShareHolder,
    extract::Query,
    files::{Capture, answer, etag, made},
    problem::{Problem, Result},
    shares::Packets,
    state::Api,
    tasks::to_problem,
    token_recheck::TokenRecheck,
};
use crate::tasks::{SharedFile, SharedTask};

/// What a share shows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Shown {
    /// The task.
    task: ShownTask,
    /// What became of it, in one sentence.
    summary: String,
    /// When the share ends.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Whether pseudonyms take the place of addresses.
    anonymise: bool,
    /// What it shows of packets.
    packets: Packets,
    /// What was found, where it shows findings and there are some.
    #[schema(required = true, value_type = Option<Findings>)]
    findings: Option<Box<RawValue>>,
}

/// What a share shows of the task itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SharedTask)]
pub(super) struct ShownTask {
    /// Its name, which may hold addresses: null with `anonymise`.
    #[schema(required = true)]
    name: Option<String>,
    /// Where it is.
    state: TaskState,
    /// Why it ended.
    #[schema(required = true)]
    stop_reason: Option<StopReason>,
    /// `complete`, or `lost N of M`; null where that is not known.
    #[schema(required = true)]
    verdict: Option<String>,
    /// The figures.
    counters: Counters,
    /// When the capture began.
    #[schema(required = true, format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(required = true, format = DateTime)]
    ended_at: Option<String>,
}

or_absent! {
    /// What a share shows, or that it shows nothing any more.
    enum Look(Box<Shown>);
}

/// The task of a share.
#[utoipa::path(
    get,
    path = "/shared",
    operation_id = "show_shared",
    tag = "shares",
    params(
        ("absent" = Option<String>, Query, nullable = false, pattern = "^report$", description = "`report`: an answer of 200 also where the share is not known or over, or its files are removed, with the `errors` of the 401, 404 or 410"),
    ),
    responses(
        (status = 200, description = "What the share shows; with `absent=report` perhaps why it shows nothing", body = inline(Look)),
        (status = 404, description = "It ended a moment ago"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    holder: ShareHolder,
    mut query: Query,
) -> Result<Response> {
    let reports = query.reports_absence();
    query.finish()?;
    let ShareHolder { share, from } = holder;
    let terms = share.terms.clone();
    let shown = api.tasks.shared_task(share, from).await;
    let SharedTask { record, findings } = match shown.map_err(to_problem) {
        Err(why) if reports && is_over(&why) => return Ok(Absent::because(&why).into_response()),
        shown => shown?,
    };
    let findings = findings.map(|report| RawValue::from_string(report.to_string()));
    let findings = findings
        .transpose()
        .map_err(|error| Problem::internal(&error))?;
    Ok(Json(Shown {
        summary: summary(record.verdict.as_deref(), &record.counters),
        task: ShownTask {
            name: Some(record.name).filter(|_| !terms.anonymise),
            state: record.state,
            stop_reason: record.stop_reason,
            verdict: record.verdict,
            counters: record.counters,
            started_at: record.started_at,
            ended_at: record.ended_at,
        },
        expires_at: rfc3339(terms.expires_at),
        anonymise: terms.anonymise,
        packets: terms.packets.into(),
        findings,
    })
    .into_response())
}

/// Whether a share that was known shows nothing any more.
fn is_over(problem: &Problem) -> bool {
    matches!(problem.status(), StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// What became of a capture, by its figures alone: names and errors may hold addresses.
fn summary(verdict: Option<&str>, counters: &Counters) -> String {
    let packets = |count: u64| match count {
        1 => "1 packet".to_owned(),
        count => format!("{count} packets"),
    };
    let captured = packets(counters.captured);
    match (verdict, counters.dropped.total()) {
        (None, _) => format!("{captured} captured; what was lost is not known."),
        (Some(_), 0) => format!("Complete: {captured}, none lost."),
        (Some(_), lost) => {
            format!(
                "Not complete: {lost} of {} lost.",
                packets(counters.matched)
            )
        }
    }
}

/// The capture of a share, all files as one.
///
/// Where the share ends before it, it breaks off. Without `anonymise` a capture of whole packets is made as it is sent, and
/// has no length, no `ETag` and no ranges.
#[utoipa::path(
    get,
    path = "/shared/file",
    operation_id = "download_shared",
    tag = "shares",
    params(
        ("Range" = Option<String>, Header, nullable = false, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header, nullable = false, description = "`ETag` of the part that is there"),
        ("If-None-Match" = Option<String>, Header, nullable = false, description = "`ETag`s that are known"),
    ),
    responses(
        (status = 200, description = "The file", body = inline(Capture), content_type = "application/x-pcapng"),
        (status = 206, description = "The part asked for", body = inline(Capture), content_type = "application/x-pcapng"),
        (status = 304, description = "It is as it was"),
        (status = 404, description = "The share ended a moment ago"),
        (status = 409, description = "The share shows no packets"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 416, description = "The range begins behind the end"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn download(
    State(api): State<Api>,
    holder: ShareHolder,
    query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    query.finish()?;
    let recheck = TokenRecheck::of_share(&api, &holder);
    let ShareHolder { share, from } = holder;
    // Not the task's ID, which a share does not tell.
    let name = share.id.to_string();
    let shared = api.tasks.shared_file(share, from).await;
    let response = match shared.map_err(to_problem)? {
        SharedFile::Kept(file) => {
            let tag = etag(&name, &file);
            answer(file, &tag, &method, &headers)
        }
        SharedFile::Made(file) => made(file),
    };
    Ok(response.map(|body| recheck.limit(body)))
}

#[cfg(test)]
mod tests {
    use capture_task::task::Dropped;

    use super::*;

    #[test]
    fn a_summary_says_what_was_lost() {
        let counters = |captured, ring| Counters {
            matched: captured + ring,
            captured,
            dropped: Dropped {
                ring,
                ..Dropped::default()
            },
            ..Counters::default()
        };
        for (verdict, captured, lost, wanted) in [
            (Some("complete"), 1, 0, "Complete: 1 packet, none lost."),
            (
                Some("lost 9 of 300"),
                291,
                9,
                "Not complete: 9 of 300 packets lost.",
            ),
            (
                None,
                12,
                0,
                "12 packets captured; what was lost is not known.",
            ),
        ] {
            assert_eq!(summary(verdict, &counters(captured, lost)), wanted);
        }
    }
}
