//! Which tasks somebody may know of: all, or where accounts are kept apart those of their own. Every call about one task takes
//! its ID by [`TaskPath`], which answers for others' as for tasks that are not there.

use axum::extract::FromRequestParts;
use capture_store::Action;
use http::request::Parts;
use ulid::Ulid;

use super::{
    auth::Principal,
    extract::ulid,
    problem::{Problem, Result},
    state::Api,
};
use crate::tasks::TaskError;

/// The task that a path names. What is no ID names none, and neither does that of a task that whoever asks may not know of.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskPath(pub(super) Ulid);

impl FromRequestParts<Api> for TaskPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self> {
        let id = ulid(parts, api).await.ok_or_else(not_found)?;
        let principal = Principal::from_request_parts(parts, api).await?;
        let call = format!("{} {}", parts.method, parts.uri.path());
        check(api, &principal, id, &call).await?;
        Ok(Self(id))
    }
}

/// Refuses another account's task as if it were not there, where accounts are kept apart.
pub(super) async fn check(api: &Api, principal: &Principal, id: Ulid, call: &str) -> Result<()> {
    let Some(account) = api.tasks.scope(&principal.actor) else {
        return Ok(());
    };
    match api.tasks.owner(id).await {
        Ok(owner) if owner != account => {
            let problem = not_found();
            principal.refused(api, Action::Access, call, &problem).await;
            Err(problem)
        }
        // One that is not there is refused by what looks for it.
        Ok(_) | Err(TaskError::NotFound) => Ok(()),
        Err(TaskError::Broken(error)) => Err(Problem::internal(&error)),
        Err(_) => Err(not_found()),
    }
}

fn not_found() -> Problem {
    Problem::not_found("there is no such task, or no such file of it")
}
