//! What captures take of the disk.

use axum::{Json, extract::State};
use capture_store::{Action, access::Right};
use capture_task::task::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::Principal,
    extract::Query,
    problem::{Problem, Result},
    state::Api,
};

/// What is on the disk. Sizes are bytes.
#[derive(Serialize, ToSchema)]
pub(super) struct StorageFigures {
    /// All captures, those of running tasks among them.
    captures_bytes: u64,
    /// The most that these may be.
    budget: u64,
    /// What is left of that.
    budget_left: u64,
    /// The file system of the captures; null where it cannot be asked.
    #[schema(required = true)]
    disk_total: Option<u64>,
    #[schema(required = true)]
    disk_free: Option<u64>,
    /// What captures leave free of it.
    #[schema(required = true)]
    keep_free: Option<u64>,
    /// Tasks that have ended and have files.
    tasks_with_files: u64,
    /// Their files.
    files: u64,
    /// When the next of these are to be removed.
    #[schema(required = true, format = DateTime)]
    oldest_expiry: Option<String>,
    /// For how many seconds files are kept.
    retention: u64,
    database_bytes: u64,
}

/// What captures take of the disk, and how much may come.
#[utoipa::path(
    get,
    path = "/storage",
    operation_id = "show_storage",
    tag = "quota",
    responses((status = 200, description = "What is on the disk", body = StorageFigures)),
)]
pub(super) async fn show(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
) -> Result<Json<StorageFigures>> {
    query.finish()?;
    principal
        .needs(&api, Right::View, Action::Access, "GET /storage")
        .await?;
    let occupancy = api.tasks.occupancy().await;
    let occupancy = occupancy.map_err(|error| Problem::internal(&error))?;
    let disk = occupancy.disk;
    Ok(Json(StorageFigures {
        captures_bytes: occupancy.captures_bytes,
        budget: occupancy.budget,
        budget_left: occupancy.budget.saturating_sub(occupancy.captures_bytes),
        disk_total: disk.map(|disk| disk.total),
        disk_free: disk.map(|disk| disk.free),
        keep_free: disk.map(|disk| disk.kept_free),
        tasks_with_files: occupancy.kept.tasks,
        files: occupancy.kept.files,
        oldest_expiry: occupancy.kept.next_expiry.map(rfc3339),
        retention: occupancy.retention,
        database_bytes: occupancy.database_bytes,
    }))
}
