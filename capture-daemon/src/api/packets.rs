//! The packets of a task, a row each, and all of one packet. An inspector reads them; what it answers goes out as it is.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use capture_inspector::view::{
    Detail, KnownField, Position, Question, Rows, ViewFault, ViewRequest, check_filter,
    known_fields,
};
use capture_store::{Action, access::Right};
use http::{HeaderValue, header};
use serde::Serialize;
use serde_json::value::RawValue;
use ulid::Ulid;
use utoipa::ToSchema;

use super::{
    auth::Principal,
    extract::{OfTask, PacketNumber, Query},
    follow::follow,
    problem::Result,
    questions::{
        self, AtQuery, FieldsQuery, Filtered, InFile, OfPacket, PositionQuery, RowsQuery, asked,
        check_columns,
    },
    scope::TaskPath,
    state::Api,
    tasks::to_problem,
};

/// Fields of an answer, by default and at most.
const USUAL_FIELDS: usize = 50;
const MOST_FIELDS: usize = 500;

/// Packets of a task, in the order of its files, as rows of a list.
///
/// The files of a task are one capture, and packets are numbered through. While they are read for the first time, or a
/// filter looks for packets, an answer has what was found so far, `complete` is false, and one asks again.
///
/// With `follow=true` the answer are server-sent events until the task has ended: `packets` with the newest packets, twice a second at
/// most while something changes; `end`; `failed` with `code` and `detail`.
#[utoipa::path(
    get,
    path = "/tasks/{id}/packets",
    operation_id = "list_packets",
    tag = "packets",
    params(
        OfTask, InFile, RowsQuery, Filtered,
        ("follow" = Option<bool>, Query, nullable = false, description = "Whether to follow what comes; beside `filter` alone"),
    ),
    responses(
        (status = 200, description = "The packets", content((Rows = "application/json"), (Rows = "text/event-stream"))),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter or a column is wrong; `from` and `to` say where in the filter"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn list(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    if query.flag("follow") {
        let filter = query.take("filter", "a filter", |text| Some(text.to_owned()));
        query.finish()?;
        return follow(api, id, &principal, filter.unwrap_or_default()).await;
    }
    let question = questions::rows(&mut query);
    let request = asked(&mut query, question);
    query.finish()?;
    check_columns(&request)?;
    answer(&api, id, &principal, request).await
}

