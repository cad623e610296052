//! Server-sent events (WHATWG HTML, section 9.2) about tasks.

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    response::Response,
};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use tokio::time::{sleep, sleep_until};
use utoipa::ToSchema;

use super::{
    auth::Principal,
    extract::Query,
    problem::{Problem, Result},
    state::Api,
    token_recheck::TokenRecheck,
};
use crate::{
    access::Right,
    events::{EventStream, ServerEvent},
    store::Action,
};

/// A comment is sent after so long without an event, so that everybody on the way knows that the
/// connection is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// After how many milliseconds a client shall come back.
const RETRY_MS: u32 = 1000;

/// The header by which a client resumes.
const LAST_EVENT_ID: &str = "last-event-id";

/// One event, by the names of its fields in the stream.
#[derive(ToSchema)]
#[schema(as = Event)]
#[expect(
    dead_code,
    reason = "this is what the document says of what `text` writes"
)]
struct EventText {
    /// `task`, `deleted`, `stats`, `missed` or `lagged`.
    event: String,
    /// What to resume from.
    #[schema(nullable = false)]
    id: Option<String>,
    /// JSON: the task; `{"id": …}`; `{"tasks": […]}`, the figures of those that run; `{"detail": …}`.
    data: String,
}

/// What happens to tasks, as server-sent events.
///
/// `task` is a task that is new or in another state, `deleted` one that is gone, both with an ID to
/// resume from. `stats` are the figures of running tasks, once a second. `missed` and `lagged` say
/// that events are lost to this client, which should list the tasks again.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "listen_to_events",
    tag = "events",
    params(("Last-Event-ID" = Option<String>, Header, nullable = false, description = "Resume behind this event")),
    responses(
        (
            status = 200, description = "Events, until one side closes or the token is over; the schema is that of one",
            body = EventText, content_type = "text/event-stream",
        ),
    ),
)]
pub(super) async fn listen(
    State(api): State<Api>,
    principal: Principal,
    query: Query,
    headers: HeaderMap,
) -> Result<Response> {
    query.finish()?;
    principal
        .needs(&api, Right::View, Action::Access, "GET /events")
        .await?;
    let last = headers
        .get(LAST_EVENT_ID)
        .map(HeaderValue::to_str)
        .transpose()
        .map_err(|_| Problem::syntax("last_event_id", "`Last-Event-ID` is no text"))?;
    let listener = Listener {
        events: api.tasks.events(last),
        recheck: TokenRecheck::of(&api, &principal),
        api,
    };
    let begin = Bytes::from(format!("retry: {RETRY_MS}\n\n"));
    let body = stream::unfold((listener, Some(begin)), async |(mut listener, begin)| {
        let bytes = match begin {
            Some(begin) => begin,
            None => listener.next().await?,
        };
        Some((Ok::<_, Infallible>(bytes), (listener, None)))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    // For a proxy in between: this is no page to be buffered.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// One reader of events.
struct Listener {
    api: Api,
    events: EventStream,
    recheck: TokenRecheck,
}

impl Listener {
    /// The next event, or a sign of life. `None` at the end: the server's, that of the events, or that
    /// of the token with which the listener came in.
    async fn next(&mut self) -> Option<Bytes> {
        let mut closing = self.api.closing.clone();
        let mut closed = pin!(async {
            let _ = closing.wait_for(|closing| *closing).await;
        });
        let mut silence = pin!(sleep(KEEP_ALIVE));
        loop {
            tokio::select! {
                biased;
                () = &mut closed => return None,
                () = sleep_until(self.recheck.next_check()) => {
                    if !self.recheck.is_valid().await {
                        return None;
                    }
                }
                event = self.events.next() => return event.map(|event| text(&event)),
                () = &mut silence => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }
}

/// An event as text. Its data is one line of JSON.
fn text(event: &ServerEvent) -> Bytes {
    let ServerEvent { id, name, data } = event;
    let id = id.as_deref().map(|id| format!("id: {id}\n"));
    let id = id.unwrap_or_default();
    Bytes::from(format!("event: {name}\n{id}data: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_as_text() {
        let event = ServerEvent {
            id: Some("e-1".to_owned()),
            name: "task",
            data: "{}".into(),
        };
        assert_eq!(text(&event), "event: task\nid: e-1\ndata: {}\n\n");
        let event = ServerEvent { id: None, ..event };
        assert_eq!(text(&event), "event: task\ndata: {}\n\n");
    }
}
