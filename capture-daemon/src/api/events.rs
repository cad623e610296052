//! Server-sent events about tasks.

use axum::{body::Bytes, extract::State, response::Response};
use capture_store::{Action, access::Right};
use http::{HeaderMap, HeaderValue};
use utoipa::ToSchema;

use super::{
    auth::Principal,
    event_stream::{EventSource, event_stream},
    extract::Query,
    problem::{Problem, Result},
    state::Api,
    token_recheck::TokenRecheck,
};
use crate::events::{EventStream, ServerEvent};

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
/// `task` is a task that is new, in another state or analyzed, `deleted` one that is gone, both with an ID to
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
    let news = News {
        events: api.tasks.events(last),
        inspects: principal.actor.may(Right::Inspect),
    };
    let recheck = TokenRecheck::of(&api, &principal);
    let begin = Bytes::from(format!("retry: {RETRY_MS}\n\n"));
    Ok(event_stream(api, recheck, Some(begin), news))
}

/// What one reader gets.
struct News {
    events: EventStream,
    /// Whether what is found in packets is for them.
    inspects: bool,
}

impl EventSource for News {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let event = self.events.next().await?;
            if is_for(&event, self.inspects) {
                return Some(text(&event));
            }
        }
    }
}

/// Whether an event is for who may inspect packets, or may not.
fn is_for(event: &ServerEvent, inspects: bool) -> bool {
    inspects || event.name != "finding"
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
    fn what_was_found_is_for_who_may_see_packets() {
        let event = |name| ServerEvent {
            id: None,
            name,
            data: "{}".into(),
        };
        for name in ["task", "stats", "deleted", "missed", "lagged"] {
            assert!(is_for(&event(name), false), "{name}");
        }
        assert!(!is_for(&event("finding"), false));
        assert!(is_for(&event("finding"), true));
    }

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
