//! The packets of a share. Whoever asks has its secret and is nobody else: they look at the copy that the share is for, read
//! only, by our own decoder.

use axum::{Json, extract::State, response::Response};
use capture_inspector::view::{
    Conversations, Detail, PacketSeries, Position, Question, Rows, StreamPart, ViewRequest,
};

use super::{
    auth::ShareHolder,
    extract::{PacketNumber, Query},
    packets::{FilterCheck, KnownFields, json},
    problem::Result,
    questions::{
        self, AtQuery, ConversationsQuery, FieldsQuery, Filtered, OfPacket, PositionQuery,
        RowsQuery, SeriesQuery, StreamQuery, check_columns, filtered,
    },
    state::Api,
    tasks::to_problem,
};

/// The packets of a share, as rows of a list.
///
/// As `GET /tasks/{id}/packets`, of all files as one, without notes.
#[utoipa::path(
    get,
    path = "/shared/packets",
    operation_id = "list_shared_packets",
    tag = "shares",
    params(RowsQuery, Filtered),
    responses(
        (status = 200, description = "The packets", body = Rows),
        (status = 404, description = "The share ended a moment ago"),
        (status = 409, description = "The share shows no packets"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter or a column is wrong; `from` and `to` say where in the filter"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn list(
    State(api): State<Api>,
    holder: ShareHolder,
    query: Query,
) -> Result<Response> {
    let request = asked(query, questions::rows)?;
    check_columns(&request)?;
    answer(&api, holder, request).await
}

/// Where the first packet of a share is that was captured at a time or later.
#[utoipa::path(
    get,
    path = "/shared/packets/at",
    operation_id = "find_shared_packet_by_time",
    tag = "shares",
    params(AtQuery, Filtered),
    responses(
        (status = 200, description = "The place in the list of packets", body = Position),
        (status = 404, description = "The share ended a moment ago"),
        (status = 409, description = "The share shows no packets"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn at(
    State(api): State<Api>,
    holder: ShareHolder,
    query: Query,
) -> Result<Response> {
    let request = asked(query, questions::at)?;
    answer(&api, holder, request).await
}

/// Where the packet of a share is that has a number; of those that pass a filter, the first one with this number or a
/// higher one.
#[utoipa::path(
    get,
    path = "/shared/packets/position",
    operation_id = "find_shared_packet_by_number",
    tag = "shares",
    params(PositionQuery, Filtered),
    responses(
        (status = 200, description = "The place in the list of packets", body = Position),
        (status = 404, description = "The share ended a moment ago"),
        (status = 409, description = "The share shows no packets"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn position(
    State(api): State<Api>,
    holder: ShareHolder,
    query: Query,
) -> Result<Response> {
    let request = asked(query, questions::position)?;
    answer(&api, holder, request).await
}

/// All of one packet of a share: its fields with their places, and its bytes.
#[utoipa::path(
    get,
    path = "/shared/packets/{n}",
    operation_id = "show_shared_packet",
    tag = "shares",
    params(OfPacket),
    responses(
        (status = 200, description = "The packet", body = Detail),
        (status = 404, description = "There is no such packet, or the share ended a moment ago"),
        (status = 409, description = "The share shows no packets"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    holder: ShareHolder,
    PacketNumber(number): PacketNumber,
    query: Query,
) -> Result<Response> {
    let question = Question::Packet(number);
    query.finish()?;
    answer(&api, holder, everything(question)).await
}

/// What the two ends of a packet's stream said to each other, as far as the share shows it.
#[utoipa::path(
    get,
    path = "/shared/packets/{n}/stream",
    operation_id = "follow_shared_stream",
    tag = "shares",
    params(OfPacket, StreamQuery),
    responses(
        (status = 200, description = "A part of the stream", body = StreamPart),
        (status = 404, description = "There is no such packet, or the share ended a moment ago"),
        (status = 409, description = "The packet has neither TCP nor UDP, or the share shows no packets"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn stream(
    State(api): State<Api>,
    holder: ShareHolder,
    PacketNumber(number): PacketNumber,
    mut query: Query,
) -> Result<Response> {
    let question = questions::stream(&mut query, number);
    query.finish()?;
    answer(&api, holder, everything(question)).await
}

/// The conversations in the packets of a share.
#[utoipa::path(
    get,
    path = "/shared/conversations",
    operation_id = "list_shared_conversations",
    tag = "shares",
    params(Filtered, ConversationsQuery),
    responses(
        (status = 200, description = "The conversations", body = Conversations),
        (status = 404, description = "The share ended a moment ago"),
        (status = 409, description = "The share shows no packets"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn conversations(
    State(api): State<Api>,
    holder: ShareHolder,
    query: Query,
) -> Result<Response> {
    let request = asked(query, questions::conversations)?;
    answer(&api, holder, request).await
}

/// Packets and bytes of a share by time.
#[utoipa::path(
    get,
    path = "/shared/series",
    operation_id = "show_shared_series",
    tag = "shares",
    params(Filtered, SeriesQuery),
    responses(
        (status = 200, description = "The buckets", body = PacketSeries),
        (status = 404, description = "The share ended a moment ago"),
        (status = 409, description = "The share shows no packets"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn series(
    State(api): State<Api>,
    holder: ShareHolder,
    query: Query,
) -> Result<Response> {
    let request = asked(query, questions::series)?;
    answer(&api, holder, request).await
}

/// Checks a display filter for the packets of a share.
#[utoipa::path(
    get,
    path = "/shared/filter",
    operation_id = "check_shared_filter",
    tag = "shares",
    params(("text" = String, Query, description = "The filter, at most 4,096 bytes")),
    responses((status = 200, description = "What is wrong with it, if anything", body = FilterCheck)),
)]
pub(super) async fn check(_: ShareHolder, query: Query) -> Result<Json<FilterCheck>> {
    FilterCheck::asked(query).map(Json)
}

/// The fields that a filter or a column may name, by how their names begin.
#[utoipa::path(
    get,
    path = "/shared/filter/fields",
    operation_id = "list_shared_fields",
    tag = "shares",
    params(FieldsQuery),
    responses((status = 200, description = "The fields", body = KnownFields)),
)]
pub(super) async fn fields(_: ShareHolder, query: Query) -> Result<Json<KnownFields>> {
    KnownFields::asked(query).map(Json)
}

/// A question about the packets that pass a filter.
fn asked(mut query: Query, question: fn(&mut Query) -> Question) -> Result<ViewRequest> {
    let question = question(&mut query);
    let request = filtered(&mut query, question);
    query.finish()?;
    Ok(request)
}

/// A question that no filter belongs to.
fn everything(question: Question) -> ViewRequest {
    ViewRequest {
        file: None,
        filter: String::new(),
        question,
    }
}

async fn answer(api: &Api, holder: ShareHolder, request: ViewRequest) -> Result<Response> {
    let ShareHolder { share, from } = holder;
    let answer = api.tasks.shared_view(share, from, request).await;
    Ok(json(&answer.map_err(to_problem)?))
}
