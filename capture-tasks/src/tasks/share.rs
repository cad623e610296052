//! Shares: makes them, and shows by them what they are for. Who uses one has no rights but these.

use std::{
    fs::File,
    io,
    sync::{Arc, TryLockError},
    thread,
};

use capture_store::{
    Action, NewShare, Secret, Share, Shared, SharedPackets, TaskId,
    access::{Actor, Origin, Right},
};
use capture_task::task::TaskRecord;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::{
    copy::{CopiedFile, LeftOut, begin},
    error::TaskError,
    files::OpenFile,
    inner::{Inner, lock},
    service::Tasks,
};
use crate::{error::Error, storage::SharedCopy};

/// What the name of a copy without addresses begins with: a task may be called after one.
const ANONYMOUS_NAME: &str = "capture";

const SWITCHED_OFF: &str =
    "shares are switched off; `shares.enabled` in the configuration switches them on";

/// What a share shows of its task.
#[derive(Debug)]
pub struct SharedTask {
    /// The task as it is now.
    pub record: TaskRecord,
    /// What was found in it: JSON.
    pub findings: Option<Arc<str>>,
}

/// A file that a share shows.
#[derive(Debug)]
pub enum SharedFile {
    /// A copy that is there.
    Kept(OpenFile),
    /// A copy that is made as it is taken.
    Made(CopiedFile),
}

/// The copy of the capture that a share shows packets of; none is the capture itself.
pub(super) fn copy_of(terms: &NewShare) -> Option<SharedCopy> {
    match (terms.packets, terms.anonymise) {
        (_, true) => Some(SharedCopy::Anonymous),
        (SharedPackets::Headers, false) => Some(SharedCopy::Headers),
        (SharedPackets::None | SharedPackets::Whole, false) => None,
    }
}

/// All copies that a share needs.
fn needs(terms: &NewShare) -> impl Iterator<Item = SharedCopy> {
    let findings = (terms.anonymise && terms.findings).then_some(SharedCopy::AnonymousFindings);
    copy_of(terms).into_iter().chain(findings)
}

fn not_shared(code: &'static str, detail: &str) -> TaskError {
    let detail = detail.to_owned();
    TaskError::NotShared { code, detail }
}

/// The answer to who asks for packets of a share without any.
pub(super) fn no_packets() -> TaskError {
    not_shared("not_shared", "this share shows no packets")
}

impl Tasks {
    /// How long a share may be in force.
    pub fn longest_share(&self) -> SignedDuration {
        let longest = self.0.config().shares.max_expiry;
        SignedDuration::try_from(longest).unwrap_or(SignedDuration::MAX)
    }

    /// The time by the clock that ends shares.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Makes a share of a task that has ended, and first what it shows. The audit log tells of it.
    pub async fn share(
        &self,
        id: TaskId,
        terms: NewShare,
        actor: &Actor,
    ) -> Result<(Share, Secret), TaskError> {
        let actor = actor.clone();
        let inner = Arc::clone(&self.0);
        let (done, made) = oneshot::channel();
        let make = move || {
            let made = inner.share(&id, &terms, &actor);
            let noted = match &made {
                Ok(_) => Ok(()),
                Err(error) => {
                    inner.audit(&actor, Action::ShareCreate, &id.to_string(), Some(error))
                }
            };
            // Whoever asked may be gone.
            let _ = done.send(noted.map_err(TaskError::from).and(made));
        };
        // Inspectors end with the thread that starts them.
        thread::Builder::new()
            .name("share".to_owned())
            .spawn(make)
            .map_err(|error| Error::runtime(format!("sharing a task: {error}")))?;
        let made = made.await;
        made.unwrap_or_else(|_| Err(Error::runtime("the share was not made").into()))
    }

