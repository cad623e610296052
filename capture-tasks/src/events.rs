//! Events about tasks: a bounded backlog of state changes with identifiers to resume from, and the figures of
//! running tasks once a second. Writers never wait for a reader; one that lags is told so and cut off.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capture_task::task::TaskRecord;
use serde::Serialize;
use serde_json::{json, value::RawValue};
use tokio::sync::watch;

/// Changes that are kept, and the bytes of all of them: a task with many files is long.
const MAX_EVENTS: usize = 1024;
const MAX_BYTES: usize = 8 << 20;

/// One event, as server-sent events have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// What to resume from; none where that makes no sense.
    pub id: Option<String>,
    /// `task`, `finding`, `deleted`, `stats`, or a note on this stream: `missed`, `lagged`.
    pub name: &'static str,
    /// JSON on one line.
    pub data: Arc<str>,
    /// The account whose task it is about; none where it is about all, or about nobody's.
    pub account: Option<Arc<str>>,
}

/// The events of a daemon; clones are the same.
#[derive(Clone, Debug)]
pub struct Events(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Begins the identifiers of this daemon, so that those of an earlier one are recognised.
    epoch: String,
    /// Held from the look at a task to its event.
    turn: Mutex<()>,
    backlog: Mutex<Backlog>,
    /// Number of the latest event, and whether it is the last.
    latest: watch::Sender<Latest>,
    stats: watch::Sender<Option<ServerEvent>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    number: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Backlog {
    /// Number of the event at the front.
    first: u64,
    events: VecDeque<ServerEvent>,
    bytes: usize,
}

/// Something that was found, with its task.
#[derive(Serialize)]
struct FindingEvent<'a> {
    task: &'a str,
    finding: &'a RawValue,
}

/// What a reader finds behind the last event that it had.
enum Next {
    ServerEvent(ServerEvent),
    Nothing,
    /// It is no longer there.
    Gone,
}

impl Events {
    /// An empty backlog. `epoch` is letters and digits that no earlier daemon had.
    pub fn new(epoch: impl Into<String>) -> Self {
        let backlog = Backlog {
            first: 1,
            ..Backlog::default()
        };
        Self(Arc::new(Inner {
            epoch: epoch.into(),
            turn: Mutex::default(),
            backlog: Mutex::new(backlog),
            latest: watch::Sender::default(),
            stats: watch::Sender::default(),
        }))
    }

    /// A task is new, in another state or analyzed: its event has what `read` gives, which is what a caller gets too. Of two
    /// calls the one that reads later also tells later, so the last event of a task is its latest state.
    pub fn task(&self, read: impl FnOnce() -> Option<TaskRecord>) -> Option<TaskRecord> {
        let _turn = self.turn();
        let record = read()?;
        self.push("task", &record, record.account.as_deref());
        Some(record)
    }

    /// Something new was found in the packets of a task of an account.
    pub fn finding(&self, id: &str, finding: &RawValue, account: Option<&str>) {
        self.push("finding", &FindingEvent { task: id, finding }, account);
    }

    /// A task of an account is gone, and can no longer be read.
    pub fn deleted(&self, id: &str, account: Option<&str>) {
        let _turn = self.turn();
        self.push("deleted", &json!({ "id": id }), account);
    }

    /// The figures of running tasks. They are of the moment, so nobody gets old ones.
    pub fn stats(&self, figures: &impl Serialize) {
        if let Some(data) = line(figures) {
            self.0.stats.send_replace(Some(ServerEvent {
                id: None,
                name: "stats",
                data,
                account: None,
            }));
        }
    }

    /// Whether anybody listens.
    pub fn has_listeners(&self) -> bool {
        self.0.stats.receiver_count() > 0
    }

    /// Ends all streams, once they have what there is.
    pub fn close(&self) {
        self.0.latest.send_modify(|latest| latest.closed = true);
    }

    /// The events from now on, or from behind the one with the identifier `last`.
    pub fn listen(&self, last: Option<&str>) -> EventStream {
        let latest = self.0.latest.subscribe();
        let now = latest.borrow().number;
        let (position, missed) = match last.map(|last| self.number(last)) {
            None => (now, false),
            Some(Some(number)) if number <= now && !self.is_gone(number) => (number, false),
            Some(_) => (now, true),
        };
        EventStream {
            events: self.clone(),
            latest,
            stats: self.0.stats.subscribe(),
            position,
            note: missed.then(|| {
                note(
                    "missed",
                    "what happened since that event is no longer known; list the tasks again",
                )
            }),
            ended: false,
        }
    }

