//! What the daemon refuses, in words of the command line: each fault with its option, and the kind
//! of error that goes with the status.

use capture_daemon::api::problem::{NO_SPACE, ProblemBody, ProblemError};
use http::StatusCode;

use crate::cli::{
    error::{Error, ErrorKind},
    request::in_words_of_options,
};

/// The error for an answer that is not a good one.
pub(super) fn error(status: StatusCode, body: &[u8]) -> Error {
    let Ok(problem) = serde_json::from_slice::<ProblemBody>(body) else {
        return Error {
            kind: kind_of(status, ""),
            message: format!("the daemon answers {status} and does not say why"),
        };
    };
    let code = problem.errors.first().map_or("", |error| &error.code);
    let kind = kind_of(status, code);
    let mut lines: Vec<_> = problem.errors.iter().map(line).collect();
    if lines.is_empty() {
        lines.push(problem.detail);
    }
    Error {
        kind,
        message: lines.join("\n"),
    }
}

fn line(error: &ProblemError) -> String {
    let ProblemError {
        pointer,
        code,
        detail,
    } = error;
    let detail = detail.replace("`force=true`", "--force");
    let text = in_words_of_options(pointer, &detail);
    match code.as_str() {
        "role" => format!("{text}; root may do everything"),
        _ => text,
    }
}

fn kind_of(status: StatusCode, code: &str) -> ErrorKind {
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => ErrorKind::Usage,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::INSUFFICIENT_STORAGE if code == NO_SPACE => ErrorKind::Runtime,
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => {
            ErrorKind::Conflict
        }
        // An edition that does not capture is a quota of none.
        StatusCode::FORBIDDEN if code == "edition" => ErrorKind::Conflict,
        // The role is one of somebody whom the daemon knows; others do not reach it.
        StatusCode::FORBIDDEN if code == "role" => ErrorKind::Missing,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE => {
            ErrorKind::Unreachable
        }
        _ => ErrorKind::Runtime,
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use capture_daemon::api::problem::Problem;
    use capture_task::plan::Fault;
    use http_body_util::BodyExt as _;

    use super::*;

    fn of(problem: Problem) -> Error {
        let status = problem.status();
        let body =
            futures_util::FutureExt::now_or_never(problem.into_response().into_body().collect());
        error(status, &body.expect("at once").expect("a body").to_bytes())
    }

    #[test]
    fn faults_in_words_of_options() {
        let fault = |pointer: &str, detail: &str| Fault {
            pointer: pointer.to_owned(),
            code: "invalid",
            detail: detail.to_owned(),
        };
        let faults = vec![
            fault("/peer_ports/1", "`peer_ports` needs `peer_ip`"),
            fault("/start_at", "`start_at` is a time"),
            fault("/limit", "`limit` is a number"),
        ];
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let error = of(Problem::faults(status, "the task", faults));
        assert_eq!(error.kind, ErrorKind::Usage);
        assert_eq!(
            error.message,
            "--peer-port: --peer-port needs --peer-ip\n\
             --start-at: --start-at is a time\n\
             --limit: --limit is a number"
        );
    }

    #[test]
    fn exit_codes() {
        let budget = Problem::at(
            StatusCode::INSUFFICIENT_STORAGE,
            "/max_file_bytes",
            "disk_budget",
            "lower `max_file_bytes`",
        );
        for (problem, exit, message) in [
            (
                budget,
                ErrorKind::Conflict,
                "--max-file-bytes: lower --max-file-bytes",
            ),
            (
                Problem::no_space(&"no space is left on /var"),
                ErrorKind::Runtime,
                "no space is left on /var",
            ),
            (
                Problem::not_found("no such task"),
                ErrorKind::NotFound,
                "no such task",
            ),
            (
                Problem::conflict("unfinished", "stop it, or give `force=true`"),
                ErrorKind::Conflict,
                "stop it, or give --force",
            ),
            (
                Problem::forbidden("edition", "no"),
                ErrorKind::Conflict,
                "no",
            ),
            (
                Problem::forbidden("role", "no"),
                ErrorKind::Missing,
                "no; root may do everything",
            ),
            (
                Problem::unavailable("closing", "it ends"),
                ErrorKind::Unreachable,
                "it ends",
            ),
            (
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota", "50 of 50"),
                ErrorKind::Conflict,
                "50 of 50",
            ),
        ] {
            let error = of(problem);
            assert_eq!((error.kind, error.message.as_str()), (exit, message));
        }
        let other = error(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(other.kind, ErrorKind::Runtime);
    }
}
