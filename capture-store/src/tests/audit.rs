//! The audit log: nothing can be changed in it past its triggers, and where it was changed without them, that
//! is found.

use super::*;
use crate::access::{Caller, Origin, Who};

fn line(lab: &Lab, object: &str) {
    let event = AuditEvent {
        action: Action::FileDownload,
        object,
        outcome: Outcome::Done,
    };
    lab.store
        .audit(&Actor::daemon().caller, event)
        .expect("it is written");
}

/// A log of ten lines.
fn ten() -> Lab {
    let lab = Lab::new();
    for n in 0..10 {
        line(&lab, &format!("object {n}"));
    }
    lab
}

fn verify(lab: &Lab) -> Chain {
    lab.store
        .audit_verify(&Actor::command())
        .expect("it is read")
}

#[test]
fn who_what_when_from_where() {
    let lab = Lab::new();
    let caller = Caller {
        who: Who::Unknown,
        from: Origin::Tcp("[2001:db8::1]:5".parse().expect("an address")),
    };
    let event = AuditEvent {
        action: Action::Access,
        object: "POST /api/v1/tasks",
        outcome: Outcome::Refused("no token"),
    };
    lab.store.audit(&caller, event).expect("it is written");
    let lines = lab
        .store
        .audit_list(&AuditFilter::default(), &Actor::daemon())
        .expect("it is read");
    let line = &lines[0];
    assert_eq!(lines.len(), 1);
    assert_eq!(line.seq, 1);
    assert_eq!(line.at, lab.clock.now());
    assert_eq!(line.who, "unknown");
    assert_eq!(line.from, "tcp [2001:db8::1]:5");
    assert_eq!(line.action, "access");
    assert_eq!(line.object, "POST /api/v1/tasks");
    assert_eq!(line.outcome, "refused: no token");
    assert_eq!(line.previous, [0; 32]);
}

/// The hash as `sha256sum` has it, of bytes that are put together by hand.
#[test]
fn the_hash_is_what_is_said_of_it() {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let lab = Lab::new();
    line(&lab, "x");
    let mut bytes = b"capture-agent audit 1".to_vec();
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    bytes.extend(1_795_608_000_000_u64.to_be_bytes());
    for text in ["daemon", "internal", "file.download", "x", "done"] {
        bytes.extend([
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            u8::try_from(text.len()).expect("short"),
        ]);
        bytes.extend(text.as_bytes());
    }
    bytes.extend([0; 32]);
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("coreutils are there");
    child
        .stdin
        .take()
        .expect("its input")
        .write_all(&bytes)
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends").stdout;
    let expected = String::from_utf8_lossy(&output[..64]).into_owned();
    assert_eq!(
        verify(&lab),
        Chain::Verified {
            lines: 1,
            head: expected
        }
    );
}

#[test]
fn an_untouched_log_is_verified() {
    let lab = Lab::new();
    assert!(matches!(verify(&lab), Chain::Verified { lines: 0, .. }));
    // The verification is a line itself.
    assert!(matches!(verify(&lab), Chain::Verified { lines: 1, .. }));
    line(&lab, "x");
    assert!(matches!(verify(&lab), Chain::Verified { lines: 3, .. }));
}

#[test]
fn the_database_refuses_changes() {
    let lab = ten();
    let raw = lab.raw();
    for statement in [
        "UPDATE audit SET object = 'y' WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 10",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 12, at, who, origin, action, object, outcome, hash, hash FROM audit WHERE seq = 10",
        "INSERT INTO audit SELECT 11, at, who, origin, action, object, outcome, previous, hash FROM audit WHERE seq = 10",
        "INSERT OR REPLACE INTO audit SELECT seq, at, who, origin, action, 'y', outcome, previous, hash FROM audit WHERE seq = 3",
        "UPDATE audit_head SET seq = 9",
        "UPDATE audit_head SET seq = 11",
        "DELETE FROM audit_head",
    ] {
        let error = raw.execute(statement, []).expect_err(statement);
        assert!(
            error.to_string().contains("audit log"),
            "{statement}: {error}"
        );
    }
    assert!(matches!(verify(&lab), Chain::Verified { lines: 10, .. }));
}

