//! What needs processes of their own: two that ask at the same time, and one that is killed while it writes.
//! The test binary runs one of the `child_…` functions below in each.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use capture_task::task::{State, StopReason};

use super::*;
use crate::clock::SystemClock;

const PATH: &str = "CAPTURE_AGENT_TEST_PATH";

/// More rounds of [`a_killed_process_loses_nothing_that_it_had_answered`] than the usual.
const ROUNDS: &str = "CAPTURE_AGENT_TEST_KILLS";

fn spawn(child: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("the test binary"))
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
        .arg(format!("tests::processes::{child}"))
        .env(PATH, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the test binary runs")
}

/// What a child says, to its end.
fn lines_of(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let output = BufReader::new(child.stdout.take().expect("its output"));
    output.lines().map_while(Result::ok)
}

fn child_store() -> Store {
    let path = std::env::var_os(PATH).expect("the path is given");
    // It stands still, so that no midnight comes between.
    open(Path::new(&path), &FakeClock::at("2026-11-25T12:00:00Z"))
}

fn unlimited() -> CreateLimits {
    CreateLimits {
        quota: QuotaRules {
            edition: Edition::Unlimited,
            ..QuotaRules::default()
        },
        disk_budget: 1 << 60,
        used_bytes: 0,
        evicts: false,
        full_disk: None,
    }
}

