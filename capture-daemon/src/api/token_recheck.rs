//! Rechecks the token and the session, or the share, of a long response, a download or an event stream: they may end
//! meanwhile.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use capture_store::{Store, access::Who};
use futures_util::{TryStreamExt as _, stream};
use tokio::time::Instant;
use ulid::Ulid;

use super::{
    auth::{Principal, ShareHolder, Way},
    blocking::blocking,
    sessions::Sessions,
    state::Api,
};

/// How often it is asked whether a token is in use still. Whoever revokes one may be another process, so
/// that nobody tells.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What somebody was let in by.
pub(super) struct TokenRecheck {
    store: Store,
    /// Nothing, where it was by the credentials of the socket, which do not end.
    proof: Option<Proof>,
    /// The session, where it was by a cookie.
    session: Option<(Arc<Sessions>, Ulid)>,
    next_check: Instant,
}

/// What may end.
#[derive(Clone, Copy)]
enum Proof {
    Token(Ulid),
    Share(Ulid),
}

impl TokenRecheck {
    pub(super) fn of(api: &Api, principal: &Principal) -> Self {
        let proof = match principal.actor.caller.who {
            Who::Token { id, .. } => Some(Proof::Token(id)),
            _ => None,
        };
        let session = match &principal.way {
            Way::Cookie(session) => Some((Arc::clone(&api.sessions), session.id)),
            Way::Socket | Way::Token => None,
        };
        Self::new(api, proof, session)
    }

    /// The same of a share.
    pub(super) fn of_share(api: &Api, holder: &ShareHolder) -> Self {
        Self::new(api, Some(Proof::Share(holder.share.id)), None)
    }

    fn new(api: &Api, proof: Option<Proof>, session: Option<(Arc<Sessions>, Ulid)>) -> Self {
        Self {
            store: api.store.clone(),
            proof,
            session,
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
        let is_session_over = self
            .session
            .as_ref()
            .is_some_and(|(sessions, id)| sessions.token_of(*id).is_none());
        let holds = match self.proof {
            Some(_) if is_session_over => false,
            Some(proof) => {
                let store = self.store.clone();
                let asked = blocking(move || match proof {
                    Proof::Token(id) => store.token_is_in_use(id),
                    Proof::Share(id) => store.share_is_in_force(id),
                });
                asked.await.unwrap_or_default()
            }
            None => true,
        };
        self.next_check = Instant::now() + RECHECK_INTERVAL;
        holds
    }

    /// A body that breaks off where they would not be let in again: the client must not take it for whole.
    pub(super) fn limit(self, body: Body) -> Body {
        if self.proof.is_none() {
            return body;
        }
        let data = body.into_data_stream();
        Body::from_stream(stream::try_unfold(
            (self, data),
            async |(mut recheck, mut data)| {
                if !recheck.is_valid().await {
                    return Err(axum::Error::new("the token or the share is over"));
                }
                let bytes = data.try_next().await?;
                Ok(bytes.map(|bytes| (bytes, (recheck, data))))
            },
        ))
    }
}
