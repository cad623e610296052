//! Several callers on one engine. What whole captures bring is tested in `capture-tests`.

/// What needs root: programs on interfaces.
mod privileged {
    use std::{
        ffi::CString,
        fs::{self, File},
        io,
        os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
        path::{Path, PathBuf},
        sync::{Arc, mpsc},
        thread,
        time::Duration,
    };

    use caps::CapSet;
    use capture_file::{EarlierFiles, OutputConfig, Target};
    use capture_task::{
        plan::{Hook, Plan, RequestOrigin},
        task::{State, StopReason},
    };
    use capture_tests::{
        eventually,
        netns::{HOST_IF, Lab, PEER_IF},
        traffic,
    };
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
    use serde_json::json;

    use crate::engine::{Engine, EngineOptions, TaskHandle};
    use crate::{
        KernelVersion,
        loader::{self, StartLoader},
    };

    /// include/uapi/asm-generic/fcntl.h; `libc` has it for some targets only.
    const F_SETSIG: libc::c_int = 10;
    const LIMIT: Duration = Duration::from_secs(20);

    fn add(engine: &Engine, path: &Path) -> TaskHandle {
        let request = json!({"interfaces": [HOST_IF], "protocol": "udp", "format": "pcapng"});
        add_request(engine, request, path)
    }

    fn add_request(engine: &Engine, request: serde_json::Value, path: &Path) -> TaskHandle {
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

    /// Answers as a loader by a thread with the capabilities of the caller, until the way to it is dropped.
    fn loader_thread() -> (StartLoader, thread::JoinHandle<()>) {
        let (requests, sockets) = mpsc::channel::<OwnedFd>();
        let serving = thread::spawn(move || {
            for socket in sockets {
                loader::serve(socket.as_fd()).expect("an answer");
            }
        });
        let start: StartLoader = Arc::new(move || {
            let flags = SockFlag::SOCK_CLOEXEC;
            let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
            requests.send(theirs).map_err(io::Error::other)?;
            Ok(ours)
        });
        (start, serving)
    }

    #[test]
    fn who_has_no_capability_captures_by_a_loader() {
        if KernelVersion::running().expect("a version") < KernelVersion::TCX {
            return;
        }
        let lab = Lab::new();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let capture = |started: mpsc::Sender<()>| {
            // aya finds out once in a process what the kernel can do, and finds less without capabilities.
            crate::doctor::programs_load().expect("they load");
            let (start, serving) = loader_thread();
            for set in [
                CapSet::Ambient,
                CapSet::Inheritable,
                CapSet::Effective,
                CapSet::Permitted,
            ] {
                caps::clear(None, set).expect("to give up capabilities");
            }
            let options = EngineOptions { ring_size: 4 << 20 };
            assert!(Engine::start(options).is_err(), "it can load nothing");
            let engine = Engine::start_by(options, Some((&start, &Hook::ALL[..])));
            let engine = engine.unwrap_or_else(|error| panic!("{error}"));
            for hook in ["tc", "xdp", "xdp-generic"] {
                let path = directory.path().join(format!("{hook}.pcapng"));
                let request = json!({
                    "interfaces": [HOST_IF], "hook": hook, "direction": "ingress", "max_packets": 10,
                });
                let task = add_request(&engine, request, &path);
                started.send(()).expect("a sender");
                let is_full = || engine.ended(task) == Some(StopReason::MaxPackets);
                assert!(
                    eventually(LIMIT, is_full),
                    "{hook}: {:?}",
                    engine.counters(task)
                );
                let ended = engine
                    .remove(task, StopReason::MaxPackets)
                    .expect("it ends");
                assert_eq!(ended.counters.captured, 10, "{hook}");
            }
            drop((engine, start));
            serving.join().expect("the loader");
        };
        let (started, starts) = mpsc::channel();
        thread::scope(|scope| {
            let capturing = scope.spawn(|| lab.host.within(|| capture(started)));
            // By this thread, as it may enter the other namespace.
            for () in starts {
                traffic::send_to_host(&lab, 0..20, 200);
            }
            capturing.join().expect("captures");
        });
        let attachments = lab.host.attachments();
        assert!(attachments.is_empty(), "{attachments:?}");
    }

    #[test]
    fn a_loader_answers_only_what_makes_sense() {
        for request in [
            &b""[..],
            b"abc",
            b"\0\0\x10\0",
            b"\0\0\0\0\x01\0\0\0",
            b"\x01\0\0\x08\x01\0\0\0",
            b"\0\0\x10\0\x01\0\0\0and more",
        ] {
            let (ours, theirs) = socketpair(
                AddressFamily::Unix,
                SockType::SeqPacket,
                None,
                SockFlag::SOCK_CLOEXEC,
            )
            .expect("sockets");
            send(ours.as_raw_fd(), request, MsgFlags::empty()).expect("it is sent");
            assert!(loader::serve(theirs.as_fd()).is_err(), "{request:?}");
        }
        // One that ends without an answer.
        let start: StartLoader = Arc::new(|| {
            let flags = SockFlag::SOCK_CLOEXEC;
            Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?.0)
        });
        let options = EngineOptions { ring_size: 4 << 20 };
        let error = Engine::start_by(options, Some((&start, &Hook::ALL[..])))
            .err()
            .expect("an error");
        assert!(
            error
                .to_string()
                .starts_with("cannot have the kernel programs loaded: "),
            "{error}"
        );
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
            assert!(mounted, "{}", io::Error::last_os_error());
            let file = File::open(path).expect("it can be read");
            // SAFETY: fcntl(2) on numbers. The signal that somebody waits is one that does nothing.
            let leased = unsafe {
                libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) == 0
                    && libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) == 0
            };
            assert!(leased, "{}", io::Error::last_os_error());
            let path = path.to_owned();
            Self { file, path }
        }

        fn give_up(&self) {
            // SAFETY: fcntl(2) on numbers.
            let done =
                unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
            assert_eq!(done, 0, "{}", io::Error::last_os_error());
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
