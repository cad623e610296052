//! Streams and exports: the bytes that two ends said to each other, and the packets that were chosen as a file. Files are
//! made as they are taken, part by part.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse as _, Response},
};
use base64ct::{Base64, Encoding as _};
use capture_inspector::view::{ExportPart, ExportState, Question, StreamPart, ViewRequest};
use capture_store::Action;
use futures_util::{Stream, stream};
use http::{HeaderValue, header};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use ulid::Ulid;
use utoipa::ToSchema;

use super::{
    auth::Principal,
    content_disposition::attachment,
    extract::{OfTask, PacketNumber, Query},
    packets::json,
    problem::{Problem, Result},
    questions::{self, Filtered, InFile, MOST_SEGMENTS, OfPacket, StreamQuery, asked, in_file},
    scope::TaskPath,
    state::Api,
    tasks::to_problem,
    token_recheck::TokenRecheck,
};

/// Rest between two questions while packets are looked at.
const REST: Duration = Duration::from_millis(20);

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "this is what the document says of the body")]
struct Saved(Vec<u8>);

/// What the two ends of a packet's stream said to each other, of TCP or UDP.
///
/// Of TCP each byte is there once, in its order: resends and overlaps are resolved, and `gap` says what the capture does
/// not have. `as=raw` gives the bytes alone, without what is missing. Until `complete` is true, one asks again.
#[utoipa::path(
    get,
    path = "/tasks/{id}/packets/{n}/stream",
    operation_id = "follow_stream",
    tag = "packets",
    params(
        OfTask, OfPacket, InFile, StreamQuery,
        ("as" = Option<String>, Query, nullable = false, pattern = "^(json|raw)$", description = "`raw` for all bytes as a file"),
    ),
    responses(
        (status = 200, description = "A part of the stream, or all of its bytes", content(
            (StreamPart = "application/json"),
            (inline(Saved) = "application/octet-stream"),
        )),
        (status = 409, description = "The packet has neither TCP nor UDP"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn show(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    PacketNumber(number): PacketNumber,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let question = questions::stream(&mut query, number);
    let is_raw = query.take("as", "`json` or `raw`", |text| match text {
        "json" => Some(false),
        "raw" => Some(true),
        _ => None,
    });
    let request = ViewRequest {
        file: in_file(&mut query),
        filter: String::new(),
        question,
    };
    query.finish()?;
    if is_raw.unwrap_or_default() {
        let stream = Raw {
            api,
            id,
            number,
            request,
            principal,
        };
        return stream.answer().await;
    }
    let part = api.tasks.stream(id, number, request, &principal.actor);
    Ok(json(&part.await.map_err(to_problem)?))
}

/// A stream that is saved.
struct Raw {
    api: Api,
    id: Ulid,
    number: u64,
    /// For the part that is next.
    request: ViewRequest,
    principal: Principal,
}

impl Raw {
    /// The bytes from a segment on. Before the first one it is known where all of them are.
    async fn answer(mut self) -> Result<Response> {
        let object = format!("{} packet {} saved", self.id, self.number);
        let actor = &self.principal.actor;
        let noted = self
            .api
            .tasks
            .note_look(self.id, Action::PacketsStream, object, "", actor);
        let name = noted.await.map_err(to_problem)?.name;
        let first = self.part(None).await?;
        let suffix = format!("-{}-packet-{}.bin", first.protocol, self.number);
        let recheck = TokenRecheck::of(&self.api, &self.principal);
        let body = Body::from_stream(self.parts(first));
        let headers = [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            ),
            (header::CONTENT_DISPOSITION, attachment(&name, &suffix)),
        ];
        Ok((headers, recheck.limit(body)).into_response())
    }

    /// A part, once all packets were looked at; the first where no other is named.
    async fn part(&mut self, next: Option<u64>) -> Result<StreamPart> {
        if let Question::Stream { from, limit, .. } = &mut self.request.question {
            *from = next.unwrap_or(*from);
            *limit = MOST_SEGMENTS;
        }
        loop {
            let request = self.request.clone();
            let part: StreamPart = ask(&self.api, self.id, request, &self.principal).await?;
            if part.complete {
                return Ok(part);
            }
            sleep(REST).await;
        }
    }

    fn parts(self, first: StreamPart) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold((self, Some(Ok(first))), async |(mut stream, next)| {
            let part: StreamPart = match next {
                None => return Ok(None),
                Some(Ok(part)) => part,
                Some(Err(from)) => stream.part(Some(from)).await.map_err(broken)?,
            };
            let mut bytes = Vec::new();
            for segment in &part.segments {
                bytes.extend(decoded(&segment.data)?);
            }
            Ok(Some((Bytes::from(bytes), (stream, part.next.map(Err)))))
        })
    }
}

