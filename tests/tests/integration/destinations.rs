//! What lies at the name of the output: descriptors, links, mounts, FIFOs and what is in the way. Nothing but
//! a regular file is ever replaced, and what cannot work is refused before the capture begins.

use std::{
    fs::{self, File, Permissions},
    io::Read as _,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use capture_tests::{
    TIMEOUT,
    agent::{self, Ended, Running, binary},
    eventually,
    netns::{HOST_IF, Lab, PEER_IF},
    readers,
    terminal::PseudoTerminal,
    traffic,
};
use nix::{
    sys::{
        signal::Signal,
        stat::{Mode, SFlag, mknod},
    },
    unistd::{Uid, chown, mkfifo},
};
use tempfile::{TempDir, tempdir};

const NOBODY: u32 = 65534;

fn directory() -> Arc<TempDir> {
    Arc::new(tempdir().expect("a directory"))
}

/// The agent in this directory, started by a shell script in which `$RUN` is its command so far.
fn by_script<'a>(lab: &'a Lab, directory: &Arc<TempDir>, script: &str) -> Running<'a> {
    let mut command = lab.host.command("sh");
    command.env(
        "RUN",
        format!("{} run -i {HOST_IF} --port 53 -o json", binary().display()),
    );
    command.args(["-c", script]);
    agent::spawn(&lab.host, Arc::clone(directory), command)
}

/// Waits until it captures, sends three packets, and waits for the end, which `-c 3` brings.
fn three<'a>(lab: &Lab, running: Running<'a>) -> Ended {
    running.wait_ready();
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..3, 100));
    running.wait(TIMEOUT)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it can be listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into()).collect();
    names.sort();
    names
}

/// Runs to the end, which is an error before the capture begins.
fn refused(ended: Ended, code: i32, words: &[&str]) -> Ended {
    let ended = ended.expect_code(code).expect_stderr(words);
    ended.check(!ended.stderr.contains("capturing on"), "it never captured");
    ended.check(!ended.stderr.contains("panicked"), "no panic");
    ended
}

/// In a mount namespace with a `/dev` of its own, as an agent that replaces `/dev/stdout` does so for everybody.
const OWN_DEV: &str = "mkdir dev && cp -a /dev/null /dev/zero /dev/urandom dev/ \
    && ln -s /proc/self/fd dev/fd && ln -s /proc/self/fd/1 dev/stdout \
    && ln -s /proc/self/fd/2 dev/stderr && mount --bind dev /dev && ";

#[test]
fn standard_output_by_its_other_names() {
    let lab = Lab::new();
    for (name, to) in [
        ("/dev/stdout", "> got"),
        ("/dev/stdout", "| cat > got"),
        ("/dev/fd/1", "> got"),
        ("/proc/thread-self/fd/1", "> got"),
        ("link.pcapng", "> got"),
    ] {
        let directory = directory();
        symlink("/dev/stdout", directory.path().join("link.pcapng")).expect("a link");
        let script = format!("{OWN_DEV} $RUN -c 3 -w {name} {to}");
        let ended = three(&lab, by_script(&lab, &directory, &script));
        let ended = ended.expect_code(0);
        // As of "-w -", the summary is not among the packets.
        assert_eq!(ended.summary()["files"][0]["name"], "-", "{name} {to}");
        let got = directory.path().join("got");
        assert_eq!(readers::packets(&got).len(), 3, "{name} {to}");
        for link in ["dev/stdout", "link.pcapng"] {
            let link = directory.path().join(link);
            ended.check(link.is_symlink(), format_args!("{link:?} is a link"));
        }
        assert_eq!(names(&directory.path().join("dev")).len(), 6);
    }
    assert!(Path::new("/dev/stdout").is_symlink());
}

