//! The captures whose packets are looked at: a thread for each of a few, with an inspector that has the files. Questions
//! come to the thread one after the other; `tasks::look` answers them.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use capture_inspector::{
    process::{Inspector, Stopper},
    view::ViewNote,
};
use capture_store::TaskId;

use crate::{storage::SharedCopy, tasks::TaskError};

/// Captures that are looked at at once.
pub(crate) const MOST_VIEWS: usize = 4;

/// Those of them that shares show, so that bearers of shares do not take all from operators.
const MOST_SHARED: usize = 2;

/// Questions about a capture that wait.
const MOST_WAITING: usize = 64;

/// How long an inspector waits for the next question.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// Looks that are told apart, for the audit log. When there are more, all are forgotten, and told of again.
const MOST_TOLD: usize = 1000;

/// A question: takes the inspector, or why there is none, and says whether the inspector is still good.
pub(crate) type Job = Box<dyn FnOnce(Result<&mut Inspector, TaskError>) -> bool + Send>;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Viewed {
    pub(crate) task: TaskId,
    pub(crate) copy: ViewedCopy,
}

/// As what a capture is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ViewedCopy {
    /// Its files, with the notes about its packets: for operators.
    Files,
    /// Its files without notes, as a share shows them.
    Whole,
    /// A copy that a share shows.
    Shared(SharedCopy),
}

impl Viewed {
    /// The files of a task, for operators.
    pub(crate) fn files(task: TaskId) -> Self {
        let copy = ViewedCopy::Files;
        Self { task, copy }
    }

    fn is_shared(&self) -> bool {
        self.copy != ViewedCopy::Files
    }
}

/// The captures that are looked at.
#[derive(Debug, Default)]
pub(crate) struct Views {
    state: Mutex<State>,
    /// Held while a look is told of.
    telling: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    is_closing: bool,
    seats: HashMap<Viewed, Seat>,
    /// Threads of captures that are not looked at any more, until they have ended.
    ending: Vec<thread::JoinHandle<()>>,
    /// How many seats there were.
    given: u64,
    /// Hashes of who looks, and by which filters.
    told: HashMap<Viewed, HashSet<u64>>,
}

/// The place of a capture.
struct Seat {
    number: u64,
    jobs: SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
    used: Instant,
    stopper: Option<Stopper>,
    /// Notes about packets that its inspector does not know yet.
    notes: Vec<ViewNote>,
    thread: Option<thread::JoinHandle<()>>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What the thread of a seat takes its questions from.
pub(crate) struct Desk {
    pub(crate) number: u64,
    pub(crate) jobs: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
}

impl Desk {
    /// A question is answered.
    pub(crate) fn answered(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a question cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Others look at as many captures as can be.
    Captures,
    /// Too many questions about this capture wait.
    Questions,
    /// The daemon ends, or there is no thread.
    Closing,
}

impl Views {
    /// Gives a question to the thread of a capture. Where there is none, `start` makes one; one that nobody asks anything of
    /// gives way for it, the one that was asked last the latest.
    pub(crate) fn ask(
        &self,
        viewed: Viewed,
        job: Job,
        start: impl FnOnce(Desk) -> std::io::Result<thread::JoinHandle<()>>,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        if state.is_closing {
            return Err(Refusal::Closing);
        }
        if !state.seats.contains_key(&viewed) {
            state.make_room(&viewed)?;
            state.open(viewed, start)?;
        }
        let Some(seat) = state.seats.get_mut(&viewed) else {
            return Err(Refusal::Closing);
        };
        seat.used = Instant::now();
        seat.waiting.fetch_add(1, Ordering::Relaxed);
        seat.jobs.try_send(job).map_err(|_| {
            seat.waiting.fetch_sub(1, Ordering::Relaxed);
            Refusal::Questions
        })
    }

    /// Tells of a look, by its hash, unless it was told of since the capture is looked at. Of several at once one tells.
    pub(crate) fn tell_once<E>(
        &self,
        viewed: &Viewed,
        look: u64,
        tell: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.is_news(viewed, look) {
            return Ok(());
        }
        let _one = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_news(viewed, look) {
            tell()?;
            self.told(viewed, look);
        }
        Ok(())
    }

    fn is_news(&self, viewed: &Viewed, look: u64) -> bool {
        let state = self.state();
        let told = state.told.get(viewed);
        !told.is_some_and(|told| told.contains(&look))
    }

    fn told(&self, viewed: &Viewed, look: u64) {
        let State { seats, told, .. } = &mut *self.state();
        // Who was told of, and then could not look.
        if told.len() > 2 * MOST_VIEWS {
            told.retain(|viewed, _| seats.contains_key(viewed));
        }
        let told = told.entry(*viewed).or_default();
        if told.len() >= MOST_TOLD {
            told.clear();
        }
        told.insert(look);
    }

