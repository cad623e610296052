//! When the output does not take it: slow and closed readers, full disks, other captures. Each time every
//! packet is accounted for, and what is in the file is whole.

use std::{
    ffi::CString,
    fs::File,
    io::Read,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    thread,
    time::{Duration, Instant},
};

use capture_task::{error::ErrorKind, task::StopReason};

use super::*;
use crate::{channel::BUFFERS, sha256};

/// A FIFO, and its reading end.
fn fifo(directory: &TempDir) -> (PathBuf, File) {
    let path = directory.path().join("fifo.pcapng");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let reader = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .expect("the reading end");
    let flags = nix::fcntl::OFlag::empty();
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("blocking reads");
    (path, reader)
}

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let started = Instant::now();
    while !until() {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "in vain: {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_file_is_private_and_provisional_until_its_end() {
    let mut output = Output::new(&plan(Format::Pcapng), "a.pcapng");
    fs::write(output.path("a.pcapng"), "an older capture").expect("a file");
    let part = output.path("a.pcapng.part");
    let mode = fs::metadata(&part).expect("the .part").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The header and whole packets are there for live readers.
    wait("the header", || {
        fs::metadata(&part).is_ok_and(|metadata| metadata.len() > 100)
    });
    for n in 0..5 {
        output.give(&packet(n, &[1; 60]));
    }
    assert_eq!(output.counters.captured(), 0);
    output.sink.flush();
    wait("the packets", || output.counters.captured() == 5);
    assert_eq!(read(&part).0.len(), 5);

    let (report, _, directory) = output.finish();
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(names(&directory), ["a.pcapng"]);
    let path = directory.path().join("a.pcapng");
    assert_eq!(read(&path).0.len(), 5);
    let sum = run("sha256sum", &[], &path);
    assert_eq!(sum.split(' ').next(), sha256(&path).ok().as_deref());
}

#[test]
fn a_dropped_output_leaves_nothing_or_its_packets() {
    let output = Output::new(&plan(Format::Pcapng), "a.pcapng");
    drop(output.sink);
    assert_eq!(names(&output.directory), [""; 0]);

    let mut output = Output::new(&plan(Format::Pcapng), "a.pcapng");
    output.give(&packet(0, &[1; 60]));
    drop(output.sink);
    assert_eq!(names(&output.directory), ["a.pcapng.part"]);
    let sink = open(
        &plan(Format::Pcapng),
        &output.directory.path().join("a.pcapng"),
    );
    sink.expect("the output opens").finish(&closing());
    assert_eq!(
        names(&output.directory),
        ["a.pcapng", "a_interrupted.pcapng"]
    );
    assert_eq!(
        read(&output.directory.path().join("a_interrupted.pcapng"))
            .0
            .len(),
        1
    );
}

#[test]
fn a_live_capture_keeps_its_name() {
    let output = Output::new(&plan(Format::Pcapng), "a.pcapng");
    let error = open(&plan(Format::Pcapng), &output.path("a.pcapng")).err();
    let error = error.expect("the second is refused");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let part = output.path("a.pcapng.part");
    assert!(
        matches!(&error, Error::InUse { path } if *path == part),
        "{error}"
    );
    let error = crate::recover(&output.path("a.pcapng.part"));
    assert!(error.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    let (report, ..) = output.finish();
    assert!(report.files[0].complete);
}

#[test]
fn what_cannot_be_opened_is_said_at_once() {
    for (path, exit) in [
        ("/nonexistent/a.pcapng", ErrorKind::Runtime),
        ("/proc/a.pcapng", ErrorKind::Runtime),
        ("/tmp", ErrorKind::Usage),
    ] {
        let error = open(&plan(Format::Pcapng), Path::new(path)).err();
        let error = error.expect("it is refused");
        assert_eq!(error.kind(), exit, "{error}");
        assert!(error.to_string().contains(path), "{error}");
    }
}

#[test]
fn pcap_holds_one_link_type() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.pcap");
    let raw = InterfaceInfo {
        link_type: 101,
        ..interface(3, "wg0")
    };
    let both = [interface(2, "eth0"), raw.clone()];
    let error = FileOutput::open(&plan(Format::Pcap), &config(&path), &both).err();
    let error = error.expect("two link types are refused");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        matches!(&error, Error::LinkTypes { first, other } if first == "eth0" && other == "wg0"),
        "{error}"
    );

    // One that comes later ends the task, and what was captured before is in the file.
    let mut output = Output::new(&plan(Format::Pcap), "a.pcap");
    output.give(&packet(0, &[1; 60]));
    output.sink.add_interface(raw);
    assert_eq!(output.give(&packet(1, &[1; 60])), Some(StopReason::Error));
    let (report, counters, _directory) = output.finish();
    assert_eq!((counters.captured(), counters.dropped_write()), (1, 1));
    assert!(report.files[0].complete);
    assert_eq!(
        report.error.map(|error| error.stop_reason()),
        Some(StopReason::Error)
    );
}

