//! The creation of tasks: keys and the disk budget. The quota has a file of its own.

use capture_task::task::State;
use jiff::SignedDuration;

use super::*;
use crate::access::Account;

fn with_key(name: &str, key: &str) -> NewTask {
    NewTask {
        key: IdempotencyKey::new(key),
        ..task(name)
    }
}

#[test]
fn a_new_task_is_what_was_asked_for() {
    let lab = Lab::new();
    let new = NewTask {
        start_at: "2026-11-25T13:00:00Z".parse().ok(),
        ..task("web \"traffic\" é")
    };
    let record = new_record(lab.store.create(&new, &limits(), &Actor::daemon()));
    assert_eq!(record.name, new.name);
    assert_eq!(record.spec, new.spec);
    assert_eq!(record.state, State::Pending);
    assert_eq!(record.created_at, "2026-11-25T12:00:00.000Z");
    assert_eq!(record.start_at.as_deref(), Some("2026-11-25T13:00:00.000Z"));
    assert_eq!(ulid(&record).timestamp_ms(), 1_795_608_000_000);

    let task = stored(&lab, &record);
    assert_eq!(task.record, record);
    assert_eq!(task.id, ulid(&record));
    assert_eq!(task.account, Account::local());
    assert_eq!(task.start_at, new.start_at);
    assert_eq!(task.held_bytes, 1 << 20);
    assert_eq!(
        lab.log(),
        [format!(
            "daemon task.create {} for local on lo done",
            record.id
        )]
    );
    assert_eq!(lab.store.task(&TaskId::nil()).expect("it is read"), None);
}

#[test]
fn the_same_key_gives_the_first_answer() {
    let lab = Lab::new();
    let actor = Actor::daemon();
    let create = |new: &NewTask| lab.store.create(new, &limits(), &actor);
    let first = new_record(create(&with_key("a", "k")));
    update(&lab, &first, started(&lab)).expect("it starts");
    assert_eq!(
        create(&with_key("a", "k")).expect("repeated"),
        Creation::Repeated(first.clone())
    );

    // Another body, another time of start: another request.
    let later = NewTask {
        start_at: "2026-11-25T13:00:00Z".parse().ok(),
        ..with_key("a", "k")
    };
    for other in [with_key("b", "k"), later] {
        let refused = create(&other);
        assert!(matches!(refused, Err(Refusal::KeyReused)), "{refused:?}");
    }
    // Another key, none, another account: another task.
    new_record(create(&with_key("a", "K")));
    new_record(create(&task("a")));
    let other = Actor {
        account: Account::new("ci").expect("a name"),
        ..actor.clone()
    };
    new_record(lab.store.create(&with_key("a", "k"), &limits(), &other));

    // The same where a request is not valid any more, and nothing comes to be.
    let key = IdempotencyKey::new("k").expect("a key");
    let answer = |new: &NewTask| {
        let account = &actor.account;
        let answer = lab
            .store
            .first_answer(&key, &new.spec, new.start_at, account);
        answer.expect("it is read")
    };
    assert_eq!(answer(&task("a")), Some(first.clone()));
    assert_eq!(answer(&task("b")), None);

    let quota = lab
        .store
        .quota(&actor.account, &limits().quota)
        .expect("it is read");
    assert_eq!(quota.used, 3);
    let log = lab.log();
    assert_eq!(
        log[1],
        "daemon task.create b refused: idempotency key reused"
    );
    assert_eq!(log.len(), 6, "a repetition does nothing");
}

#[test]
fn a_key_is_good_for_a_day_and_makes_no_deleted_task_look_alive() {
    let lab = Lab::new();
    let actor = Actor::daemon();
    let create = |new: &NewTask| lab.store.create(new, &limits(), &actor);
    let first = new_record(create(&with_key("a", "k")));
    lab.clock
        .advance(SignedDuration::from_hours(24) - SignedDuration::from_millis(1));
    assert_eq!(
        create(&with_key("a", "k")).expect("repeated"),
        Creation::Repeated(first.clone())
    );
    lab.store
        .delete(&ulid(&first), &actor)
        .expect("it is deleted");
    let refused = create(&with_key("a", "k"));
    assert!(
        matches!(&refused, Err(Refusal::KeyOfRemoved(id)) if *id == first.id),
        "{refused:?}"
    );
    let key = IdempotencyKey::new("k").expect("a key");
    let answer = lab
        .store
        .first_answer(&key, &task("a").spec, None, &actor.account);
    assert_eq!(answer.expect("it is read"), None);
    lab.clock.advance(SignedDuration::from_millis(1));
    let second = new_record(create(&with_key("b", "k")));
    assert_ne!(second.id, first.id);
    let keys: i64 = lab
        .raw()
        .query_row("SELECT count(*) FROM idempotency_keys", [], |row| {
            row.get(0)
        })
        .expect("it is read");
    assert_eq!(keys, 1);
}

