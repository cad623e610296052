//! The life of tasks: on the store and the file system here, on the engine under traffic in `privileged`.

mod expiry;
mod preview;
mod privileged;
mod sharing;
mod takeover;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use capture_file::{KeepFree, recover, scan};
use capture_store::{
    AuditFilter, Change, Creation, Cursor, IdempotencyKey, Store, TaskEnd, TaskFilter, TaskId,
    access::{Actor, Role},
    clock::Clock as _,
    clock::FakeClock,
};
use capture_task::{
    plan::{Door, Plan, RequestOrigin, Wording},
    preview::Preview,
    task::{State, StopReason, TaskRecord, TaskSpec},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{config::LiveConfig, storage::Storage};

/// How long a test waits for what must come.
const SOON: Duration = Duration::from_secs(20);

/// A place for a daemon's tasks, which can be started there again and again.
struct Setup {
    directory: TempDir,
    clock: Arc<FakeClock>,
    config: Arc<LiveConfig>,
}

impl Setup {
    /// With limits as in `[limits]`.
    fn new(limits: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().display();
        let path = directory.path().join("config.toml");
        let text = format!(
            "[paths]\ndatabase = \"{root}/db/state.db\"\ncaptures = \"{root}/captures\"\n\
             [quota]\nedition = \"unlimited\"\n[capture]\nring_size = \"4MiB\"\n[limits]\n{limits}\n"
        );
        fs::write(&path, text).expect("a configuration");
        Self {
            clock: FakeClock::at("2026-03-01T12:00:00Z"),
            config: Arc::new(LiveConfig::load(Some(&path)).expect("a configuration")),
            directory,
        }
    }

    /// Other limits, as after SIGHUP.
    fn reconfigure(&self, tasks: &Tasks, limits: &str) {
        let path = self.directory.path().join("config.toml");
        let text = fs::read_to_string(&path).expect("the configuration");
        let (before, _) = text.split_once("[limits]").expect("limits");
        fs::write(&path, format!("{before}[limits]\n{limits}\n")).expect("a configuration");
        let (config, _) = self.config.read_again().expect("it is valid");
        self.config.set(config);
        tasks.reconfigured();
    }

    fn store(&self) -> Store {
        let database = &self.config.get().paths.database;
        Store::open(database, self.clock.clone()).expect("the store opens")
    }

    /// Within a runtime.
    fn tasks(&self) -> Tasks {
        let config = self.config.get();
        let storage = Storage::open(
            &config.paths.captures,
            config.limits.disk_budget,
            config.capture.keep_free,
        );
        let storage = storage.expect("the directory of captures");
        Tasks::start(
            Arc::clone(&self.config),
            self.store(),
            storage,
            self.clock.clone(),
            None,
        )
        .expect("the tasks start")
    }

    fn captures(&self, id: &TaskId) -> PathBuf {
        self.directory.path().join("captures").join(id.to_string())
    }

    fn names(&self, id: &TaskId) -> Vec<String> {
        let entries = fs::read_dir(self.captures(id)).expect("the task's directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into()).collect();
        names.sort();
        names
    }
}

/// Runs a test with its own runtime, as a daemon has one.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

fn spec(value: Value) -> TaskSpec {
    let mut whole = json!({"name": "a test", "interfaces": ["lo"]});
    for (key, value) in value.as_object().expect("an object") {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).expect("a request")
}

/// What a request on the socket would become.
async fn preview(
    tasks: &Tasks,
    spec: TaskSpec,
    start_at: Option<Timestamp>,
) -> Result<Preview, CreateError> {
    let way = Way {
        door: Door::Socket("/run/capture-agent/api.sock".to_owned()),
        connection: None,
    };
    let told = tasks.preview(spec, start_at, &Actor::daemon(), way).await?;
    match told.refusal {
        Some(refusal) => Err(CreateError::Refused(refusal)),
        None => Ok(told.preview),
    }
}

async fn create_at(tasks: &Tasks, value: Value, at: Option<Timestamp>) -> TaskId {
    let created = tasks.create(spec(value), &Actor::daemon(), None, at).await;
    match created {
        Ok(Creation::New(record)) => record.id.parse().expect("an ID"),
        other => panic!("{other:?}"),
    }
}

async fn create(tasks: &Tasks, value: Value) -> TaskId {
    create_at(tasks, value, None).await
}

async fn get(tasks: &Tasks, id: TaskId) -> TaskRecord {
    tasks.get(id).await.expect("the task is there")
}

/// Waits until a task is in a state.
async fn reach(tasks: &Tasks, id: TaskId, state: State) -> TaskRecord {
    let mut events = tasks.events(None);
    let reached = async {
        loop {
            let record = get(tasks, id).await;
            if record.state == state {
                return record;
            }
            assert!(
                !matches!(record.state, State::Completed | State::Failed),
                "{state:?} expected: {record:?}"
            );
            events.next().await.expect("the daemon runs");
        }
    };
    tokio::time::timeout(SOON, reached)
        .await
        .unwrap_or_else(|_| panic!("not {state:?} in time"))
}

async fn end(tasks: Tasks) {
    let hanging = tasks.shutdown(SOON).await;
    assert_eq!(hanging, [""; 0]);
}

fn actor(role: Role, account: &str) -> Actor {
    Actor {
        role,
        account: capture_store::access::Account::new(account).expect("a name"),
        ..Actor::daemon()
    }
}

fn tomorrow(setup: &Setup) -> Option<Timestamp> {
    Some(setup.clock.now() + SignedDuration::from_hours(24))
}

#[test]
fn all_that_is_wrong_is_said_at_once_and_a_dry_run_creates_nothing() {
    let setup = Setup::new("max_duration = \"1h\"");
    block_on(async {
        let tasks = setup.tasks();
        let bad = spec(json!({"interfaces": ["lo", "nosuch0"], "duration": "2h"}));
        let far = tomorrow(&setup).map(|at| at + SignedDuration::from_hours(24 * 400));
        for (start_at, pointers) in [
            (None, vec!["/duration", "/interfaces/1"]),
            // What is not there yet may be by then.
            (far, vec!["/start_at", "/duration"]),
        ] {
            let refused = preview(&tasks, bad.clone(), start_at).await;
            let Err(CreateError::Invalid(faults)) = refused else {
                panic!("{refused:?}");
            };
            let found: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
            assert_eq!(found, pointers);
        }
        let valid = preview(&tasks, spec(json!({})), None).await;
        assert!(valid.expect("it is valid").valid);
        let page = tasks.list(TaskFilter::default()).await.expect("a list");
        assert!(page.tasks.is_empty());
        end(tasks).await;
    });
}

#[test]
fn a_task_that_waits_can_be_stopped_and_deleted() {
    let setup = Setup::new("");
    block_on(async {
        let tasks = setup.tasks();
        let mut events = tasks.events(None);
        let later = tomorrow(&setup);
        let id = create_at(&tasks, json!({}), later).await;
        assert_eq!(get(&tasks, id).await.state, State::Pending);
        let viewer = actor(Role::Viewer, "local");
        let refused = tasks.stop(id, &viewer).await;
        assert!(matches!(refused, Err(TaskError::Forbidden)), "{refused:?}");
        for _ in 0..2 {
            let stopped = tasks.stop(id, &Actor::daemon()).await.expect("it stops");
            assert_eq!(stopped.state, State::Completed);
            assert_eq!(stopped.stop_reason, Some(StopReason::User));
            assert_eq!(stopped.verdict, None);
        }
        let other = actor(Role::Operator, "other");
        let refused = tasks.delete(id, true, &other).await;
        assert!(matches!(refused, Err(TaskError::Forbidden)), "{refused:?}");
        let own = actor(Role::Operator, "local");
        tasks.delete(id, false, &own).await.expect("it is deleted");
        let gone = tasks.get(id).await;
        assert!(matches!(gone, Err(TaskError::NotFound)));
        let gone = tasks.delete(id, false, &own).await;
        assert!(matches!(gone, Err(TaskError::NotFound)));
        let states = [
            events.next().await,
            events.next().await,
            events.next().await,
        ];
        let states = states.map(|event| event.expect("an event").data);
        assert!(states[0].contains("\"pending\""), "{}", states[0]);
        assert!(states[1].contains("\"completed\""), "{}", states[1]);
        assert!(states[2].contains(&id.to_string()), "{}", states[2]);

        let waiting = create_at(&tasks, json!({}), later).await;
        tasks
            .delete(waiting, false, &own)
            .await
            .expect("it is deleted");
        end(tasks).await;
    });
    let log = setup
        .store()
        .audit_list(&Default::default(), &Actor::daemon());
    let log = log.expect("the log").into_iter().rev();
    let acts: Vec<_> = log
        .map(|line| format!("{} {}", line.action, line.outcome))
        .collect();
    let expected = [
        "task.create done",
        "task.stop refused: not allowed",
        "task.stop done",
        "task.delete refused: not allowed",
        "task.delete done",
        "task.delete refused: not found",
        "task.create done",
        "task.delete done",
    ];
    assert_eq!(acts, expected);
}

/// The longest request that is taken.
fn longest() -> Value {
    let ports: Vec<_> = (0..1024_u32)
        .map(|n| format!("{}-{}", 10_000 + 3 * n, 10_001 + 3 * n))
        .collect();
    let interfaces: Vec<_> = (0..256).map(|n| format!("veth-{n:010}")).collect();
    json!({"interfaces": interfaces, "ip": "10.0.0.1", "peer_ip": "10.0.0.2", "ports": ports,
        "peer_ports": ports, "max_file_bytes": "1MiB"})
}

/// A page is bounded, whatever the tasks are, and all of them are on some page.
#[test]
fn a_page_of_long_tasks_has_fewer() {
    let setup = Setup::new("");
    block_on(async {
        let tasks = setup.tasks();
        let longest = longest();
        assert!(longest.to_string().len() < 64 << 10, "it is a body");
        let mut expected = Vec::new();
        for _ in 0..150 {
            expected.push(create_at(&tasks, longest.clone(), tomorrow(&setup)).await);
        }
        expected.reverse();
        let mut found: Vec<TaskId> = Vec::new();
        let (mut pages, mut cursor) = (0, None);
        loop {
            let filter = TaskFilter {
                limit: 1000,
                cursor,
                ..TaskFilter::default()
            };
            let page = tasks.list(filter).await.expect("a page");
            let bytes = serde_json::to_vec(&page).expect("JSON").len();
            assert!(bytes < 3 << 20, "{bytes} bytes");
            pages += 1;
            found.extend(
                page.tasks
                    .iter()
                    .map(|task| task.id.parse::<TaskId>().expect("an ID")),
            );
            let Some(next) = page.next_cursor else { break };
            assert!(!page.tasks.is_empty());
            cursor = Cursor::parse(&next);
        }
        assert_eq!(found, expected);
        assert!((2..5).contains(&pages), "{pages} pages");
        end(tasks).await;
    });
}

/// The store does not know how many files running tasks have.
#[test]
fn a_page_of_running_tasks_with_many_files_has_fewer() {
    let setup = Setup::new("");
    block_on(async {
        let tasks = setup.tasks();
        let id = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        let mut record = get(&tasks, id).await;
        let file = capture_task::task::FileRecord {
            index: 0,
            name: "capture_00001.pcapng".to_owned(),
            size: 65_536,
            packets: 1,
            complete: true,
            sha256: Some("0".repeat(64)),
        };
        record.files = vec![file; 10_000];
        let cursor = |n: u64| Cursor::parse(&format!("t{n:016x}")).expect("a cursor");
        let shown = || (1..=5).rev().map(|n| (cursor(n), record.clone()));
        let page = TaskPage::of(shown(), None);
        assert_eq!(page.tasks.len(), 2);
        assert_eq!(page.next_cursor, Some(cursor(4).to_string()));
        let page = TaskPage::of(shown().take(2), Some(cursor(4)));
        assert_eq!(
            (page.tasks.len(), page.next_cursor),
            (2, Some(cursor(4).to_string()))
        );
        end(tasks).await;
    });
}

/// What is kept and shown of a request says the same in the shortest way, and any way of saying it is the same
/// request.
#[test]
fn lists_of_ports_are_kept_in_their_shortest_form() {
    let setup = Setup::new("");
    block_on(async {
        let tasks = setup.tasks();
        let daemon = Actor::daemon();
        let ask = |ports: Value| {
            let spec = spec(
                json!({"ip": "10.0.0.1", "peer_ip": "10.0.0.2", "ports": ports, "peer_ports": ports}),
            );
            let key = IdempotencyKey::new("k");
            tasks.create(spec, &daemon, key, tomorrow(&setup))
        };
        let first = ask(json!([8080, "8000-8079", "443", 443, "443-443"])).await;
        let Ok(Creation::New(record)) = first else {
            panic!("{first:?}");
        };
        let shown = json!([443, "8000-8080"]);
        let kept = serde_json::to_value(&record.spec).expect("JSON");
        assert_eq!((&kept["ports"], &kept["peer_ports"]), (&shown, &shown));
        let again = ask(shown).await;
        assert!(matches!(&again, Ok(Creation::Repeated(_))), "{again:?}");
        let other = ask(json!([443])).await;
        assert!(matches!(other, Err(CreateError::Refused(_))), "{other:?}");
        end(tasks).await;
    });
}

/// What could only fail when it starts is no valid task.
#[test]
fn a_limit_below_an_empty_file_is_a_fault_at_once() {
    let setup = Setup::new("");
    block_on(async {
        let tasks = setup.tasks();
        for (format, least) in [("pcapng", 200..2000), ("pcap", 24..25)] {
            let ask = |bytes: u64| {
                let spec = spec(json!({"max_file_bytes": bytes, "format": format}));
                preview(&tasks, spec, None)
            };
            let refused = ask(1).await;
            let Err(CreateError::Invalid(faults)) = refused else {
                panic!("{refused:?}");
            };
            let found = (faults[0].pointer.as_str(), faults[0].kind.code());
            assert_eq!(
                (found, faults.len()),
                (("/max_file_bytes", "out_of_range"), 1)
            );
            let detail = faults[0].kind.sentence(Wording::API);
            let words = detail.split(' ');
            let said: Option<u64> = words.filter_map(|word| word.parse().ok()).next_back();
            let said = said.expect("a number");
            assert!(least.contains(&said), "{said}");
            assert!(ask(said - 1).await.is_err());
            assert!(ask(said).await.is_ok());
        }
        end(tasks).await;
    });
}

#[test]
fn after_the_end_nothing_is_created() {
    let setup = Setup::new("");
    block_on(async {
        let tasks = setup.tasks();
        end(tasks.clone()).await;
        let daemon = Actor::daemon();
        let refused = tasks.create(spec(json!({})), &daemon, None, None);
        assert!(matches!(refused.await, Err(CreateError::Closing)));
    });
}

/// A capture of a few packets, cut in the middle of the last one.
fn torn_capture(path: &std::path::Path) -> u64 {
    let plan = Plan::resolve(&spec(json!({})), RequestOrigin::Daemon).expect("a plan");
    let config = capture_file::OutputConfig {
        target: capture_file::Target::File(path.to_owned()),
        task_id: "id".to_owned(),
        space: None,
        owner: None,
        earlier: capture_file::EarlierFiles::default(),
    };
    let interface = capture_file::InterfaceInfo {
        ifindex: 1,
        name: "lo".to_owned(),
        link_type: 1,
    };
    let mut sink = capture_file::FileOutput::open(&plan, &config, &[interface]).expect("an output");
    for n in 0..5 {
        sink.packet(&capture_file::Packet {
            timestamp_ns: 1_700_000_000_000_000_000 + n,
            ifindex: 1,
            direction: capture_common::Direction::Ingress,
            original_len: 100,
            vlan: capture_common::VlanTag {
                protocol: 0,
                control: 0,
            },
            data: &[7; 100],
        });
    }
    sink.finish(&capture_file::FinalFigures::default());
    let whole = fs::read(path).expect("the capture");
    let file = fs::File::open(path).expect("the capture");
    let packets = scan(&file).expect("a capture").packets;
    let end = whole.windows(100).rposition(|bytes| bytes == [7; 100]);
    let torn = &whole[..end.expect("a packet") + 50];
    fs::remove_file(path).expect("it is ours");
    fs::write(capture_file::part_of(path), torn).expect("a torn capture");
    packets - 1
}

/// What a killed daemon leaves: a task that runs with one finished file and one torn, one that was to
/// start, one whose removal was under way, and a directory of nobody.
#[test]
fn what_the_last_daemon_left_is_recovered() {
    recovers("2026-03-01T12:00:05.000Z", "2026-03-01T12:00:05.000Z");
    // The wall clock was set back after the start.
    recovers("2026-03-01T11:00:00.000Z", "2026-03-01T12:00:01.000Z");
}

/// With the time of the last write, and the end that the task has then.
fn recovers(written: &str, ended: &str) {
    let written: Timestamp = written.parse().expect("a time");
    let was_written = |path: &std::path::Path| {
        let file = fs::File::options().write(true).open(path);
        let set = file.expect("a file").set_modified(written.into());
        set.expect("it is ours");
    };
    let setup = Setup::new("retention = \"1h\"");
    let (running, pending, packets) = block_on(async {
        let tasks = setup.tasks();
        let running = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        let pending = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        end(tasks).await;
        let at = "2026-03-01T12:00:01Z".parse().expect("a time");
        let started = setup.store().update(&running, &Change::Started { at });
        started.expect("it may start");
        let directory = setup.captures(&running);
        fs::create_dir_all(&directory).expect("a directory");
        let first = directory.join("capture_00001.pcapng");
        let packets = torn_capture(&first);
        let recovered = recover(&capture_file::part_of(&first)).expect("whole packets");
        fs::rename(recovered.path.expect("a file"), &first).expect("a finished file");
        was_written(&first);
        let second = directory.join("capture_00002.pcapng");
        torn_capture(&second);
        was_written(&capture_file::part_of(&second));
        fs::create_dir_all(setup.captures(&pending)).expect("a directory");
        fs::write(setup.captures(&pending).join("capture.pcapng"), "rubbish").expect("a file");
        (running, pending, packets)
    });
    let root = setup.directory.path().join("captures");
    let nobody = root.join("01ARZ3NDEKTSV4RRFFQ69G5FAV");
    fs::create_dir(&nobody).expect("a directory");
    fs::write(nobody.join("capture.pcapng"), [0; 1000]).expect("a file");
    let removed = root.join(".removed-01ARZ3NDEKTSV4RRFFQ69G5FAW");
    fs::create_dir(&removed).expect("a directory");

    // Its time is over when the next daemon starts.
    setup.clock.advance(SignedDuration::from_mins(2));
    block_on(async {
        let tasks = setup.tasks();
        let record = get(&tasks, running).await;
        assert_eq!(record.state, State::Failed);
        assert_eq!(record.stop_reason, Some(StopReason::Interrupted));
        assert_eq!(record.verdict.as_deref(), Some("interrupted: 1 gap"));
        assert_eq!(record.ended_at.as_deref(), Some(ended));
        assert_eq!(
            record.expires_at.as_deref(),
            Some("2026-03-01T13:02:00.000Z")
        );
        assert_eq!(record.counters.captured, 2 * packets);
        assert_eq!(record.counters.matched, record.counters.accounted());
        assert_eq!(record.counters.bytes, 200 * packets);
        let files: Vec<_> = record
            .files
            .iter()
            .map(|file| {
                assert_eq!(file.packets, packets);
                assert_eq!(file.sha256.as_ref().map(String::len), Some(64));
                (file.index, file.name.as_str(), file.complete)
            })
            .collect();
        let expected = [
            (0, "capture_00001.pcapng", true),
            (1, "capture_00002_interrupted.pcapng", false),
        ];
        assert_eq!(files, expected);
        for file in &record.files {
            let opened = tasks.open_file(running, file.index, &Actor::daemon()).await;
            let opened = opened.expect("it can be downloaded");
            let whole = scan(&opened.file).expect("a capture");
            assert_eq!((whole.size, whole.packets), (opened.len, packets));
            let sidecar = setup.captures(&running).join(format!("{}.json", file.name));
            let sidecar: Value =
                serde_json::from_slice(&fs::read(sidecar).expect("a sidecar")).expect("JSON");
            assert_eq!(sidecar["stop_reason"], "interrupted");
            assert_eq!(sidecar["files"][0]["index"], file.index);
        }
        assert_eq!(get(&tasks, pending).await.state, State::Pending);
        assert!(nobody.exists() && !removed.exists());
        // All that is there counts for the budget.
        let there = crate::storage::size_below(&root).expect("the directory");
        assert_eq!(tasks.stored_bytes(), there);

        setup.clock.advance(SignedDuration::from_hours(2));
        tasks.0.sweep();
        let record = get(&tasks, running).await;
        assert_eq!(record.files.len(), 2, "the record stays");
        let opened = tasks.open_file(running, 0, &Actor::daemon()).await;
        assert!(matches!(opened, Err(TaskError::FilesRemoved)), "{opened:?}");
        assert!(!setup.captures(&running).exists());
        tasks
            .delete(running, false, &Actor::daemon())
            .await
            .expect("it is deleted");
        end(tasks).await;
    });
}

/// Whether it comes to its end or not: that it was ended, and what became of the removal.
#[test]
fn a_forced_removal_is_noted_before_and_after() {
    let setup = Setup::new("");
    block_on(async {
        let tasks = setup.tasks();
        let id = create_at(&tasks, json!({}), tomorrow(&setup)).await;
        // One that is about to start, and never gets further.
        let next_week = setup.clock.now() + SignedDuration::from_hours(24 * 7);
        tasks.0.table().decide(next_week, 1);
        assert!(tasks.0.table().is_active(&id));
        tokio::time::pause();
        let refused = tasks.delete(id, true, &Actor::daemon()).await;
        assert!(
            matches!(refused, Err(TaskError::Unfinished(State::Stopping))),
            "{refused:?}"
        );
        tokio::time::resume();
        let lines = tasks
            .store()
            .audit_list(&AuditFilter::default(), &Actor::command());
        let lines = lines.expect("a log").into_iter().rev();
        let lines: Vec<_> = lines.map(|line| (line.action, line.outcome)).collect();
        let wanted = [
            ("task.create", "done"),
            ("task.stop", "done"),
            ("task.delete", "refused: not ended"),
        ];
        let wanted = wanted.map(|(action, outcome)| (action.to_owned(), outcome.to_owned()));
        assert_eq!(lines[lines.len() - 3..], wanted);
        tasks.0.table().not_started(&id);
        end(tasks).await;
    });
}

#[test]
fn directories_are_private_and_another_daemon_is_refused() {
    let setup = Setup::new("");
    block_on(async {
        let tasks = setup.tasks();
        let root = &setup.config.get().paths.captures;
        let mode = fs::metadata(root).expect("the root").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let other = Storage::open(root, 1, KeepFree::default()).expect_err("it is taken");
        assert_eq!(other.kind, crate::error::ErrorKind::Conflict);
        end(tasks).await;
    });
}
