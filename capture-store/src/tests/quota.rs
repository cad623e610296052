//! The quota: editions, accounts, the day's change, and many who ask at the same time.

use std::thread;

use jiff::{SignedDuration, tz::TimeZone};

use super::*;
use crate::access::Account;

fn rules(edition: Edition, tasks_per_day: Option<u32>, timezone: &str) -> CreateLimits {
    CreateLimits {
        quota: QuotaRules {
            edition,
            tasks_per_day,
            timezone: TimeZone::get(timezone).expect("a time zone"),
        },
        ..limits()
    }
}

/// Creates tasks until that is refused; how many there were, and the refusal. None is refused of 1000.
fn fill(lab: &Lab, limits: &CreateLimits, actor: &Actor) -> (u32, Option<Refusal>) {
    for count in 0..1000 {
        match lab.store.create(&task("a"), limits, actor) {
            Ok(Creation::New(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => return (count, Some(refusal)),
        }
    }
    (1000, None)
}

#[test]
fn editions() {
    for (edition, count) in [(Edition::Enterprise, 20), (Edition::Ultimate, 50)] {
        let lab = Lab::new();
        let limits = rules(edition, None, "UTC");
        match fill(&lab, &limits, &Actor::daemon()) {
            (
                created,
                Some(Refusal::Quota {
                    retry_after,
                    used,
                    limit,
                    edition: refused,
                }),
            ) => {
                assert_eq!(
                    (created, used, limit, refused),
                    (count, count, count, edition)
                );
                assert_eq!(retry_after, 12 * 3600);
            }
            other => panic!("{other:?}"),
        }
        let line = "daemon task.create a refused: quota";
        assert_eq!(lab.log().last().map(String::as_str), Some(line));
    }
    for edition in [Edition::Basic, Edition::Premium] {
        let lab = Lab::new();
        let refusal = fill(&lab, &rules(edition, None, "UTC"), &Actor::daemon());
        assert!(
            matches!(refusal, (0, Some(Refusal::NotAllowed(refused))) if refused == edition),
            "{refusal:?}"
        );
        assert_eq!(lab.log(), ["daemon task.create a refused: edition"]);
    }
}

#[test]
fn numbers_in_place_of_the_editions() {
    let lab = Lab::new();
    let actor = Actor::daemon();
    let few = rules(Edition::Ultimate, Some(3), "UTC");
    assert_eq!(fill(&lab, &few, &actor).0, 3);
    let quota = lab
        .store
        .quota(&actor.account, &few.quota)
        .expect("it is read");
    assert_eq!(
        (quota.limit, quota.used, quota.remaining),
        (Some(3), 3, Some(0))
    );
    // A basic edition with a number of its own may, and a number of 0 may not.
    assert_eq!(
        fill(&lab, &rules(Edition::Basic, Some(5), "UTC"), &actor).0,
        2
    );
    let none = fill(&lab, &rules(Edition::Unlimited, Some(0), "UTC"), &actor);
    assert!(
        matches!(none, (0, Some(Refusal::NotAllowed(_)))),
        "{none:?}"
    );
    // What is left cannot be less than nothing.
    let quota = lab
        .store
        .quota(&actor.account, &few.quota)
        .expect("it is read");
    assert_eq!((quota.used, quota.remaining), (5, Some(0)));
    let unlimited = rules(Edition::Unlimited, None, "UTC");
    let quota = lab
        .store
        .quota(&actor.account, &unlimited.quota)
        .expect("it is read");
    assert_eq!((quota.limit, quota.remaining), (None, None));
    assert!(lab.store.create(&task("a"), &unlimited, &actor).is_ok());
}

#[test]
fn as_json() {
    let lab = Lab::new();
    lab.create();
    let quota = lab
        .store
        .quota(&Account::local(), &limits().quota)
        .expect("it is read");
    let json = serde_json::to_string(&quota).expect("it is written");
    assert_eq!(
        json,
        r#"{"account":"local","edition":"ultimate","limit":50,"used":1,"remaining":49,"resets_at":"2026-11-26T00:00:00.000Z"}"#
    );
}

#[test]
fn each_account_has_its_own() {
    let lab = Lab::new();
    let limits = rules(Edition::Enterprise, None, "UTC");
    assert_eq!(fill(&lab, &limits, &Actor::daemon()).0, 20);
    let other = Actor {
        account: Account::new("ci").expect("a name"),
        ..Actor::daemon()
    };
    assert_eq!(fill(&lab, &limits, &other).0, 20);
}

#[test]
fn what_is_deleted_counts_and_what_is_refused_does_not() {
    let lab = Lab::new();
    let actor = Actor::daemon();
    let record = lab.create();
    let deletion = lab
        .store
        .delete(&ulid(&record), &actor)
        .expect("it is deleted");
    assert_eq!(deletion, Deletion::Deleted);
    let tight = CreateLimits {
        disk_budget: 0,
        ..limits()
    };
    let refused = lab.store.create(&task("a"), &tight, &actor);
    assert!(
        matches!(refused, Err(Refusal::Budget { .. })),
        "{refused:?}"
    );
    let quota = lab
        .store
        .quota(&actor.account, &limits().quota)
        .expect("it is read");
    assert_eq!(quota.used, 1);
}

/// Moments before and after midnight in various places: the day's last second still has the old count, the
/// next has a new one. The times in UTC are written out by hand from the zones' rules.
#[test]
fn the_day_changes_at_midnight_of_the_zone() {
    for (zone, noon, last, first, hours) in [
        (
            "UTC",
            "2026-11-25T12:00:00Z",
            "2026-11-25T23:59:59.999Z",
            "2026-11-26T00:00:00Z",
            24,
        ),
        // UTC+1, and midnight is at 23:00 UTC.
        (
            "Europe/Berlin",
            "2026-11-25T11:00:00Z",
            "2026-11-25T22:59:59.999Z",
            "2026-11-25T23:00:00Z",
            24,
        ),
        // The day in spring that has no 02:00 ends 23 hours after it began, at 22:00 UTC.
        (
            "Europe/Berlin",
            "2026-03-29T00:30:00Z",
            "2026-03-29T21:59:59.999Z",
            "2026-03-29T22:00:00Z",
            23,
        ),
        // The day in autumn that has 02:00 twice.
        (
            "Europe/Berlin",
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:59.999Z",
            "2026-10-25T23:00:00Z",
            25,
        ),
        // UTC+5:30.
        (
            "Asia/Kolkata",
            "2026-11-25T12:00:00Z",
            "2026-11-25T18:29:59.999Z",
            "2026-11-25T18:30:00Z",
            24,
        ),
        // 8 September 2024 began at 01:00, as clocks were put on at midnight; -04 before, -03 after.
        (
            "America/Santiago",
            "2024-09-07T16:00:00Z",
            "2024-09-08T03:59:59.999Z",
            "2024-09-08T04:00:00Z",
            24,
        ),
        (
            "America/Santiago",
            "2024-09-08T04:00:00Z",
            "2024-09-09T02:59:59.999Z",
            "2024-09-09T03:00:00Z",
            23,
        ),
        // 30 December 2011 was left out altogether.
        (
            "Pacific/Apia",
            "2011-12-29T22:00:00Z",
            "2011-12-30T09:59:59.999Z",
            "2011-12-30T10:00:00Z",
            24,
        ),
    ] {
        let lab = Lab::new();
        let one = rules(Edition::Ultimate, Some(1), zone);
        let create = || lab.store.create(&task("a"), &one, &Actor::daemon());
        lab.clock.set(noon);
        assert!(create().is_ok(), "{zone} {noon}");
        lab.clock.set(last);
        match create() {
            Err(Refusal::Quota { retry_after, .. }) => assert_eq!(retry_after, 1, "{zone} {last}"),
            other => panic!("{zone} {last}: {other:?}"),
        }
        let quota = lab
            .store
            .quota(&Account::local(), &one.quota)
            .expect("it is read");
        let first: Timestamp = first.parse().expect("a time");
        assert_eq!(quota.resets_at, first, "{zone}");
        lab.clock
            .set(&(first - SignedDuration::from_hours(hours)).to_string());
        let early = lab
            .store
            .quota(&Account::local(), &one.quota)
            .expect("it is read");
        assert_eq!(
            (early.resets_at, early.used),
            (first, 1),
            "{zone}: the day's first moment"
        );
        lab.clock.set(&first.to_string());
        assert!(create().is_ok(), "{zone} {first}");
    }
}

#[test]
fn counts_of_old_days_are_forgotten() {
    let lab = Lab::new();
    let actor = Actor::daemon();
    for _ in 0..10 {
        assert_eq!(fill(&lab, &limits(), &actor).0, 50);
        lab.clock.advance(SignedDuration::from_hours(24));
    }
    let count: i64 = lab
        .raw()
        .query_row("SELECT count(*) FROM creations", [], |row| row.get(0))
        .expect("it is read");
    assert!(count <= 200, "{count} creations are kept");
}

/// A hundred threads; one in ten has connections of its own, as another process has.
#[test]
fn a_hundred_at_the_same_time_get_fifty() {
    let lab = Lab::new();
    let barrier = std::sync::Barrier::new(100);
    let answers: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|n| {
                let (lab, barrier) = (&lab, &barrier);
                scope.spawn(move || {
                    let store = match n % 10 {
                        0 => open(&lab.path(), &lab.clock),
                        _ => lab.store.clone(),
                    };
                    barrier.wait();
                    store.create(&task("a"), &limits(), &Actor::daemon())
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("no panic");
        threads.into_iter().map(join).collect()
    });
    let created = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(created, 50);
    for answer in answers {
        match answer {
            Ok(Creation::New(_)) => {}
            Err(Refusal::Quota { used, limit, .. }) => assert_eq!((used, limit), (50, 50)),
            other => panic!("{other:?}"),
        }
    }
    let tasks: i64 = lab
        .raw()
        .query_row("SELECT count(*) FROM tasks", [], |row| row.get(0))
        .expect("it is read");
    assert_eq!(tasks, 50);
    assert_eq!(lab.log().len(), 100);
}