/// Somebody who can write the file takes the triggers away first.
#[test]
fn what_was_changed_is_found() {
    for (statement, seq, why) in [
        ("UPDATE audit SET object = 'y' WHERE seq = 3", 3, "changed"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", 1, "changed"),
        (
            "UPDATE audit SET who = 'uid 0' WHERE seq = 10",
            10,
            "changed",
        ),
        (
            "UPDATE audit SET origin = 'command', who = 'x' WHERE seq = 4",
            4,
            "changed",
        ),
        (
            "UPDATE audit SET outcome = 'failed: x' WHERE seq = 5",
            5,
            "changed",
        ),
        (
            "UPDATE audit SET action = 'access' WHERE seq = 5",
            5,
            "changed",
        ),
        (
            "UPDATE audit SET hash = zeroblob(32) WHERE seq = 5",
            5,
            "changed",
        ),
        (
            "UPDATE audit SET previous = zeroblob(32) WHERE seq = 5",
            5,
            "does not follow",
        ),
        (
            "UPDATE audit SET object = CAST(x'ff' AS TEXT) WHERE seq = 5",
            5,
            "cannot be read",
        ),
        ("DELETE FROM audit WHERE seq = 1", 1, "missing"),
        ("DELETE FROM audit WHERE seq = 6", 6, "missing"),
        ("DELETE FROM audit WHERE seq >= 9", 9, "missing"),
        ("DELETE FROM audit", 1, "missing"),
        ("UPDATE audit SET seq = 0 WHERE seq = 1", 1, "missing"),
        (
            "UPDATE audit SET seq = seq + 100 WHERE seq > 8",
            9,
            "missing",
        ),
    ] {
        let lab = ten();
        let raw = lab.raw();
        for trigger in ["audit_keeps_lines", "audit_loses_none"] {
            raw.execute(&format!("DROP TRIGGER {trigger}"), [])
                .expect("it is there");
        }
        raw.execute(statement, []).expect(statement);
        match verify(&lab) {
            Chain::BrokenAt {
                seq: found,
                why: text,
            } => {
                assert_eq!(found, seq, "{statement}");
                assert!(text.contains(why), "{statement}: {text}");
            }
            chain @ Chain::Verified { .. } => panic!("{statement}: {chain:?}"),
        }
        // It stays found when the log goes on.
        line(&lab, "later");
        assert!(
            matches!(verify(&lab), Chain::BrokenAt { seq: found, .. } if found == seq),
            "{statement}"
        );
    }
}

/// Moving a character from one field to the next gives another hash.
#[test]
fn fields_are_told_apart() {
    let lab = ten();
    let raw = lab.raw();
    raw.execute("DROP TRIGGER audit_keeps_lines", [])
        .expect("it is there");
    raw.execute(
        "UPDATE audit SET action = action || 'o', object = substr(object, 2) WHERE seq = 2",
        [],
    )
    .expect("it is changed");
    assert!(matches!(verify(&lab), Chain::BrokenAt { seq: 2, .. }));
}

#[test]
fn texts_from_outside_are_one_line_and_not_endless() {
    let lab = Lab::new();
    line(&lab, "a\nb\u{1b}[31m\0é");
    line(&lab, &"é".repeat(1 << 20));
    let log = lab.log();
    assert_eq!(log[0], "daemon file.download a\\nb\\u{1b}[31m\\u{0}é done");
    assert_eq!(
        log[1],
        format!("daemon file.download {}… done", "é".repeat(256))
    );
    assert!(matches!(verify(&lab), Chain::Verified { lines: 2, .. }));
}

#[test]
fn a_page_at_a_time() {
    let lab = ten();
    let page = |limit, before| {
        let filter = AuditFilter {
            limit,
            before,
            ..AuditFilter::default()
        };
        let lines = lab
            .store
            .audit_list(&filter, &Actor::daemon())
            .expect("it is read");
        lines.iter().map(|line| line.seq).collect::<Vec<_>>()
    };
    assert_eq!(page(3, None), [10, 9, 8]);
    assert_eq!(page(3, Some(8)), [7, 6, 5]);
    assert_eq!(page(3, Some(2)), [1]);
    // Each look was a line, too.
    assert_eq!(page(1, None), [13]);
}

#[test]
fn lines_are_found_by_action_object_and_who() {
    let lab = Lab::new();
    let daemon = Actor::daemon();
    let command = Actor::command();
    for (action, object, actor) in [
        (Action::TaskCreate, "01A", &daemon),
        (Action::TaskStop, "01A", &command),
        (Action::FileDownload, "01A/0", &command),
        (Action::TaskCreate, "01B", &command),
        (Action::TokenCreate, "ci 01C", &daemon),
    ] {
        let event = AuditEvent::done(action, object);
        lab.store
            .audit(&actor.caller, event)
            .expect("it is written");
    }
    let found = |action: Option<&str>, object: Option<&str>, who: Option<&str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let filter = AuditFilter {
            action: owned(action),
            object: owned(object),
            who: owned(who),
            // The looks are lines, too.
            before: Some(6),
            ..AuditFilter::default()
        };
        let page = lab.store.audit_page(&filter, &daemon).expect("it is read");
        assert_eq!(page.next, None);
        page.lines.iter().map(|line| line.seq).collect::<Vec<_>>()
    };
    assert_eq!(found(None, None, None), [5, 4, 3, 2, 1]);
    assert_eq!(found(Some("task.create"), None, None), [4, 1]);
    assert_eq!(found(Some("task"), None, None), [4, 2, 1]);
    assert_eq!(found(Some("tas"), None, None), [0; 0]);
    assert_eq!(found(None, Some("01A"), None), [3, 2, 1]);
    assert_eq!(found(None, None, Some("uid")), [4, 3, 2]);
    assert_eq!(found(Some("task"), Some("01"), Some("daemon")), [1]);
    assert_eq!(found(Some("%"), Some("_"), None), [0; 0]);
}

