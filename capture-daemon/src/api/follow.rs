//! The packets of a task as they come, as server-sent events: made once for all who follow the same task by the same filter.

use std::sync::Arc;

use axum::{body::Bytes, response::Response};
use serde_json::json;
use ulid::Ulid;

use super::{
    auth::Principal,
    event_stream::{EventSource, event_stream},
    problem::Result,
    state::Api,
    tasks::to_problem,
    token_recheck::TokenRecheck,
};
use crate::tasks::{PacketNews, PacketStream};

/// Follows the packets of a task that pass a filter.
pub(super) async fn follow(
    api: Api,
    id: Ulid,
    principal: &Principal,
    filter: String,
) -> Result<Response> {
    let packets = api.tasks.follow(id, filter, &principal.actor).await;
    let news = News {
        packets: packets.map_err(to_problem)?,
        waiting: Vec::new(),
    };
    let recheck = TokenRecheck::of(&api, principal);
    Ok(event_stream(api, recheck, None, news))
}

/// What one gets who follows.
struct News {
    packets: PacketStream,
    /// The rest of an event, last part first.
    waiting: Vec<Bytes>,
}

/// The text that all who follow share.
struct Shared(Arc<str>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl EventSource for News {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(part) = self.waiting.pop() {
            return Some(part);
        }
        let (first, rest) = parts(self.packets.next().await?);
        self.waiting = rest;
        Some(first)
    }
}

/// An event: its first part, and the others, last one first. The text of packets is not copied.
fn parts(news: PacketNews) -> (Bytes, Vec<Bytes>) {
    match news {
        PacketNews::Packets(text) => (
            Bytes::from_static(b"event: packets\ndata: "),
            vec![Bytes::from_static(b"\n\n"), Bytes::from_owner(Shared(text))],
        ),
        PacketNews::End => (Bytes::from_static(b"event: end\ndata: {}\n\n"), Vec::new()),
        PacketNews::Failed { code, detail } => {
            let data = json!({"code": code, "detail": detail});
            let text = format!("event: failed\ndata: {data}\n\n");
            (text.into(), Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_as_text() {
        let text = |news| {
            let (first, mut rest) = parts(news);
            rest.push(first);
            let all: Vec<u8> = rest.into_iter().rev().flatten().collect();
            String::from_utf8(all).expect("UTF-8")
        };
        let packets = PacketNews::Packets("{\"packets\":1}".into());
        assert_eq!(text(packets), "event: packets\ndata: {\"packets\":1}\n\n");
        assert_eq!(text(PacketNews::End), "event: end\ndata: {}\n\n");
        let failed = PacketNews::Failed {
            code: "view_failed",
            detail: "a\nb".to_owned(),
        };
        let wanted = "event: failed\ndata: {\"code\":\"view_failed\",\"detail\":\"a\\nb\"}\n\n";
        assert_eq!(text(failed), wanted);
    }
}
