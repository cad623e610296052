//! All packets of a task at once: who talks with whom, and when.

use axum::{extract::State, response::Response};
use capture_inspector::view::{Conversations, PacketSeries};

use super::{
    auth::Principal,
    extract::{OfTask, Query},
    packets::answer,
    problem::Result,
    questions::{self, ConversationsQuery, Filtered, InFile, SeriesQuery, asked},
    scope::TaskPath,
    state::Api,
};

/// The conversations in the packets of a task.
///
/// At most 65,536 are known at once; of more, those that were silent for longest are forgotten, and counted. TCP is
/// judged as by the analysis. Until `complete` is true, one asks again.
#[utoipa::path(
    get,
    path = "/tasks/{id}/conversations",
    operation_id = "list_conversations",
    tag = "packets",
    params(OfTask, InFile, Filtered, ConversationsQuery),
    responses(
        (status = 200, description = "The conversations", body = Conversations),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn conversations(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let question = questions::conversations(&mut query);
    let request = asked(&mut query, question);
    query.finish()?;
    answer(&api, id, &principal, request).await
}

/// Packets and bytes of a task by time.
///
/// Buckets have a round width, and begin at whole ones of it. With both `from` and `until` they fill that span, whatever
/// is in it. Until `complete` is true, one asks again.
#[utoipa::path(
    get,
    path = "/tasks/{id}/series",
    operation_id = "show_series",
    tag = "packets",
    params(OfTask, InFile, Filtered, SeriesQuery),
    responses(
        (status = 200, description = "The buckets", body = PacketSeries),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn series(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let question = questions::series(&mut query);
    let request = asked(&mut query, question);
    query.finish()?;
    answer(&api, id, &principal, request).await
}
