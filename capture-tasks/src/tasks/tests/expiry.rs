//! Files whose time is over, and clocks that are wrong about it.

use capture_store::clock::Clock as _;
use capture_task::task::{Counters, FileRecord};

use super::*;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Longer than expiry waits after a start, and after a step.
const SETTLED: SignedDuration = SignedDuration::from_mins(6);

/// Longer than a clock must go on undisturbed to be believed whatever it says.
const CONFIRMED: SignedDuration = SignedDuration::from_hours(7);

/// What a daemon leaves that has ended: a task with a file for each of these times after which it is to go.
pub(super) async fn leave(
    setup: &Setup,
    kept: impl IntoIterator<Item = SignedDuration>,
) -> Vec<TaskId> {
    let tasks = setup.tasks();
    let store = setup.store();
    let mut left = Vec::new();
    for kept in kept {
        let id = create_at(&tasks, json!({}), tomorrow(setup)).await;
        let at = setup.clock.now();
        let file = FileRecord {
            index: 0,
            name: "capture.pcapng".to_owned(),
            size: 4,
            packets: 0,
            complete: true,
            sha256: None,
        };
        let ended = Change::Ended(TaskEnd {
            at,
            reason: StopReason::Duration,
            error: None,
            counters: Counters::default(),
            verdict: Some("complete".to_owned()),
            files: vec![file],
            expires_at: at + kept,
        });
        for change in [Change::Started { at }, ended] {
            store.update(&id, &change).expect("it may");
        }
        fs::create_dir(setup.captures(&id)).expect("a directory");
        fs::write(setup.captures(&id).join("capture.pcapng"), "file").expect("a file");
        left.push(id);
    }
    end(tasks).await;
    left
}

/// After one day, after two, and so on.
fn days(count: i32) -> impl Iterator<Item = SignedDuration> {
    (1..=count).map(|day| DAY * day)
}

impl Setup {
    /// Which of these have their file still.
    fn there(&self, ids: &[TaskId]) -> Vec<usize> {
        let there = ids.iter().enumerate();
        let there = there.filter(|(_, id)| self.captures(id).exists());
        there.map(|(index, _)| index).collect()
    }

    /// Time passes, and it is looked for what is over.
    fn pass(&self, tasks: &Tasks, time: SignedDuration) {
        self.clock.advance(time);
        tasks.0.sweep();
    }

    /// The clock is set, and that is seen.
    fn set_by(&self, tasks: &Tasks, step: SignedDuration) {
        self.clock.step(step);
        tasks.0.sweep();
    }
}

fn all_but(gone: usize, count: usize) -> Vec<usize> {
    (gone..count).collect()
}

#[test]
fn what_was_over_while_no_daemon_ran_goes_minutes_after_the_start() {
    let setup = Setup::new("");
    block_on(async {
        let ids = leave(&setup, days(10)).await;
        setup.clock.advance(DAY * 3);
        let tasks = setup.tasks();
        tasks.0.sweep();
        assert_eq!(setup.there(&ids), all_but(0, 10));
        setup.pass(&tasks, SignedDuration::from_mins(4));
        assert_eq!(setup.there(&ids), all_but(0, 10));
        setup.pass(&tasks, SETTLED);
        assert_eq!(setup.there(&ids), all_but(3, 10));
        // From then on as their time comes.
        setup.pass(&tasks, DAY);
        assert_eq!(setup.there(&ids), all_but(4, 10));
        end(tasks).await;
    });
}

#[test]
fn a_clock_that_is_set_ahead_and_back_removes_nothing() {
    let setup = Setup::new("");
    block_on(async {
        let ids = leave(&setup, days(10)).await;
        let tasks = setup.tasks();
        setup.pass(&tasks, SETTLED);
        setup.set_by(&tasks, DAY * 3);
        assert_eq!(setup.there(&ids), all_but(0, 10));
        // Not even when it stays so for hours.
        for _ in 0..5 {
            setup.pass(&tasks, HOUR);
        }
        assert_eq!(setup.there(&ids), all_but(0, 10));
        setup.set_by(&tasks, DAY * -3);
        setup.pass(&tasks, SETTLED);
        assert_eq!(setup.there(&ids), all_but(0, 10));
        // Back and right again.
        setup.set_by(&tasks, DAY * -300);
        setup.pass(&tasks, SETTLED);
        setup.set_by(&tasks, DAY * 300);
        setup.pass(&tasks, SETTLED);
        assert_eq!(setup.there(&ids), all_but(0, 10));
        setup.pass(&tasks, DAY);
        assert_eq!(setup.there(&ids), all_but(1, 10));

        // One that stays moves the time, and takes nothing from it.
        let expires_at = async |index: usize| {
            let expires_at = get(&tasks, ids[index]).await.expires_at.expect("a time");
            expires_at.parse::<Timestamp>().expect("a time")
        };
        let before = expires_at(1).await;
        setup.set_by(&tasks, DAY);
        setup.pass(&tasks, SETTLED);
        assert_eq!(expires_at(1).await, before + DAY);
        setup.pass(&tasks, CONFIRMED);
        assert_eq!(setup.there(&ids), all_but(1, 10));
        setup.pass(&tasks, DAY);
        assert_eq!(setup.there(&ids), all_but(2, 10));
        end(tasks).await;
    });
}

