//! Extractors: the body, query parameters and path segments of a request, each within bounds. What is wrong becomes
//! a [`Problem`].

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
};
use capture_task::{
    UniqueJson,
    plan::{MOST_FAULTS, nearest, quote},
    problem::ProblemError,
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use ulid::Ulid;
use utoipa::IntoParams;

use super::problem::{Problem, Result};

/// Most bytes of a body: twice what the longest lists of a task take.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// Most time for a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The fields of a JSON object in the body.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let (parts, body) = request.into_parts();
        check_type(&parts.headers)?;
        let bytes = read(&parts.headers, body).await?;
        match serde_json::from_slice(&bytes) {
            Ok(UniqueJson(Value::Object(fields))) => Ok(Self(fields)),
            Ok(_) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "the body is JSON, and not an object with the fields of a task",
            )),
            Err(error) if error.is_data() => Err(Problem::syntax(
                "json",
                format!("the body says two things: {error}"),
            )),
            Err(error) => Err(Problem::syntax(
                "json",
                format!("the body is not JSON: {error}"),
            )),
        }
    }
}

/// Refuses a body that does not claim to be JSON. A page of another site cannot send one that does
/// without asking first.
fn check_type(headers: &HeaderMap) -> Result<()> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .map(str::trim);
    let refused = |code, detail| {
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail).closing())
    };
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return refused(
            "media_type",
            "the body needs the header `Content-Type: application/json`",
        );
    }
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return refused(
            "content_encoding",
            "the body is compressed, which is not taken; send it as it is, without `Content-Encoding`",
        );
    }
    Ok(())
}

/// The whole body, if it is not too long and comes in time. Of one that says it is too long nothing
/// is read.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(Problem::too_large(MAX_BODY_BYTES));
    }
    let whole = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(MAX_BODY_BYTES)),
        Ok(Err(error)) => {
            Err(Problem::syntax("body", format!("the body cannot be read: {error}")).closing())
        }
        Err(_) => Err(Problem::too_slow(format!(
            "the body was not there after {} s",
            BODY_TIMEOUT.as_secs()
        ))),
    }
}

/// The parameters of a query, each of which is to be taken; what is left is unknown.
#[derive(Debug)]
pub(super) struct Query {
    given: BTreeMap<String, String>,
    known: Vec<&'static str>,
    faults: Vec<ProblemError>,
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let pairs: axum::extract::Query<Vec<(String, String)>> =
            axum::extract::Query::try_from_uri(&parts.uri)
                .map_err(|error| Problem::syntax("query", error.body_text()))?;
        let mut query = Self {
            given: BTreeMap::new(),
            known: Vec::new(),
            faults: Vec::new(),
        };
        for (name, value) in pairs.0 {
            if query.given.contains_key(&name) {
                query.fault(&name, "conflict", "the parameter is given twice".to_owned());
            }
            query.given.insert(name, value);
        }
        Ok(query)
    }
}

impl Query {
    /// The parameter `name`, if it is given and `parse` knows what it means; `expected` says what it
    /// should be.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.known.push(name);
        let text = self.given.remove(name)?;
        let value = parse(&text);
        if value.is_none() {
            let detail = format!("`{name}` is {expected}, not {}", quote(&text));
            self.fault(name, "invalid", detail);
        }
        value
    }

    /// A parameter that must be given.
    pub(super) fn needs<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let is_given = self.given.contains_key(name);
        let value = self.take(name, expected, parse);
        if !is_given {
            self.fault(name, "required", format!("`{name}` is needed: {expected}"));
        }
        value
    }

    /// `true` or `false`; absent is the latter.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        let flag = self.take(name, "`true` or `false`", |text| match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        });
        flag.unwrap_or_default()
    }

    /// Refuses the query if anything in it was wrong, or is left. A parameter that is not known may be
    /// a `dry_run` that is misspelt.
    pub(super) fn finish(mut self) -> Result<()> {
        for name in std::mem::take(&mut self.given).into_keys() {
            // A hint that nobody gets to see is not worth its search.
            let is_shown = self.faults.len() < MOST_FAULTS;
            let near = is_shown.then(|| nearest(&name, self.known.iter().copied()));
            let hint = near
                .flatten()
                .map(|near| format!(" (did you mean `{near}`?)"))
                .unwrap_or_default();
            let detail = format!("there is no parameter {} here{hint}", quote(&name));
            self.fault(&name, "unknown", detail);
        }
        if self.faults.is_empty() {
            return Ok(());
        }
        Err(Problem::several(
            StatusCode::BAD_REQUEST,
            "the query",
            self.faults,
        ))
    }

    fn fault(&mut self, name: &str, code: &str, detail: String) {
        self.faults
            .push(ProblemError::new(&pointer_to(name), code, detail));
    }
}

/// The JSON pointer (RFC 6901) to a field.
fn pointer_to(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What is wrong with fields that are left of `what` when all that are known were taken.
pub(super) fn unknown_fields(
    what: &str,
    fields: &Map<String, Value>,
) -> impl Iterator<Item = ProblemError> {
    fields.keys().map(move |name| {
        let detail = format!("{what} has no field {}", quote(name));
        ProblemError::new(&pointer_to(name), "unknown", detail)
    })
}

/// The task that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "what the document says of `TaskPath`")]
pub(super) struct OfTask {
    /// ID of the task, a ULID
    #[param(pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
    id: String,
}

/// What a path names by a ULID that is no task's: a token, a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdPath(pub(super) Ulid);

impl<S: Sync + Send> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let id = ulid(parts, state).await;
        id.map(Self)
            .ok_or_else(|| Problem::not_found("there is nothing of this ID"))
    }
}

/// The share that a path names. What is no ID names none.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharePath(pub(super) Ulid);