/// Where the first packet is that was captured at a time or later.
#[utoipa::path(
    get,
    path = "/tasks/{id}/packets/at",
    operation_id = "find_packet_by_time",
    tag = "packets",
    params(OfTask, AtQuery, InFile, Filtered),
    responses(
        (status = 200, description = "The place in the list of packets", body = Position),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn at(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let question = questions::at(&mut query);
    let request = asked(&mut query, question);
    query.finish()?;
    answer(&api, id, &principal, request).await
}

/// Where the packet is that has a number; of those that pass a filter, the first one with this number or a higher one.
#[utoipa::path(
    get,
    path = "/tasks/{id}/packets/position",
    operation_id = "find_packet_by_number",
    tag = "packets",
    params(OfTask, PositionQuery, InFile, Filtered),
    responses(
        (status = 200, description = "The place in the list of packets", body = Position),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn position(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let question = questions::position(&mut query);
    let request = asked(&mut query, question);
    query.finish()?;
    answer(&api, id, &principal, request).await
}

/// All of one packet: its fields with their places, and its bytes.
#[utoipa::path(
    get,
    path = "/tasks/{id}/packets/{n}",
    operation_id = "show_packet",
    tag = "packets",
    params(
        OfTask, OfPacket, InFile,
        ("decoder" = Option<String>, Query, nullable = false, pattern = "^(native|wireshark)$", description = "Who takes it apart; `wireshark` where it is installed"),
    ),
    responses(
        (status = 200, description = "The packet", body = Detail),
        (status = 409, description = "`wireshark_missing`: it is not installed, or switched off"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    PacketNumber(number): PacketNumber,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let by_wireshark = query.take("decoder", "`native` or `wireshark`", |text| match text {
        "native" => Some(false),
        "wireshark" => Some(true),
        _ => None,
    });
    let request = asked(&mut query, Question::Packet(number));
    query.finish()?;
    if by_wireshark.unwrap_or_default() {
        let actor = &principal.actor;
        let packet = api
            .tasks
            .packet_by_wireshark(id, request.file, number, actor);
        return Ok(Json(packet.await.map_err(to_problem)?).into_response());
    }
    answer(&api, id, &principal, request).await
}

/// Name of a capture that has none of its own.
const USUAL_NAME: &str = "capture.pcapng";

/// What is said of a display filter.
#[derive(Serialize, ToSchema)]
pub(super) struct FilterCheck {
    /// Whether it is one.
    valid: bool,
    /// What is wrong with it.
    faults: Vec<FilterFault>,
    /// The same filter for tshark.
    tshark: String,
}

/// Something that is wrong with a filter.
#[derive(Serialize, ToSchema)]
pub(super) struct FilterFault {
    /// The first character that is wrong, counted from 0.
    from: usize,
    /// The character behind those that are wrong.
    to: usize,
    /// What is wrong, and what was meant perhaps.
    detail: String,
}

/// Checks a display filter.
#[utoipa::path(
    get,
    path = "/filter",
    operation_id = "check_filter",
    tag = "packets",
    params(
        ("text" = String, Query, description = "The filter, at most 4,096 bytes"),
        ("task" = Option<String>, Query, nullable = false, description = "ID of the task whose files the line for tshark names"),
    ),
    responses((status = 200, description = "What is wrong with it, if anything", body = FilterCheck)),
)]
pub(super) async fn check(
    State(api): State<Api>,
    principal: Principal,
    mut query: Query,
) -> Result<Json<FilterCheck>> {
    let text = query.needs("text", "a filter", |text| Some(text.to_owned()));
    let task = query.take("task", "the ID of a task", |text| {
        Ulid::from_string(text).ok()
    });
    query.finish()?;
    principal
        .needs(&api, Right::Inspect, Action::Access, "GET /filter")
        .await?;
    let file = match task {
        Some(id) => {
            let record = api.tasks.get(id).await.map_err(to_problem)?;
            let first = record.files.first().map(|file| file.name.clone());
            first.map(|name| name.trim_end_matches(".part").to_owned())
        }
        None => None,
    };
    let file = file.as_deref().unwrap_or(USUAL_NAME);
    Ok(Json(FilterCheck::of(&text.unwrap_or_default(), file)))
}

impl FilterCheck {
    /// What is said of a filter over a file.
    fn of(text: &str, file: &str) -> Self {
        let faults = match check_filter(text) {
            Err(ViewFault::Filter { from, to, detail }) => vec![FilterFault { from, to, detail }],
            _ => Vec::new(),
        };
        Self {
            valid: faults.is_empty(),
            faults,
            tshark: tshark(file, text.trim()),
        }
    }

    /// What is said of the filter that a query has, over a file without a name of its own.
    pub(super) fn asked(mut query: Query) -> Result<Self> {
        let text = query.needs("text", "a filter", |text| Some(text.to_owned()));
        query.finish()?;
        Ok(Self::of(&text.unwrap_or_default(), USUAL_NAME))
    }
}

/// The line that shows the same packets in tshark.
fn tshark(file: &str, filter: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let line = format!("tshark -r {file}");
    match filter {
        "" => line,
        filter => format!("{line} -Y {}", quoted(filter)),
    }
}

/// Names that a filter or a column may have.
#[derive(Serialize, ToSchema)]
pub(super) struct KnownFields {
    /// The fields.
    fields: Vec<KnownField>,
}

/// The fields that a filter or a column may name, by how their names begin.
#[utoipa::path(
    get,
    path = "/filter/fields",
    operation_id = "list_fields",
    tag = "packets",
    params(FieldsQuery),
    responses((status = 200, description = "The fields", body = KnownFields)),
)]
pub(super) async fn fields(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Json<KnownFields>> {
    let fields = KnownFields::asked(query)?;
    principal
        .needs(&api, Right::Inspect, Action::Access, "GET /filter/fields")
        .await?;
    Ok(Json(fields))
}

impl KnownFields {
    /// The fields that a query names.
    pub(super) fn asked(mut query: Query) -> Result<Self> {
        let prefix = query.take("prefix", "how names begin", |text| Some(text.to_owned()));
        let limit = query.take("limit", "a number from 1 to 500", |text| {
            let limit = text.parse().ok();
            limit.filter(|limit| (1..=MOST_FIELDS).contains(limit))
        });
        query.finish()?;
        let prefix = prefix.unwrap_or_default();
        let fields = known_fields(&prefix, limit.unwrap_or(USUAL_FIELDS));
        Ok(Self { fields })
    }
}

pub(super) async fn answer(
    api: &Api,
    id: Ulid,
    principal: &Principal,
    request: ViewRequest,
) -> Result<Response> {
    let answer = api.tasks.view(id, request, &principal.actor).await;
    Ok(json(&answer.map_err(to_problem)?))
}

/// An answer that is JSON already.
pub(super) fn json(answer: &RawValue) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], answer.get().to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_a_shell_holds_whatever_the_filter_is() {
        assert_eq!(tshark("a.pcap", ""), "tshark -r a.pcap");
        let filter = "frame contains \"it's; rm -rf $HOME\"";
        let wanted = "tshark -r a.pcap -Y 'frame contains \"it'\\''s; rm -rf $HOME\"'";
        assert_eq!(tshark("a.pcap", filter), wanted);
    }
}
