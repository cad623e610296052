//! What the caller may still create today.

use axum::{Json, extract::State};

use super::{Api, blocking, extract::Query, guard::Asker, problem::Result};
use crate::{
    access::Right,
    store::{Action, Quota},
};

/// The quota of the caller's account on the present day.
#[utoipa::path(
    get,
    path = "/quota",
    operation_id = "show_quota",
    tag = "quota",
    responses((status = 200, description = "The quota", body = Quota)),
)]
pub(super) async fn show(
    State(api): State<Api>,
    asker: Asker,
    query: Query,
) -> Result<Json<Quota>> {
    query.finish()?;
    asker
        .needs(&api, Right::View, Action::Access, "GET /quota")
        .await?;
    let (store, policy) = (api.store.clone(), api.policies.current());
    let quota = blocking(move || store.quota(&asker.actor.account, &policy.quota));
    quota.await.map(Json)
}
