//! Several callers on one engine. What whole captures bring is tested in `capture-tests`.

/// What needs root: programs on interfaces.
mod privileged {
    use std::{
        ffi::CString,
        fs::{self, File},
        os::fd::AsRawFd as _,
        path::{Path, PathBuf},
        thread,
        time::Duration,
    };

    use capture_file::{EarlierFiles, OutputConfig, Target};
    use capture_task::{
        plan::{Plan, RequestOrigin},
        task::{State, StopReason},
    };
    use capture_tests::{
        eventually,
        netns::{HOST_IF, Lab, PEER_IF},
        traffic,
    };
    use serde_json::json;

    use crate::engine::{Engine, EngineOptions, TaskHandle};

    /// include/uapi/asm-generic/fcntl.h; `libc` has it for some targets only.
    const F_SETSIG: libc::c_int = 10;
    const LIMIT: Duration = Duration::from_secs(20);

    fn add(engine: &Engine, path: &Path) -> TaskHandle {
        let request = json!({"interfaces": [HOST_IF], "protocol": "udp", "format": "pcapng"});
        let request = serde_json::from_value(request).expect("a request");
        let plan = Plan::resolve(&request, RequestOrigin::Run).expect("a plan");
        let output = OutputConfig {
            target: Target::File(path.to_owned()),
            task_id: "id".to_owned(),
            space: None,
            owner: None,
            earlier: EarlierFiles::default(),
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
            let end_signal = add(&engine, &directory.path().join("ending.pcapng"));
            add(&engine, &directory.path().join("running.pcapng"));
            let leaving = engine.leave(end_signal, StopReason::User).expect("it ends");
            assert!(!lab.host.attachments().is_empty(), "one task still runs");
            drop(engine);
            let attachments = lab.host.attachments();
            assert!(attachments.is_empty(), "{attachments:?}");
            assert_eq!(leaving.ended().stop_reason, StopReason::User);
        });
    }

    /// A file at whose opening for writing the kernel waits for the holder of its lease, as for a file
    /// server: fcntl(2), "Leases". It is mounted, so that the output writes into it.
    struct Leased {
        file: File,
        path: PathBuf,
    }

    impl Leased {
        fn new(path: &Path) -> Self {
            fs::write(path, "").expect("a file");
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("root");
            let target = CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let (null, root) = (std::ptr::null(), c"/".as_ptr());
            let path_of = target.as_ptr();
            // SAFETY: every pointer is null where mount(2) allows it, or a string that ends in NUL and lives.
            let mounted = unsafe {
                libc::mount(null, root, null, private, null.cast()) == 0
                    && libc::mount(path_of, path_of, null, libc::MS_BIND, null.cast()) == 0
            };
            assert!(mounted, "{}", std::io::Error::last_os_error());
            let file = File::open(path).expect("it can be read");
            // SAFETY: fcntl(2) on numbers. The signal that somebody waits is one that does nothing.
            let leased = unsafe {
                libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) == 0
                    && libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) == 0
            };
            assert!(leased, "{}", std::io::Error::last_os_error());
            let path = path.to_owned();
            Self { file, path }
        }

        fn give_up(&self) {
            // SAFETY: fcntl(2) on numbers.
            let done =
                unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
            assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        }
    }

    impl Drop for Leased {
        fn drop(&mut self) {
            if let Ok(target) = CString::new(self.path.as_os_str().as_encoded_bytes()) {
                // SAFETY: a string that ends in NUL and lives.
                unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
            }
        }
    }

    /// The slowest disk of all: its file cannot even be opened.
    #[test]
    fn an_output_that_waits_holds_up_no_other_task() {
        let lab = Lab::new();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let slow = directory.path().join("slow.pcapng");
        lab.host.within(|| {
            // In a mount namespace of this thread and of those that it starts.
            let lease = Leased::new(&slow);
            let options = EngineOptions { ring_size: 4 << 20 };
            let engine = Engine::start(options).unwrap_or_else(|error| panic!("{error}"));
            thread::scope(|scope| {
                let slow = scope.spawn(|| add(&engine, &slow));
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
                assert!(engine.figures(quick).is_none() && engine.status(quick).is_none());
                assert!(!slow.is_finished(), "it waits for its file");

                lease.give_up();
                let slow = slow.join().expect("no panic");
                let ended = engine.remove(slow, StopReason::User).expect("it ends");
                assert_eq!(ended.stop_reason.final_state(), State::Completed);
                assert_eq!(ended.counters.matched, 0, "it never ran while it waited");
            });
        });
    }
}
