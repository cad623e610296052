//! Downloads: a file of a task, whole or in part, also while the task is still writing it. The file is
//! what [`Tasks`](crate::tasks::Tasks) opened; nothing of the request is ever a path.

use std::{fs::File, io, os::unix::fs::FileExt as _, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use utoipa::ToSchema;

use super::{
    auth::Principal,
    content_disposition::attachment,
    extract::{FileIndex, OfTask, Query},
    problem::{Problem, Result},
    range::{self, Selection},
    scope::TaskPath,
    state::Api,
    tasks::to_problem,
    token_recheck::TokenRecheck,
};
use crate::tasks::{CopiedFile, LeftOut, OpenFile};

/// Bytes that are read at once.
const CHUNK: u64 = 256 * 1024;

/// The bytes of a capture file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "this is what the document says of the body")]
pub(super) struct Capture(Vec<u8>);

/// One file of a task.
///
/// A file that is still being written is given up to its last whole packet. `Range` then gets what
/// has come since: the bytes that are there do not change. Where the token of a download ends before it,
/// it breaks off.
#[utoipa::path(
    get,
    path = "/tasks/{id}/files/{n}",
    operation_id = "download_file",
    tag = "files",
    params(
        OfTask,
        ("n" = u64, Path, description = "`index` of the file"),
        ("anonymise" = Option<bool>, Query, description = "As pcapng without payload, with pseudonyms in place of addresses: the same ones in all files of the task, and in its shares. It has no length, no `ETag` and no ranges"),
        ("strip_payload" = Option<bool>, Query, description = "The same with the addresses that there were"),
        ("Range" = Option<String>, Header, nullable = false, description = "One range of bytes"),
        ("If-Range" = Option<String>, Header, nullable = false, description = "`ETag` of the part that is there"),
        ("If-None-Match" = Option<String>, Header, nullable = false, description = "`ETag`s that are known"),
    ),
    responses(
        (status = 200, description = "The file", content(
            (inline(Capture) = "application/x-pcapng"),
            (inline(Capture) = "application/vnd.tcpdump.pcap"),
        )),
        (status = 206, description = "The part asked for", content(
            (inline(Capture) = "application/x-pcapng"),
            (inline(Capture) = "application/vnd.tcpdump.pcap"),
        )),
        (status = 304, description = "It is as it was"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 416, description = "The range begins behind the end"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn download(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    FileIndex(index): FileIndex,
    principal: Principal,
    mut query: Query,
    method: Method,
    headers: HeaderMap,
) -> Result<Response> {
    let (anonymise, strip_payload) = (query.flag("anonymise"), query.flag("strip_payload"));
    query.finish()?;
    if anonymise || strip_payload {
        let left_out = match anonymise {
            true => LeftOut::Addresses,
            false => LeftOut::Payload,
        };
        let copied = api.tasks.copied_file(id, index, left_out, &principal.actor);
        let file = copied.await.map_err(to_problem)?;
        let recheck = TokenRecheck::of(&api, &principal);
        return Ok(made(file).map(|body| recheck.limit(body)));
    }
    let opened = api.tasks.open_file(id, index, &principal.actor).await;
    let file = opened.map_err(to_problem)?;
    let tag = etag(&format!("{id}.{index}"), &file);
    let response = answer(file, &tag, &method, &headers);
    if method == Method::GET && response.status().is_success() {
        let noted = api.tasks.downloaded(id, index, &principal.actor).await;
        noted.map_err(|error| Problem::internal(&error))?;
    }
    let recheck = TokenRecheck::of(&api, &principal);
    Ok(response.map(|body| recheck.limit(body)))
}

/// A copy as it is made. Where that fails, the connection breaks: the client must not take it for whole.
pub(super) fn made(file: CopiedFile) -> Response {
    let CopiedFile {
        task_name,
        suffix,
        pieces,
    } = file;
    let pieces = stream::unfold(pieces, async |mut pieces| {
        let piece: io::Result<Vec<u8>> = pieces.recv().await?;
        Some((piece.map(Bytes::from), pieces))
    });
    let kind = HeaderValue::from_static("application/x-pcapng");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, attachment(&task_name, &suffix)),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

/// What tells the versions of a file apart: a finished one is its content, and one that grows is its
/// length.
pub(super) fn etag(name: &str, file: &OpenFile) -> String {
    match &file.sha256 {
        Some(sha256) => format!("\"{sha256}\""),
        None => format!("\"{name}.{}\"", file.len),
    }
}

/// What a request gets of a file.
pub(super) fn answer(file: OpenFile, etag: &str, method: &Method, request: &HeaderMap) -> Response {
    let OpenFile {
        file,
        len,
        task_name,
        suffix,
        ..
    } = file;
    let tag = HeaderValue::from_str(etag).unwrap_or(HeaderValue::from_static("\"\""));
    let cache = HeaderValue::from_static("private, no-cache");
    if range::is_known(request, etag) {
        let headers = [(header::ETAG, tag), (header::CACHE_CONTROL, cache)];
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let selection = if *method == Method::GET {
        range::select(request, len, etag)
    } else {
        // RFC 9110, section 14.2: ranges are for GET.
        Selection::Whole
    };
    let (status, first, end) = match selection {
        Selection::Whole => (StatusCode::OK, 0, len),
        Selection::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last + 1),
        Selection::Beyond => return beyond(len),
    };
    let mut response = Response::new(Body::from_stream(read(Arc::new(file), first, end)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = if suffix.ends_with(".pcap") {
        "application/vnd.tcpdump.pcap"
    } else {
        "application/x-pcapng"
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - first));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&task_name, &suffix));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, cache);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{len}", end - 1);
        // Digits and ASCII.
        let range = HeaderValue::from_str(&range).unwrap_or(HeaderValue::from_static(""));
        headers.insert(header::CONTENT_RANGE, range);
    }
    response
}

