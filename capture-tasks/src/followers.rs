//! Who follows the packets of which task, by which filter, and what they get. `tasks::follow` asks for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capture_store::TaskId;
use tokio::sync::watch;

/// Tasks and filters that are followed at once.
pub(crate) const MOST_FOLLOWED: usize = 64;

/// What those who follow get.
#[derive(Clone, Debug)]
pub enum PacketNews {
    /// The newest packets, and how many there are: JSON as of a question for rows.
    Packets(Arc<str>),
    /// There is no more: the task has ended, and all of its packets were looked at.
    End,
    /// The packets cannot be shown any more: a word for programs, and why.
    Failed {
        /// Short name of what is wrong.
        code: &'static str,
        /// What is wrong, for people.
        detail: String,
    },
}

/// The packets of a task as they come. Of several answers that come before they are taken only the last one counts.
#[derive(Debug)]
pub struct PacketStream {
    news: watch::Receiver<Option<PacketNews>>,
    /// Whether the answer that is there was not taken.
    is_new: bool,
    has_ended: bool,
}

impl PacketStream {
    fn of(news: watch::Receiver<Option<PacketNews>>) -> Self {
        Self {
            news,
            is_new: true,
            has_ended: false,
        }
    }
}

impl PacketStream {
    /// The next answer; `None` after the last one.
    pub async fn next(&mut self) -> Option<PacketNews> {
        loop {
            if self.has_ended {
                return None;
            }
            if !std::mem::take(&mut self.is_new) {
                // Whoever tells is gone with the daemon.
                self.news.changed().await.ok()?;
            }
            let news = self.news.borrow_and_update().clone();
            self.has_ended = matches!(news, Some(PacketNews::End | PacketNews::Failed { .. }));
            if news.is_some() {
                return news;
            }
        }
    }
}

/// Which packets.
pub(crate) type Followed = (TaskId, String);

/// Who follows what.
#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<HashMap<Followed, watch::Sender<Option<PacketNews>>>>);

impl Followers {
    /// Somebody follows; says whether they are the first. `None` where too many others are followed.
    pub(crate) fn join(&self, key: &Followed) -> Option<(PacketStream, bool)> {
        let mut followers = self.all();
        if let Some(sender) = followers.get(key) {
            return Some((PacketStream::of(sender.subscribe()), false));
        }
        if followers.len() >= MOST_FOLLOWED {
            return None;
        }
        let (sender, news) = watch::channel(None);
        followers.insert(key.clone(), sender);
        Some((PacketStream::of(news), true))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Followed, watch::Sender<Option<PacketNews>>>> {
        // What is behind the lock is whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody listens; if not, the next one begins anew.
    pub(crate) fn has_listeners(&self, key: &Followed) -> bool {
        let mut followers = self.all();
        let listens = followers
            .get(key)
            .is_some_and(|sender| sender.receiver_count() > 0);
        if !listens {
            followers.remove(key);
        }
        listens
    }

    pub(crate) fn send(&self, key: &Followed, news: PacketNews) {
        if let Some(sender) = self.all().get(key) {
            sender.send_replace(Some(news));
        }
    }

    pub(crate) fn end(&self, key: &Followed, news: PacketNews) {
        if let Some(sender) = self.all().remove(key) {
            sender.send_replace(Some(news));
        }
    }

    /// Ends everything.
    pub(crate) fn close(&self) {
        self.all().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Followed {
        (TaskId::from_parts(1, 0), format!("frame.number == {n}"))
    }

    #[test]
    fn a_bounded_number_is_followed() {
        let followers = Followers::default();
        let first = (0..MOST_FOLLOWED).map(|n| followers.join(&key(n)).expect("room"));
        let mut first: Vec<_> = first.collect();
        assert!(first.iter().all(|(_, is_first)| *is_first));
        assert!(followers.join(&key(MOST_FOLLOWED)).is_none());
        // Whoever wants what is followed already takes no place.
        let (_also, is_first) = followers.join(&key(0)).expect("it is followed");
        assert!(!is_first);
        // A place is free once nobody listens.
        first.remove(1);
        assert!(followers.join(&key(MOST_FOLLOWED)).is_none());
        assert!(!followers.has_listeners(&key(1)));
        let (_, is_first) = followers.join(&key(MOST_FOLLOWED)).expect("room");
        assert!(is_first);
        followers.close();
        assert!(followers.join(&key(1)).is_some());
    }
}