#[test]
fn a_filter_that_nothing_passes_looks_at_so_many_lines_and_goes_on() {
    let lab = ten();
    let filter = AuditFilter {
        who: Some("nobody".to_owned()),
        ..AuditFilter::default()
    };
    let next = |before, most| {
        let filter = AuditFilter {
            before,
            ..filter.clone()
        };
        let page = crate::audit::page(&lab.raw(), &filter, most).expect("it is read");
        assert_eq!(page.lines, []);
        page.next
    };
    assert_eq!(next(None, 4), Some(7));
    assert_eq!(next(Some(7), 4), Some(3));
    assert_eq!(next(Some(3), 4), None);
    assert_eq!(next(Some(i64::MIN), 4), None);
}

#[test]
fn the_history_of_a_task_is_its_own_and_oldest_first() {
    let lab = Lab::new();
    let (one, other) = (lab.create(), lab.create());
    let id = ulid(&one);
    for object in [&*format!("{id}/0"), &one.id, &other.id, &format!("{id}0")] {
        line(&lab, object);
    }
    let page = |limit, after| {
        let page = lab.store.history(&id, limit, after).expect("it is read");
        let lines: Vec<_> = page.lines.iter().map(|line| line.seq).collect();
        (lines, page.next)
    };
    assert_eq!(page(0, 0), (vec![1, 3, 4], None));
    assert_eq!(page(2, 0), (vec![1, 3], Some(3)));
    assert_eq!(page(2, 3), (vec![4], None));
    let raw = lab.raw();
    let plan: String = raw
        .query_row(
            "EXPLAIN QUERY PLAN SELECT * FROM audit WHERE object >= 'a' AND object < 'b' AND seq > 1 ORDER BY seq LIMIT 9",
            [],
            |row| row.get("detail"),
        )
        .expect("a plan");
    assert!(plan.contains("audit_by_object"), "{plan}");
}