impl<S: Sync + Send> FromRequestParts<S> for SharePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let id = ulid(parts, state).await;
        id.map(Self)
            .ok_or_else(|| Problem::not_found("there is no such share"))
    }
}

/// The number of the file that a path names.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileIndex(pub(super) u64);

impl<S: Sync + Send> FromRequestParts<S> for FileIndex {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let index = parameter(parts, state, "n").await;
        index
            .filter(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|index| index.parse().ok())
            .map(Self)
            .ok_or_else(|| Problem::not_found("the task has no such file"))
    }
}

/// The number of the packet that a path names.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketNumber(pub(super) u64);

impl<S: Sync + Send> FromRequestParts<S> for PacketNumber {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let number = parameter(parts, state, "n").await;
        number
            .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|number| number.parse().ok())
            .map(Self)
            .ok_or_else(|| Problem::not_found("the task has no such packet"))
    }
}

/// The parameter `id`. Only the form that we write: an ID is a name, and a name has one spelling.
pub(super) async fn ulid<S: Sync + Send>(parts: &mut Parts, state: &S) -> Option<Ulid> {
    let id = parameter(parts, state, "id").await?;
    let ulid = Ulid::from_string(&id).ok()?;
    (ulid.to_string() == id).then_some(ulid)
}

async fn parameter<S: Sync + Send>(parts: &mut Parts, state: &S, name: &str) -> Option<String> {
    let parameters = RawPathParams::from_request_parts(parts, state).await.ok()?;
    let value = parameters.iter().find(|(key, _)| *key == name)?.1;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fields(headers: &[(&str, &str)], body: impl Into<Body>) -> Result<Fields> {
        let mut request = Request::post("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Fields::from_request(request.body(body.into()).expect("a request"), &()).await
    }

    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

    #[tokio::test]
    async fn an_object_is_read() {
        let fields = fields(&[JSON], r#"{"a": 1}"#).await.expect("an object");
        assert_eq!(fields.0["a"], 1);
    }

    #[tokio::test]
    async fn what_is_no_object_is_refused() {
        for (body, status, code) in [
            ("", 400, "json"),
            ("{", 400, "json"),
            ("{} {}", 400, "json"),
            ("\u{feff}{}", 400, "json"),
            (r#"{"a": 1, "a": 2}"#, 400, "json"),
            (r#"{"rotate": {"bytes": 1, "bytes": 2}}"#, 400, "json"),
            ("[]", 422, "invalid"),
            ("null", 422, "invalid"),
        ] {
            let problem = fields(&[JSON], body).await.expect_err(body);
            assert_eq!(
                (problem.status().as_u16(), problem.code()),
                (status, code),
                "{body}"
            );
        }
        // A parser without a bound on depth would end the process.
        let deep = "[".repeat(MAX_BODY_BYTES);
        assert_eq!(
            fields(&[JSON], deep).await.expect_err("too deep").code(),
            "json"
        );
    }

    #[tokio::test]
    async fn another_media_type_is_refused() {
        for headers in [&[][..], &[("content-type", "text/plain")]] {
            let problem = fields(headers, "{}").await.expect_err("no JSON");
            assert_eq!(problem.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
    }

    #[tokio::test]
    async fn a_compressed_body_is_refused() {
        let as_it_is = fields(&[JSON, ("content-encoding", "identity")], "{}").await;
        as_it_is.expect("not compressed");
        for encoding in ["gzip", "zstd", "identity, gzip", ""] {
            let problem = fields(&[JSON, ("content-encoding", encoding)], "{}").await;
            let problem = problem.expect_err("compressed");
            assert_eq!(problem.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
            assert_eq!(problem.code(), "content_encoding");
        }
    }

    #[tokio::test]
    async fn a_long_body_is_refused_by_its_length_and_without() {
        let length = (MAX_BODY_BYTES + 1).to_string();
        let never = Body::new(http_body_util::StreamBody::new(
            futures_util::stream::pending::<
                std::result::Result<http_body::Frame<Bytes>, std::io::Error>,
            >(),
        ));
        let problem = fields(&[JSON, ("content-length", &length)], never)
            .await
            .expect_err("too long");
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let problem = fields(&[JSON], vec![b' '; MAX_BODY_BYTES + 1])
            .await
            .expect_err("too long");
        assert_eq!(problem.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = Body::new(http_body_util::StreamBody::new(
            futures_util::stream::pending::<
                std::result::Result<http_body::Frame<Bytes>, std::io::Error>,
            >(),
        ));
        let problem = fields(&[JSON], never).await.expect_err("nothing came");
        assert_eq!(problem.status(), StatusCode::REQUEST_TIMEOUT);
    }

    async fn query(text: &str) -> Query {
        let uri = format!("/?{text}");
        let (mut parts, ()) = Request::get(uri).body(()).expect("a request").into_parts();
        Query::from_request_parts(&mut parts, &())
            .await
            .expect("a query")
    }

    #[tokio::test]
    async fn parameters_are_taken_and_the_rest_is_refused() {
        let mut fine = query("dry_run=true").await;
        assert!(fine.flag("dry_run"));
        fine.finish().expect("nothing is left");

        let mut wrong = query("dry-run=true&limit=x&limit=5").await;
        assert!(!wrong.flag("dry_run"));
        let limit: Option<u32> = wrong.take("limit", "a number", |text| text.parse().ok());
        assert_eq!(limit, Some(5));
        let problem = wrong.finish().expect_err("two faults");
        let errors = problem.body().errors;
        let found: Vec<_> = errors
            .iter()
            .map(|error| (error.pointer.as_str(), error.code.as_str()))
            .collect();
        assert_eq!(found, [("/limit", "conflict"), ("/dry-run", "unknown")]);
        assert!(errors[1].detail.contains("`dry_run`"));
    }
}
