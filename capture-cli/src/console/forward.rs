//! Passes a request on to the daemon, and its answer back, as it comes: a stream of events or a download is
//! never kept.

use std::{
    io,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use capture_task::problem::{MEDIA_TYPE, ProblemBody, ProblemError};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{gate::Verdict, state::Console};
use crate::client::Client;

/// How long the daemon may take to begin an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What is of one connection and not of the request (RFC 9110, section 7.6.1).
const OF_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// Answers a request of the browser.
pub(super) async fn answer(console: &Console, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let is_api = parts.uri.path().starts_with("/api/");
    match console.gate.judge(&parts, Instant::now()) {
        Verdict::Pass => {}
        Verdict::Enter(cookie) => {
            let mut response = to_page();
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            return response;
        }
        Verdict::Again => return to_page(),
        Verdict::Refuse(code, why) => return refusal(StatusCode::FORBIDDEN, is_api, code, why),
    }
    console.requests.fetch_add(1, Ordering::Relaxed);
    let passed = pass_on(&console.client, Request::from_parts(parts, body));
    match timeout(ANSWER_TIMEOUT, passed).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            log::debug!("{}: {error}", console.client.address());
            let why = "the daemon cannot be reached; it may have ended, or is starting";
            refusal(StatusCode::BAD_GATEWAY, is_api, "unreachable", why)
        }
        Err(_) => {
            let why = "the daemon has not answered for 60 s; its log may say why";
            refusal(StatusCode::GATEWAY_TIMEOUT, is_api, "timeout", why)
        }
    }
}

async fn pass_on(client: &Client, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (mut parts, body) = request.into_parts();
    // The form without a host, whatever came.
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse::<Uri>().map_err(io::Error::other)?;
    strip(&mut parts.headers);
    // It opens this port and means nothing to the daemon, which knows this process by its user or its token.
    parts.headers.remove(header::COOKIE);
    parts.headers.remove(header::AUTHORIZATION);
    client
        .introduce(&mut parts.headers)
        .map_err(io::Error::other)?;
    // It was compared with the host that the browser knows.
    if let Some(origin) = parts.headers.get_mut(header::ORIGIN) {
        *origin = HeaderValue::try_from(client.origin()).map_err(io::Error::other)?;
    }
    let stream = client.connect().await.map_err(io::Error::other)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Ends with the answer, or when the browser does not want the rest of it.
    tokio::spawn(connection);
    let answer = sender.send_request(Request::from_parts(parts, body)).await;
    let mut answer = answer.map_err(io::Error::other)?;
    strip(answer.headers_mut());
    Ok(answer.map(BodyExt::boxed))
}

/// Removes what is of one connection, also what the connection says is.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<_> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse::<HeaderName>().ok())
        .collect();
    for name in OF_CONNECTION.into_iter().chain(named) {
        headers.remove(name);
    }
}

/// Leads to the page, by an address without the secret.
fn to_page() -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static("/"));
    harden(headers);
    response
}

fn refusal(status: StatusCode, is_api: bool, code: &str, why: &str) -> Response<Body> {
    let (kind, body) = match is_api {
        true => {
            let problem = ProblemBody {
                kind: "about:blank".to_owned(),
                title: status.canonical_reason().unwrap_or("Error").to_owned(),
                status: status.as_u16(),
                detail: why.to_owned(),
                errors: vec![ProblemError::new("", code, why.to_owned())],
            };
            (MEDIA_TYPE, serde_json::to_vec(&problem).unwrap_or_default())
        }
        false => ("text/plain; charset=utf-8", format!("{why}\n").into_bytes()),
    };
    let mut response = Response::new(whole(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    harden(headers);
    response
}

/// Nothing of ours is for a browser to guess at, to run or to keep.
fn harden(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; sandbox",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}
