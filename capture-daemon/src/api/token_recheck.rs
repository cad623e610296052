//! Rechecks the right to a long response, a download or an event stream, while it is sent: the token and the session, or
//! the share, may end meanwhile, and the socket may be for another group.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, HttpBody as _};
use capture_store::{
    Store,
    access::{Peer, Who},
};
use futures_util::{TryStreamExt as _, stream};
use tokio::time::Instant;
use ulid::Ulid;

use super::{
    auth::{Principal, ShareHolder, Way},
    blocking::blocking,
    policy::Policies,
    sessions::Sessions,
    state::Api,
};

/// How often it is asked whether a token is in use still. Whoever revokes one may be another process, so
/// that nobody tells.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// What somebody was let in by.
pub(super) struct TokenRecheck {
    store: Store,
    policies: Arc<Policies>,
    proof: Proof,
    /// The session, where it was by a cookie.
    session: Option<(Arc<Sessions>, Ulid)>,
    next_check: Instant,
}

/// What may end.
#[derive(Clone)]
enum Proof {
    /// The credentials of the socket, as long as its group is theirs.
    Peer(Arc<Peer>),
    Token(Ulid),
    Share(Ulid),
}

impl TokenRecheck {
    pub(super) fn of(api: &Api, principal: &Principal) -> Self {
        let proof = match (&principal.way, &principal.actor.caller.who) {
            (Way::Socket(peer), _) => Proof::Peer(Arc::clone(peer)),
            (_, Who::Token { id, .. }) => Proof::Token(*id),
            // Of no such token anything is known.
            _ => Proof::Token(Ulid::nil()),
        };
        let session = match &principal.way {
            Way::Cookie(session) => Some((Arc::clone(&api.sessions), session.id)),
            Way::Socket(_) | Way::Token => None,
        };
        Self::new(api, proof, session)
    }

    /// The same of a share.
    pub(super) fn of_share(api: &Api, holder: &ShareHolder) -> Self {
        Self::new(api, Proof::Share(holder.share.id), None)
    }

    fn new(api: &Api, proof: Proof, session: Option<(Arc<Sessions>, Ulid)>) -> Self {
        Self {
            store: api.store.clone(),
            policies: Arc::clone(&api.policies),
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
        let store = self.store.clone();
        let holds = match self.proof.clone() {
            _ if is_session_over => false,
            Proof::Peer(peer) => self.policies.current().access.role(&peer).is_some(),
            Proof::Token(id) => {
                let asked = blocking(move || store.token_is_in_use(id));
                asked.await.unwrap_or_default()
            }
            Proof::Share(id) => {
                let asked = blocking(move || store.share_is_in_force(id));
                asked.await.unwrap_or_default()
            }
        };
        self.next_check = Instant::now() + RECHECK_INTERVAL;
        holds
    }

    /// A body that breaks off where they would not be let in again: the client must not take it for whole. One whose length
    /// is known is in memory, as a problem is, and goes as it is.
    pub(super) fn limit(self, body: Body) -> Body {
        if body.size_hint().exact().is_some() {
            return body;
        }
        let data = body.into_data_stream();
        Body::from_stream(stream::try_unfold(
            (self, data),
            async |(mut recheck, mut data)| {
                if !recheck.is_valid().await {
                    return Err(axum::Error::new("the right to it is over"));
                }
                let bytes = data.try_next().await?;
                Ok(bytes.map(|bytes| (bytes, (recheck, data))))
            },
        ))
    }
}