    /// How to end the inspector of a seat. `false` where it is to end at once.
    pub(crate) fn begun(&self, viewed: &Viewed, number: u64, stopper: Stopper) -> bool {
        match self.state().seats.get_mut(viewed) {
            Some(seat) if seat.number == number => {
                seat.stopper = Some(stopper);
                true
            }
            _ => false,
        }
    }

    /// A note about a packet of a task was written, for who shows its packets.
    pub(crate) fn noted(&self, id: &TaskId, note: ViewNote) {
        if let Some(seat) = self.state().seats.get_mut(&Viewed::files(*id)) {
            seat.notes.retain(|other| other.number != note.number);
            seat.notes.push(note);
        }
    }

    /// The notes that were written since they were last taken.
    pub(crate) fn take_notes(&self, viewed: &Viewed, number: u64) -> Vec<ViewNote> {
        match self.state().seats.get_mut(viewed) {
            Some(seat) if seat.number == number => std::mem::take(&mut seat.notes),
            _ => Vec::new(),
        }
    }

    /// A thread has nothing to do: no more questions come to it than are there.
    pub(crate) fn leave(&self, viewed: &Viewed, number: u64) {
        let mut state = self.state();
        if state
            .seats
            .get(viewed)
            .is_some_and(|seat| seat.number == number)
        {
            state.close(viewed, false);
        }
    }

    /// A task is gone, or its files: whatever looks at them, or at copies, ends.
    pub(crate) fn forget(&self, id: &TaskId) {
        self.state().close_all(|viewed| viewed.task == *id);
    }

    /// Ends what looks at a task for shares, but for what some share still needs.
    pub(crate) fn forget_shared(&self, id: &TaskId, is_needed: impl Fn(ViewedCopy) -> bool) {
        let is_over =
            |viewed: &Viewed| viewed.task == *id && viewed.is_shared() && !is_needed(viewed.copy);
        self.state().close_all(is_over);
    }

    /// Whether something is looked at.
    #[cfg(test)]
    pub(crate) fn has(&self, viewed: &Viewed) -> bool {
        self.state().seats.contains_key(viewed)
    }

    /// Ends everything.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closing = true;
        state.close_all(|_| true);
    }

    /// The threads, which have been told to end.
    pub(crate) fn threads(&self) -> Vec<thread::JoinHandle<()>> {
        std::mem::take(&mut self.state().ending)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is behind the lock is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn make_room(&mut self, viewed: &Viewed) -> Result<(), Refusal> {
        let shared = self.seats.keys().filter(|there| there.is_shared()).count();
        // Shares that have their part give way to each other, and nobody else to them.
        let is_full = viewed.is_shared() && shared >= MOST_SHARED;
        if !is_full && self.seats.len() < MOST_VIEWS {
            return Ok(());
        }
        let idle = self.seats.iter();
        let idle = idle.filter(|(there, seat)| {
            seat.waiting.load(Ordering::Relaxed) == 0 && (!is_full || there.is_shared())
        });
        let oldest = idle.min_by_key(|(_, seat)| seat.used);
        let oldest = oldest.map(|(there, _)| *there);
        let oldest = oldest.ok_or(Refusal::Captures)?;
        self.close(&oldest, false);
        Ok(())
    }

    fn open(
        &mut self,
        viewed: Viewed,
        start: impl FnOnce(Desk) -> std::io::Result<thread::JoinHandle<()>>,
    ) -> Result<(), Refusal> {
        self.given += 1;
        let (jobs, receiver) = sync_channel(MOST_WAITING);
        let waiting = Arc::<AtomicUsize>::default();
        let desk = Desk {
            number: self.given,
            jobs: receiver,
            waiting: Arc::clone(&waiting),
        };
        let thread = start(desk).map_err(|error| {
            log::error!("a thread to show packets: {error}");
            Refusal::Closing
        })?;
        let seat = Seat {
            number: self.given,
            jobs,
            waiting,
            used: Instant::now(),
            stopper: None,
            notes: Vec::new(),
            thread: Some(thread),
        };
        self.seats.insert(viewed, seat);
        Ok(())
    }

    /// Ends seats at once.
    fn close_all(&mut self, is_over: impl Fn(&Viewed) -> bool) {
        let over: Vec<_> = self.seats.keys().copied().filter(is_over).collect();
        for viewed in over {
            self.close(&viewed, true);
        }
    }

    /// Ends the seat of a capture: once its questions are answered, or at once.
    fn close(&mut self, viewed: &Viewed, at_once: bool) {
        let Some(seat) = self.seats.remove(viewed) else {
            return;
        };
        self.told.remove(viewed);
        if at_once && let Some(stopper) = &seat.stopper {
            stopper.stop();
        }
        self.ending.retain(|thread| !thread.is_finished());
        self.ending.extend(seat.thread);
    }
}