/// 416, with what there is.
fn beyond(len: u64) -> Response {
    let there = HeaderValue::from_str(&format!("bytes */{len}"));
    Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range",
        format!("the file has {len} bytes, and the range begins behind them"),
    )
    .with(
        header::CONTENT_RANGE,
        there.unwrap_or(HeaderValue::from_static("")),
    )
    .into_response()
}

/// The bytes from `first` to before `end`, read as the client takes them. A file that turns out to be
/// shorter is an error, on which the connection breaks: the client must not take it for whole.
fn read(file: Arc<File>, first: u64, end: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(first, move |position| {
        let file = Arc::clone(&file);
        async move {
            if position >= end {
                return Ok(None);
            }
            let length = CHUNK.min(end - position) as usize;
            let chunk = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; length];
                file.read_exact_at(&mut chunk, position).map(|()| chunk)
            });
            let chunk = chunk.await.map_err(io::Error::other)?;
            let chunk = chunk.inspect_err(|error| log::warn!("reading a capture: {error}"))?;
            Ok(Some((Bytes::from(chunk), position + length as u64)))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http_body_util::BodyExt as _;

    use super::*;

    const LEN: u64 = 3 * CHUNK + 17;

    fn byte(position: u64) -> u8 {
        (position % 251) as u8
    }

    fn file() -> OpenFile {
        let mut file = tempfile::tempfile().expect("a file");
        let bytes: Vec<u8> = (0..LEN + 100).map(byte).collect();
        file.write_all(&bytes).expect("written");
        OpenFile {
            file,
            // What comes behind is not whole yet.
            len: LEN,
            task_name: "web ü".to_owned(),
            suffix: ".pcapng".to_owned(),
            sha256: None,
        }
    }

    async fn get(
        method: Method,
        headers: &[(header::HeaderName, &'static str)],
    ) -> (Response<()>, Vec<u8>) {
        let headers = headers.iter().cloned();
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let (parts, body) = answer(file(), "\"e\"", &method, &headers.collect()).into_parts();
        let body = body.collect().await.expect("the whole body").to_bytes();
        (Response::from_parts(parts, ()), body.to_vec())
    }

    #[tokio::test]
    async fn the_whole_file_up_to_its_last_whole_packet() {
        let (response, body) = get(Method::GET, &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_LENGTH], LEN.to_string());
        assert_eq!(headers[header::CONTENT_TYPE], "application/x-pcapng");
        assert_eq!(
            headers[header::CONTENT_DISPOSITION],
            "attachment; filename=\"web _.pcapng\"; filename*=UTF-8''web%20%C3%BC.pcapng"
        );
        assert!(body.into_iter().eq((0..LEN).map(byte)));
    }

    #[tokio::test]
    async fn a_part_across_chunks() {
        let (response, body) = get(Method::GET, &[(header::RANGE, "bytes=262000-600000")]).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        let range = format!("bytes 262000-600000/{LEN}");
        assert_eq!(response.headers()[header::CONTENT_RANGE], range);
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "338001");
        assert!(body.into_iter().eq((262_000..=600_000).map(byte)));
    }

    #[tokio::test]
    async fn behind_the_end_is_416() {
        let (response, _) = get(Method::GET, &[(header::RANGE, "bytes=9999999-")]).await;
        assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        let there = format!("bytes */{LEN}");
        assert_eq!(response.headers()[header::CONTENT_RANGE], there);
    }

    #[tokio::test]
    async fn a_known_version_is_not_sent_again() {
        let (response, body) = get(Method::GET, &[(header::IF_NONE_MATCH, "\"e\"")]).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert!(body.is_empty());
    }

    #[tokio::test]
    async fn head_knows_no_ranges() {
        let (response, _) = get(Method::HEAD, &[(header::RANGE, "bytes=0-1")]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_LENGTH], LEN.to_string());
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_it_was_breaks_the_answer() {
        let mut file = file();
        file.len = LEN + 101;
        let response = answer(file, "\"e\"", &Method::GET, &HeaderMap::new());
        assert!(response.into_body().collect().await.is_err());
    }
}
