//! The store on a file system without room: what the reserve is for, and what waits.

use capture_task::task::StopReason;

use super::*;

/// Of what ended and what is gone memory knows first.
#[test]
fn lists_and_totals_are_as_memory_knows() {
    let lab = Lab::new();
    let records: Vec<_> = (0..4).map(|_| lab.create()).collect();
    let ids: Vec<_> = records.iter().map(ulid).collect();
    for record in &records[..2] {
        update(&lab, record, started(&lab)).expect("it starts");
    }
    update(&lab, &records[0], ended(lab.clock.now(), &[7])).expect("it ends");
    let known = Overlay {
        ended: [
            (ids[1], (StopReason::User.final_state(), 100)),
            (ids[2], (StopReason::Error.final_state(), 0)),
        ]
        .into(),
        removed: vec![ids[0]],
    };
    let found = |state: &str| {
        let filter = TaskFilter {
            states: state
                .split_terminator(',')
                .map(|state| from_word(state).expect("a state"))
                .collect(),
            ..TaskFilter::default()
        };
        let page = lab.store.tasks(&filter, &known).expect("a page");
        page.tasks.iter().map(|task| task.id).collect::<Vec<_>>()
    };
    assert_eq!(found(""), [ids[3], ids[2], ids[1]]);
    assert_eq!(found("pending"), [ids[3]]);
    assert!(found("running").is_empty());
    assert_eq!(found("completed"), [ids[1]]);
    assert_eq!(found("failed"), [ids[2]]);
    assert_eq!(found("failed,pending"), [ids[3], ids[2]]);
    let totals = lab.store.totals(&known).expect("they are read");
    let expected = TaskTotals {
        pending: 1,
        completed: 1,
        failed: 1,
        stored_bytes: 100,
        reserved_bytes: 1 << 20,
        ..TaskTotals::default()
    };
    assert_eq!(totals, expected);
    let one = TaskFilter {
        limit: 1,
        ..TaskFilter::default()
    };
    let page = lab.store.tasks(&one, &known).expect("a page");
    assert!(page.next_cursor.is_some());
}

mod privileged {
    use std::fs;

    use capture_tests::small_disk::SmallDisk;

    use super::super::*;

    const RESERVE: u64 = 512 << 10;

    /// A store alone on a disk of 8 MiB.
    fn store_on(disk: &SmallDisk) -> (Store, Arc<FakeClock>) {
        let clock = FakeClock::at("2026-11-25T12:00:00Z");
        (open(&disk.path().join("state.db"), &clock), clock)
    }

    fn reserve(disk: &SmallDisk) -> u64 {
        let reserve = fs::metadata(disk.path().join("state.db-reserve"));
        reserve.expect("the reserve").len()
    }

