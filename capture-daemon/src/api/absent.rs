//! Answers of 200 about what is not there. A browser logs an error for every answer of 400 and above, also where nothing
//! went wrong: a client that asks with `absent=report` is told in an answer of 200 what would have been the problem.

use axum::Json;
use capture_task::problem::ProblemError;
use http::{Method, StatusCode, header, request::Parts};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    extract::Query,
    problem::Problem,
    state::{PREFIX, SESSION},
};

/// The parameter and its value, as a query that has nothing else.
const REPORT: &str = "absent=report";

/// Code of the problem that a share is not known, or its time is over.
pub(super) const SHARE_INVALID: &str = "share_invalid";

/// What is asked for is not there, or not yet.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Absent {
    /// Always true.
    absent: bool,
    /// The `errors` of the problem that is the answer without `absent=report`.
    #[schema(min_items = 1, max_items = 101)]
    errors: Vec<ProblemError>,
}

/// What the document says of a call with the two kinds of answers: a type, or [`Absent`]. No generic type: utoipa would write
/// all of the type in its place.
macro_rules! or_absent {
    ($(#[$doc:meta])* enum $name:ident($shown:ty);) => {
        $(#[$doc])*
        #[derive(utoipa::ToSchema)]
        #[serde(untagged)]
        #[expect(dead_code, reason = "this is what the document says of two kinds of answers")]
        enum $name {
            There($shown),
            None($crate::api::absent::Absent),
        }
    };
}
pub(super) use or_absent;

impl Absent {
    pub(super) fn because(problem: &Problem) -> Json<Self> {
        Json(Self {
            absent: true,
            errors: problem.body().errors,
        })
    }
}

impl Query {
    /// Whether what is not there is to be reported by an answer of 200.
    pub(super) fn reports_absence(&mut self) -> bool {
        let report = self.take("absent", "`report`", |text| {
            (text == "report").then_some(())
        });
        report.is_some()
    }
}

/// Whether a request that was refused because its share is not known, or over, asks just for what the share shows.
pub(super) fn asks_for_share(request: &Parts, problem: &Problem) -> bool {
    problem.code() == SHARE_INVALID
        && request.method == Method::GET
        && request.uri.path().strip_prefix(PREFIX) == Some("/shared")
        && request.uri.query() == Some(REPORT)
}

/// Whether a request that nobody was known by asks just that: who it is. A token that is shown is another matter.
pub(super) fn asks_who(request: &Parts, problem: &Problem) -> bool {
    problem.status() == StatusCode::UNAUTHORIZED
        && request.method == Method::GET
        && request.uri.path() == SESSION
        && request.uri.query() == Some(REPORT)
        && !request.headers.contains_key(header::AUTHORIZATION)
}
