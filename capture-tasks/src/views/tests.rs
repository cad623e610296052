//! Places for views: who gets one, who gives way, and what is told.

use super::*;

fn id(n: u64) -> TaskId {
    TaskId::from_parts(n, 0)
}

fn files(n: u64) -> Viewed {
    Viewed::files(id(n))
}

fn shared(n: u64) -> Viewed {
    let copy = ViewedCopy::Shared(SharedCopy::Anonymous);
    Viewed { task: id(n), copy }
}

fn nothing() -> Job {
    Box::new(|_| true)
}

/// Asks; a thread that is started hands its desk over and ends.
fn ask(views: &Views, n: u64, desks: &mut Vec<Desk>) -> Result<(), Refusal> {
    ask_about(views, files(n), desks)
}

fn ask_about(views: &Views, viewed: Viewed, desks: &mut Vec<Desk>) -> Result<(), Refusal> {
    views.ask(viewed, nothing(), |desk| {
        desks.push(desk);
        thread::Builder::new().spawn(|| {})
    })
}

fn is_over(desk: &Desk) -> bool {
    while desk.jobs.try_recv().is_ok() {}
    matches!(
        desk.jobs.try_recv(),
        Err(std::sync::mpsc::TryRecvError::Disconnected)
    )
}

/// Whether a look is told of now.
fn is_told(views: &Views, viewed: &Viewed, look: u64) -> bool {
    let mut is_told = false;
    let tell = || {
        is_told = true;
        Ok::<_, ()>(())
    };
    views.tell_once(viewed, look, tell).expect("it is told");
    is_told
}

#[test]
fn the_one_that_is_idle_longest_gives_way() {
    let (views, mut desks) = (Views::default(), Vec::new());
    for n in 0..MOST_VIEWS as u64 {
        ask(&views, n, &mut desks).expect("there is room");
    }
    assert_eq!(ask(&views, 9, &mut desks), Err(Refusal::Captures));
    for desk in &desks[1..] {
        let _ = desk.jobs.recv().expect("a question");
        desk.answered();
    }
    ask(&views, 9, &mut desks).expect("one gave way");
    assert!(is_over(&desks[1]), "the first one that was idle");
    assert!(!is_over(&desks[2]) && !is_over(&desks[3]));
    // Another thread of the same task does not end this one.
    views.leave(&files(9), 1);
    ask(&views, 9, &mut desks).expect("the same seat");
    assert_eq!(desks.len(), 5);
}

#[test]
fn questions_are_bounded_and_the_end_ends_all() {
    let (views, mut desks) = (Views::default(), Vec::new());
    for _ in 0..MOST_WAITING {
        ask(&views, 1, &mut desks).expect("there is room");
    }
    assert_eq!(ask(&views, 1, &mut desks), Err(Refusal::Questions));
    views.close();
    assert_eq!(ask(&views, 1, &mut desks), Err(Refusal::Closing));
    assert_eq!(
        desks[0].jobs.iter().count(),
        MOST_WAITING,
        "and then the end"
    );
    assert_eq!(views.threads().len(), 1);
}

#[test]
fn shares_leave_places_to_operators() {
    let (views, mut desks) = (Views::default(), Vec::new());
    for n in 0..MOST_SHARED as u64 {
        ask_about(&views, shared(n), &mut desks).expect("there is room");
    }
    let more = ask_about(&views, shared(7), &mut desks);
    assert_eq!(more, Err(Refusal::Captures), "both are asked");
    let _ = desks[1].jobs.recv().expect("a question");
    desks[1].answered();
    ask(&views, 1, &mut desks).expect("there is room for operators");
    ask_about(&views, shared(7), &mut desks).expect("another share gave way");
    assert!(is_over(&desks[1]) && !is_over(&desks[0]) && !is_over(&desks[2]));
}

#[test]
fn what_shares_show_ends_with_them_and_with_the_task() {
    let (views, mut desks) = (Views::default(), Vec::new());
    let whole = Viewed {
        copy: ViewedCopy::Whole,
        ..shared(1)
    };
    for viewed in [shared(1), whole, files(1), files(2)] {
        ask_about(&views, viewed, &mut desks).expect("there is room");
    }
    let over = |desks: &[Desk]| -> Vec<bool> { desks.iter().map(is_over).collect() };
    views.forget_shared(&id(1), |copy| copy == ViewedCopy::Whole);
    assert_eq!(over(&desks), [true, false, false, false]);
    views.forget_shared(&id(1), |_| false);
    assert_eq!(over(&desks), [true, true, false, false]);
    ask_about(&views, shared(1), &mut desks).expect("there is room");
    views.forget(&id(1));
    assert_eq!(over(&desks), [true, true, true, false, true]);
}

#[test]
fn looks_are_told_once_while_the_capture_is_looked_at() {
    let (views, mut desks) = (Views::default(), Vec::new());
    // Who looks is told of before.
    assert!(is_told(&views, &files(1), 7));
    ask(&views, 1, &mut desks).expect("there is room");
    assert!(!is_told(&views, &files(1), 7));
    assert!(is_told(&views, &shared(1), 7), "of another copy too");
    views
        .tell_once(&files(1), 8, || Err(()))
        .expect_err("it could not be told");
    assert!(is_told(&views, &files(1), 8));
    for look in 100..100 + MOST_TOLD as u64 {
        is_told(&views, &files(1), look);
    }
    assert!(is_told(&views, &files(1), 7), "they are bounded");
    views.forget(&id(1));
    assert!(is_told(&views, &files(1), 100 + MOST_TOLD as u64 - 1));
    for n in 0..100 {
        is_told(&views, &files(n), 7);
    }
    let told = views.state().told.len();
    assert!(
        told <= 2 * MOST_VIEWS + 1,
        "{told} captures that nobody looks at"
    );
}
