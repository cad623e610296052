//! Analyzes the files of tasks, by inspectors: one thread for those that have ended, and some that follow tasks which
//! run. Nothing waits for it, and nothing of a packet is read in this process.

use std::{
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    io,
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use capture_inspector::process::{Error, Inspector, Limits};
use capture_store::{
    Analyzed, StoredTask, TaskId,
    access::{Account, Actor, Right},
};
use capture_task::task::FileRecord;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    error::TaskError,
    inner::{Inner, lock},
};
use crate::analyses::{Kind, MOST_WAITING, Progress};

/// Tasks that are followed at once while they run.
const MOST_FOLLOWED: usize = 2;

/// Time between two reports of a task that runs.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Longest wait for such a report.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

const SWITCHED_OFF: &str =
    "analyses are switched off; `analysis.enabled` in the configuration switches them on";

/// What the daemon looks at in a report.
#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    skipped: Vec<&'a RawValue>,
    #[serde(borrow)]
    findings: Vec<&'a RawValue>,
}

/// What makes two findings the same.
#[derive(Deserialize)]
struct Identity<'a> {
    #[serde(borrow)]
    code: &'a RawValue,
    #[serde(borrow)]
    subject: &'a RawValue,
}

/// Waits for the threads, which have been told to end.
pub(super) fn join(analysts: Vec<thread::JoinHandle<()>>) {
    for analyst in analysts {
        if analyst.join().is_err() {
            log::error!("a thread of analyses has ended early");
        }
    }
}

/// Starts the threads, and gives them what the last daemon did not analyze.
pub(super) fn start(inner: &Arc<Inner>) -> io::Result<Vec<thread::JoinHandle<()>>> {
    if inner.config().analysis.enabled {
        match inner.store.unanalyzed(MOST_WAITING) {
            Ok(tasks) => tasks
                .into_iter()
                .for_each(|id| inner.analyses.add_finished(id)),
            Err(error) => log::error!("tasks to analyze: {error}"),
        }
    }
    let kinds = [Kind::Finished].into_iter();
    let kinds = kinds.chain([Kind::Running; MOST_FOLLOWED]);
    kinds
        .map(|kind| {
            let analyses = Arc::clone(&inner.analyses);
            let inner = Arc::downgrade(inner);
            thread::Builder::new()
                .name("analysis".to_owned())
                .spawn(move || {
                    // Inspectors end with the thread that starts them, and so they are started here.
                    while let Some(id) = analyses.next(kind) {
                        work(&inner, kind, id);
                    }
                })
        })
        .collect()
}

fn work(inner: &Weak<Inner>, kind: Kind, id: TaskId) {
    let Some(inner) = inner.upgrade() else { return };
    match kind {
        Kind::Finished => inner.analyze_files(&id),
        Kind::Running => inner.follow(&id),
    }
}

impl Inner {
    /// A task has begun to run.
    pub(super) fn analyze_running(&self, id: &TaskId) {
        if self.config().analysis.enabled {
            self.analyses.add_running(*id);
        }
    }

    /// A task has ended. One with files is analyzed, also where they have no packets: the next start of the daemon,
    /// which goes by the files alone ([`Store::unanalyzed`](capture_store::Store::unanalyzed)), finds nothing left to do.
    pub(super) fn analyze_ended(&self, id: &TaskId, has_files: bool) {
        match has_files && self.config().analysis.enabled {
            true => self.analyses.add_finished(*id),
            false => self.analyses.forget(id),
        }
    }

    /// What was found in the packets of a task, as JSON.
    pub(super) fn findings(&self, id: &TaskId) -> Result<Arc<str>, TaskError> {
        let not_yet = |code, detail: String| Err(TaskError::NotAnalyzed { code, detail });
        let StoredTask {
            record,
            files_removed_at,
            ..
        } = self.stored(id)?;
        match self.store.findings(id)? {
            Some(Analyzed::Report(report)) => return Ok(report.into()),
            Some(Analyzed::Failed(why)) => return not_yet("analysis_failed", why),
            None => {}
        }
        match self.analyses.progress(id) {
            Progress::Report(report) => return Ok(report),
            Progress::Failed(why) => return not_yet("analysis_failed", why),
            Progress::Waiting => {
                return not_yet(
                    "analysis_waiting",
                    "the task is not analyzed yet; ask again".to_owned(),
                );
            }
            Progress::None => {}
        }
        let why = if !self.config().analysis.enabled {
            SWITCHED_OFF
        } else if files_removed_at.is_some() {
            "the files of the task were removed before they were analyzed"
        } else if record.files.is_empty() {
            "the task has no files to analyze"
        } else {
            "the task was not analyzed; the next start of the daemon does it"
        };
        not_yet("not_analyzed", why.to_owned())
    }

