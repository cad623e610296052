//! The copy of a database in use.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::error::ErrorKind;

#[test]
fn a_copy_has_all_of_one_moment_and_goes_on() {
    let lab = Lab::new();
    let record = lab.create();
    let to = lab.directory.path().join("copy.db");
    lab.store.backup(&to, &Actor::command()).expect("a copy");
    // What comes later is not in it.
    lab.create();

    let mode = std::fs::metadata(&to)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let copy = Store::open_existing(&to, Arc::<FakeClock>::clone(&lab.clock)).expect("a database");
    let page = copy.tasks(&TaskFilter::default(), &Overlay::default());
    let tasks = page.expect("it is read").tasks;
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].record, record);
    let chain = copy.audit_verify(&Actor::command()).expect("a log");
    assert!(
        matches!(chain, Chain::Verified { lines: 2, .. }),
        "{chain:?}"
    );
    new_record(copy.create(&task("b"), &limits(), &Actor::daemon()));
}

#[test]
fn a_file_that_is_there_stays() {
    let lab = Lab::new();
    let to = lab.directory.path().join("copy.db");
    std::fs::write(&to, "precious").expect("written");
    let error = lab
        .store
        .backup(&to, &Actor::command())
        .expect_err("it is there");
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert_eq!(std::fs::read(&to).expect("it is read"), b"precious");
}

#[test]
fn a_copy_that_cannot_be_made_leaves_nothing() {
    let lab = Lab::new();
    let to = lab.directory.path().join("nowhere/copy.db");
    let error = lab
        .store
        .backup(&to, &Actor::command())
        .expect_err("no directory");
    assert!(error.message.contains("nowhere/copy.db"), "{error}");
}
