//! Shows the packets of tasks, by inspectors, as `look_shared` does for shares. A crash of one, or a hang, is an answer of one sentence, and the next
//! question begins anew.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    io,
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use capture_inspector::{
    process::{Error as InspectorError, Inspector, Limits},
    view::check_filter,
};
use capture_store::{
    Action, TaskId,
    access::{Actor, Right},
};
use capture_task::{Cause, task::FileRecord};
use tokio::sync::oneshot;

use super::{error::TaskError, inner::Inner};
use crate::{
    storage::SharedCopy,
    views::{Desk, IDLE, Job, Refusal, Viewed, ViewedCopy},
};

/// Bounds of an inspector that shows packets: it answers within a part of a second, so one that takes this long hangs.
const LIMITS: Limits = Limits {
    memory: 512 << 20,
    answer: Duration::from_secs(10),
    // It lives for as long as somebody looks.
    processor: None,
};

/// Asks the inspector that has a capture, as it is now.
pub(super) async fn ask<T: Send + 'static>(
    inner: &Arc<Inner>,
    viewed: Viewed,
    question: impl FnOnce(&mut Inspector) -> Result<T, InspectorError> + Send + 'static,
) -> Result<T, TaskError> {
    let (done, answered) = oneshot::channel();
    let job: Job = Box::new(move |inspector| {
        let answer = match inspector {
            Ok(inspector) => question(inspector).map_err(|error| failed(&error)),
            Err(error) => Err(error),
        };
        let is_good = answer.is_ok();
        // Whoever asked may be gone.
        let _ = done.send(answer);
        is_good
    });
    let asked = inner.views.ask(viewed, job, |desk| {
        let inner = Arc::downgrade(inner);
        // The inspector ends with the thread that starts it.
        thread::Builder::new()
            .name("view".to_owned())
            .spawn(move || serve(&inner, &viewed, &desk))
    });
    asked.map_err(refused)?;
    let gone = || {
        no_view(
            "view_failed",
            "the capture is not looked at any more; ask again",
        )
    };
    answered.await.unwrap_or_else(|_| Err(gone()))
}

fn no_view(code: &'static str, detail: impl Into<String>) -> TaskError {
    let detail = detail.into();
    TaskError::NoView { code, detail }
}

fn refused(refusal: Refusal) -> TaskError {
    match refusal {
        Refusal::Captures => no_view(
            "view_busy",
            "others look at as many captures now as can be shown at once; ask again",
        ),
        Refusal::Questions => no_view("view_busy", "too many look at these packets now; ask again"),
        Refusal::Closing => no_view("view_failed", "the daemon is ending"),
    }
}

fn failed(error: &InspectorError) -> TaskError {
    let said = error.to_string();
    let said = said.strip_prefix("analysis ended: ").unwrap_or(&said);
    no_view(
        "view_failed",
        format!("the packets cannot be shown: {said}"),
    )
}

/// Answers the questions about a capture until nobody has asked for a while.
fn serve(inner: &Weak<Inner>, viewed: &Viewed, desk: &Desk) {
    let mut viewing = None;
    loop {
        let Ok(job) = desk.jobs.recv_timeout(IDLE) else {
            break;
        };
        answer(inner, viewed, desk, &mut viewing, job);
    }
    if let Some(inner) = inner.upgrade() {
        inner.views.leave(viewed, desk.number);
    }
    // What came in the meantime. Nothing more comes after it.
    while let Ok(job) = desk.jobs.recv() {
        answer(inner, viewed, desk, &mut viewing, job);
    }
}

fn answer(
    inner: &Weak<Inner>,
    viewed: &Viewed,
    desk: &Desk,
    viewing: &mut Option<Viewing>,
    job: Job,
) {
    let Some(inner) = inner.upgrade() else {
        return desk.answered();
    };
    let is_good = match inner.up_to_date(viewed, desk.number, viewing) {
        Ok(inspector) => job(Ok(inspector)),
        Err(error) => {
            job(Err(error));
            false
        }
    };
    if !is_good {
        *viewing = None;
    }
    desk.answered();
}

/// An inspector with a capture.
struct Viewing {
    inspector: Inspector,
    /// Indices of the files that it has.
    files: Vec<u64>,
    is_growing: bool,
}

impl Inner {
    /// Whether somebody may look at the packets of a task by a filter. The audit log tells of it once.
    pub(super) fn may_look(
        &self,
        id: &TaskId,
        actor: &Actor,
        filter: &str,
    ) -> Result<(), TaskError> {
        let object = id.to_string();
        if !actor.may(Right::Inspect) {
            let refused = TaskError::Forbidden;
            self.audit(actor, Action::PacketsOpen, &object, Some(&refused))?;
            return Err(refused);
        }
        let stored = self.stored(id)?;
        if stored.files_removed_at.is_some() {
            return Err(TaskError::FilesRemoved);
        }
        check_filter(filter).map_err(TaskError::View)?;
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let who = actor.caller.who.to_string();
        let viewed = Viewed::files(*id);
        let opening = hasher.hash_one((&who, None::<&str>));
        self.views.tell_once(&viewed, opening, || {
            self.audit(actor, Action::PacketsOpen, &object, None)
        })?;
        let filter = filter.trim();
        if filter.is_empty() {
            return Ok(());
        }
        let choice = hasher.hash_one((&who, Some(filter)));
        self.views.tell_once(&viewed, choice, || {
            let object = format!("{id} {filter}");
            self.audit(actor, Action::PacketsFilter, &object, None)
        })?;
        Ok(())
    }