#[test]
fn a_start_with_a_wrong_clock_does_not_remove_everything() {
    let setup = Setup::new("");
    block_on(async {
        let ids = leave(&setup, days(40)).await;
        setup.clock.step(DAY * 1000);
        let tasks = setup.tasks();
        tasks.0.sweep();
        setup.pass(&tasks, SETTLED);
        setup.pass(&tasks, HOUR);
        assert_eq!(setup.there(&ids), all_but(0, 40));
        setup.set_by(&tasks, DAY * -1000);
        setup.pass(&tasks, CONFIRMED);
        assert_eq!(setup.there(&ids), all_but(0, 40));
        end(tasks).await;

        // Where it is right, they go after hours, the oldest first, and never all at once.
        setup.clock.advance(DAY * 50);
        let tasks = setup.tasks();
        setup.pass(&tasks, SETTLED);
        assert_eq!(setup.there(&ids), all_but(0, 40));
        setup.pass(&tasks, CONFIRMED);
        assert_eq!(setup.there(&ids), all_but(32, 40));
        setup.pass(&tasks, SignedDuration::from_secs(30));
        assert_eq!(setup.there(&ids), all_but(40, 40));
        end(tasks).await;
    });
}

/// A machine without a clock of its own begins in 1970, and a task ends before NTP knows the time.
#[test]
fn the_time_of_files_counts_from_their_end_whatever_the_clock_showed_then() {
    let setup = Setup::new("retention = \"7d\"");
    block_on(async {
        setup.clock.set("1970-01-02T00:00:00Z");
        let tasks = setup.tasks();
        let id = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        tasks.stop(id, &Actor::daemon()).await.expect("it stops");
        fs::create_dir(setup.captures(&id)).expect("a directory");
        let expires_at = async |tasks: &Tasks| get(tasks, id).await.expires_at.expect("a time");
        assert_eq!(expires_at(&tasks).await, "1970-01-09T00:00:00.000Z");
        setup.clock.advance(SignedDuration::from_secs(30));
        setup.clock.set("2026-03-01T12:00:00Z");
        tasks.0.sweep();
        assert_eq!(setup.there(&[id]), [0]);
        // Also whoever does not see the step, as a daemon that is killed now and started again.
        assert_eq!(expires_at(&tasks).await, "2026-03-08T11:59:30.000Z");
        setup.pass(&tasks, CONFIRMED);
        assert_eq!(setup.there(&[id]), [0]);
        end(tasks).await;
        let tasks = setup.tasks();
        setup.pass(&tasks, CONFIRMED);
        setup.pass(&tasks, DAY * 6);
        assert_eq!(setup.there(&[id]), [0]);
        setup.pass(&tasks, DAY);
        assert_eq!(setup.there(&[id]), [0; 0]);
        end(tasks).await;
    });
}

/// The same machine, where an earlier daemon captured in 1970 too.
#[test]
fn what_an_earlier_daemon_left_in_1970_keeps_its_time() {
    // NTP knows the time at once, or after days without a network.
    for until_set in [SignedDuration::from_secs(30), DAY * 2] {
        let setup = Setup::new("");
        block_on(async {
            setup.clock.set("1970-01-02T00:00:00Z");
            let ids = leave(&setup, [DAY * 7; 3]).await;
            let tasks = setup.tasks();
            setup.pass(&tasks, SignedDuration::from_secs(1));
            setup.pass(&tasks, until_set);
            setup.clock.set("2026-03-01T12:00:00Z");
            tasks.0.sweep();
            setup.pass(&tasks, SETTLED);
            setup.pass(&tasks, CONFIRMED);
            setup.pass(&tasks, DAY * 4);
            assert_eq!(setup.there(&ids), all_but(0, 3));
            setup.pass(&tasks, DAY * 3);
            assert_eq!(setup.there(&ids), all_but(3, 3));
            end(tasks).await;
        });
    }
}

/// It begins in 1970 each time, and what was captured while it knew the time goes all the same.
#[test]
fn a_start_in_1970_does_not_keep_for_ever_what_is_over() {
    let setup = Setup::new("");
    block_on(async {
        let ids = leave(&setup, days(10)).await;
        setup.clock.advance(DAY * 3);
        let now = setup.clock.now().to_string();
        setup.clock.set("1970-01-01T00:00:00Z");
        let tasks = setup.tasks();
        setup.pass(&tasks, SignedDuration::from_secs(30));
        setup.clock.set(&now);
        tasks.0.sweep();
        setup.pass(&tasks, SETTLED);
        assert_eq!(setup.there(&ids), all_but(3, 10));
        end(tasks).await;
    });
}

/// The clock was ahead when a task ended, and is right since: the files go when their time has passed, and not
/// years later.
#[test]
fn files_go_when_their_time_has_passed_though_the_clock_was_ahead() {
    let setup = Setup::new("retention = \"7d\"");
    block_on(async {
        let tasks = setup.tasks();
        setup.pass(&tasks, SETTLED);
        setup.set_by(&tasks, DAY * 10_000);
        setup.pass(&tasks, SETTLED);
        let id = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        tasks.stop(id, &Actor::daemon()).await.expect("it stops");
        fs::create_dir(setup.captures(&id)).expect("a directory");
        setup.set_by(&tasks, DAY * -10_000);
        let now = setup.clock.now();
        setup.pass(&tasks, CONFIRMED);
        let record = get(&tasks, id).await;
        let expires_at = record.expires_at.as_deref().map(str::parse::<Timestamp>);
        assert_eq!(expires_at.expect("a time").expect("a time"), now + DAY * 7);
        setup.pass(&tasks, DAY * 6);
        assert_eq!(setup.there(&[id]), [0]);
        setup.pass(&tasks, DAY);
        assert_eq!(setup.there(&[id]), [0; 0]);
        end(tasks).await;
    });
}
