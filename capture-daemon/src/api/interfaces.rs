//! The list of interfaces.

use axum::{Json, extract::State};
use capture_engine::{interfaces, interfaces::InterfaceJson};
use utoipa::ToSchema;

use super::{auth::Principal, blocking::blocking, extract::Query, problem::Result, state::Api};
use crate::{access::Right, store::Action};

/// All interfaces.
#[derive(serde::Serialize, ToSchema)]
pub(super) struct InterfaceList {
    /// By index.
    interfaces: Vec<InterfaceJson>,
}

/// The interfaces of the daemon's network namespace.
#[utoipa::path(
    get,
    path = "/interfaces",
    operation_id = "list_interfaces",
    tag = "interfaces",
    responses((status = 200, description = "The interfaces, by index", body = InterfaceList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Json<InterfaceList>> {
    query.finish()?;
    principal
        .needs(&api, Right::View, Action::Access, "GET /interfaces")
        .await?;
    let entries = blocking(interfaces::list).await?;
    let interfaces = entries.iter().map(InterfaceJson::from).collect();
    Ok(Json(InterfaceList { interfaces }))
}
