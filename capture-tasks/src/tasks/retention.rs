//! Which files go because their time is over. Removing them cannot be taken back, and the wall clock, which says
//! when, may be wrong: a machine without a clock of its own starts in 1970, a virtual machine wakes up days late,
//! a time server errs. So files go by time that has really passed, which is known while the daemon runs:
//!
//! - A task that ends keeps its files for as long as is configured then, from its end on.
//! - What earlier daemons left keeps its files for the time that was left of it when the wall clock had been steady
//!   for [`STEADY_AFTER`] after the start. Steps of the clock after that change nothing but `expires_at`, which follows.
//! - Only what was over by then goes by the wall clock. Where that is most of what there is, the clock must have been
//!   steady for [`CONFIRMED_AFTER`]. And no more than [`MAX_EXPIRED_AT_ONCE`] tasks lose their files at once.
//!
//! The scheduler has this look at the clocks every second, and asks for a [`RetentionDecision`] now and then.

use std::{collections::HashMap, time::Duration};

use capture_store::{RetainedTask, TaskId, clock::Clock};
use capture_task::task::rfc3339;
use jiff::{SignedDuration, Timestamp};

/// How long the wall clock says nothing after a start or a step. Clients of NTP set it within the first minutes after
/// they have started or found their network again.
const STEADY_AFTER: Duration = Duration::from_secs(5 * 60);

/// How long the clock must have gone on by itself to be believed whatever it says: ten times the longest interval at
/// which clients of NTP ask for the time (2,048 s), so that one wrong answer has been set right by then.
const CONFIRMED_AFTER: Duration = Duration::from_secs(6 * 3600);

/// The clock was set if it went by so much more or less than the time that has passed between two looks. Clients of
/// NTP that only let it run faster or slower change it by milliseconds in that time.
const MIN_STEP: SignedDuration = SignedDuration::from_secs(5);

/// Tasks that lose their files in one round, so that a mistake is seen before all is gone.
const MAX_EXPIRED_AT_ONCE: usize = 32;

/// What is known of the clocks, and how long files are kept still.
#[derive(Debug)]
pub(super) struct Retention {
    started: Duration,
    /// What the wall clock was ahead of the time that has passed, at the start and at the last look.
    first: SignedDuration,
    offset: SignedDuration,
    /// When the wall clock was last set, or the start.
    steady_since: Duration,
    /// Whether it was ever steady for [`STEADY_AFTER`].
    was_steady: bool,
    promises: HashMap<TaskId, Promise>,
    said: Option<(HoldReason, Duration)>,
}

/// How long the files of a task are kept, by time that passes.
#[derive(Clone, Copy, Debug)]
struct Promise {
    since: Duration,
    kept: Duration,
    /// What `expires_at` does not go back behind: an earlier daemon's own.
    least: Option<Timestamp>,
}

/// Both clocks at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    wall: Timestamp,
    elapsed: Duration,
}

/// What is to be done now.
#[derive(Debug, Default)]
pub(super) struct RetentionDecision {
    /// The files of these go, the earliest first.
    pub(super) expired: Vec<TaskId>,
    /// These get another `expires_at`, as the clock by which they have theirs was set.
    pub(super) moved: Vec<(TaskId, Timestamp)>,
}

/// What becomes of a task's files.
enum Fate {
    /// Their time has passed.
    Passed,
    /// It is over by the wall clock, and nothing else is known.
    Over,
    Kept,
}

/// HoldReason files are kept whose time is over by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HoldReason {
    NotSteady,
    Most,
}

impl ClockReading {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.now(),
            elapsed: clock.elapsed(),
        }
    }

    fn offset(self) -> SignedDuration {
        self.wall.duration_since(Timestamp::UNIX_EPOCH) - signed(self.elapsed)
    }

    /// What the wall clock shows then, if nobody sets it.
    fn wall_at(self, elapsed: Duration) -> Timestamp {
        let wait = signed(elapsed) - signed(self.elapsed);
        self.wall.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}

impl Retention {
    /// At the start of the daemon.
    pub(super) fn new(now: ClockReading) -> Self {
        Self {
            started: now.elapsed,
            first: now.offset(),
            offset: now.offset(),
            steady_since: now.elapsed,
            was_steady: false,
            promises: HashMap::new(),
            said: None,
        }
    }

    /// A task has ended, and its files are kept for so long.
    pub(super) fn ended(&mut self, id: TaskId, now: ClockReading, kept: Duration) {
        let since = now.elapsed;
        let least = None;
        let promise = Promise { since, kept, least };
        self.promises.entry(id).or_insert(promise);
    }

    /// There are no files of it any more.
    pub(super) fn gone(&mut self, id: &TaskId) {
        self.promises.remove(id);
    }

    /// Looks at the clocks. Gives whether the wall clock was set since the last look.
    pub(super) fn observe(&mut self, now: ClockReading) -> bool {
        let step = now.offset() - self.offset;
        let is_set = step.abs() > MIN_STEP;
        if is_set {
            self.steady_since = now.elapsed;
            log::warn!(
                "the wall clock was set {} by {}, to {}; no files are removed by it until {}",
                if step.is_negative() { "back" } else { "ahead" },
                whole_seconds(step.abs()),
                rfc3339(now.wall),
                rfc3339(now.wall_at(now.elapsed + STEADY_AFTER)),
            );
        }
        self.offset = now.offset();
        self.was_steady |= self.is_steady(STEADY_AFTER, now);
        is_set
    }