#[test]
fn an_inherited_descriptor() {
    let lab = Lab::new();
    for (redirection, before) in [("7> got", ""), ("7>> got", "what was there\n")] {
        let directory = directory();
        let got = directory.path().join("got");
        fs::write(&got, before).expect("a file");
        let script = format!("exec $RUN -c 3 -w /dev/fd/7 {redirection}");
        let ended = three(&lab, by_script(&lab, &directory, &script)).expect_code(0);
        let file = &ended.summary()["files"][0];
        assert_eq!(file["name"], "/dev/fd/7");
        ended.check(file["sha256"].is_null(), "it may have held more");
        let content = fs::read(&got).expect("it is there");
        let capture = content.strip_prefix(before.as_bytes());
        fs::write(&got, capture.expect("what was there stays")).expect("it can be written");
        assert_eq!(readers::packets(&got).len(), 3);
    }
    // As of a process substitution.
    let directory = directory();
    let script = "$RUN -c 3 -w /dev/fd/7 7>&1 >summary | cat > got; cat summary";
    three(&lab, by_script(&lab, &directory, script)).expect_code(0);
    assert_eq!(readers::packets(&directory.path().join("got")).len(), 3);
}

#[test]
fn descriptors_that_cannot_be_written() {
    let lab = Lab::new();
    for (name, redirection, words) in [
        ("/dev/fd/9", "9>&-", &["/dev/fd/9", "not open"][..]),
        ("/dev/fd/7", "7< /dev/zero", &["/dev/fd/7", "reading"]),
        ("/dev/stderr", "", &["/dev/stderr", "messages"]),
        ("/proc/1/fd/0", "", &["/proc/1/fd/0", "another process"]),
        ("/proc/sys/vm/swappiness", "", &["swappiness", "kernel"]),
    ] {
        let directory = directory();
        let script = format!("exec $RUN -w {name} {redirection}");
        let ended = by_script(&lab, &directory, &script).wait(TIMEOUT);
        refused(ended, 2, words);
    }
    for name in ["/dev/stdout", "/dev/fd/7"] {
        let directory = directory();
        let script = format!("exec $RUN -w {name} -C 1 7> got > out");
        refused(
            by_script(&lab, &directory, &script).wait(TIMEOUT),
            2,
            &["rotated"],
        );
        let tasks = format!("[[tasks]]\ninterfaces = [\"{HOST_IF}\"]\nwrite = \"{name}\"\n");
        fs::write(directory.path().join("t.toml"), tasks.repeat(2)).expect("a file");
        let script = format!(
            "exec {} run --tasks t.toml 7> got > out",
            binary().display()
        );
        let words = match name {
            "/dev/fd/7" => "writes to \"/dev/fd/7\" already",
            _ => "standard output is for a single task",
        };
        refused(
            by_script(&lab, &directory, &script).wait(TIMEOUT),
            2,
            &[words],
        );
        assert_eq!(names(directory.path()), ["got", "out", "t.toml"]);
    }
}

#[test]
fn a_terminal_is_refused_by_every_name() {
    let lab = Lab::new();
    for name in ["/dev/stdout", "/dev/fd/1", "/dev/fd/0", "tty"] {
        let terminal = PseudoTerminal::open();
        let path = nix::unistd::ttyname(&terminal.slave).expect("it has a name");
        let directory = directory();
        symlink(path, directory.path().join("tty")).expect("a link");
        let mut command = lab.host.command(binary());
        command.args(["run", "-i", HOST_IF, "-w", name]);
        command.current_dir(directory.path()).stderr(Stdio::piped());
        let slave = terminal.slave.try_clone().expect("a copy");
        command.stdin(slave).stdout(terminal.slave);
        let mut child = command.spawn().expect("the agent starts");
        let ended = || child.try_wait().expect("it is our child").is_some();
        if !eventually(TIMEOUT, ended) {
            child.kill().expect("it runs");
        }
        let done = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{name}: {stderr}");
        assert!(stderr.contains("terminal"), "{name}: {stderr}");
        assert_eq!(names(directory.path()), ["tty"]);
    }
}

#[test]
fn a_link_is_followed() {
    let lab = Lab::new();
    for (there, to) in [
        (true, "../big/t.pcapng"),
        (false, "../big/t.pcapng"),
        (true, "../second"),
    ] {
        let directory = directory();
        let path = |name: &str| directory.path().join(name);
        for name in ["big", "small"] {
            fs::create_dir(path(name)).expect("a directory");
        }
        if there {
            fs::write(path("big/t.pcapng"), "an older capture").expect("a file");
        }
        // One by one, and by an absolute one.
        symlink(path("big/t.pcapng"), path("second")).expect("a link");
        symlink(to, path("small/l.pcapng")).expect("a link");
        let arguments = ["-i", HOST_IF, "-w", "small/l.pcapng"];
        let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
        running.wait_ready();
        // It grows beside the file, on the disk of the file.
        let grows = eventually(TIMEOUT, || path("big/t.pcapng.part").exists());
        assert!(grows, "{:?}", names(&path("big")));
        traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..3, 100));
        let ended = running.stop().expect_whole("user");
        assert_eq!(ended.summary()["files"][0]["name"], "small/l.pcapng");
        assert!(path("small/l.pcapng").is_symlink());
        assert_eq!(names(&path("small")), ["l.pcapng"]);
        assert_eq!(names(&path("big")), ["t.pcapng"]);
        assert_eq!(readers::packets(&path("big/t.pcapng")).len(), 3);
    }
}

