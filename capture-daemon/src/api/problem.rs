//! Errors of the API: every answer of 400 and above is `application/problem+json` (RFC 9457), with
//! a list of all that is wrong. Handlers return a [`Problem`]; what the router and the extractors
//! refuse becomes one too, and [`or_problem`] catches what is left.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use capture_task::{
    plan::{Fault, MOST_FAULTS},
    problem::{MEDIA_TYPE, NO_SPACE, ProblemBody, ProblemError},
};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// An answer that says what is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<ProblemError>,
    /// Few, if any.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Result of a handler.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    /// One thing wrong with the request as a whole.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self::at(status, "", code, detail)
    }

    /// One thing wrong at `pointer`.
    pub fn at(status: StatusCode, pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            status,
            detail: detail.clone(),
            errors: vec![ProblemError::new(pointer, code, detail)],
            headers: Vec::new(),
        }
    }

    /// All that is wrong with a task.
    pub fn faults(status: StatusCode, faults: Vec<Fault>) -> Self {
        let errors = faults.into_iter().map(ProblemError::from);
        Self::several(status, "the task", errors.collect())
    }

    /// All that is wrong with something, at least one thing.
    pub fn several(status: StatusCode, what: &str, mut errors: Vec<ProblemError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => one.detail.clone(),
            many => format!("{what} has {} faults; `errors` lists them", many.len()),
        };
        let more = errors.len().saturating_sub(MOST_FAULTS);
        errors.truncate(MOST_FAULTS);
        if more > 0 {
            let detail = format!("{more} more faults are not listed");
            errors.push(ProblemError::new("", "more", detail));
        }
        Self {
            status,
            detail,
            errors,
            headers: Vec::new(),
        }
    }

    /// The request is not what HTTP or JSON would have it.
    pub fn syntax(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Nobody we know asks.
    pub fn unauthorized(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail).with(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"capture-agent\""),
        )
    }

    /// Somebody asks who may not.
    pub fn forbidden(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// It cannot be done in the present state.
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// The body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is longer than {limit} bytes, which is the limit"),
        )
        .closing()
    }

    /// The client did not send its request in time.
    pub fn too_slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail).closing()
    }

    /// We failed. What happened goes to the log, not to the client.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        log::error!("answering a request: {error:#}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the daemon failed to answer; its log says why",
        )
    }

    /// There is no room for what was asked for.
    pub fn no_space(error: &dyn std::fmt::Display) -> Self {
        let status = StatusCode::INSUFFICIENT_STORAGE;
        Self::new(status, NO_SPACE, error.to_string())
    }

    /// Not now.
    pub fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(1)
    }

    /// With a header.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With the seconds after which to ask again.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.with(header::RETRY_AFTER, seconds.into())
    }

    /// The connection ends with this answer: what the client still sends is not read.
    #[must_use]
    pub fn closing(self) -> Self {
        self.with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What was wrong, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The code of the first error.
    pub fn code(&self) -> &str {
        self.errors.first().map_or("", |error| error.code.as_str())
    }

    /// The answer as JSON.
    pub fn body(&self) -> ProblemBody {
        let Self {
            status,
            detail,
            errors,
            headers: _,
        } = self;
        ProblemBody {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.clone(),
            errors: errors.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.extend(self.headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        // An error is about this request, at this moment.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Makes a problem of an error answer that is none yet, such as the router's own.
pub async fn or_problem(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind == MEDIA_TYPE) {
        return response;
    }
    let (code, detail) = match status {
        StatusCode::METHOD_NOT_ALLOWED => (
            "method_not_allowed",
            "this method is not for this path; `Allow` names those that are".to_owned(),
        ),
        StatusCode::NOT_FOUND => ("not_found", "there is nothing at this path".to_owned()),
        _ => (
            "refused",
            status
                .canonical_reason()
                .unwrap_or("the request is refused")
                .to_owned(),
        ),
    };
    let mut problem = Problem::new(status, code, detail);
    if let Some(allow) = response.headers().get(header::ALLOW) {
        problem = problem.with(header::ALLOW, allow.clone());
    }
    problem.into_response()
}

#[cfg(test)]
mod tests {
    use capture_task::plan::{FaultKind, Field};
    use http_body_util::BodyExt as _;

    use super::*;

    async fn json(response: Response) -> ProblemBody {
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        let body = response.into_body().collect().await.expect("a body");
        serde_json::from_slice(&body.to_bytes()).expect("JSON")
    }

    #[tokio::test]
    async fn a_problem_has_every_field() {
        let problem = Problem::conflict("running", "the task is running; stop it first");
        let body = json(problem.into_response()).await;
        assert_eq!(
            serde_json::to_value(body).expect("serializes"),
            serde_json::json!({
                "type": "about:blank",
                "title": "Conflict",
                "status": 409,
                "detail": "the task is running; stop it first",
                "errors": [{
                    "pointer": "",
                    "code": "running",
                    "detail": "the task is running; stop it first",
                }],
            })
        );
    }

    #[tokio::test]
    async fn all_faults_are_in_it() {
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        let ports = FaultKind::PortsOfIcmp {
            field: Field::Ports,
        };
        let ports = Fault::of(Field::Ports, ports);
        let one = Problem::faults(unprocessable, vec![ports.clone()]);
        let detail = "ICMP has no ports; leave `ports` out, or choose tcp or udp";
        assert_eq!(one.detail(), detail);
        // Beside what people read there is what programs need to say the same.
        let errors = serde_json::to_value(one.body().errors).expect("JSON");
        assert_eq!(
            errors,
            serde_json::json!([{
                "pointer": "/ports",
                "code": "conflict",
                "detail": detail,
                "reason": "ports_of_icmp",
                "field": "ports",
            }])
        );
        let empty = Fault::of_item(Field::Ports, 1, FaultKind::PortEmpty);
        let two = Problem::faults(unprocessable, vec![ports, empty]);
        let body = json(two.into_response()).await;
        assert_eq!(body.detail, "the task has 2 faults; `errors` lists them");
        assert_eq!(body.errors[1].pointer, "/ports/1");
        assert_eq!(body.errors[1].fault, Some(FaultKind::PortEmpty));
    }

    #[test]
    fn a_reason_that_is_not_known_is_none() {
        for members in [
            "",
            r#","reason":"of_a_later_daemon","most":5"#,
            r#","reason":"name_too_long","chars":"many""#,
        ] {
            let text = format!(r#"{{"pointer":"/name","code":"invalid","detail":"no"{members}}}"#);
            let error: ProblemError = serde_json::from_str(&text).expect("an error");
            assert_eq!(error, ProblemError::new("/name", "invalid", "no"));
        }
    }

    #[tokio::test]
    async fn a_foreign_error_becomes_a_problem_and_keeps_allow() {
        let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
        let allow = HeaderValue::from_static("GET,HEAD");
        response.headers_mut().insert(header::ALLOW, allow.clone());
        let response = or_problem(response).await;
        assert_eq!(response.headers()[header::ALLOW], allow);
        assert_eq!(json(response).await.errors[0].code, "method_not_allowed");
    }

    #[tokio::test]
    async fn what_is_no_error_passes() {
        let response = or_problem("fine".into_response()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let status = StatusCode::UNAUTHORIZED;
        let problem = Problem::unauthorized("no_token", "no").into_response();
        let response = or_problem(problem).await;
        assert_eq!(response.status(), status);
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
