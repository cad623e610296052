//! What runs here: the version of the daemon and of the kernel below it.

use axum::{Json, extract::State};
use capture_engine::procfs;
use capture_store::{Action, access::Right};
use capture_task::task::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use super::{about::About, auth::Principal, extract::Query, problem::Result, state::Api};

/// What runs here.
#[derive(Serialize, ToSchema)]
pub(super) struct Version {
    /// Version of the daemon.
    version: &'static str,
    /// Commit that it was built from; null where that is not known.
    #[schema(required = true)]
    commit: Option<&'static str>,
    /// Release of the kernel, as of uname(2); null where it cannot be read.
    #[schema(required = true)]
    kernel: Option<String>,
    /// When the daemon started.
    #[schema(format = DateTime)]
    started_at: String,
}

/// The version of the daemon, and of the kernel that it captures on.
#[utoipa::path(
    get,
    path = "/version",
    operation_id = "show_version",
    tag = "health",
    responses((status = 200, description = "The versions", body = Version)),
)]
pub(super) async fn show(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Json<Version>> {
    query.finish()?;
    principal
        .needs(&api, Right::View, Action::Access, "GET /version")
        .await?;
    let About {
        version,
        commit,
        started_at,
    } = api.about;
    Ok(Json(Version {
        version,
        commit: Some(commit).filter(|commit| !commit.is_empty()),
        kernel: procfs::release().ok(),
        started_at: rfc3339(started_at),
    }))
}
