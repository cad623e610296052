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
        .audit_list(AuditFilter::default(), &Actor::daemon())
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
        let filter = AuditFilter { limit, before };
        let lines = lab
            .store
            .audit_list(filter, &Actor::daemon())
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