#[test]
fn a_refused_request_may_come_again_with_its_key() {
    let lab = Lab::new();
    let none = CreateLimits {
        disk_budget: 0,
        ..limits()
    };
    let new = with_key("a", "k");
    let refused = lab.store.create(&new, &none, &Actor::daemon());
    assert!(
        matches!(refused, Err(Refusal::Budget { .. })),
        "{refused:?}"
    );
    new_record(lab.store.create(&new, &limits(), &Actor::daemon()));
}

#[test]
fn twenty_at_the_same_time_with_one_key_are_one_task() {
    let lab = Lab::new();
    let ids: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    let store = open(&lab.path(), &lab.clock);
                    match store.create(&with_key("a", "k"), &limits(), &Actor::daemon()) {
                        Ok(Creation::New(record) | Creation::Repeated(record)) => record.id,
                        Err(refusal) => panic!("{refusal:?}"),
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert_eq!(ids.len(), 1);
}

#[test]
fn what_is_a_key() {
    for text in [
        "k",
        "8e03978e-40d5-43dd-bc93-6894a57f9324",
        &"k".repeat(255),
    ] {
        assert!(IdempotencyKey::new(text).is_some(), "{text}");
    }
    for text in ["", "a b", "a\n", "é", &"k".repeat(256)] {
        assert!(IdempotencyKey::new(text).is_none(), "{text:?}");
    }
}

#[test]
fn a_task_must_fit_into_what_is_left_of_the_budget() {
    let lab = Lab::new();
    let actor = Actor::daemon();
    let budget = CreateLimits {
        disk_budget: 1000,
        ..limits()
    };
    let create = |bytes| {
        let new = NewTask {
            max_file_bytes: bytes,
            ..task("a")
        };
        lab.store.create(&new, &budget, &actor)
    };
    let available = |bytes| match create(bytes) {
        Err(Refusal::Budget {
            needed,
            available,
            budget: 1000,
        }) if needed == bytes => available,
        other => panic!("{other:?}"),
    };
    assert_eq!(available(1001), 1000);
    // What others may write is not set aside for them.
    let first = new_record(create(600));
    let second = new_record(create(1000));
    update(&lab, &first, started(&lab)).expect("it starts");
    update(&lab, &first, Change::Stopping).expect("it stops");
    assert_eq!(available(1001), 1000);
    // One that has ended holds what it wrote.
    update(&lab, &first, ended(lab.clock.now(), &[100, 150])).expect("it ends");
    assert_eq!(available(1000), 750);
    let totals = lab
        .store
        .totals(&Overlay::default())
        .expect("they are read");
    assert_eq!((totals.stored_bytes, totals.reserved_bytes), (250, 1000));
    assert_eq!((totals.pending, totals.completed), (1, 1));

    // So does one that runs.
    let writing = CreateLimits {
        used_bytes: 900,
        evicts: false,
        full_disk: None,
        ..budget.clone()
    };
    let new = NewTask {
        max_file_bytes: 101,
        ..task("a")
    };
    let refused = lab.store.create(&new, &writing, &actor);
    assert!(
        matches!(refused, Err(Refusal::Budget { available: 100, .. })),
        "{refused:?}"
    );

    // What has ended can make room, and what runs cannot.
    let evicting = CreateLimits {
        used_bytes: 900,
        evicts: true,
        ..writing
    };
    let left = lab.store.budget_left(&evicting).expect("it is read");
    assert_eq!(left, 350);

    // Retention and deletion give back.
    let at = lab.clock.now();
    update(&lab, &first, Change::FilesRemoved { at }).expect("they are removed");
    lab.store
        .delete(&ulid(&second), &actor)
        .expect("it is deleted");
    new_record(create(1000));

    let line = "daemon task.create a refused: disk budget";
    assert!(lab.log().iter().any(|entry| entry == line));
}

#[test]
fn sizes_beyond_all_disks() {
    let lab = Lab::new();
    let huge = |max_file_bytes| NewTask {
        max_file_bytes,
        ..task("a")
    };
    let all = CreateLimits {
        disk_budget: u64::MAX,
        ..limits()
    };
    let create = |bytes| lab.store.create(&huge(bytes), &all, &Actor::daemon());
    assert!(matches!(create(u64::MAX), Err(Refusal::Budget { .. })));
    new_record(create(i64::MAX as u64));
}
