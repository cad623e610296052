//! Which tasks are to be analyzed, which are being, and what was found so far in those that run. Threads of
//! `tasks::analyze` take their work from here, and put into it what came of it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use capture_inspector::process::Stopper;
use capture_store::TaskId;
use capture_task::task::FindingCounts;

/// Tasks that wait. Beyond them one is left out until the daemon starts again.
pub(crate) const MOST_WAITING: usize = 1000;

/// Findings of a task that are told as events. A report has them all.
const MOST_TOLD: usize = 200;

/// What a thread works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The files of tasks that have ended.
    Finished,
    /// The growing file of a task that runs.
    Running,
}

/// What there is of an analysis that is not in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The latest report of a task that runs.
    Report(Arc<str>),
    /// It has begun, or waits for others to end.
    Waiting,
    /// It ended with this error. A task that runs is analyzed again when it has ended.
    Failed(String),
    /// Nothing.
    None,
}

/// How many there are, and what came of those that were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnalysisFigures {
    /// Those that wait for their turn.
    pub waiting: u64,
    /// Those under way.
    pub running: u64,
    /// Those that came to an end.
    pub done: u64,
    /// Those that did not.
    pub failed: u64,
    /// Left out, as too many waited.
    pub skipped: u64,
}

/// The analyses of a daemon.
#[derive(Debug, Default)]
pub(crate) struct Analyses {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_closing: bool,
    finished: VecDeque<TaskId>,
    running: VecDeque<TaskId>,
    at_work: HashMap<TaskId, Work>,
    /// Why tasks that run are not followed any more.
    failed: HashMap<TaskId, String>,
    /// Hashes of the findings that were told of tasks that were not analyzed to the end.
    told: HashMap<TaskId, HashSet<u64>>,
    figures: AnalysisFigures,
}

#[derive(Debug)]
struct Work {
    kind: Kind,
    has_ended: bool,
    stopper: Option<Stopper>,
    report: Option<Arc<str>>,
    /// How many findings that report has.
    counts: Option<FindingCounts>,
}

impl Analyses {
    /// A task runs: it is followed as soon as a thread is free.
    pub(crate) fn add_running(&self, id: TaskId) {
        let mut state = self.state();
        if !state.is_closing {
            state.running.push_back(id);
            self.changed.notify_all();
        }
    }

    /// A task has ended and has files, and is to be analyzed unless it is followed: then that goes on to its end.
    pub(crate) fn add_finished(&self, id: TaskId) {
        let mut state = self.state();
        state.failed.remove(&id);
        state.running.retain(|running| *running != id);
        if let Some(work) = state.at_work.get_mut(&id)
            && work.kind == Kind::Running
        {
            work.has_ended = true;
            self.changed.notify_all();
            return;
        }
        state.queue(id);
        self.changed.notify_all();
    }

    /// A task that was followed and has ended is to be analyzed from its files.
    pub(crate) fn again(&self, id: TaskId) {
        self.state().queue(id);
        self.changed.notify_all();
    }

    /// A task is gone: it is not analyzed, or what comes of it is nobody's.
    pub(crate) fn forget(&self, id: &TaskId) {
        let mut state = self.state();
        state.failed.remove(id);
        state.told.remove(id);
        state.running.retain(|running| running != id);
        state.finished.retain(|finished| finished != id);
        if let Some(work) = state.at_work.get_mut(id) {
            work.has_ended = true;
            if let Some(stopper) = &work.stopper {
                stopper.stop();
            }
        }
        self.changed.notify_all();
    }

