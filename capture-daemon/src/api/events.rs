//! Server-sent events about tasks.

use std::{collections::HashMap, sync::Arc};

use axum::{body::Bytes, extract::State, response::Response};
use capture_store::{
    Action,
    access::{Account, Actor, Right},
};
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    auth::Principal,
    event_stream::{EventSource, event_stream},
    extract::Query,
    problem::{Problem, Result},
    state::Api,
    token_recheck::TokenRecheck,
};
use crate::{
    events::{EventStream, ServerEvent},
    tasks::Tasks,
};

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
        tasks: api.tasks.clone(),
        actor: principal.actor.clone(),
        owners: HashMap::new(),
    };
    let recheck = TokenRecheck::of(&api, &principal);
    let begin = Bytes::from(format!("retry: {RETRY_MS}\n\n"));
    Ok(event_stream(api, recheck, Some(begin), news))
}

/// What one reader gets.
struct News {
    events: EventStream,
    tasks: Tasks,
    actor: Actor,
    /// Whose the running tasks are, where only figures of some are for them.
    owners: HashMap<String, Option<Account>>,
}

impl EventSource for News {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let mut event = self.events.next().await?;
            let inspects = self.actor.may(Right::Inspect);
            // By each event anew, as the configuration may be another.
            let scope = self.tasks.scope(&self.actor);
            if !is_for(&event, inspects, scope.as_ref()) {
                continue;
            }
            if let Some(scope) = scope.filter(|_| event.name == "stats") {
                event.data = self.own_figures(&event.data, &scope).await?;
            }
            return Some(text(&event));
        }
    }
}

impl News {
    /// Figures of running tasks without those of other accounts.
    async fn own_figures(&mut self, data: &str, scope: &Account) -> Option<Arc<str>> {
        let mut figures: Figures = serde_json::from_str(data).ok()?;
        let mut owners = HashMap::new();
        for task in &figures.tasks {
            let owner = match self.owners.remove(&task.id) {
                Some(owner) => owner,
                None => match task.id.parse() {
                    Ok(id) => self.tasks.owner(id).await.ok(),
                    Err(_) => None,
                },
            };
            owners.insert(task.id.clone(), owner);
        }
        self.owners = owners;
        figures
            .tasks
            .retain(|task| self.owners.get(&task.id).and_then(Option::as_ref) == Some(scope));
        serde_json::to_string(&figures).ok().map(Into::into)
    }
}

/// What `stats` says of running tasks.
#[derive(Deserialize, Serialize)]
struct Figures {
    tasks: Vec<TaskFigures>,
}

#[derive(Deserialize, Serialize)]
struct TaskFigures {
    id: String,
    #[serde(flatten)]
    figures: Map<String, Value>,
}

/// Whether an event is for who may inspect packets, or may not, and sees all tasks or those of an account.
fn is_for(event: &ServerEvent, inspects: bool, scope: Option<&Account>) -> bool {
    let is_in_scope = match (event.name, scope) {
        ("task" | "finding" | "deleted", Some(scope)) => {
            event.account.as_deref() == Some(scope.as_str())
        }
        _ => true,
    };
    is_in_scope && (inspects || event.name != "finding")
}

/// An event as text. Its data is one line of JSON.
fn text(event: &ServerEvent) -> Bytes {
    let ServerEvent {
        id,
        name,
        data,
        account: _,
    } = event;
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
            account: Some("a".into()),
        };
        for name in ["task", "stats", "deleted", "missed", "lagged"] {
            assert!(is_for(&event(name), false, None), "{name}");
        }
        assert!(!is_for(&event("finding"), false, None));
        assert!(is_for(&event("finding"), true, None));
        let [own, other] = ["a", "b"].map(Account::new);
        for name in ["task", "finding", "deleted"] {
            assert!(is_for(&event(name), true, own.as_ref()), "{name}");
            assert!(!is_for(&event(name), true, other.as_ref()), "{name}");
        }
        for name in ["stats", "missed", "lagged"] {
            assert!(is_for(&event(name), true, other.as_ref()), "{name}");
        }
    }

    #[test]
    fn events_as_text() {
        let event = ServerEvent {
            id: Some("e-1".to_owned()),
            name: "task",
            data: "{}".into(),
            account: None,
        };
        assert_eq!(text(&event), "event: task\nid: e-1\ndata: {}\n\n");
        let event = ServerEvent { id: None, ..event };
        assert_eq!(text(&event), "event: task\ndata: {}\n\n");
    }
}
