//! Refusals on their way to the audit log. Each is a line there; but a peer that has proved nothing
//! must not fill the disk with them, so beyond so many a minute they are counted, and the count is a
//! line.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{blocking, pool::PeerKey};
use crate::{
    access::Caller,
    store::{Action, Event, Outcome, Store},
};

/// What a peer's lines are counted over.
const WINDOW: Duration = Duration::from_secs(60);

/// Lines of a peer in that time.
const LINES: u32 = 60;

/// Peers that are told apart; all others are one.
const PEERS: usize = 1024;

/// Those that were noted lately.
#[derive(Debug)]
pub(super) struct Refusals {
    store: Store,
    recent: Mutex<BTreeMap<PeerKey, Recent>>,
}

/// The refusals of one peer.
#[derive(Debug)]
struct Recent {
    since: Instant,
    lines: u32,
    /// Those without a line, and who was the last of them.
    more: u64,
    caller: Caller,
}

impl Refusals {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            recent: Mutex::default(),
        }
    }

    /// Notes that `caller` was refused `action` on `object`.
    pub(super) async fn note(
        &self,
        peer: PeerKey,
        caller: Caller,
        action: Action,
        object: &str,
        why: &str,
    ) {
        if self.has_room(peer, &caller) {
            self.write(caller, action, object.to_owned(), why.to_owned())
                .await;
        }
    }

    /// Writes the counts of what had no line of its own; to be called now and then, and at the end.
    pub(super) async fn flush(&self, all: bool) {
        let now = Instant::now();
        let over: Vec<Recent> = {
            let mut recent = self.lock();
            let over = recent.extract_if(.., |_, recent| {
                all || now.duration_since(recent.since) >= WINDOW
            });
            over.map(|(_, recent)| recent).collect()
        };
        for Recent { caller, more, .. } in over {
            if more > 0 {
                let why = format!("{more} more refusals of this peer, not listed");
                self.write(caller, Action::Access, String::new(), why).await;
            }
        }
    }

    /// Whether this one has a line; else it is counted.
    fn has_room(&self, peer: PeerKey, caller: &Caller) -> bool {
        let now = Instant::now();
        let mut recent = self.lock();
        let peer = if recent.len() >= PEERS && !recent.contains_key(&peer) {
            PeerKey::Outsiders
        } else {
            peer
        };
        let recent = recent.entry(peer).or_insert_with(|| Recent {
            since: now,
            lines: 0,
            more: 0,
            caller: caller.clone(),
        });
        if recent.more == 0 && now.duration_since(recent.since) >= WINDOW {
            recent.since = now;
            recent.lines = 0;
        }
        if recent.lines < LINES {
            recent.lines += 1;
            return true;
        }
        recent.more += 1;
        recent.caller.clone_from(caller);
        false
    }

    async fn write(&self, caller: Caller, action: Action, object: String, why: String) {
        let store = self.store.clone();
        let written = blocking(move || {
            let event = Event {
                action,
                object: &object,
                outcome: Outcome::Refused(&why),
            };
            store.audit(&caller, event)
        });
        // The request is refused either way, and the log of the daemon has the error.
        let _ = written.await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerKey, Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