/// The packets of a task that pass a filter as a pcapng file, with the comments that were noted about them.
///
/// Of a task that runs it has what there is when it begins. The captured files and their digests stay as they are.
#[utoipa::path(
    get,
    path = "/tasks/{id}/export",
    operation_id = "export_packets",
    tag = "packets",
    params(
        OfTask, InFile, Filtered,
        ("from_number" = Option<u64>, Query, nullable = false, description = "Only packets of this number or a higher one"),
        ("until_number" = Option<u64>, Query, nullable = false, description = "Only packets of this number or a lower one"),
    ),
    responses(
        (status = 200, description = "The file", content((inline(Saved) = "application/x-pcapng"))),
        (status = 409, description = "They cannot be one file: they are of too many interfaces"),
        (status = 410, description = "The time of the files is over, and they are removed"),
        (status = 422, description = "The filter is wrong"),
        (status = 507, description = "No space is left for the audit log"),
    ),
)]
pub(super) async fn export(
    State(api): State<Api>,
    TaskPath(id): TaskPath,
    principal: Principal,
    mut query: Query,
) -> Result<Response> {
    let expected = "the number of a packet";
    let from_number = query.take("from_number", expected, |text| text.parse().ok());
    let until_number = query.take("until_number", expected, |text| text.parse().ok());
    let request = asked(
        &mut query,
        Question::Export {
            state: ExportState::default(),
            from_number: from_number.unwrap_or(0),
            until_number: until_number.unwrap_or(u64::MAX),
        },
    );
    query.finish()?;
    let filter = request.filter.trim();
    let object = match filter {
        "" => id.to_string(),
        filter => format!("{id} {filter}"),
    };
    let actor = &principal.actor;
    let noted = api
        .tasks
        .note_look(id, Action::PacketsExport, object, filter, actor);
    let name = noted.await.map_err(to_problem)?.name;
    let recheck = TokenRecheck::of(&api, &principal);
    let mut export = Export {
        api,
        id,
        request,
        principal,
    };
    let first = export.part(ExportState::default()).await?;
    let body = Body::from_stream(export.parts(first));
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-pcapng"),
        ),
        (
            header::CONTENT_DISPOSITION,
            attachment(&name, "-export.pcapng"),
        ),
    ];
    Ok((headers, recheck.limit(body)).into_response())
}

/// An export that is saved.
struct Export {
    api: Api,
    id: Ulid,
    request: ViewRequest,
    principal: Principal,
}

impl Export {
    async fn part(&mut self, next: ExportState) -> Result<ExportPart> {
        if let Question::Export { state, .. } = &mut self.request.question {
            *state = next;
        }
        ask(&self.api, self.id, self.request.clone(), &self.principal).await
    }

    fn parts(self, first: ExportPart) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold((self, Some(Ok(first))), async |(mut export, next)| {
            let mut part: ExportPart = match next {
                None => return Ok(None),
                Some(Ok(part)) => part,
                Some(Err(state)) => export.part(state).await.map_err(broken)?,
            };
            // A filter may look for long before a packet passes.
            while let (true, Some(state)) = (part.data.is_empty(), part.next.take()) {
                sleep(REST).await;
                part = export.part(state).await.map_err(broken)?;
            }
            let bytes = Bytes::from(decoded(&part.data)?);
            Ok(Some((bytes, (export, part.next.map(Err)))))
        })
    }
}

/// Asks, and reads the answer.
async fn ask<T: DeserializeOwned>(
    api: &Api,
    id: Ulid,
    request: ViewRequest,
    principal: &Principal,
) -> Result<T> {
    let answer = api.tasks.view(id, request, &principal.actor).await;
    let answer = answer.map_err(to_problem)?;
    serde_json::from_str(answer.get()).map_err(|error| Problem::internal(&error))
}

fn decoded(data: &str) -> io::Result<Vec<u8>> {
    Base64::decode_vec(data).map_err(|error| io::Error::other(error.to_string()))
}

/// What breaks an answer that has begun: the client must not take it for whole.
fn broken(problem: Problem) -> io::Error {
    io::Error::other(problem.code().to_owned())
}
