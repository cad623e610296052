//! Shows the packets of a share, and of nothing more than the copy that it is for. `look` asks the inspector.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use capture_inspector::view::{ViewRequest, check_filter};
use capture_store::{NewShare, Share, SharedPackets, TaskId, access::Origin};
use serde_json::value::RawValue;

use super::{
    error::TaskError,
    inner::Inner,
    look,
    service::Tasks,
    share::{copy_of, no_packets},
};
use crate::views::{Viewed, ViewedCopy};

impl Tasks {
    /// Asks about the packets of a share: JSON, of the type that the question names. It is a use, once while they are looked
    /// at.
    pub async fn shared_view(
        &self,
        share: Share,
        from: Origin,
        request: ViewRequest,
    ) -> Result<Box<RawValue>, TaskError> {
        let copy = viewed_copy(&share.terms).ok_or_else(no_packets)?;
        let task = share.task;
        let viewed = Viewed { task, copy };
        let (id, filter) = (share.id, request.filter.clone());
        self.blocking(move |inner| inner.may_look_by_share(&viewed, &share, &filter, from))
            .await?;
        let answer = look::ask(&self.0, viewed, move |inspector| inspector.view(request));
        let answer = answer.await?;
        // The answer may have waited for long.
        self.blocking(move |inner| match inner.store.share_is_in_force(id)? {
            true => Ok(()),
            false => Err(TaskError::NotFound),
        })
        .await?;
        answer.map_err(TaskError::View)
    }
}

/// What a share shows packets of, if it shows any.
fn viewed_copy(terms: &NewShare) -> Option<ViewedCopy> {
    match (terms.packets, copy_of(terms)) {
        (SharedPackets::None, _) => None,
        (_, Some(copy)) => Some(ViewedCopy::Shared(copy)),
        (_, None) => Some(ViewedCopy::Whole),
    }
}

impl Inner {
    fn may_look_by_share(
        &self,
        viewed: &Viewed,
        share: &Share,
        filter: &str,
        from: Origin,
    ) -> Result<(), TaskError> {
        if self.stored(&viewed.task)?.files_removed_at.is_some() {
            return Err(TaskError::FilesRemoved);
        }
        check_filter(filter).map_err(TaskError::View)?;
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        self.views.tell_once(viewed, hasher.hash_one(share.id), || {
            self.use_share(share, "packets", from)
        })
    }

    /// Ends what looks at a task for shares that are over. Gives those in force.
    pub(super) fn end_shared_views(&self, id: &TaskId) -> capture_store::Result<Vec<Share>> {
        let shares = self.store.shares(id)?;
        self.views.forget_shared(id, |copy| {
            let mut shown = shares.iter().filter_map(|share| viewed_copy(&share.terms));
            shown.any(|needed| needed == copy)
        });
        Ok(shares)
    }
}