#[test]
fn links_in_a_rotation_are_followed() {
    let lab = Lab::new();
    let directory = directory();
    fs::create_dir(directory.path().join("big")).expect("a directory");
    for number in 1..=3 {
        let name = format!("o_0000{number}.pcapng");
        symlink(format!("big/{number}"), directory.path().join(name)).expect("a link");
    }
    let arguments = ["-i", HOST_IF, "-C", "20kB", "-W", "2", "-w", "o.pcapng"];
    let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
    running.wait_ready();
    // 20 kB hold some 140 of them.
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..350, 100));
    running.stop().expect_code(0);
    // What left the ring is the file and not the link.
    assert_eq!(names(&directory.path().join("big")), ["2", "3"]);
}

#[test]
fn links_that_lead_nowhere() {
    let lab = Lab::new();
    let directory = directory();
    symlink("b.pcapng", directory.path().join("a.pcapng")).expect("a link");
    symlink("a.pcapng", directory.path().join("b.pcapng")).expect("a link");
    symlink("none/c.pcapng", directory.path().join("c.pcapng")).expect("a link");
    for (name, words) in [
        ("a.pcapng", &["a.pcapng", "loop"][..]),
        (
            "c.pcapng",
            &["none/c.pcapng.part", "the directory", "none does not exist"],
        ),
        ("new/d.pcapng", &["the directory new does not exist\n"]),
        (
            "/etc/passwd/e.pcapng",
            &["/etc/passwd is not a directory\n"],
        ),
    ] {
        let arguments = ["-i", HOST_IF, "-w", name];
        let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
        refused(running.wait(TIMEOUT), 1, words);
    }
    let names = names(directory.path());
    assert_eq!(names, ["a.pcapng", "b.pcapng", "c.pcapng"]);
}

/// Two names of one file are one output.
#[test]
fn two_tasks_by_two_names_of_one_file() {
    let lab = Lab::new();
    let directory = directory();
    symlink("a.pcapng", directory.path().join("b.pcapng")).expect("a link");
    let task =
        |name: &str| format!("[[tasks]]\ninterfaces = [\"{HOST_IF}\"]\nwrite = \"{name}\"\n");
    let tasks = task("a.pcapng") + &task("b.pcapng");
    fs::write(directory.path().join("t.toml"), tasks).expect("a file");
    let arguments = ["--tasks", "t.toml"];
    let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
    refused(
        running.wait(TIMEOUT),
        2,
        &["tasks[1].write", "tasks[0]", "already"],
    );
}

#[test]
fn a_mounted_file_is_written_in_place() {
    let lab = Lab::new();
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    fs::write(
        path("outside"),
        "an older capture, longer than a header\n".repeat(100),
    )
    .expect("a file");
    fs::write(path("in.pcapng"), "").expect("a file");
    let inode = path("outside").metadata().expect("it is there").ino();
    // Its figures are held to the file that is seen from here.
    let script = "mount --bind outside in.pcapng && $RUN -c 3 -w in.pcapng && \
        umount in.pcapng && cp outside in.pcapng";
    let ended = three(&lab, by_script(&lab, &directory, script)).expect_whole("max_packets");
    let ended = ended.expect_stderr(&["in.pcapng is written in place", "mount point"]);
    assert_eq!(ended.summary()["files"][0]["packets"], 3);
    assert_eq!(
        path("outside").metadata().expect("it is there").ino(),
        inode
    );
    assert_eq!(readers::packets(&path("outside")).len(), 3);
    let digest = capture_tests::output(Command::new("sha256sum").arg(path("outside")));
    let said = ended.summary()["files"][0]["sha256"].as_str();
    ended.check(
        said.is_some_and(|said| digest.starts_with(said)),
        "the digest",
    );
    assert_eq!(names(directory.path()), ["in.pcapng", "outside"]);

    // Two at once would mix.
    let script = "mount --bind outside in.pcapng && exec flock outside $RUN -w in.pcapng";
    let ended = by_script(&lab, &directory, script).wait(TIMEOUT);
    refused(ended, 4, &["in.pcapng", "another capture"]);
    assert_eq!(
        readers::packets(&path("outside")).len(),
        3,
        "it is not emptied"
    );
}