    /// The shares of a task that are in force.
    pub async fn shares(&self, id: TaskId, actor: &Actor) -> Result<Vec<Share>, TaskError> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            inner.may_download(&actor)?;
            inner.stored(&id)?;
            Ok(inner.store.shares(&id)?)
        })
        .await
    }

    /// Takes a share back: its secret opens nothing from now on.
    pub async fn revoke_share(&self, id: TaskId, actor: &Actor) -> Result<(), TaskError> {
        let actor = actor.clone();
        self.blocking(move |inner| {
            let revoked = inner.revoke_share(&id, &actor);
            if let Err(error) = &revoked {
                let object = id.to_string();
                inner.audit(&actor, Action::ShareRevoke, &object, Some(error))?;
            }
            revoked
        })
        .await
    }

    /// What a share shows of its task. It is a use.
    pub async fn shared_task(&self, share: Share, from: Origin) -> Result<SharedTask, TaskError> {
        self.blocking(move |inner| {
            inner.use_share(&share, "task", from)?;
            let record = inner.shown(inner.stored(&share.task)?);
            let findings = inner.shared_findings(&share)?;
            Ok(SharedTask { record, findings })
        })
        .await
    }

    /// The capture that a share shows, as one file. It is a use.
    pub async fn shared_file(&self, share: Share, from: Origin) -> Result<SharedFile, TaskError> {
        if share.terms.packets == SharedPackets::None {
            return Err(no_packets());
        }
        let Some(copy) = copy_of(&share.terms) else {
            let id = share.task;
            let file = begin(&self.0, id, None, LeftOut::Nothing).await?;
            self.blocking(move |inner| inner.use_share(&share, "file", from))
                .await?;
            return Ok(SharedFile::Made(file));
        };
        self.blocking(move |inner| {
            let file = inner.open_shared(&share, copy)?;
            inner.use_share(&share, "file", from)?;
            Ok(SharedFile::Kept(file))
        })
        .await
    }

    /// A file of a task without what is to be left out. The audit log tells of it.
    pub async fn copied_file(
        &self,
        id: TaskId,
        index: u64,
        left_out: LeftOut,
        actor: &Actor,
    ) -> Result<CopiedFile, TaskError> {
        let begun = match self.0.may_download(actor) {
            Ok(()) => begin(&self.0, id, Some(index), left_out).await,
            Err(refused) => Err(refused),
        };
        let begun = begun.map(|file| match left_out {
            LeftOut::Addresses => CopiedFile {
                task_name: ANONYMOUS_NAME.to_owned(),
                ..file
            },
            _ => file,
        });
        let actor = actor.clone();
        self.blocking(move |inner| {
            let object = match left_out {
                LeftOut::Nothing => format!("{id}/{index}"),
                LeftOut::Payload => format!("{id}/{index} without payload"),
                LeftOut::Addresses => format!("{id}/{index} without addresses"),
            };
            let refused = begun.as_ref().err();
            inner.audit(&actor, Action::FileDownload, &object, refused)?;
            begun
        })
        .await
    }
}

impl Inner {
    fn share(
        &self,
        id: &TaskId,
        terms: &NewShare,
        actor: &Actor,
    ) -> Result<(Share, Secret), TaskError> {
        self.may_download(actor)?;
        if !self.config().shares.enabled {
            return Err(not_shared("shares_off", SWITCHED_OFF));
        }
        let stored = self.stored(id)?;
        if !stored.record.state.is_final() {
            return Err(not_shared(
                "unfinished",
                "the task has not ended, and what it captures is not complete; share it then",
            ));
        }
        if stored.files_removed_at.is_some() {
            return Err(TaskError::FilesRemoved);
        }
        // Copies are not removed by the end of another share meanwhile.
        let _one = lock(&self.sharing);
        let shared = needs(terms)
            .try_for_each(|copy| self.keep_copy(id, copy))
            .and_then(|()| Ok(self.store.share_create(id, terms, actor)?));
        match shared {
            Ok(Shared::Made(share, secret)) => Ok((share, secret)),
            Ok(Shared::TooMany) => {
                self.tidy_copies(id);
                Err(not_shared(
                    "too_many_shares",
                    "100 shares of this task are in force; take one back first",
                ))
            }
            Ok(Shared::NoTask) => Err(TaskError::NotFound),
            Err(error) => {
                self.tidy_copies(id);
                Err(error)
            }
        }
    }

    fn revoke_share(&self, id: &TaskId, actor: &Actor) -> Result<(), TaskError> {
        // Whoever may make shares may take any back: it only shows less.
        if !actor.may(Right::Download) {
            return Err(TaskError::Forbidden);
        }
        let not_found = || TaskError::NotShared {
            code: "not_found",
            detail: "there is no such share in force".to_owned(),
        };
        if let Some(account) = self.config().access.scope(actor) {
            let task = self.store.share_task(id)?.ok_or_else(not_found)?;
            if self.stored(&task)?.account != account {
                return Err(not_found());
            }
        }
        let revoked = self.store.share_revoke(id, actor)?;
        let share = revoked.ok_or_else(not_found)?;
        self.tidy_after_shares(&[share.task]);
        Ok(())
    }