    /// The next task of a kind, which is at work from now on. Waits for one; none at the end.
    pub(crate) fn next(&self, kind: Kind) -> Option<TaskId> {
        let mut state = self.state();
        loop {
            if state.is_closing {
                return None;
            }
            let queue = match kind {
                Kind::Finished => &mut state.finished,
                Kind::Running => &mut state.running,
            };
            if let Some(id) = queue.pop_front() {
                let work = Work {
                    kind,
                    has_ended: false,
                    stopper: None,
                    report: None,
                    counts: None,
                };
                state.at_work.insert(id, work);
                return Some(id);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How to end what works on a task. `false` at the end: it is stopped at once.
    pub(crate) fn begun(&self, id: &TaskId, stopper: Stopper) -> bool {
        let mut state = self.state();
        if state.is_closing {
            stopper.stop();
            return false;
        }
        if let Some(work) = state.at_work.get_mut(id) {
            work.stopper = Some(stopper);
        }
        true
    }

    /// Waits until a task has ended that is followed, but not for longer than this. Says whether it has; none at the end
    /// of the daemon.
    pub(crate) fn pause(&self, id: &TaskId, timeout: Duration) -> Option<bool> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            if state.is_closing {
                return None;
            }
            let has_ended = state.at_work.get(id).is_none_or(|work| work.has_ended);
            let left = deadline.saturating_duration_since(Instant::now());
            if has_ended || left.is_zero() {
                return Some(has_ended);
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What was found so far in a task that runs.
    pub(crate) fn report(&self, id: &TaskId, report: Arc<str>) {
        let counts = FindingCounts::of_report(&report);
        if let Some(work) = self.state().at_work.get_mut(id) {
            work.report = Some(report);
            work.counts = counts;
        }
    }

    /// How many findings there are so far in a task that runs.
    pub(crate) fn counts(&self, id: &TaskId) -> Option<FindingCounts> {
        self.state().at_work.get(id)?.counts
    }

    /// Whether a finding of a task, by its hash, was not told before, and may be.
    pub(crate) fn is_news(&self, id: &TaskId, finding: u64) -> bool {
        let mut state = self.state();
        let told = state.told.entry(*id).or_default();
        told.len() < MOST_TOLD && told.insert(finding)
    }

    /// The files of a task were analyzed, or could not be.
    pub(crate) fn done(&self, id: &TaskId, is_well: bool) {
        let mut state = self.state();
        state.at_work.remove(id);
        state.told.remove(id);
        match is_well {
            true => state.figures.done += 1,
            false => state.figures.failed += 1,
        }
    }

    /// A task is not followed any more; why, where that is a failure. Gives whether it has ended meanwhile.
    pub(crate) fn left(&self, id: &TaskId, failure: Option<String>) -> bool {
        let mut state = self.state();
        let has_ended = state.at_work.remove(id).is_none_or(|work| work.has_ended);
        if let Some(failure) = failure {
            state.figures.failed += 1;
            if !has_ended {
                state.failed.insert(*id, failure);
            }
        }
        has_ended
    }

    /// What there is of the analysis of a task that is not in the store.
    pub(crate) fn progress(&self, id: &TaskId) -> Progress {
        let state = self.state();
        if let Some(failure) = state.failed.get(id) {
            return Progress::Failed(failure.clone());
        }
        match state.at_work.get(id) {
            Some(Work {
                report: Some(report),
                ..
            }) => Progress::Report(Arc::clone(report)),
            Some(_) => Progress::Waiting,
            None if state.running.contains(id) || state.finished.contains(id) => Progress::Waiting,
            None => Progress::None,
        }
    }

    /// Ends everything that is at work, and what waits is left.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closing = true;
        for work in state.at_work.values() {
            if let Some(stopper) = &work.stopper {
                stopper.stop();
            }
        }
        self.changed.notify_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.state().is_closing
    }

    pub(crate) fn figures(&self) -> AnalysisFigures {
        let state = self.state();
        AnalysisFigures {
            waiting: (state.finished.len() + state.running.len()) as u64,
            running: state.at_work.len() as u64,
            ..state.figures
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is behind the lock is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queue(&mut self, id: TaskId) {
        if self.is_closing || self.finished.contains(&id) {
            return;
        }
        if self.finished.len() >= MOST_WAITING {
            self.figures.skipped += 1;
            log::warn!("task {id} is not analyzed: {MOST_WAITING} others wait");
            return;
        }
        self.finished.push_back(id);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn id(n: u64) -> TaskId {
        TaskId::from_parts(n, 0)
    }

    #[test]
    fn a_followed_task_is_not_analyzed_a_second_time() {
        let analyses = Analyses::default();
        analyses.add_running(id(1));
        analyses.add_running(id(2));
        assert_eq!(analyses.next(Kind::Running), Some(id(1)));
        analyses.report(&id(1), "{}".into());
        assert_eq!(analyses.progress(&id(1)), Progress::Report("{}".into()));
        assert_eq!(analyses.counts(&id(1)), Some(FindingCounts::default()));
        assert_eq!(analyses.progress(&id(2)), Progress::Waiting);
        assert_eq!(analyses.counts(&id(2)), None);
        assert_eq!(analyses.pause(&id(1), Duration::ZERO), Some(false));
        // The second one was never followed.
        analyses.add_finished(id(1));
        analyses.add_finished(id(2));
        assert_eq!(analyses.pause(&id(1), Duration::MAX / 4), Some(true));
        assert_eq!(analyses.next(Kind::Finished), Some(id(2)));
        let figures = AnalysisFigures {
            running: 2,
            ..AnalysisFigures::default()
        };
        assert_eq!(analyses.figures(), figures);
        assert!(analyses.left(&id(1), None));
        analyses.done(&id(2), true);
        assert_eq!(analyses.progress(&id(2)), Progress::None);
        assert_eq!(analyses.figures().done, 1);
    }

    #[test]
    fn what_fails_while_it_runs_is_said_until_it_has_ended() {
        let analyses = Analyses::default();
        analyses.add_running(id(1));
        analyses.next(Kind::Running);
        assert!(!analyses.left(&id(1), Some("why".to_owned())));
        assert_eq!(
            analyses.progress(&id(1)),
            Progress::Failed("why".to_owned())
        );
        analyses.add_finished(id(1));
        assert_eq!(analyses.progress(&id(1)), Progress::Waiting);
    }

    #[test]
    fn the_queue_is_bounded_and_each_finding_is_told_once() {
        let analyses = Analyses::default();
        for n in 0..MOST_WAITING as u64 + 5 {
            analyses.add_finished(id(n));
            analyses.add_finished(id(n));
        }
        assert_eq!(analyses.figures().waiting, MOST_WAITING as u64);
        assert_eq!(analyses.figures().skipped, 10);
        let told = (0..1000).filter(|n| analyses.is_news(&id(1), n % 500));
        assert_eq!(told.count(), MOST_TOLD);
        analyses.forget(&id(1));
        assert!(analyses.is_news(&id(1), 7));
    }

    #[test]
    fn the_end_wakes_all_who_wait() {
        let analyses = Arc::new(Analyses::default());
        let waiting: Vec<_> = [Kind::Finished, Kind::Running]
            .map(|kind| {
                let analyses = Arc::clone(&analyses);
                thread::spawn(move || analyses.next(kind))
            })
            .into();
        analyses.close();
        for thread in waiting {
            assert_eq!(thread.join().expect("it ends"), None);
        }
        analyses.add_finished(id(1));
        assert_eq!(analyses.next(Kind::Finished), None);
        assert_eq!(analyses.pause(&id(1), Duration::MAX / 4), None);
    }
}