/// Nobody reads: the reader's thread goes on at full speed, the queue fills, the rest is counted, and
/// the end does not hang. What the pipe took is counted as captured to the packet.
#[test]
fn a_stalled_pipe_costs_packets_and_never_time() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, mut reader) = fifo(&directory);
    let mut sink = open(&plan(Format::Pcapng), &path).expect("the output opens");
    let counters = sink.counters();
    let data = [1; 1000];
    let given = 4 * BUFFERS as u64 * 1024;
    let mut slowest = Duration::ZERO;
    for n in 0..given {
        let started = Instant::now();
        assert_eq!(sink.packet(&packet(n, &data)), None);
        sink.flush();
        slowest = slowest.max(started.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let dropped = counters.dropped_queue();
    assert!(
        dropped > given / 2 && dropped < given,
        "{dropped} of {given}"
    );

    let started = Instant::now();
    let report = sink.finish(&closing());
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_accounted(&counters, given);
    assert!(counters.dropped_write() > 0);
    let error = report.error.expect("the end is told");
    assert_eq!(error.stop_reason(), StopReason::IoError);
    assert!(error.to_string().contains("takes nothing"), "{error}");
    assert!(!report.files[0].complete);

    let mut content = Vec::new();
    reader
        .read_to_end(&mut content)
        .expect("what is in the pipe");
    let partial = directory.path().join("partial.pcapng");
    fs::write(&partial, content).expect("a file");
    let scan = crate::scan(&File::open(partial).expect("the file")).expect("a capture");
    assert_eq!(scan.packets, counters.captured());
}

/// A reader that is slow but reads gets all that the queue took, with the losses where they were.
#[test]
fn a_slow_pipe_is_drained_at_the_end() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, mut reader) = fifo(&directory);
    let mut sink = open(&plan(Format::Pcapng), &path).expect("the output opens");
    let counters = sink.counters();
    let data = [1; 1000];
    let given = 2 * BUFFERS as u64 * 1024;
    for n in 0..given {
        sink.packet(&packet(n, &data));
    }
    let consumer = thread::spawn(move || {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map(|_| content)
    });
    // Room again: the next packet says how many were lost before it.
    wait("a free buffer", || {
        sink.flush();
        counters.captured() > 0
    });
    let lost = counters.dropped_queue();
    sink.packet(&packet(given, &data));
    let report = sink.finish(&closing());
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_accounted(&counters, given + 1);
    assert!(lost > 0 && counters.dropped_queue() == lost && counters.dropped_write() == 0);

    let content = consumer
        .join()
        .expect("the consumer")
        .expect("it reads to the end");
    let copy = directory.path().join("copy.pcapng");
    fs::write(&copy, content).expect("a file");
    let (found, _) = read(&copy);
    assert_eq!(found.len() as u64, counters.captured());
    assert_eq!(found.last().and_then(|last| last.drops), Some(lost));
}

#[test]
fn a_closed_pipe_is_the_users_wish() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, reader) = fifo(&directory);
    let mut sink = open(&plan(Format::Pcapng), &path).expect("the output opens");
    let counters = sink.counters();
    sink.packet(&packet(0, &[1; 60]));
    sink.flush();
    wait("the first packet", || counters.captured() == 1);
    drop(reader);
    sink.packet(&packet(1, &[1; 60]));
    sink.flush();
    wait("the failure", || sink.failure().is_some());
    assert_eq!(sink.packet(&packet(2, &[1; 60])), Some(StopReason::User));
    assert_eq!(sink.tick(START_NS), Some(StopReason::User));
    let report = sink.finish(&closing());
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_accounted(&counters, 3);
    assert_eq!(counters.dropped_write(), 2);
    assert_eq!(report.files[0].packets, 1);
}