    /// What is to be done, of all tasks whose files are kept, the earliest first. `usual` is how long files are
    /// kept by the configuration.
    pub(super) fn decide(
        &mut self,
        kept: &[RetainedTask],
        now: ClockReading,
        usual: Duration,
    ) -> RetentionDecision {
        self.observe(now);
        let (mut passed, mut over, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for task in kept {
            match self.fate(task, now, usual) {
                Fate::Passed => passed.push(task),
                Fate::Over => over.push(task),
                Fate::Kept => rest.push(task),
            }
        }
        let files = |tasks: &[&RetainedTask]| tasks.iter().filter(|task| task.has_files).count();
        let (count, others) = (files(&over), files(&rest));
        let held = if !self.is_steady(STEADY_AFTER, now) {
            Some((HoldReason::NotSteady, self.steady_since + STEADY_AFTER))
        } else if !self.is_steady(CONFIRMED_AFTER, now) && count > others {
            Some((HoldReason::Most, self.steady_since + CONFIRMED_AFTER))
        } else {
            None
        };
        self.say(held.filter(|_| count > 0), count, others, now);
        if held.is_some() {
            over.clear();
        }
        let expired = passed.into_iter().chain(over).map(|task| task.id);
        RetentionDecision {
            expired: expired.take(MAX_EXPIRED_AT_ONCE).collect(),
            moved: self.moved(kept, now),
        }
    }

    fn fate(&mut self, task: &RetainedTask, now: ClockReading, usual: Duration) -> Fate {
        let passed = |since: Duration, kept| now.elapsed.saturating_sub(since) >= kept;
        if let Some(Promise { since, kept, .. }) = self.promises.get(&task.id) {
            return if passed(*since, *kept) {
                Fate::Passed
            } else {
                Fate::Kept
            };
        }
        // What it was promised, where that was more than is usual now.
        let whole = task.ended_at.map(|at| task.expires_at.duration_since(at));
        let whole = whole.and_then(|whole| Duration::try_from(whole).ok());
        let whole = whole.unwrap_or_default().max(usual);
        if passed(self.started, whole) {
            return Fate::Passed;
        }
        let ahead = task.expires_at.duration_since(now.wall);
        let left = if ahead.is_positive() {
            ahead
        } else {
            // By the clock of the start, which may be the wrong one by which an earlier daemon stamped it.
            ahead + (now.offset() - self.first)
        };
        match Duration::try_from(left) {
            // More than it was promised cannot be left of it: one of the clocks was wrong then, or is now.
            Ok(left) if !left.is_zero() && left <= whole => {
                if self.is_steady(STEADY_AFTER, now) {
                    let promise = Promise {
                        since: now.elapsed,
                        kept: left,
                        least: Some(task.expires_at),
                    };
                    self.promises.insert(task.id, promise);
                }
                Fate::Kept
            }
            _ if ahead.is_positive() => Fate::Kept,
            _ => Fate::Over,
        }
    }

    /// Whether the wall clock was not set for so long.
    fn is_steady(&self, time: Duration, now: ClockReading) -> bool {
        now.elapsed.saturating_sub(self.steady_since) >= time
    }

    /// The tasks whose `expires_at` is not when their time will have passed. A later one is safe, and said as soon as
    /// the clock is steady, or known to be set for the first time. The next daemon may believe an earlier one, so
    /// that it must be sure.
    fn moved(&self, kept: &[RetainedTask], now: ClockReading) -> Vec<(TaskId, Timestamp)> {
        let later = !self.was_steady || self.is_steady(STEADY_AFTER, now);
        let earlier = self.is_steady(CONFIRMED_AFTER, now);
        let moved = kept.iter().filter_map(|task| {
            let Promise { since, kept, least } = *self.promises.get(&task.id)?;
            let right = now.wall_at(since + kept);
            let right = least.map_or(right, |least| right.max(least));
            let by = right.duration_since(task.expires_at);
            let moves = by > MIN_STEP && later || by < -MIN_STEP && earlier;
            moves.then_some((task.id, right))
        });
        moved.collect()
    }

    /// Says what is held, and why and until when, once for each.
    fn say(
        &mut self,
        held: Option<(HoldReason, Duration)>,
        count: usize,
        others: usize,
        now: ClockReading,
    ) {
        if held == self.said {
            return;
        }
        self.said = held;
        let Some((why, until)) = held else {
            return;
        };
        let all = count + others;
        let kept = format!(
            "the files of {count} of {all} tasks are kept until {}, though their time is over by the wall clock",
            rfc3339(now.wall_at(until))
        );
        match why {
            HoldReason::NotSteady => log::info!("{kept}: it may yet be set"),
            HoldReason::Most => log::warn!(
                "{kept}: they are most of what there is, and it may be wrong; if it is, set it before then"
            ),
        }
    }
}

/// A time as people read it, as in `192h`.
fn whole_seconds(time: SignedDuration) -> String {
    let half = SignedDuration::from_millis(500);
    format!("{:#}", SignedDuration::from_secs((time + half).as_secs()))
}

fn signed(time: Duration) -> SignedDuration {
    SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX)
}