#[test]
fn uses_of_a_share_are_one_line_of_the_history() {
    let lab = Lab::new();
    let (one, other) = (lab.create(), lab.create());
    let id = ulid(&one);
    let done = |object: &str, action, outcome| {
        let event = AuditEvent {
            action,
            object,
            outcome,
        };
        let written = lab.store.audit(&Actor::daemon().caller, event);
        written.expect("it is written");
    };
    let (first, second) = (format!("{id} share A"), format!("{id} share B"));
    done(&first, Action::ShareCreate, Outcome::Done);
    for (object, outcome) in [
        (format!("{first}: task"), Outcome::Done),
        (format!("{first}: task"), Outcome::DoneAgain(40)),
        (format!("{first}: packets"), Outcome::Done),
        (format!("{second}: task"), Outcome::Done),
        (format!("{first}: task"), Outcome::Done),
        (format!("{} share C: task", other.id), Outcome::Done),
    ] {
        done(&object, Action::ShareUse, outcome);
    }
    done(&first, Action::ShareRevoke, Outcome::Done);
    let page = |limit, after| {
        let page = lab.store.history(&id, limit, after).expect("it is read");
        let lines = page.lines.iter().map(|line| {
            let object = line.object.strip_prefix(&format!("{id}"));
            format!(
                "{} {} {}",
                line.action,
                object.expect("its own").trim(),
                line.outcome
            )
        });
        (lines.collect::<Vec<_>>(), page.next)
    };
    let all = [
        "task.create for local on lo done",
        "share.create share A done",
        "share.use share A: task done: 42 times",
        "share.use share A: packets done",
        "share.use share B: task done",
        "share.revoke share A done",
    ];
    assert_eq!(page(0, 0), (all.map(ToOwned::to_owned).to_vec(), None));
    let (lines, next) = page(3, 0);
    assert_eq!(lines, all[..3]);
    let (lines, next) = page(3, next.expect("there is more"));
    assert_eq!((&lines[..], next), (&all.map(ToOwned::to_owned)[3..], None));
}

#[test]
fn several_writers_make_one_chain() {
    let lab = Lab::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let lab = &lab;
            scope.spawn(move || {
                let store = open(&lab.path(), &lab.clock);
                for n in 0..25 {
                    let event = AuditEvent {
                        action: Action::TaskStop,
                        object: &format!("{writer} {n}"),
                        outcome: Outcome::Done,
                    };
                    store
                        .audit(&Actor::daemon().caller, event)
                        .expect("it is written");
                }
            });
        }
    });
    assert!(matches!(verify(&lab), Chain::Verified { lines: 100, .. }));
}

#[test]
fn an_anchor_finds_a_log_that_was_written_anew() {
    let lab = ten();
    let Chain::Verified { lines, head } = verify(&lab) else {
        panic!("it is whole");
    };
    let anchor: Anchor = format!("{lines}:{head}").parse().expect("an anchor");
    let by = |lab: &Lab| {
        let chain = lab.store.audit_verify_by(Some(anchor), &Actor::command());
        chain.expect("it is read")
    };
    // Also where the log has gone on since.
    line(&lab, "later");
    assert!(matches!(by(&lab), Chain::Verified { .. }));

    let broken = |lab: &Lab, why: &str| {
        assert!(matches!(verify(lab), Chain::Verified { .. }));
        let found = by(lab);
        assert!(
            matches!(&found, Chain::BrokenAt { why: found, .. } if found == why),
            "{found:?}"
        );
    };
    let shorter = Lab::new();
    line(&shorter, "another");
    broken(
        &shorter,
        "lines up to the one that was noted down are missing",
    );
    let another = Lab::new();
    for n in 0..20 {
        line(&another, &format!("another {n}"));
    }
    broken(&another, "the line is not the one that was noted down");
}

#[test]
fn anchors_have_one_form() {
    let hash = "ab".repeat(32);
    assert!(format!("1:{hash}").parse::<Anchor>().is_ok());
    for wrong in [
        String::new(),
        hash.clone(),
        format!("0:{hash}"),
        format!("-1:{hash}"),
        format!("1:{hash}a"),
        format!("1:{}", &hash[1..]),
        format!("1:+{}", &hash[1..]),
        format!("1:{}", "é".repeat(32)),
    ] {
        assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
    }
}
