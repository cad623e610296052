//! Rechecks the token of a long response, a download or an event stream: it may be revoked or expire meanwhile.

use std::time::Duration;

use axum::body::Body;
use futures_util::{TryStreamExt as _, stream};
use tokio::time::Instant;
use ulid::Ulid;

use super::{auth::Principal, blocking::blocking, state::Api};
use crate::{access::Who, store::Store};

/// How often it is asked whether a token is in use still. Whoever revokes one may be another process, so
/// that nobody tells.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What somebody was let in by.
pub(super) struct TokenRecheck {
    store: Store,
    /// Nothing, where it was by the credentials of the socket, which do not end.
    token: Option<Ulid>,
    next_check: Instant,
}

impl TokenRecheck {
    pub(super) fn of(api: &Api, principal: &Principal) -> Self {
        let token = match principal.actor.caller.who {
            Who::Token { id, .. } => Some(id),
            _ => None,
        };
        Self {
            store: api.store.clone(),
            token,
            next_check: Instant::now() + RECHECK_INTERVAL,
        }
    }

    /// When [`is_valid`](Self::is_valid) will look again.
    pub(super) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// Whether they would be let in again, as of the last second. Where that cannot be said, it is no.
    pub(super) async fn is_valid(&mut self) -> bool {
        if Instant::now() < self.next_check {
            return true;
        }
        let holds = match self.token {
            Some(id) => {
                let store = self.store.clone();
                blocking(move || store.token_is_in_use(id))
                    .await
                    .unwrap_or_default()
            }
            None => true,
        };
        self.next_check = Instant::now() + RECHECK_INTERVAL;
        holds
    }

    /// A body that breaks off where they would not be let in again: the client must not take it for whole.
    pub(super) fn limit(self, body: Body) -> Body {
        if self.token.is_none() {
            return body;
        }
        let data = body.into_data_stream();
        Body::from_stream(stream::try_unfold(
            (self, data),
            async |(mut recheck, mut data)| {
                if !recheck.is_valid().await {
                    return Err(axum::Error::new("the token is over"));
                }
                let bytes = data.try_next().await?;
                Ok(bytes.map(|bytes| (bytes, (recheck, data))))
            },
        ))
    }
}