    fn event(outcome: Outcome<'_>) -> AuditEvent<'_> {
        AuditEvent {
            action: Action::FileDownload,
            object: "a file",
            outcome,
        }
    }

    /// Takes what the reserve is for until nothing is left of it.
    fn use_up(disk: &SmallDisk, store: &Store) -> Failure {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(disk.path().join("state.db-reserve"));
        let file = file.expect("the reserve");
        for _ in 0..1000 {
            file.set_len(0).expect("it is ours");
            disk.fill();
            if let Err(failure) = store.audit(&Actor::daemon().caller, event(Outcome::Done)) {
                return failure;
            }
        }
        panic!("the disk is never full");
    }

    #[test]
    fn the_reserve_is_for_what_cannot_wait_and_comes_back() {
        let disk = SmallDisk::new("8m");
        let (store, _) = store_on(&disk);
        let record = new_record(store.create(&task("a"), &limits(), &Actor::daemon()));
        assert_eq!(reserve(&disk), RESERVE);
        assert!(store.is_writable());
        disk.fill();
        let refused = store.create(&task("b"), &limits(), &Actor::daemon());
        let Err(Refusal::Broken(Failure::NoSpace(error))) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(
            error.message,
            format!(
                "no space is left on {}; delete tasks or free some",
                disk.path().display()
            )
        );
        let caller = Actor::daemon().caller;
        let refused = store.audit(&caller, event(Outcome::Refused("not found")));
        assert!(matches!(refused, Err(Failure::NoSpace(_))), "{refused:?}");
        assert_eq!(reserve(&disk), RESERVE, "that can wait");
        assert!(!store.is_writable());

        let at = "2026-11-25T12:00:01Z".parse().expect("a time");
        let id = ulid(&record);
        store
            .update(&id, &Change::Started { at })
            .expect("it starts");
        assert_eq!(reserve(&disk), RESERVE - (128 << 10));
        store.update(&id, &ended(at, &[10])).expect("it ends");
        store.audit(&caller, event(Outcome::Done)).expect("a line");
        let deleted = store.delete(&id, &Actor::daemon()).expect("it is deleted");
        assert_eq!(deleted, Deletion::Deleted);
        // What is free now is kept for more of that.
        let refused = store.create(&task("b"), &limits(), &Actor::daemon());
        assert!(
            matches!(refused, Err(Refusal::Broken(Failure::NoSpace(_)))),
            "{refused:?}"
        );
        assert!(!store.is_writable());
        disk.clear();
        store.catch_up().expect("there is room");
        assert_eq!(reserve(&disk), RESERVE);
        assert!(store.is_writable());
        new_record(store.create(&task("b"), &limits(), &Actor::daemon()));
    }

    #[test]
    fn a_reserve_takes_not_the_last_room() {
        let disk = SmallDisk::new("8m");
        let (store, _) = store_on(&disk);
        let used = use_up(&disk, &store);
        assert!(matches!(used, Failure::NoSpace(_)), "{used:?}");
        let filler = disk.path().join("filler");
        let size = fs::metadata(&filler).expect("the filler").len();
        let filler = fs::OpenOptions::new().write(true).open(filler);
        let filler = filler.expect("the filler");
        filler.set_len(size - RESERVE).expect("it is ours");
        store.catch_up().expect("there is room");
        assert_eq!(reserve(&disk), 0, "as much must be left again");
        filler.set_len(size - 3 * RESERVE).expect("it is ours");
        store.catch_up().expect("there is room");
        assert_eq!(reserve(&disk), RESERVE);
    }

    #[test]
    fn lines_wait_in_order_until_they_can_be_written() {
        let disk = SmallDisk::new("8m");
        let (store, clock) = store_on(&disk);
        let actor = Actor::daemon();
        use_up(&disk, &store);
        let before = disk.path().join("state.db");
        assert!(before.exists());
        for second in 1..=3 {
            clock.set(&format!("2026-11-25T12:00:0{second}Z"));
            let object = format!("file {second}");
            let event = AuditEvent {
                object: &object,
                ..event(Outcome::Done)
            };
            store.audit_soon(&actor.caller, event).expect("it waits");
            // Nothing was done.
            let refused = AuditEvent {
                outcome: Outcome::Refused("not found"),
                ..event
            };
            store.audit_soon(&actor.caller, refused).expect("no line");
        }
        store.write_late().expect_err("the disk is full");
        clock.set("2026-11-25T13:00:00Z");
        disk.clear();
        store.catch_up().expect("there is room");
        let lines = store.audit_list(&AuditFilter::default(), &actor);
        let lines = lines.expect("the log");
        let late: Vec<_> = lines
            .iter()
            .rev()
            .filter(|line| line.object.starts_with("file "))
            .map(|line| format!("{} {} {}", line.at, line.object, line.outcome))
            .collect();
        let expected = [1, 2, 3].map(|second| {
            format!(
                "2026-11-25T13:00:00Z file {second} done (at 2026-11-25T12:00:0{second}.000Z, written later)"
            )
        });
        assert_eq!(late, expected);
        assert!(matches!(
            store.audit_verify(&actor),
            Ok(Chain::Verified { .. })
        ));
        assert_eq!(store.take_late(), [""; 0]);
    }

    #[test]
    fn lines_that_wait_are_bounded() {
        let disk = SmallDisk::new("8m");
        let (store, _) = store_on(&disk);
        use_up(&disk, &store);
        let caller = Actor::daemon().caller;
        for _ in 0..1000 {
            let kept = store.audit_soon(&caller, event(Outcome::Done));
            kept.expect("it waits");
        }
        let refused = store.audit_soon(&caller, event(Outcome::Done));
        assert!(matches!(refused, Err(Failure::NoSpace(_))), "{refused:?}");
        assert_eq!(store.take_late().len(), 1000);
    }

    #[test]
    fn a_store_opens_on_a_full_disk_by_its_reserve() {
        let disk = SmallDisk::new("8m");
        let path = disk.path().join("state.db");
        let (store, clock) = store_on(&disk);
        let record = new_record(store.create(&task("a"), &limits(), &Actor::daemon()));
        drop(store);
        disk.fill();
        let store = open(&path, &clock);
        assert_eq!(reserve(&disk), RESERVE - (128 << 10));
        let known = store.task(&ulid(&record)).expect("it is read");
        assert_eq!(known.expect("it is there").record, record);
        drop(store);
        fs::write(disk.path().join("state.db-reserve"), "").expect("it is ours");
        disk.fill();
        let clock: Arc<dyn Clock> = clock;
        let refused = Store::open(&path, clock).expect_err("nothing is left");
        let expected = format!(
            "{}: no space is left on {}, and what is kept for the database is used up",
            path.display(),
            disk.path().display()
        );
        assert!(refused.message.starts_with(&expected), "{refused}");
    }
}
