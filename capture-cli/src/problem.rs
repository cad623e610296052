//! What the daemon refuses, in words of the command line: each fault with its option. What a later daemon says beyond
//! what is known here is said as it comes.

use capture_client as client;
use capture_task::problem::{KEY_REUSED, ProblemError, ROLE, UNFINISHED};

use super::{error::Error, words};

impl From<client::Error> for Error {
    fn from(error: client::Error) -> Self {
        let kind = error.kind();
        let message = match error {
            client::Error::Failed { message, .. } => message,
            client::Error::Refused {
                status,
                problem: None,
            } => format!("the daemon answers {status} and does not say why"),
            client::Error::Refused {
                problem: Some(problem),
                ..
            } => {
                let lines: Vec<_> = problem.errors.iter().map(line).collect();
                match lines.as_slice() {
                    [] => problem.detail,
                    lines => lines.join("\n"),
                }
            }
        };
        Self { kind, message }
    }
}

fn line(error: &ProblemError) -> String {
    let ProblemError {
        pointer,
        code,
        detail,
        fault,
        span: _,
    } = error;
    let sentence = match (fault, code.as_str()) {
        (Some(kind), _) => kind.sentence(words::OPTIONS),
        // One that is stopping already has no other way to end.
        (None, UNFINISHED) if detail.contains("`force=true`") => {
            "the task waits or is running; stop it first, or give --force".to_owned()
        }
        (None, KEY_REUSED) => {
            "the key of --idempotency-key was used for another request; a new request needs a new key".to_owned()
        }
        (None, ROLE) => format!("{detail}; root may do everything"),
        (None, _) => detail.clone(),
    };
    words::behind_option(pointer, &sentence)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use capture_daemon::api::problem::Problem;
    use capture_task::{
        plan::{Fault, FaultKind, Field},
        problem::EDITION,
    };
    use http::StatusCode;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::error::ErrorKind;

    fn error(status: StatusCode, body: &[u8]) -> Error {
        client::Error::refused(status, body).into()
    }

    fn of(problem: Problem) -> Error {
        let status = problem.status();
        let body =
            futures_util::FutureExt::now_or_never(problem.into_response().into_body().collect());
        error(status, &body.expect("at once").expect("a body").to_bytes())
    }

    #[test]
    fn faults_in_words_of_options() {
        let above = FaultKind::DurationAboveLimit {
            seconds: 90,
            most: 60,
        };
        let faults = vec![
            Fault::of(Field::PeerPorts, FaultKind::PeerPortsWithoutPeerIp),
            Fault::of(Field::StartAt, FaultKind::NotATime),
            Fault::of(Field::Duration, above),
        ];
        let error = of(Problem::faults(StatusCode::UNPROCESSABLE_ENTITY, faults));
        assert_eq!(error.kind, ErrorKind::Usage);
        assert_eq!(
            error.message,
            "--peer-port: it belongs to --peer-ip; give that too, or use --port\n\
             --start-at: write a time as in \"22:00\", \"+5m\" or \"2026-03-01T08:00:00Z\"\n\
             --duration: it is 1m30s; the most here is 1m (`limits.max_duration`)"
        );
    }

    #[test]
    fn what_is_not_known_here_is_said_as_it_comes() {
        let body = r#"{"type": "about:blank", "title": "", "status": 422, "detail": "two faults", "errors": [
            {"pointer": "/ports/1", "code": "invalid", "detail": "`ports` of a later daemon",
                "reason": "of_a_later_daemon", "most": 5},
            {"pointer": "/shape", "code": "unknown", "detail": "it is round"}
        ]}"#;
        let error = error(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes());
        assert_eq!(
            error.message,
            "--port: `ports` of a later daemon\ntask: it is round"
        );
    }

    #[test]
    fn exit_codes() {
        let budget = FaultKind::OverDiskBudget {
            needed: 3,
            available: 2,
            budget: 9,
        };
        let budget = vec![Fault::of(Field::MaxFileBytes, budget)];
        for (problem, exit, message) in [
            (
                Problem::faults(StatusCode::INSUFFICIENT_STORAGE, budget),
                ErrorKind::Conflict,
                "--max-file-bytes: the task may write 3 bytes, and 2 of the disk budget of 9 are left; \
                 lower --max-file-bytes, or delete tasks",
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
                Problem::conflict(UNFINISHED, "stop it, or give `force=true`"),
                ErrorKind::Conflict,
                "the task waits or is running; stop it first, or give --force",
            ),
            (
                Problem::conflict(UNFINISHED, "the task is stopping"),
                ErrorKind::Conflict,
                "the task is stopping",
            ),
            (Problem::forbidden(EDITION, "no"), ErrorKind::Conflict, "no"),
            (
                Problem::forbidden(ROLE, "no"),
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