    fn push(&self, name: &'static str, value: &impl Serialize, account: Option<&str>) {
        let Some(data) = line(value) else { return };
        let mut backlog = self.backlog();
        let number = backlog.first + backlog.events.len() as u64;
        backlog.bytes += data.len();
        backlog.events.push_back(ServerEvent {
            id: Some(format!("{}-{number}", self.0.epoch)),
            name,
            data,
            account: account.map(Into::into),
        });
        while backlog.events.len() > MAX_EVENTS
            || (backlog.bytes > MAX_BYTES && backlog.events.len() > 1)
        {
            if let Some(oldest) = backlog.events.pop_front() {
                backlog.bytes -= oldest.data.len();
                backlog.first += 1;
            }
        }
        // With the backlog's lock, so that the numbers come in order.
        self.0.latest.send_modify(|latest| latest.number = number);
    }

    /// The number in an identifier of this daemon.
    fn number(&self, id: &str) -> Option<u64> {
        let number = id.strip_prefix(self.0.epoch.as_str())?.strip_prefix('-')?;
        number.parse().ok()
    }

    fn is_gone(&self, number: u64) -> bool {
        number.saturating_add(1) < self.backlog().first
    }

    fn after(&self, number: u64) -> Next {
        let backlog = self.backlog();
        let Some(offset) = (number + 1).checked_sub(backlog.first) else {
            return Next::Gone;
        };
        let event = usize::try_from(offset)
            .ok()
            .and_then(|offset| backlog.events.get(offset));
        event.cloned().map_or(Next::Nothing, Next::ServerEvent)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.0
            .backlog
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of one listener, from where it wanted them on.
#[derive(Debug)]
pub struct EventStream {
    events: Events,
    latest: watch::Receiver<Latest>,
    stats: watch::Receiver<Option<ServerEvent>>,
    /// Number of the last event that the reader had.
    position: u64,
    /// What the reader is told first.
    note: Option<ServerEvent>,
    ended: bool,
}

impl EventStream {
    /// Waits for the next event; `None` at the end, which comes with the daemon's, and after `lagged`.
    pub async fn next(&mut self) -> Option<ServerEvent> {
        if let Some(note) = self.note.take() {
            return Some(note);
        }
        while !self.ended {
            // Before the backlog, so that no change falls in between.
            let closed = self.latest.borrow_and_update().closed;
            match self.events.after(self.position) {
                Next::ServerEvent(event) => {
                    self.position += 1;
                    return Some(event);
                }
                Next::Gone => {
                    self.ended = true;
                    let why = "events came faster than they were read; list the tasks again";
                    return Some(note("lagged", why));
                }
                Next::Nothing if closed => self.ended = true,
                Next::Nothing => {
                    tokio::select! {
                        biased;
                        changed = self.latest.changed() => self.ended = changed.is_err(),
                        changed = self.stats.changed() => {
                            self.ended = changed.is_err();
                            if let Some(stats) = self.stats.borrow_and_update().clone() {
                                return Some(stats);
                            }
                        }
                    }
                }
            }
        }
        None
    }
}

fn note(name: &'static str, detail: &str) -> ServerEvent {
    ServerEvent {
        id: None,
        name,
        data: json!({ "detail": detail }).to_string().into(),
        account: None,
    }
}

fn line(value: &impl Serialize) -> Option<Arc<str>> {
    serde_json::to_string(value)
        .inspect_err(|error| log::error!("an event cannot be written as JSON: {error}"))
        .ok()
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(async {
            let limit = Duration::from_secs(5);
            let answer = tokio::time::timeout(limit, future).await;
            answer.expect("an answer in time")
        })
    }

    fn ids(events: &[ServerEvent]) -> Vec<&str> {
        let ids = events.iter().map(|event| event.id.as_deref());
        ids.map(Option::unwrap_or_default).collect()
    }

    async fn take(stream: &mut EventStream, count: usize) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(stream.next().await.expect("another event"));
        }
        events
    }

    #[test]
    fn a_stream_begins_with_what_comes_and_resumes_behind_an_identifier() {
        block_on(async {
            let events = Events::new("e");
            events.deleted("a", None);
            let mut stream = events.listen(None);
            events.deleted("b", None);
            events.deleted("c", None);
            assert_eq!(ids(&take(&mut stream, 2).await), ["e-2", "e-3"]);
            let mut again = events.listen(Some("e-1"));
            assert_eq!(ids(&take(&mut again, 2).await), ["e-2", "e-3"]);
            // Nothing has happened since the last one: no note, and what comes next is the next.
            let mut last = events.listen(Some("e-3"));
            events.deleted("d", None);
            assert_eq!(ids(&take(&mut last, 1).await), ["e-4"]);
        });
    }

    #[test]
    fn what_cannot_be_resumed_is_said() {
        block_on(async {
            let events = Events::new("e");
            for _ in 0..MAX_EVENTS + 10 {
                events.deleted("a", None);
            }
            for unknown in [
                "e-3",
                "e-99999",
                "earlier-1",
                "",
                "e-x",
                "e-18446744073709551615",
            ] {
                let mut stream = events.listen(Some(unknown));
                events.deleted("b", None);
                let got = take(&mut stream, 2).await;
                assert_eq!(
                    (got[0].name, got[1].name),
                    ("missed", "deleted"),
                    "{unknown}"
                );
            }
        });
    }

    fn record(state: &str) -> TaskRecord {
        let record = json!({
            "id": "01M8KTZV402MDG02K9P503W781", "name": "web", "spec": {"interfaces": ["lo"]}, "state": state,
            "stop_reason": null, "error": null, "created_at": "2026-03-01T00:00:00.000Z", "started_at": null,
            "ended_at": null, "expires_at": null, "counters": capture_task::task::Counters::default(),
            "verdict": null, "files": [],
        });
        serde_json::from_value(record).expect("a record")
    }

    /// One thread has read a task that runs and is held up; meanwhile the task ends and `later` tells that.
    fn told_last(later: impl FnOnce(&Events) + Send) -> ServerEvent {
        let events = Events::new("e");
        let (reads, has_read) = mpsc::channel();
        let (tells, has_told) = mpsc::channel();
        let first = &events;
        thread::scope(|scope| {
            scope.spawn(move || {
                first.task(|| {
                    reads.send(()).expect("the other waits");
                    // Not told while this waits, or else too early.
                    let _ = has_told.recv_timeout(Duration::from_millis(200));
                    Some(record("running"))
                })
            });
            has_read.recv().expect("the first has read");
            later(&events);
            // The first may have stopped waiting.
            let _ = tells.send(());
        });
        block_on(async {
            let mut stream = events.listen(Some("e-0"));
            take(&mut stream, 2).await.remove(1)
        })
    }

    #[test]
    fn the_last_event_of_a_task_is_its_latest_state() {
        let event = told_last(|events| {
            events.task(|| Some(record("completed")));
        });
        assert!(event.data.contains(r#""state":"completed""#), "{event:?}");
        let event = told_last(|events| events.deleted("01M8KTZV402MDG02K9P503W781", None));
        assert_eq!(event.name, "deleted");
    }

    #[test]
    fn a_task_that_is_gone_is_not_told_of() {
        let events = Events::new("e");
        assert_eq!(events.task(|| None), None);
        assert!(events.backlog().events.is_empty());
    }

    #[test]
    fn a_slow_reader_is_told_and_cut_off() {
        block_on(async {
            let events = Events::new("e");
            let mut stream = events.listen(None);
            for _ in 0..=MAX_EVENTS {
                events.deleted("a", None);
            }
            assert_eq!(take(&mut stream, 1).await[0].name, "lagged");
            assert_eq!(stream.next().await, None);
        });
    }

    #[test]
    fn the_ring_is_bounded_in_bytes_too() {
        let events = Events::new("e");
        for _ in 0..20 {
            events.deleted(&"x".repeat(1 << 20), None);
        }
        let backlog = events.backlog();
        assert!(backlog.bytes <= MAX_BYTES && backlog.events.len() < 9);
    }

    #[test]
    fn figures_are_the_latest_and_the_end_is_the_end() {
        block_on(async {
            let events = Events::new("e");
            assert!(!events.has_listeners());
            let mut stream = events.listen(None);
            assert!(events.has_listeners());
            events.stats(&1);
            events.stats(&2);
            let got = take(&mut stream, 1).await;
            assert_eq!((got[0].name, &*got[0].data), ("stats", "2"));
            events.deleted("a", None);
            events.close();
            assert_eq!(take(&mut stream, 1).await[0].name, "deleted");
            assert_eq!(stream.next().await, None);
            drop(stream);
            assert!(!events.has_listeners());
        });
    }
}
