//! A thread of a confined process does what an attacker would who has taken over a thread of the API, by the system calls
//! themselves. The process is the program of these tests, started again.

use std::{
    env, fs, io,
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixListener,
    path::Path,
    process::Command,
    thread,
};

use nix::errno::Errno;

use super::*;
use crate::config::LiveConfig;

/// Begins the argument; a directory follows, and the port of a listener.
const ARGUMENT: &str = "confined-daemon=";

/// Runs before the `main` of the test harness, which does not know the argument.
#[used]
// SAFETY: glibc calls what is in this section with the signature of `main`, in which nothing is used, and returns to
// it what it does not heed.
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn serve() {
        let argument = env::args().nth(1);
        if let Some(argument) = argument
            .as_deref()
            .and_then(|one| one.strip_prefix(ARGUMENT))
        {
            let (directory, port) = argument.rsplit_once(',').expect("two values");
            act(Path::new(directory), port.parse().expect("a port"));
            std::process::exit(0);
        }
    }
    serve
};

/// The call as the kernel answers it: 0, or an error by its name.
fn call(result: libc::c_long) -> String {
    match Errno::result(result) {
        Ok(_) => "done".to_owned(),
        Err(errno) => format!("{errno:?}"),
    }
}

fn said<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or(0))),
    }
}

/// Confines this process, and has a thread of it say what comes of each attempt, a line each.
fn act(directory: &Path, port: u16) {
    let config =
        LiveConfig::load(Some(&directory.join("etc/config.toml"))).expect("a configuration");
    prctl::set_no_new_privs().expect("no_new_privs");
    of_daemon(&config.get(), config.file()).expect("to be confined");
    let misdeeds = thread::Builder::new().spawn({
        let directory = directory.to_owned();
        move || misdeeds(&directory, port)
    });
    of_serving_daemon().expect("to be confined");
    misdeeds.expect("a thread").join().expect("its end");
}

fn misdeeds(directory: &Path, port: u16) {
    // Until all threads are confined, also this one.
    let local = ("127.0.0.1", port);
    while TcpStream::connect(local).is_ok() {}
    let say = |what: &str, came: String| println!("{what}: {came}");
    let null = std::ptr::null::<libc::c_char>();
    let program = c"/bin/true".as_ptr();
    let none = [null];
    // SAFETY: strings that end with a zero, lists that end with a null pointer, and numbers; what is refused changes nothing, and
    // what is not is the failure of the test.
    unsafe {
        say(
            "execve",
            call(libc::execve(program, none.as_ptr(), none.as_ptr()).into()),
        );
        say("fork", call(libc::fork().into()));
        say(
            "vfork by clone3",
            call(libc::syscall(libc::SYS_clone3, [0_u64; 8].as_ptr(), 64)),
        );
        say(
            "bpf(BPF_PROG_LOAD)",
            call(libc::syscall(libc::SYS_bpf, 5, [0_u64; 16].as_ptr(), 128)),
        );
        say(
            "bpf(BPF_MAP_CREATE)",
            call(libc::syscall(libc::SYS_bpf, 0, [0_u64; 16].as_ptr(), 128)),
        );
        let parent = libc::getppid();
        say(
            "ptrace",
            call(libc::ptrace(libc::PTRACE_ATTACH, parent, 0, 0)),
        );
        let piece = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        say(
            "process_vm_readv",
            call(
                libc::process_vm_readv(parent, &raw const piece, 1, &raw const piece, 1, 0)
                    as libc::c_long,
            ),
        );
        say("kill", call(libc::kill(parent, 0).into()));
        say(
            "packet socket",
            call(libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into()),
        );
        say(
            "vsock",
            call(libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).into()),
        );
        say(
            "io_uring",
            call(libc::syscall(
                libc::SYS_io_uring_setup,
                1,
                [0_u64; 16].as_mut_ptr(),
            )),
        );
        say("unshare", call(libc::unshare(libc::CLONE_NEWUSER).into()));
        say(
            "mount",
            call(libc::mount(null, null, null, 0, null.cast()).into()),
        );
        let code = libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_EXEC,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        say("mmap of code", call(code as libc::c_long));
        say("setuid", call(libc::setuid(0).into()));
    }
    say("TCP", said(TcpStream::connect(local)));
    say("UDP", said(UdpSocket::bind("127.0.0.1:0")));
    say("listen", said(TcpListener::bind("127.0.0.1:0")));
    say(
        "Unix socket",
        said(std::os::unix::net::UnixStream::connect(
            directory.join("other/socket"),
        )),
    );
    say("spawn", said(Command::new("/bin/true").spawn()));
    let foreign = directory.join("other/file");
    say("read another file", said(fs::read(&foreign)));
    say("write another file", said(fs::write(&foreign, "x")));
    say(
        "make a file elsewhere",
        said(fs::write(directory.join("other/new"), "x")),
    );
    say(
        "list another directory",
        said(fs::read_dir(directory.join("other"))),
    );
    say(
        "write /etc",
        said(fs::File::options().append(true).open("/etc/passwd")),
    );
    say(
        "write the configuration",
        said(fs::write(directory.join("etc/config.toml"), "x")),
    );
    let own = directory.join("captures");
    say("write a capture", said(fs::write(own.join("a"), "x")));
    say(
        "rename a capture",
        said(fs::rename(own.join("a"), own.join("b"))),
    );
    say("read a capture", said(fs::read(own.join("b"))));
    say("remove a capture", said(fs::remove_file(own.join("b"))));
    say(
        "read the configuration",
        said(fs::read(directory.join("etc/config.toml"))),
    );
    say("read names of users", said(fs::read("/etc/passwd")));
    say(
        "start a thread",
        said(
            thread::Builder::new()
                .spawn(|| ())
                .map(|thread| thread.join()),
        ),
    );
    say(
        "memory",
        said(
            nix::sys::memfd::memfd_create(c"a", nix::sys::memfd::MFdFlags::empty())
                .map_err(Into::into),
        ),
    );
}