/// The agent as a user with nothing but its three capabilities, from a copy that this user can execute.
fn as_nobody<'a>(lab: &'a Lab, directory: &Arc<TempDir>, name: &str) -> Running<'a> {
    let copy = tempdir().expect("a directory");
    let agent = copy.path().join("capture-agent");
    fs::copy(binary(), &agent).expect("the binary can be copied");
    for path in [copy.path(), &agent] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own");
    }
    let mut command = lab.host.command("setpriv");
    let id = NOBODY.to_string();
    let held = "-all,+bpf,+net_admin,+perfmon";
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    command.args(["--inh-caps", held, "--ambient-caps", held]);
    command.arg(&agent);
    command.args(["run", "-o", "json", "-i", HOST_IF, "-c", "3", "-w", name]);
    let running = agent::spawn(&lab.host, Arc::clone(directory), command);
    // It is executed by then, or has failed to be.
    let begun = eventually(TIMEOUT, || !running.stderr_so_far().is_empty());
    assert!(begun, "it says something");
    running
}

#[test]
fn a_file_in_a_directory_that_cannot_be_written() {
    let lab = Lab::new();
    for (mode, owner, code, words) in [
        // Whoever may write the file alone writes into it.
        (0o755, NOBODY, 0, &["written in place", "directory"][..]),
        // In /tmp, another user's file cannot be renamed over, and its owner would read the capture.
        (0o1777, 1, 1, &["another user", "uid 1"]),
        (0o1777, 0, 0, &["written in place", "sticky"]),
        (0o1777, NOBODY, 0, &["capturing on"]),
    ] {
        let directory = directory();
        let file = directory.path().join("o.pcapng");
        fs::write(&file, "an older capture").expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(0o666)).expect("our file");
        chown(&file, Some(Uid::from_raw(owner)), None).expect("root may");
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("ours");
        let running = as_nobody(&lab, &directory, "o.pcapng");
        if code == 0 {
            let ended = three(&lab, running).expect_whole("max_packets");
            ended.expect_stderr(words);
            assert_eq!(readers::packets(&file).len(), 3, "{mode:o} {owner}");
        } else {
            refused(running.wait(TIMEOUT), code, words);
            assert_eq!(fs::read(&file).expect("it stays"), b"an older capture");
        }
        assert_eq!(names(directory.path()), ["o.pcapng"]);
    }
}

#[test]
fn a_directory_that_cannot_be_written() {
    let lab = Lab::new();
    let directory = directory();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("ours");
    let running = as_nobody(&lab, &directory, "o.pcapng");
    refused(
        running.wait(TIMEOUT),
        1,
        &["o.pcapng.part", "Permission denied"],
    );
}

#[test]
fn what_is_no_file_is_neither_written_nor_replaced() {
    let lab = Lab::new();
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("directory")).expect("a directory");
    let _socket = UnixListener::bind(path("socket")).expect("a socket");
    let numbers = nix::sys::stat::makedev(7, 250);
    mknod(&path("disk"), SFlag::S_IFBLK, Mode::S_IRWXU, numbers).expect("a device");
    mkfifo(&path("o_00001.pcapng"), Mode::S_IRWXU).expect("a FIFO");
    symlink("socket", path("link")).expect("a link");
    for name in ["directory", "socket", "disk", "link"] {
        let arguments = ["-i", HOST_IF, "-w", name];
        let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
        refused(running.wait(TIMEOUT), 2, &[name, "neither a file"]);
    }
    let arguments = ["-i", HOST_IF, "-C", "1", "-w", "o.pcapng"];
    let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
    refused(running.wait(TIMEOUT), 2, &["o_00001.pcapng", "rotation"]);
    let kinds = path("o_00001.pcapng").metadata().expect("it is there");
    assert!(kinds.file_type().is_fifo());
    assert_eq!(names(directory.path()).len(), 5);
}

