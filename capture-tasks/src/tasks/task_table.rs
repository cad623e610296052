//! Tasks in memory that have not ended: waiting, in the order of creation, and on the engine. The rest is in the
//! store.

use std::{collections::HashMap, time::Duration};

use capture_common::MAX_SLOTS;
use capture_engine::{TaskHandle, TaskStatus};
use capture_store::{StoredTask, TaskId};
use capture_task::task::{Counters, FileRecord, StopReason};
use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

/// How long a task of an earlier daemon may wait for its interface: at a boot, those of drivers, bridges and tunnels come
/// one after another.
const INTERFACE_PATIENCE: Duration = Duration::from_secs(20);

/// Time between two tries to start one that waits so.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Counters and files of a task that runs.
pub(super) type Figures = (Counters, Vec<FileRecord>);

/// The tasks that have not ended.
#[derive(Debug, Default)]
pub(super) struct TaskTable {
    closing: bool,
    /// In the order in which they were created.
    waiting: Vec<Waiting>,
    active: HashMap<TaskId, Active>,
    created: u64,
    /// Slots of the engine that probes have.
    probe_slots: usize,
}

/// A task that waits for its time or its turn.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) id: TaskId,
    pub(super) name: String,
    start_at: Option<Timestamp>,
    /// Whether an earlier daemon had begun it.
    was_interrupted: bool,
    /// That its interface is waited for; none for a task of this daemon's own.
    retry: Option<Retry>,
    /// Place among all that were created since the start.
    order: u64,
}

/// Tries to start a task whose interface is not there yet.
#[derive(Clone, Debug, Default)]
struct Retry {
    /// The next one.
    at: Option<Instant>,
    /// From when on it fails.
    until: Option<Instant>,
    /// What the last one failed by.
    why: Option<String>,
}

/// A task that has begun.
#[derive(Debug)]
struct Active {
    name: String,
    stage: Stage,
    waiting: Waiting,
    /// Why it is to end, once it is.
    stop: Option<StopReason>,
    /// Figures of before the last interruption, which the engine does not have.
    earlier: Counters,
    /// The last figures before it left the engine.
    last: Option<Figures>,
    /// Whether it is stopping and the store says that it runs.
    stops_unstored: bool,
    /// What its output takes long for.
    waits_for: Option<String>,
    /// Dropped when it has ended.
    done: watch::Sender<()>,
}

/// How far it is.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Hooks and output are on their way.
    Starting,
    Running(TaskHandle, TaskStatus),
    /// Its output is finished.
    Stopping(TaskHandle),
}

/// What is to be done now.
#[derive(Debug, Default)]
pub(super) struct SchedulerDecision {
    pub(super) start: Vec<TaskId>,
    pub(super) end: Vec<(TaskId, TaskHandle, StopReason)>,
    /// When the next one runs out of time, or is tried again.
    pub(super) deadline: Option<Instant>,
    /// When the next one is to start.
    pub(super) start_at: Option<Timestamp>,
    /// Nothing is left to do, ever.
    pub(super) is_over: bool,
}

impl Waiting {
    fn retry_at(&self) -> Option<Instant> {
        self.retry.as_ref()?.at
    }
}

impl TaskTable {
    /// The tasks that wait in the store. Those that were interrupted start first, and wait since `now`.
    pub(super) fn of(
        interrupted: Vec<StoredTask>,
        pending: Vec<StoredTask>,
        now: Timestamp,
    ) -> Self {
        let mut table = Self::default();
        for task in interrupted {
            table.add(task.id, &task.record.name, Some(now));
            if let Some(waiting) = table.waiting.last_mut() {
                waiting.was_interrupted = true;
            }
        }
        for task in pending {
            table.add(task.id, &task.record.name, task.start_at);
        }
        for waiting in &mut table.waiting {
            waiting.retry = Some(Retry::default());
        }
        table
    }

    /// A new task, behind all others.
    pub(super) fn add(&mut self, id: TaskId, name: &str, start_at: Option<Timestamp>) {
        self.created += 1;
        self.waiting.push(Waiting {
            id,
            name: name.to_owned(),
            start_at,
            was_interrupted: false,
            retry: None,
            order: self.created,
        });
    }

    /// From now on nothing starts, and everything ends.
    pub(super) fn close(&mut self) {
        self.closing = true;
        for active in self.active.values_mut() {
            active.stop.get_or_insert(StopReason::Shutdown);
        }
    }