#[test]
#[ignore = "run by two_processes_get_fifty"]
fn child_creates_until_refused() {
    let store = child_store();
    println!("\nready");
    // All begin when their standard input ends.
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("it ends");
    let mut created = 0;
    loop {
        match store.create(&task("a"), &limits(), &Actor::daemon()) {
            Ok(_) => created += 1,
            Err(Refusal::Quota { .. }) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    println!("\ncreated {created}");
}

#[test]
fn two_processes_get_fifty() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state.db");
    // The database is not there yet: they also make it together.
    let mut children = [(); 2].map(|()| spawn("child_creates_until_refused", &path));
    let mut outputs = children.each_mut().map(lines_of);
    for lines in &mut outputs {
        assert!(lines.any(|line| line == "ready"), "it opens the store");
    }
    for child in &mut children {
        drop(child.stdin.take());
    }
    let created = outputs.map(|mut lines| {
        let count = lines.find_map(|line| line.strip_prefix("created ")?.parse::<u32>().ok());
        // To its end, as it cannot write to a pipe that nobody reads.
        lines.for_each(drop);
        count.expect("its count")
    });
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(created.iter().sum::<u32>(), 50);
}

/// Does all that the store does, in a loop, and says what was answered: a line each, by one system call.
#[test]
#[ignore = "run by a_killed_process_loses_nothing_that_it_had_answered"]
fn child_writes_for_ever() {
    let store = child_store();
    let actor = Actor::daemon();
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| {
        out.write_all(format!("{line}\n").as_bytes())
            .expect("a pipe")
    };
    say("\nbegin".to_owned());
    for n in 0_u64.. {
        let record = new_record(store.create(&task("a"), &unlimited(), &actor));
        let id = ulid(&record);
        say(format!("created {id}"));
        let at = store.0.clock.now();
        store
            .update(&id, &Change::Started { at })
            .expect("it starts");
        say(format!("running {id}"));
        let sizes: Vec<_> = (0..n % 4).collect();
        store.update(&id, &ended(at, &sizes)).expect("it ends");
        say(format!("ended {id} {}", sizes.len()));
        let object = format!("object-{id}");
        let event = AuditEvent {
            action: Action::FileDownload,
            object: &object,
            outcome: Outcome::Done,
        };
        store.audit(&actor.caller, event).expect("it is written");
        say(format!("audited {object}"));
        if n % 5 == 4 {
            store.delete(&id, &actor).expect("it is deleted");
            say(format!("deleted {id}"));
        }
    }
}

/// What a process had answered before it was killed.
#[derive(Default)]
struct Answered {
    /// State, and number of files, by task.
    tasks: BTreeMap<String, (State, usize)>,
    deleted: BTreeSet<String>,
    audited: Vec<String>,
}

impl Answered {
    fn note(&mut self, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        let mut state = |id: &str, state, files| {
            self.tasks.insert(id.to_owned(), (state, files));
        };
        match *words.as_slice() {
            ["created", id] => state(id, State::Pending, 0),
            ["running", id] => state(id, State::Running, 0),
            ["ended", id, files] => {
                state(id, State::Completed, files.parse().expect("a number"));
            }
            ["audited", object] => self.audited.push(object.to_owned()),
            ["deleted", id] => {
                self.tasks.remove(id);
                self.deleted.insert(id.to_owned());
            }
            // What the test harness says.
            _ => {}
        }
    }
}

/// How far a state is from the beginning.
fn rank(state: State) -> u8 {
    match state {
        State::Pending => 0,
        State::Running => 1,
        State::Stopping => 2,
        State::Completed | State::Failed => 3,
    }
}

fn check(path: &Path, answered: &Answered) {
    let raw = Connection::open(path).expect("it opens");
    let integrity: String = raw
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it is checked");
    assert_eq!(integrity, "ok");
    let orphans: i64 = raw
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .expect("it is checked");
    assert_eq!(orphans, 0);
    drop(raw);

    let store = Store::open(path, Arc::new(SystemClock)).expect("the store opens");
    for (id, (state, files)) in &answered.tasks {
        let found = store
            .task(&id.parse().expect("a ULID"))
            .expect("it is read");
        // The next step may have been taken and not yet answered, up to the deletion of every fifth.
        let Some(task) = found else {
            assert_eq!(*state, State::Completed, "task {id} is lost");
            continue;
        };
        assert!(
            rank(task.record.state) >= rank(*state),
            "{id} was {state:?}"
        );
        if *state == State::Completed {
            assert_eq!(task.record.files.len(), *files, "files of {id}");
            assert_eq!(task.record.stop_reason, Some(StopReason::Duration));
        }
    }
    for id in &answered.deleted {
        let found = store
            .task(&id.parse().expect("a ULID"))
            .expect("it is read");
        assert_eq!(found, None, "{id} came back");
    }
    let objects: BTreeSet<String> = {
        let raw = Connection::open(path).expect("it opens");
        let mut statement = raw
            .prepare("SELECT object FROM audit")
            .expect("it is there");
        let rows = statement.query_map([], |row| row.get(0)).expect("it runs");
        rows.collect::<rusqlite::Result<_>>().expect("it is read")
    };
    for object in &answered.audited {
        assert!(objects.contains(object), "the line on {object} is lost");
    }
    let created: BTreeSet<_> = objects
        .iter()
        .filter_map(|object| Some(object.split_once(" for ")?.0))
        .collect();
    for id in answered.tasks.keys().chain(&answered.deleted) {
        assert!(
            created.contains(id.as_str()),
            "the line on the creation of {id} is lost"
        );
    }
    let chain = store.audit_verify(&Actor::daemon()).expect("it is read");
    assert!(matches!(chain, Chain::Verified { .. }), "{chain:?}");
}

#[test]
fn a_killed_process_loses_nothing_that_it_had_answered() {
    let rounds = std::env::var(ROUNDS).map_or(12, |rounds| rounds.parse().expect("a number"));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state.db");
    let mut answered = Answered::default();
    for _ in 0..rounds {
        let mut child = spawn("child_writes_for_ever", &path);
        let mut lines = lines_of(&mut child);
        assert!(lines.any(|line| line == "begin"), "it begins");
        // Within the step after any of the first answers, however fast the machine is.
        let [answers, moment] = random();
        for line in lines.by_ref().take(answers % 40) {
            answered.note(&line);
        }
        std::thread::sleep(Duration::from_micros(moment as u64 % 4_000));
        child.kill().expect("it is killed");
        lines.for_each(|line| answered.note(&line));
        child.wait().expect("it ends");
        check(&path, &answered);
    }
    assert!(!answered.audited.is_empty(), "nothing was answered");
}

fn random() -> [usize; 2] {
    let mut random = [0; 4];
    getrandom::fill(&mut random).expect("random bytes");
    let [a, b, c, d] = random;
    [
        u16::from_ne_bytes([a, b]).into(),
        u16::from_ne_bytes([c, d]).into(),
    ]
}

/// The same for the moment in which the database is made.
#[test]
#[ignore = "run by a_process_that_is_killed_while_it_makes_the_database"]
fn child_opens() {
    println!("\nbegin");
    drop(child_store());
    println!("\nend");
}

#[test]
fn a_process_that_is_killed_while_it_makes_the_database() {
    for round in 0..12 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("state.db");
        let mut child = spawn("child_opens", &path);
        let mut lines = lines_of(&mut child);
        assert!(lines.any(|line| line == "begin"), "it begins");
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        check(&path, &Answered::default());
    }
}