    /// What was found in the files of a task, as a page of HTML, and the task's name. One page is made at a time.
    pub(super) fn report_page(
        &self,
        id: &TaskId,
        actor: &Actor,
    ) -> Result<(String, String), TaskError> {
        if !actor.may(Right::Download) {
            return Err(TaskError::Forbidden);
        }
        let files = self.files_to_analyze(id)?;
        let name = self.stored(id)?.record.name;
        let _one = lock(&self.page);
        let page = self.page_of(id, &files);
        let page = page.map_err(|detail| TaskError::NotAnalyzed {
            code: "analysis_failed",
            detail,
        })?;
        Ok((name, page))
    }

    /// The files of a task that has ended, and whose files may be analyzed.
    pub(super) fn files_to_analyze(&self, id: &TaskId) -> Result<Vec<FileRecord>, TaskError> {
        let not_analyzed = |code, detail| Err(TaskError::NotAnalyzed { code, detail });
        let stored = self.stored(id)?;
        if stored.files_removed_at.is_some() {
            return Err(TaskError::FilesRemoved);
        }
        if !stored.record.state.is_final() {
            let why = format!("the task {id} has not ended; `findings` has what is known so far");
            return not_analyzed("unfinished", why);
        }
        if !self.config().analysis.enabled {
            return not_analyzed("not_analyzed", SWITCHED_OFF.to_owned());
        }
        Ok(stored.record.files)
    }

    fn page_of(&self, id: &TaskId, files: &[FileRecord]) -> Result<String, String> {
        let mut inspector = self.with_files(id, files)?;
        inspector.html().map_err(|error| error.to_string())
    }

    /// Analyzes the files of a task that has ended, and keeps what came of it.
    fn analyze_files(&self, id: &TaskId) {
        let files = self.files_of(id);
        let inspected = files.map(|files| self.inspect(id, &files));
        // The next start does what is left.
        let analyzed = match inspected.filter(|_| !self.analyses.is_closing()) {
            Some(Ok(report)) => Some(Analyzed::Report(report.get().to_owned())),
            Some(Err(error)) => self.files_of(id).map(|_| {
                log::warn!("task {id}: {error}");
                Analyzed::Failed(error)
            }),
            None => None,
        };
        match analyzed {
            Some(analyzed) => self.keep(id, &analyzed),
            None => {
                self.analyses.left(id, None);
            }
        }
    }

    /// The files of a task that has ended; none where it, or they, are gone.
    fn files_of(&self, id: &TaskId) -> Option<Vec<FileRecord>> {
        let stored = self.stored(id).ok()?;
        let files = stored.record.files;
        stored.files_removed_at.is_none().then_some(files)
    }

    fn inspect(&self, id: &TaskId, files: &[FileRecord]) -> Result<Box<RawValue>, String> {
        let mut inspector = self.with_files(id, files)?;
        self.analyses
            .begun(id, inspector.stopper().map_err(|error| error.to_string())?);
        inspector.analyze().map_err(|error| error.to_string())
    }

    /// An inspector that has the files of a task.
    pub(super) fn with_files(
        &self,
        id: &TaskId,
        files: &[FileRecord],
    ) -> Result<Inspector, String> {
        let said = |error: Error| error.to_string();
        let mut inspector = self.inspector(true).map_err(said)?;
        for file in files {
            let name = &file.name;
            let opened = self.storage.open_file(id, file);
            let opened = opened.map_err(|error| format!("{name} cannot be opened: {error}"))?;
            inspector.add(name, &opened).map_err(said)?;
        }
        Ok(inspector)
    }

    /// An inspector for a task.
    pub(super) fn inspector(&self, has_ended: bool) -> Result<Inspector, Error> {
        let analysis = self.config().analysis;
        let limits = Limits {
            memory: analysis.memory,
            answer: match has_ended {
                true => analysis.seconds,
                false => analysis.seconds.min(REPORT_TIMEOUT),
            },
            processor: has_ended.then_some(analysis.seconds),
        };
        let inspector = Inspector::start(&limits)?;
        self.tell_missing(&inspector);
        Ok(inspector)
    }

    /// Says once what confines inspectors less than it could.
    pub(super) fn tell_missing(&self, inspector: &Inspector) {
        let missing = inspector.missing();
        if !missing.is_empty() {
            self.confinement.call_once(|| {
                log::info!("inspectors are not confined by {}", missing.join(", "));
            });
        }
    }

    /// Stores what came of an analysis, and tells of it.
    fn keep(&self, id: &TaskId, analyzed: &Analyzed) {
        if let Analyzed::Report(report) = analyzed {
            self.tell(id, report);
        }
        match self.store.put_findings(id, analyzed) {
            Ok(true) => {
                self.announce(id);
            }
            // It was deleted meanwhile.
            Ok(false) => {}
            Err(failure) => log::error!("task {id}: its findings cannot be stored: {failure}"),
        }
        let is_well = matches!(analyzed, Analyzed::Report(_));
        self.analyses.done(id, is_well);
    }

