//! How an inspector ends that gives no answer, and that none outlives what it is for.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::*;

fn ends(limits: &Limits, misdeed: Misdeed) -> String {
    let mut inspector = Inspector::start(limits).expect("an inspector");
    let began = Instant::now();
    let error = inspector.commit(misdeed).expect_err("no answer");
    assert!(began.elapsed() < Duration::from_secs(60), "{error}");
    assert!(!is_there(inspector.id()), "it is gone");
    error.to_string()
}

/// Whether a process of this program runs, or waits to be asked how it ended.
fn is_there(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

#[test]
fn out_of_memory() {
    let limits = Limits {
        memory: 256 << 20,
        ..limits()
    };
    assert_eq!(
        ends(&limits, Misdeed::Memory),
        "analysis ended: out of its 256 MiB of memory"
    );
}

#[test]
fn out_of_time() {
    let limits = Limits {
        answer: Duration::from_secs(1),
        ..limits()
    };
    for misdeed in [Misdeed::Loop, Misdeed::Silence] {
        assert_eq!(
            ends(&limits, misdeed),
            "analysis ended: no answer within 1 s"
        );
    }
}

#[test]
fn out_of_processor_time() {
    let limits = Limits {
        processor: Some(Duration::from_secs(1)),
        ..limits()
    };
    assert_eq!(
        ends(&limits, Misdeed::Loop),
        "analysis ended: out of its 1 s of processor time"
    );
}

#[test]
fn a_panic_says_where_and_nothing_of_what() {
    let error = ends(&limits(), Misdeed::Panic);
    assert!(
        error.contains("panicked at ") && error.contains("misdeed.rs"),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn an_abort_and_a_kill() {
    let error = ends(&limits(), Misdeed::Abort);
    assert!(error.ends_with("ended by signal 6"), "{error}");
    let mut inspector = start();
    let killed = Command::new("kill")
        .args(["-9", &inspector.id().to_string()])
        .status();
    assert_eq!(killed.expect("kill").signal(), None);
    let error = inspector.report().expect_err("it is gone").to_string();
    assert!(error.contains("was killed"), "{error}");
}

#[test]
fn what_is_no_answer() {
    let error = ends(&limits(), Misdeed::Garbage);
    assert!(error.contains("no valid answer"), "{error}");
}

#[test]
fn it_goes_with_its_parent() {
    let inspector = start();
    let id = inspector.id();
    drop(inspector);
    assert!(!is_there(id), "with the value");
    // With the thread that started it, even if that does nothing more for it.
    let thread = thread::spawn(|| {
        let inspector = start();
        let id = inspector.id();
        std::mem::forget(inspector);
        id
    });
    let id = thread.join().expect("an inspector");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_zombie(id) {
        assert!(Instant::now() < deadline, "it lives on");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_zombie(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"));
    status.map_or(true, |status| status.contains("State:\tZ"))
}

fn start_as(program: &str) -> Result<Inspector, Error> {
    let program = Path::new(program);
    Inspector::start_with(|start| Process::start_as(program, start), &limits(), "")
}

#[test]
fn a_program_that_is_no_inspector() {
    let error = start_as("/bin/true");
    let error = error.expect_err("no inspector").to_string();
    assert_eq!(error, "analysis ended: the inspector ended with 0");
    let error = start_as("/nothing/there");
    assert!(matches!(error, Err(Error::Start(_))));
}

#[test]
fn another_thread_ends_it() {
    let mut inspector = start();
    let stopper = inspector.stopper().expect("a descriptor");
    let began = Instant::now();
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        stopper.stop();
    });
    inspector.commit(Misdeed::Loop).expect_err("no answer");
    assert!(began.elapsed() < Duration::from_secs(50));
    assert!(!is_there(inspector.id()), "it is gone");
    other.join().expect("it ends");
}