#[test]
fn a_full_device_is_a_full_disk() {
    let mut sink = open(&plan(Format::Pcap), Path::new("/dev/full")).expect("the output opens");
    let counters = sink.counters();
    wait("the failure", || sink.failure().is_some());
    for n in 0..10 {
        assert_eq!(
            sink.packet(&packet(n, &[1; 60])),
            Some(StopReason::DiskFull)
        );
    }
    let report = sink.finish(&closing());
    assert_eq!(counters.dropped_write(), 10);
    assert_eq!(
        report.error.map(|error| error.stop_reason()),
        Some(StopReason::DiskFull)
    );
    assert!(!Path::new("/dev/full.part").exists());

    let mut sink = open(&plan(Format::Pcap), Path::new("/dev/null")).expect("the output opens");
    sink.packet(&packet(0, &[1; 60]));
    let report = sink.finish(&closing());
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(
        (report.files[0].packets, report.files[0].complete),
        (1, true)
    );
}

/// What needs root: a disk that can be filled.
mod privileged {
    use super::*;

    /// A mount that goes before its directory does.
    struct SmallDisk {
        target: CString,
        directory: TempDir,
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            // SAFETY: a string that ends in NUL and lives.
            unsafe { libc::umount2(self.target.as_ptr(), libc::MNT_DETACH) };
        }
    }

    /// A tmpfs of 256 KiB in a mount namespace of this thread.
    fn small_disk() -> SmallDisk {
        let directory = tempfile::tempdir().expect("a temporary directory");
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("root");
        let target = CString::new(directory.path().as_os_str().as_encoded_bytes()).expect("a path");
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let (null, tmpfs) = (std::ptr::null(), c"tmpfs".as_ptr());
        // SAFETY: every pointer is null where mount(2) allows it, or a string that ends in NUL and lives.
        let mounted = unsafe {
            libc::mount(null, c"/".as_ptr(), null, private, null.cast()) == 0
                && libc::mount(
                    tmpfs,
                    target.as_ptr(),
                    tmpfs,
                    0,
                    c"size=256k".as_ptr().cast(),
                ) == 0
        };
        assert!(mounted, "{}", std::io::Error::last_os_error());
        SmallDisk { target, directory }
    }

    #[test]
    fn a_full_disk_ends_on_a_record_boundary() {
        for (format, name) in [(Format::Pcapng, "a.pcapng"), (Format::Pcap, "a.pcap")] {
            // A thread of its own, which alone sees the small disk, as does the writer it starts.
            let test = move || {
                let disk = small_disk();
                let path = disk.directory.path().join(name);
                let mut sink = open(&plan(format), &path).expect("the output opens");
                let counters = sink.counters();
                let mut last = None;
                let mut given = 0;
                while last.is_none() {
                    last = sink.packet(&packet(given, &[1; 777]));
                    given += 1;
                    if given % 100 == 0 {
                        sink.flush();
                        thread::sleep(Duration::from_millis(2));
                    }
                    assert!(given < 10_000, "the disk is never full");
                }
                assert_eq!(last, Some(StopReason::DiskFull));
                let report = sink.finish(&closing());
                assert_accounted(&counters, given);
                let error = report.error.expect("it is told");
                assert_eq!(error.stop_reason(), StopReason::DiskFull);
                assert!(error.to_string().contains("No space left"), "{error}");

                let [file] = &report.files[..] else {
                    panic!("{:?}", report.files)
                };
                assert_eq!(names(&disk.directory), [name]);
                assert_eq!(file.size, fs::metadata(&path).expect("the file").len());
                assert!(file.size > 200_000, "{file:?}");
                let (found, _) = read(&path);
                assert_eq!(found.len() as u64, file.packets);
                assert_eq!(file.packets, counters.captured());
                assert_eq!(counters.bytes(), 777 * file.packets);
                assert!(!file.complete && counters.dropped_write() > 0);
            };
            thread::spawn(test)
                .join()
                .expect("the test in its mount namespace");
        }
    }
}
