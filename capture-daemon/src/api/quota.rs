//! The caller's quota.

use axum::{Json, extract::State};
use capture_store::{Action, Quota, access::Right};

use super::{auth::Principal, blocking::blocking, extract::Query, problem::Result, state::Api};

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
    principal: Principal,
    query: Query,
) -> Result<Json<Quota>> {
    query.finish()?;
    principal
        .needs(&api, Right::View, Action::Access, "GET /quota")
        .await?;
    let (store, policy) = (api.store.clone(), api.policies.current());
    let quota = blocking(move || store.quota(&principal.actor.account, &policy.quota));
    quota.await.map(Json)
}
