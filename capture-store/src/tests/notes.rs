//! Notes about packets.

use super::*;

fn put(lab: &Lab, id: &TaskId, number: u64, marked: bool, comment: Option<&str>) -> Noted {
    let put = lab
        .store
        .put_note(id, number, marked, comment, &Actor::daemon());
    put.expect("it is stored")
}

#[test]
fn they_are_kept_replaced_removed_and_go_with_the_task() {
    let lab = Lab::new();
    let id = ulid(&lab.create());
    let first = Note {
        number: 7,
        marked: true,
        comment: None,
        by: "daemon".to_owned(),
        at: lab.clock.now(),
    };
    assert_eq!(
        put(&lab, &id, 7, true, Some("")),
        Noted::Kept(first.clone())
    );
    let second = Note {
        number: 3,
        marked: false,
        comment: Some("the first of the resends".to_owned()),
        ..first.clone()
    };
    let kept = put(&lab, &id, 3, false, second.comment.as_deref());
    assert_eq!(kept, Noted::Kept(second.clone()));
    assert_eq!(
        lab.store.notes(&id).expect("a list"),
        [second.clone(), first]
    );
    let other = put(&lab, &id, 7, true, Some("another"));
    let Noted::Kept(other) = other else {
        panic!("{other:?}");
    };
    assert_eq!(lab.store.notes(&id).expect("a list"), [second, other]);
    // A note that says nothing is none, and neither is one that was not there.
    for _ in 0..2 {
        assert_eq!(put(&lab, &id, 7, false, None), Noted::Removed);
    }
    assert_eq!(lab.store.notes(&id).expect("a list").len(), 1);
    let lines = lab.log();
    let written = |line: &&String| line.contains("note.write");
    assert_eq!(lines.iter().filter(written).count(), 5, "{lines:?}");
    assert!(
        lines.iter().all(|line| !line.contains("resends")),
        "{lines:?}"
    );

    lab.store.delete(&id, &Actor::daemon()).expect("it is gone");
    assert_eq!(lab.store.notes(&id).expect("a list"), []);
    let rows: i64 = lab
        .raw()
        .query_row("SELECT count(*) FROM notes", [], |row| row.get(0))
        .expect("it is counted");
    assert_eq!(rows, 0);
    assert_eq!(put(&lab, &id, 7, true, None), Noted::NoTask);
}

#[test]
fn there_are_only_so_many_of_a_task() {
    let lab = Lab::new();
    let id = ulid(&lab.create());
    lab.raw()
        .execute(
            "INSERT INTO notes WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) \
             SELECT 1, x, 1, NULL, 'daemon', 0 FROM n",
            [i64::try_from(MAX_NOTES).expect("a small number")],
        )
        .expect("they are written");
    assert_eq!(put(&lab, &id, MAX_NOTES + 1, true, None), Noted::TooMany);
    // One that is there may change.
    assert!(matches!(put(&lab, &id, 5, true, Some("x")), Noted::Kept(_)));
    assert_eq!(put(&lab, &id, 6, false, None), Noted::Removed);
    assert!(matches!(
        put(&lab, &id, MAX_NOTES + 1, true, None),
        Noted::Kept(_)
    ));
}
