//! Removes files of finished tasks, the oldest first, where a running task or a new one has no room: `capture.evict_oldest`.
//! The writer that has none waits meanwhile, and fails as without it once nothing is left.

use std::sync::{Arc, Weak};

use capture_store::{Action, RetainedTask};

use super::inner::Inner;
use crate::error::Result;

impl Inner {
    /// Has writers without room wake the scheduler, which then calls [`Inner::evict`].
    pub(super) fn evict_on_shortage(self: &Arc<Self>) {
        let inner: Weak<Self> = Arc::downgrade(self);
        self.storage.space().evict_by(move || {
            if let Some(inner) = inner.upgrade() {
                inner.wake.notify_one();
            }
        });
        self.set_eviction();
    }

    /// Heeds the configuration.
    pub(super) fn set_eviction(&self) {
        let is_on = self.config().capture.evict_oldest;
        self.storage.space().set_eviction(is_on);
    }

    /// Removes files until no writer lacks room, or nothing is left.
    pub(super) fn evict(&self) {
        let space = self.storage.space();
        while space.is_short() {
            match self.evict_one() {
                Ok(true) => {}
                Ok(false) => space.nothing_to_evict(),
                Err(error) => {
                    log::error!("making room for captures: {error}");
                    space.nothing_to_evict();
                }
            }
        }
    }

    /// Whether there are files to remove.
    pub(super) fn has_evictable(&self) -> Result<bool> {
        Ok(self.oldest()?.is_some())
    }

    /// Removes the files of the task that ended first; `false` where none has any.
    fn evict_one(&self) -> Result<bool> {
        let Some(RetainedTask { id, .. }) = self.oldest()? else {
            return Ok(false);
        };
        self.remove_files(&id, Action::FileEvict)?;
        log::warn!(
            event = "task.evicted", task = id.to_string().as_str();
            "the files of task {id}, the oldest, are removed to make room (`capture.evict_oldest`)"
        );
        Ok(true)
    }

    fn oldest(&self) -> Result<Option<RetainedTask>> {
        let kept = self.store.kept()?.into_iter();
        let kept = kept.filter(|task| task.has_files);
        Ok(kept.min_by_key(|task| task.ended_at.unwrap_or(task.expires_at)))
    }
}