    /// Whether somebody may have the bytes of a stream. The audit log tells of it once.
    pub(super) fn may_follow_stream(
        &self,
        id: &TaskId,
        number: u64,
        actor: &Actor,
    ) -> Result<(), TaskError> {
        self.may_look(id, actor, "")?;
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let look = hasher.hash_one((actor.caller.who.to_string(), "stream", number));
        self.views.tell_once(&Viewed::files(*id), look, || {
            let object = format!("{id} packet {number}");
            self.audit(actor, Action::PacketsStream, &object, None)
        })?;
        Ok(())
    }

    /// The inspector of a capture, once it has what there is now.
    fn up_to_date<'v>(
        &self,
        viewed: &Viewed,
        seat: u64,
        viewing: &'v mut Option<Viewing>,
    ) -> Result<&'v mut Inspector, TaskError> {
        match viewed.copy {
            ViewedCopy::Files | ViewedCopy::Whole => self.files_up_to_date(viewed, seat, viewing),
            ViewedCopy::Shared(copy) => self.copy_opened(viewed, copy, seat, viewing),
        }
    }

    /// The inspector of a copy, which does not change.
    fn copy_opened<'v>(
        &self,
        viewed: &Viewed,
        copy: SharedCopy,
        seat: u64,
        viewing: &'v mut Option<Viewing>,
    ) -> Result<&'v mut Inspector, TaskError> {
        let viewing = match viewing {
            Some(viewing) => viewing,
            none => {
                let file = self.copy_file(&viewed.task, copy)?;
                let mut begun = self.begin_view(viewed, seat)?;
                let shown = begun.inspector.show(0, &file, false);
                shown.map_err(|error| failed(&error))?;
                none.insert(begun)
            }
        };
        Ok(&mut viewing.inspector)
    }

    /// The inspector of a task's files.
    fn files_up_to_date<'v>(
        &self,
        viewed: &Viewed,
        seat: u64,
        viewing: &'v mut Option<Viewing>,
    ) -> Result<&'v mut Inspector, TaskError> {
        let id = &viewed.task;
        let stored = self.stored(id)?;
        if stored.files_removed_at.is_some() {
            return Err(TaskError::FilesRemoved);
        }
        let record = stored.record;
        let now = self.files_now(id);
        let is_growing = now.is_some();
        let files = match now {
            Some(files) => Some(files),
            None if record.state.is_final() || viewing.is_none() => Some(record.files),
            // Its end is on its way to the store.
            None => None,
        };
        if let (Some(there), Some(files)) = (&*viewing, &files) {
            let indices = files.iter().map(|file| file.index);
            let known = there.files.iter().copied();
            // The ring of a rotation has lost a file: what is left is another capture.
            let is_same = known.eq(indices.take(there.files.len()));
            let is_complete = there.files.len() == files.len() && !there.is_growing;
            if !is_same || (is_growing && is_complete && !files.is_empty()) {
                *viewing = None;
            }
        }
        let viewing = match viewing {
            Some(viewing) => viewing,
            none => none.insert(self.begin_view(viewed, seat)?),
        };
        let notes = self.views.take_notes(viewed, seat);
        if !notes.is_empty() {
            viewing
                .inspector
                .note(notes)
                .map_err(|error| failed(&error))?;
        }
        let brought = viewing.bring(files.as_deref().unwrap_or_default(), is_growing, |file| {
            self.storage.open_file(id, file)
        });
        brought.map_err(|error| failed(&error))?;
        Ok(&mut viewing.inspector)
    }

    fn begin_view(&self, viewed: &Viewed, seat: u64) -> Result<Viewing, TaskError> {
        let mut inspector = Inspector::start(&LIMITS).map_err(|error| failed(&error))?;
        self.tell_missing(&inspector);
        let stopper = inspector.stopper().map_err(|error| failed(&error))?;
        // Where its seat was given away, it only answers what waits.
        self.views.begun(viewed, seat, stopper);
        if viewed.copy == ViewedCopy::Files {
            // Those that come from now on are told of.
            self.views.take_notes(viewed, seat);
            let notes = self.view_notes(&viewed.task)?;
            inspector.note(notes).map_err(|error| failed(&error))?;
        }
        Ok(Viewing {
            inspector,
            files: Vec::new(),
            is_growing: false,
        })
    }
}

impl Viewing {
    /// Gives it the files that it does not have.
    fn bring(
        &mut self,
        files: &[FileRecord],
        is_growing: bool,
        open: impl Fn(&FileRecord) -> io::Result<std::fs::File>,
    ) -> Result<(), InspectorError> {
        let new = files.get(self.files.len()..).unwrap_or_default();
        for (place, file) in new.iter().enumerate() {
            let is_last = place + 1 == new.len();
            match open(file) {
                Ok(opened) => {
                    let grows = is_growing && is_last;
                    self.inspector.show(file.index, &opened, grows)?;
                    self.is_growing = grows;
                }
                // It has just left the ring of a rotation.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let name = &file.name;
                    let why = format!("{name} cannot be opened: {}", Cause(&error));
                    return Err(InspectorError::Unreadable(why));
                }
            }
            self.files.push(file.index);
        }
        if self.is_growing && !is_growing {
            self.inspector.shown_is_complete()?;
            self.is_growing = false;
        }
        Ok(())
    }
}