#[test]
fn what_comes_to_the_name_meanwhile_stays() {
    let lab = Lab::new();
    let directory = directory();
    let file = directory.path().join("o.pcapng");
    let arguments = ["-i", HOST_IF, "-w", "o.pcapng"];
    let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
    running.wait_ready();
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..3, 100));
    mkfifo(&file, Mode::S_IRWXU).expect("a FIFO");
    let ended = running.stop().expect_code(1);
    let ended = ended.expect_stderr(&["o.pcapng.part", "no regular file"]);
    let metadata = file.symlink_metadata().expect("it is there");
    assert!(metadata.file_type().is_fifo());
    let record = &ended.summary()["files"][0];
    assert_eq!(
        (&record["name"], &record["complete"]),
        (&"o.pcapng.part".into(), &false.into())
    );
    assert_eq!(
        readers::packets(&directory.path().join("o.pcapng.part")).len(),
        3
    );
}

/// A FIFO or a link that somebody else laid where everybody may.
#[test]
fn a_trap_of_another_user_gets_nothing() {
    let lab = Lab::new();
    let nobody = Some(Uid::from_raw(NOBODY));
    for (mode, is_trap) in [(0o1777, true), (0o755, false)] {
        let directory = directory();
        let path = |name: &str| directory.path().join(name);
        fs::set_permissions(directory.path(), Permissions::from_mode(mode)).expect("ours");
        mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a FIFO");
        symlink("target", path("link")).expect("a link");
        let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
        for name in ["fifo", "link"] {
            nix::unistd::fchownat(nix::fcntl::AT_FDCWD, &path(name), nobody, None, flags)
                .expect("root may");
        }
        // Opened for both, so that it never waits.
        let mut reader = File::options()
            .read(true)
            .write(true)
            .open(path("fifo"))
            .expect("a reader");
        for name in ["fifo", "link"] {
            let arguments = ["-i", HOST_IF, "-c", "3", "-w", name];
            let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
            if is_trap {
                refused(running.wait(TIMEOUT), 1, &[name, "another user"]);
            } else {
                three(&lab, running).expect_code(0);
            }
        }
        assert_eq!(path("target").exists(), !is_trap);
        let mut first = [0; 4];
        let flags = nix::fcntl::OFlag::O_NONBLOCK;
        nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("ours");
        let got = reader.read(&mut first).is_ok_and(|count| count > 0);
        assert_eq!(got, !is_trap);
    }
}

#[test]
fn a_fifo_without_a_reader_ends_by_a_signal_or_its_duration() {
    let lab = Lab::new();
    let waiting = |arguments: &[&str]| {
        let directory = directory();
        mkfifo(&directory.path().join("ff"), Mode::S_IRWXU).expect("a FIFO");
        let arguments = [&["-i", HOST_IF, "-w", "ff"], arguments].concat();
        let running = agent::start_in(&lab.host, directory, &arguments);
        let is_told = || {
            running
                .stderr_so_far()
                .contains("waiting for a reader of ff")
        };
        assert!(eventually(TIMEOUT, is_told), "{}", running.stderr_so_far());
        running
    };
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let running = waiting(&["--duration", "1h"]);
        running.signal(signal);
        let ended = running.wait(Duration::from_secs(2));
        refused(
            ended,
            1,
            &["signal", "reader of ff", "nothing was captured"],
        );
    }
    let running = waiting(&["--duration", "1s"]);
    let ended = running.wait(Duration::from_secs(3));
    refused(ended, 1, &["ff", "within 1s", "nothing was captured"]);

    // And when a reader comes, it goes on.
    let running = waiting(&["-c", "3"]);
    let fifo = running.directory().join("ff");
    let reader = thread::spawn(move || fs::read(fifo).expect("it can be read"));
    let ended = three(&lab, running).expect_code(0);
    let stream = reader.join().expect("it reads to the end");
    let copy = ended.directory.path().join("copy.pcapng");
    fs::write(&copy, stream).expect("a file");
    assert_eq!(readers::packets(&copy).len(), 3);
}