    /// Forgets shares whose time is over, and what only they showed.
    pub(super) fn sweep_shares(&self) {
        match self.store.shares_expire() {
            Ok(tasks) if tasks.is_empty() => {}
            Ok(tasks) => self.tidy_after_shares(&tasks),
            Err(failure) => log::error!("shares whose time is over: {failure}"),
        }
    }

    /// Removes copies that no share in force needs, whatever kept them from going with the last share, such as a kill.
    pub(super) fn sweep_copies(&self) {
        // While one is made, its beginning looks like one that is left; the next sweep comes.
        let _one = match self.sharing.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let tasks = match self.storage.with_copies() {
            Ok(tasks) => tasks,
            Err(error) => return log::error!("copies for shares: {error}"),
        };
        for id in tasks {
            // What belongs to no task is left alone.
            if let Ok(Some(_)) = self.store.task(&id) {
                self.tidy_copies(&id);
            }
        }
    }

    /// Some shares of these tasks are over, and what only they showed goes.
    fn tidy_after_shares(&self, tasks: &[TaskId]) {
        // At once: a copy for another share may be in the making for long.
        for id in tasks {
            if let Err(error) = self.end_shared_views(id) {
                log::error!("views of task {id} for shares: {error}");
            }
        }
        let _one = lock(&self.sharing);
        tasks.iter().for_each(|id| self.tidy_copies(id));
    }

    /// Removes the copies of a task that no share needs any more, and ends what looks at them. No copy may be in the making.
    fn tidy_copies(&self, id: &TaskId) {
        let shares = match self.end_shared_views(id) {
            Ok(shares) => shares,
            Err(error) => return log::error!("copies of task {id} for shares: {error}"),
        };
        let is_needed = |copy| {
            shares
                .iter()
                .any(|share| needs(&share.terms).any(|one| one == copy))
        };
        for copy in SharedCopy::ALL.into_iter().filter(|copy| !is_needed(*copy)) {
            self.storage.remove_copy(id, copy);
        }
        self.storage.remove_begun_copies(id);
    }

    /// Notes a use, without which nothing may be shown.
    pub(super) fn use_share(
        &self,
        share: &Share,
        what: &str,
        from: Origin,
    ) -> Result<(), TaskError> {
        match self.store.share_used(share, what, from)? {
            true => Ok(()),
            false => Err(TaskError::NotFound),
        }
    }

    /// What was found, as far as the share shows it.
    fn shared_findings(&self, share: &Share) -> Result<Option<Arc<str>>, TaskError> {
        if !share.terms.findings {
            return Ok(None);
        }
        if !share.terms.anonymise {
            return match self.findings(&share.task) {
                Ok(report) => Ok(Some(report)),
                Err(TaskError::NotAnalyzed { .. }) => Ok(None),
                Err(error) => Err(error),
            };
        }
        let file = self.copy_file(&share.task, SharedCopy::AnonymousFindings)?;
        let report = io::read_to_string(file);
        let report = report.map_err(|error| Error::runtime(format!("a shared report: {error}")))?;
        Ok(Some(report.into()))
    }

    /// A copy of a task's capture.
    pub(super) fn copy_file(&self, id: &TaskId, copy: SharedCopy) -> Result<File, TaskError> {
        let opened = self.storage.open_copy(id, copy);
        opened
            .map_err(|error| Error::runtime(format!("a copy of task {id}: {error}")))?
            // With the files of the task.
            .ok_or(TaskError::FilesRemoved)
    }

    fn open_shared(&self, share: &Share, copy: SharedCopy) -> Result<OpenFile, TaskError> {
        let file = self.copy_file(&share.task, copy)?;
        let len = file.metadata().map(|there| there.len());
        let len = len.map_err(|error| Error::runtime(format!("a shared copy: {error}")))?;
        let task_name = match share.terms.anonymise {
            true => ANONYMOUS_NAME.to_owned(),
            false => self.stored(&share.task)?.record.name,
        };
        Ok(OpenFile {
            file,
            len,
            task_name,
            suffix: ".pcapng".to_owned(),
            sha256: None,
        })
    }
}