#[test]
fn a_thread_that_is_taken_over_gets_nowhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    for name in ["captures", "etc", "state", "run", "other"] {
        fs::create_dir(path.join(name)).expect("a directory");
    }
    fs::write(path.join("other/file"), "theirs").expect("a file");
    let _unix = UnixListener::bind(path.join("other/socket")).expect("a socket");
    let root = path.display();
    let config = format!(
        "[paths]\ncaptures = \"{root}/captures\"\ndatabase = \"{root}/state/state.db\"\nsocket = \"{root}/run/api.sock\"\n"
    );
    fs::write(path.join("etc/config.toml"), config).expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let output = Command::new("/proc/self/exe")
        .arg(format!("{ARGUMENT}{root},{port}"))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let lines: Vec<_> = said
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    let did = |what: &str| {
        lines
            .iter()
            .find(|(said, _)| *said == what)
            .map(|(_, came)| *came)
    };
    for works in [
        "write a capture",
        "rename a capture",
        "read a capture",
        "remove a capture",
        "read the configuration",
        "read names of users",
        "start a thread",
        "memory",
    ] {
        assert_eq!(did(works), Some("done"), "{works}: {said}");
    }
    for by_seccomp in [
        "execve",
        "fork",
        "bpf(BPF_PROG_LOAD)",
        "bpf(BPF_MAP_CREATE)",
        "ptrace",
        "process_vm_readv",
        "kill",
        "packet socket",
        "vsock",
        "io_uring",
        "unshare",
        "mount",
        "mmap of code",
        "setuid",
        "TCP",
        "UDP",
        "listen",
        "Unix socket",
        "spawn",
    ] {
        assert_eq!(did(by_seccomp), Some("EPERM"), "{by_seccomp}: {said}");
    }
    assert_eq!(did("vfork by clone3"), Some("ENOSYS"), "{said}");
    // SAFETY: asks for the version, which takes no pointer.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    if version < 1 {
        return;
    }
    for by_landlock in [
        "read another file",
        "write another file",
        "make a file elsewhere",
        "list another directory",
        "write /etc",
        "write the configuration",
    ] {
        assert_eq!(did(by_landlock), Some("EACCES"), "{by_landlock}: {said}");
    }
}