    /// How long the task waits that has waited longest since its time came: that of its start, or of its creation.
    pub(super) fn longest_wait(&self, now: Timestamp) -> Duration {
        let waits = self.waiting.iter().map(|waiting| {
            let millis = i64::try_from(waiting.id.timestamp_ms()).unwrap_or(i64::MAX);
            let created = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
            let due = waiting.start_at.map_or(created, |start| start.max(created));
            Duration::try_from(now.duration_since(due)).unwrap_or_default()
        });
        waits.max().unwrap_or_default()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Decides what starts and what ends, and notes it.
    pub(super) fn decide(&mut self, now: Timestamp, most: usize) -> SchedulerDecision {
        let mut decision = SchedulerDecision::default();
        for (id, active) in &mut self.active {
            let Stage::Running(task, status) = &active.stage else {
                continue;
            };
            let (task, status) = (*task, status.clone());
            match active.stop.or_else(|| status.reason()) {
                Some(reason) => {
                    active.stop = Some(reason);
                    active.stage = Stage::Stopping(task);
                    decision.end.push((*id, task, reason));
                }
                None => {
                    let deadline = status.deadline().map(Instant::from_std);
                    decision.deadline = earliest(decision.deadline, deadline);
                }
            }
        }
        let slots = MAX_SLOTS.saturating_sub(self.probe_slots);
        let mut free = most.min(slots).saturating_sub(self.active.len());
        if self.closing {
            free = 0;
            decision.is_over = self.active.is_empty();
        }
        let (active, start) = (&mut self.active, &mut decision.start);
        let moment = Instant::now();
        let mut retry_at = None;
        self.waiting.retain(|waiting| {
            let is_due = waiting.start_at.is_none_or(|at| at <= now);
            if free == 0 || !is_due {
                return true;
            }
            if let Some(at) = waiting.retry_at().filter(|at| *at > moment) {
                retry_at = earliest(retry_at, Some(at));
                return true;
            }
            free -= 1;
            start.push(waiting.id);
            active.insert(waiting.id, Active::starting(waiting.clone()));
            false
        });
        decision.deadline = earliest(decision.deadline, retry_at);
        let later = self.waiting.iter().filter_map(|waiting| waiting.start_at);
        decision.start_at = later.filter(|at| *at > now).min();
        decision
    }

    /// How many tasks have begun, and whether another would have to wait for one of them.
    pub(super) fn load(&self, now: Timestamp, most: usize) -> (usize, bool) {
        let is_due = |waiting: &&Waiting| waiting.start_at.is_none_or(|at| at <= now);
        let before = self.active.len() + self.waiting.iter().filter(is_due).count();
        (self.active.len(), before >= most)
    }

    /// Takes slots of the engine for a probe, where so many are free.
    pub(super) fn take_slots(&mut self, count: usize) -> bool {
        let is_free = self.active.len() + self.probe_slots + count <= MAX_SLOTS;
        if is_free {
            self.probe_slots += count;
        }
        is_free
    }

    /// Gives them back.
    pub(super) fn give_slots(&mut self, count: usize) {
        self.probe_slots = self.probe_slots.saturating_sub(count);
    }

    /// Whether a task waits to be taken up again.
    pub(super) fn is_interrupted(&self, id: &TaskId) -> bool {
        let is_it = |waiting: &Waiting| waiting.id == *id && waiting.was_interrupted;
        self.waiting.iter().any(is_it)
    }

    /// Takes a task out of those that wait.
    pub(super) fn take_waiting(&mut self, id: &TaskId) -> Option<Waiting> {
        let index = self.waiting.iter().position(|waiting| waiting.id == *id)?;
        Some(self.waiting.remove(index))
    }

    /// Lets a task wait again, in its old place.
    pub(super) fn put_back(&mut self, waiting: Waiting) {
        let behind = |other: &Waiting| other.order < waiting.order;
        let index = self.waiting.partition_point(behind);
        self.waiting.insert(index, waiting);
    }

    /// Lets a task wait again that was to start.
    pub(super) fn not_started(&mut self, id: &TaskId) {
        if let Some(active) = self.active.remove(id) {
            self.put_back(active.waiting);
        }
    }

    /// Lets a task of an earlier daemon wait for its interface, without a place among those that run; gives whether it
    /// does so for the first time. None where it is not to wait, or has waited long enough.
    pub(super) fn wait_for_interface(&mut self, id: &TaskId, why: &str) -> Option<bool> {
        let now = Instant::now();
        let active = self.active.get_mut(id)?;
        let retry = active.waiting.retry.as_mut()?;
        let is_first = retry.until.is_none();
        let until = *retry.until.get_or_insert(now + INTERFACE_PATIENCE);
        if self.closing || active.stop.is_some() || now >= until {
            return None;
        }
        retry.at = Some(now + RETRY_INTERVAL);
        retry.why = Some(why.to_owned());
        self.not_started(id);
        Some(is_first)
    }

    /// What a task that starts has waited for in vain until now.
    pub(super) fn waited_for(&self, id: &TaskId) -> Option<String> {
        self.active.get(id)?.waiting.retry.as_ref()?.why.clone()
    }

    pub(super) fn is_active(&self, id: &TaskId) -> bool {
        self.active.contains_key(id)
    }

    /// Asks for the end of a task that has begun; the first reason stays. The receiver is closed at the end.
    pub(super) fn end(&mut self, id: &TaskId, reason: StopReason) -> Option<watch::Receiver<()>> {
        let active = self.active.get_mut(id)?;
        active.stop.get_or_insert(reason);
        Some(active.done.subscribe())
    }

    pub(super) fn stop_of(&self, id: &TaskId) -> Option<StopReason> {
        self.active.get(id)?.stop
    }

    /// A task is on the engine; `earlier` are its figures of before.
    pub(super) fn running(
        &mut self,
        id: &TaskId,
        task: TaskHandle,
        status: TaskStatus,
        earlier: Counters,
    ) {
        if let Some(active) = self.active.get_mut(id) {
            active.earlier = earlier;
            active.stage = Stage::Running(task, status);
        }
    }

    /// The figures of a task of before the engine had it.
    pub(super) fn earlier(&self, id: &TaskId) -> Counters {
        self.active
            .get(id)
            .map_or(Counters::default(), |active| active.earlier)
    }

    /// The figures of a task that the engine is about to lose, or has lost.
    pub(super) fn note(&mut self, id: &TaskId, figures: Figures) {
        if let Some(active) = self.active.get_mut(id) {
            active.last = Some(figures);
        }
    }

    /// That a task is stopping could not be stored.
    pub(super) fn stops_unstored(&mut self, id: &TaskId) {
        if let Some(active) = self.active.get_mut(id) {
            active.stops_unstored = true;
        }
    }

    /// Whether a task is stopping though the store says that it runs.
    pub(super) fn is_stopping_unstored(&self, id: &TaskId) -> bool {
        self.active
            .get(id)
            .is_some_and(|active| active.stops_unstored)
    }

    /// What the output of a task that is stopping takes long for.
    pub(super) fn waits_for(&mut self, id: &TaskId, what: String) {
        if let Some(active) = self.active.get_mut(id) {
            active.waits_for = Some(what);
        }
    }

    pub(super) fn ended(&mut self, id: &TaskId) {
        self.active.remove(id);
    }

    /// The tasks that the engine has or had until just now, with their figures of before, and the last ones where they
    /// are known.
    pub(super) fn on_engine(&self) -> Vec<(TaskId, TaskHandle, Counters, Option<Figures>)> {
        let tasks = self.active.iter().filter_map(|(id, active)| {
            let task = active.stage.task()?;
            Some((*id, task, active.earlier, active.last.clone()))
        });
        tasks.collect()
    }

    /// The names of the tasks that the engine has or had until just now.
    pub(super) fn names_on_engine(&self) -> Vec<(TaskId, String)> {
        let active = self.active.iter();
        let on_engine = active.filter(|(_, active)| active.stage.task().is_some());
        on_engine
            .map(|(id, active)| (*id, active.name.clone()))
            .collect()
    }

    /// How many tasks wait for their time or their turn.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn of_engine(&self, id: &TaskId) -> Option<(TaskHandle, Option<Figures>)> {
        let active = self.active.get(id)?;
        Some((active.stage.task()?, active.last.clone()))
    }