    /// Tells the findings of a report that were not told before.
    fn tell(&self, id: &TaskId, report: &str) {
        let Ok(outline) = serde_json::from_str::<Outline<'_>>(report) else {
            return;
        };
        let name = id.to_string();
        let account = self.stored(id).ok().map(|stored| stored.account);
        let account = account.as_ref().map(Account::as_str);
        for finding in outline.findings {
            let Ok(identity) = serde_json::from_str::<Identity<'_>>(finding.get()) else {
                continue;
            };
            let hasher = BuildHasherDefault::<DefaultHasher>::default();
            let hash = hasher.hash_one((identity.code.get(), identity.subject.get()));
            if self.analyses.is_news(id, hash) {
                self.events.finding(&name, finding, account);
            }
        }
    }

    /// Follows a task that runs, and goes on to its end.
    fn follow(&self, id: &TaskId) {
        let followed = self.follow_to_end(id);
        if self.analyses.is_closing() {
            self.analyses.left(id, None);
            return;
        }
        match followed {
            Ok(Some(report)) => self.keep(id, &Analyzed::Report(report.get().to_owned())),
            Ok(None) => self.analyze_rest(id, None),
            // It was ended because the task was deleted.
            Err(_) if self.files_of(id).is_none() => {
                self.analyses.left(id, None);
            }
            Err(error) => {
                log::warn!("task {id}: {error}; its capture is not affected");
                self.analyze_rest(id, Some(error.to_string()));
            }
        }
    }

    /// What was not followed to its end is analyzed from its files, once it has ended.
    fn analyze_rest(&self, id: &TaskId, failure: Option<String>) {
        let has_ended = self.analyses.left(id, failure);
        let files = self.files_of(id).unwrap_or_default();
        if has_ended && !files.is_empty() {
            self.analyses.again(*id);
        }
    }

    /// The report at the end; none where not all packets were looked at.
    fn follow_to_end(&self, id: &TaskId) -> Result<Option<Box<RawValue>>, Error> {
        let spec = self.stored(id).map(|stored| stored.record.spec);
        let inspector = self.inspector(false)?;
        self.analyses.begun(id, inspector.stopper()?);
        let mut following = Following {
            inspector,
            read: Vec::new(),
            has_several: spec.is_ok_and(|spec| spec.rotate.is_some()),
        };
        let mut wait = Duration::ZERO;
        while let Some(has_ended) = self.analyses.pause(id, wait) {
            let began = Instant::now();
            if has_ended {
                let Some(files) = self.files_of(id) else {
                    break;
                };
                self.go_on(id, &mut following, &files)?;
                return following.end(&files);
            }
            if let Some(files) = self.files_now(id) {
                self.go_on(id, &mut following, &files)?;
                let report: Arc<str> = following.inspector.report()?.get().into();
                self.tell(id, &report);
                self.analyses.report(id, report);
            }
            wait = REPORT_INTERVAL.saturating_sub(began.elapsed());
        }
        Ok(None)
    }

    /// Takes up the files that have come.
    fn go_on(
        &self,
        id: &TaskId,
        following: &mut Following,
        files: &[FileRecord],
    ) -> Result<(), Error> {
        for file in files {
            if following.read.last() >= Some(&file.index) {
                continue;
            }
            let index = u16::try_from(following.read.len()).unwrap_or(u16::MAX);
            // One that cannot be opened has just left the ring of a rotation.
            if let Ok(opened) = self.storage.open_file(id, file) {
                let name = file.name.strip_suffix(".part").unwrap_or(&file.name);
                let index = following.has_several.then_some(index);
                following.inspector.follow(name, index, &opened)?;
                following.read.push(file.index);
            }
        }
        Ok(())
    }
}

/// A task that is followed.
struct Following {
    inspector: Inspector,
    /// Indices of the files that were taken up; the last one grows.
    read: Vec<u64>,
    /// Whether there may be several.
    has_several: bool,
}

impl Following {
    /// The report, where it is what the file says too. Several are merged by time, and a ring keeps only the last.
    fn end(mut self, files: &[FileRecord]) -> Result<Option<Box<RawValue>>, Error> {
        let indices = files.iter().map(|file| &file.index);
        if self.has_several || self.read.is_empty() || !indices.eq(&self.read) {
            return Ok(None);
        }
        self.inspector.complete()?;
        let report = self.inspector.finish()?;
        let outline: Outline<'_> =
            serde_json::from_str(report.get()).map_err(|error| Error::Answer(error.to_string()))?;
        Ok(outline.skipped.is_empty().then_some(report))
    }
}
