//! Several callers on one engine. What whole captures bring is tested in `capture-tests`.

/// What needs root: programs on interfaces.
mod privileged {
    use std::{fs::File, path::Path, thread, time::Duration};

    use capture_file::{OutputConfig, Target};
    use capture_task::{
        plan::{Face, Plan},
        task::{State, StopReason},
    };
    use capture_tests::{
        eventually,
        netns::{HOST_IF, Lab, PEER_IF},
        rights, traffic,
    };
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use serde_json::json;

    use crate::engine::{Engine, EngineOptions, TaskId};

    const LIMIT: Duration = Duration::from_secs(20);

    fn add(engine: &Engine, path: &Path) -> TaskId {
        let request = json!({"interfaces": [HOST_IF], "protocol": "udp", "format": "pcapng"});
        let request = serde_json::from_value(request).expect("a request");
        let plan = Plan::resolve(&request, Face::Run).expect("a plan");
        let output = OutputConfig {
            target: Target::File(path.to_owned()),
            task_id: "id".to_owned(),
            space: None,
        };
        let added = engine.add(&plan, output);
        added.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[test]
    fn a_dropped_engine_leaves_no_hook_although_files_are_still_being_closed() {
        let lab = Lab::new();
        let directory = tempfile::tempdir().expect("a temporary directory");
        lab.host.within(|| {
            let options = EngineOptions { ring_size: 4 << 20 };
            let engine = Engine::start(options).unwrap_or_else(|error| panic!("{error}"));
            let ending = add(&engine, &directory.path().join("ending.pcapng"));
            add(&engine, &directory.path().join("running.pcapng"));
            let leaving = engine.leave(ending, StopReason::User).expect("it ends");
            assert!(!lab.host.attachments().is_empty(), "one task still runs");
            drop(engine);
            let attachments = lab.host.attachments();
            assert!(attachments.is_empty(), "{attachments:?}");
            assert_eq!(leaving.ended().stop_reason, StopReason::User);
        });
    }

    /// The slowest disk of all: a pipe without a reader, whose opening waits.
    #[test]
    fn an_output_that_waits_holds_up_no_other_task() {
        let lab = Lab::new();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let pipe = directory.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
        rights::within_as_unit(&lab.host, || {
            let options = EngineOptions { ring_size: 4 << 20 };
            let engine = Engine::start(options).unwrap_or_else(|error| panic!("{error}"));
            thread::scope(|scope| {
                let slow = scope.spawn(|| add(&engine, &pipe));
                let attached = eventually(LIMIT, || !lab.host.attachments().is_empty());
                assert!(attached, "hooks come before the output");

                let quick = add(&engine, &directory.path().join("file.pcapng"));
                let from = "10.0.0.2:4000".parse().expect("an address");
                let to = "10.0.0.1:9".parse().expect("an address");
                let frames = (0..100).map(|number| traffic::udp_frame(from, to, number, 100));
                traffic::send(&lab.peer, PEER_IF, 0, frames);
                let captured = || engine.counters(quick).captured == 100;
                assert!(eventually(LIMIT, captured), "{:?}", engine.counters(quick));
                let figures = engine.figures(quick).expect("it runs");
                assert_eq!((figures.0.captured, figures.1[0].packets), (100, 100));
                let ended = engine.remove(quick, StopReason::User).expect("it ends");
                assert_eq!(ended.counters.captured, 100);
                assert!(engine.figures(quick).is_none() && engine.outlook(quick).is_none());
                assert!(!slow.is_finished(), "it waits for a reader");

                let reader = File::open(&pipe).expect("a reader");
                let slow = slow.join().expect("no panic");
                let ended = engine.remove(slow, StopReason::User).expect("it ends");
                assert_eq!(ended.stop_reason.final_state(), State::Completed);
                assert_eq!(ended.counters.matched, 0, "it never ran while it waited");
                drop(reader);
            });
        });
    }
}