    /// What has not ended, and what it hangs in.
    pub(super) fn hanging(&self) -> Vec<String> {
        let mut tasks: Vec<_> = self
            .active
            .iter()
            .map(|(id, active)| {
                let what = match active.stage {
                    Stage::Starting => "attaching hooks or opening its output",
                    Stage::Running(..) => "waiting for its turn to end",
                    Stage::Stopping(_) => "writing what it has captured to its files",
                };
                let detail = active.waits_for.as_ref();
                let detail = detail.map(|detail| format!(" ({detail})"));
                let detail = detail.unwrap_or_default();
                format!("task {id} {:?}: {what}{detail}", active.name)
            })
            .collect();
        tasks.sort();
        tasks
    }
}

impl Active {
    fn starting(waiting: Waiting) -> Self {
        Self {
            name: waiting.name.clone(),
            stage: Stage::Starting,
            waiting,
            stop: None,
            earlier: Counters::default(),
            last: None,
            stops_unstored: false,
            waits_for: None,
            done: watch::Sender::new(()),
        }
    }
}

impl Stage {
    fn task(&self) -> Option<TaskHandle> {
        match self {
            Self::Starting => None,
            Self::Running(task, _) | Self::Stopping(task) => Some(*task),
        }
    }
}

fn earliest<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> TaskId {
        TaskId::from_parts(n, 0)
    }

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    #[test]
    fn tasks_start_in_order_as_places_become_free_and_when_their_time_has_come() {
        let mut table = TaskTable::default();
        table.add(id(1), "a", Some(time(100)));
        for n in 2..=4 {
            table.add(id(n), "b", None);
        }
        let decision = table.decide(time(50), 2);
        assert_eq!(decision.start, [id(2), id(3)]);
        assert_eq!(decision.start_at, Some(time(100)));
        assert_eq!(table.decide(time(50), 2).start, []);
        table.ended(&id(3));
        // The first is due now, and was created before the fourth.
        let decision = table.decide(time(100), 2);
        assert_eq!((decision.start, decision.start_at), (vec![id(1)], None));
    }

    #[test]
    fn a_task_waits_since_its_time_came() {
        let mut table = TaskTable::default();
        assert_eq!(table.longest_wait(time(50)), Duration::ZERO);
        table.add(id(10_000), "later", Some(time(100)));
        assert_eq!(table.longest_wait(time(50)), Duration::ZERO);
        table.add(id(30_000), "now", None);
        assert_eq!(table.longest_wait(time(50)), Duration::from_secs(20));
        assert_eq!(table.longest_wait(time(200)), Duration::from_secs(170));
    }

    #[test]
    fn probes_and_tasks_share_the_slots_of_the_engine() {
        let mut table = TaskTable::default();
        for n in 1..=MAX_SLOTS as u64 + 1 {
            table.add(id(n), "a", None);
        }
        assert!(table.take_slots(2));
        assert_eq!(table.decide(time(0), MAX_SLOTS).start.len(), MAX_SLOTS - 2);
        assert!(!table.take_slots(1));
        assert_eq!(table.load(time(0), MAX_SLOTS), (MAX_SLOTS - 2, true));
        table.give_slots(2);
        assert_eq!(table.decide(time(0), MAX_SLOTS).start.len(), 2);
        assert!(!table.take_slots(1));
        // Fewer tasks than slots leave some for probes, and lose none to them.
        let mut table = TaskTable::default();
        table.add(id(1), "a", None);
        assert_eq!(table.load(time(0), 2), (0, false));
        assert_eq!(table.load(time(0), 1), (0, true));
        assert!(table.take_slots(4));
        assert_eq!(table.decide(time(0), 1).start, [id(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_an_earlier_daemon_waits_for_its_interface_and_holds_no_place() {
        let mut table = TaskTable::default();
        table.add(id(1), "own", None);
        assert_eq!(table.decide(time(0), 9).start, [id(1)]);
        assert_eq!(table.wait_for_interface(&id(1), "gone"), None);
        table.ended(&id(1));

        table.add(id(2), "earlier", None);
        table.waiting[0].retry = Some(Retry::default());
        table.add(id(3), "behind", None);
        assert_eq!(table.decide(time(0), 1).start, [id(2)]);
        assert_eq!(table.wait_for_interface(&id(2), "gone"), Some(true));
        let decision = table.decide(time(0), 2);
        assert_eq!(decision.start, [id(3)]);
        let at = decision.deadline.expect("the next try");
        assert_eq!(at, Instant::now() + RETRY_INTERVAL);
        tokio::time::advance(RETRY_INTERVAL).await;
        assert_eq!(table.decide(time(0), 2).start, [id(2)]);
        assert_eq!(table.waited_for(&id(2)).as_deref(), Some("gone"));
        assert_eq!(table.wait_for_interface(&id(2), "gone"), Some(false));
        tokio::time::advance(INTERFACE_PATIENCE).await;
        assert_eq!(table.decide(time(0), 2).start, [id(2)]);
        assert_eq!(table.wait_for_interface(&id(2), "gone"), None);
        assert!(table.is_active(&id(2)));
    }

    #[test]
    fn one_that_is_put_back_has_its_old_place() {
        let mut table = TaskTable::default();
        for n in 1..=3 {
            table.add(id(n), "a", None);
        }
        assert_eq!(table.decide(time(0), 1).start, [id(1)]);
        let second = table.take_waiting(&id(2)).expect("it waits");
        assert!(table.take_waiting(&id(2)).is_none());
        table.put_back(second);
        table.not_started(&id(1));
        assert_eq!(table.decide(time(0), 9).start, [id(1), id(2), id(3)]);
    }

    #[test]
    fn the_end_starts_nothing_and_is_over_when_nothing_is_left() {
        let mut table = TaskTable::default();
        table.add(id(1), "first", None);
        table.add(id(2), "second", None);
        assert_eq!(table.decide(time(0), 1).start, [id(1)]);
        let done = table.end(&id(1), StopReason::User).expect("it has begun");
        table.close();
        assert_eq!(table.stop_of(&id(1)), Some(StopReason::User));
        let decision = table.decide(time(0), 9);
        assert!(decision.start.is_empty() && !decision.is_over);
        assert!(table.hanging()[0].contains("\"first\": attaching"));
        table.ended(&id(1));
        assert!(table.decide(time(0), 9).is_over);
        assert!(done.has_changed().is_err());
    }
}
