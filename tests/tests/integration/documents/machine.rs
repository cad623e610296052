//! Where the pages' commands are run: a machine whose interface `eth0` has the address 10.0.0.5, and a neighbour
//! 10.0.0.9 that asks it something all the time: by HTTPS, HTTP, SSH and DNS as far as a capture can tell, and by
//! ping. Directories that commands change are private; the agent is installed, and its daemon runs.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::{fs::symlink, process::CommandExt as _},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use capture_tests::{
    agent::{binary, lines_of},
    eventually,
    netns::{HOST_MAC, Lab, Netns, PEER_MAC},
    traffic::{self, Ipv4},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

const HOST: &str = "10.0.0.5";
const PEER: &str = "10.0.0.9";
/// HTTPS, HTTP and SSH.
const SERVICES: [u16; 3] = [443, 8080, 22];
/// Between two rounds of requests.
const PERIOD: Duration = Duration::from_millis(150);
/// For what takes long on a busy machine: a block, the start of a daemon and its end.
const LIMIT: Duration = Duration::from_secs(120);

/// A query for the address of example.com.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
/// The answer: 192.0.2.1.
const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x07example\x03com\0\0\x01\0\x01\
    \xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc0\0\x02\x01";

/// What tshark says to root, and not to those who read the pages.
const TSHARK_TO_ROOT: &str = "Running as user \"root\"";

/// In a mount namespace of its own (which `ip netns exec` makes): what commands change lies in `$1`.
const ENTER: &str = r#"
for directory in run var/lib usr/local/bin; do mount --bind "$1/$directory" "/$directory"; done
if [ -d /etc/capture-agent ]; then mount --bind "$1/etc" /etc/capture-agent; fi
cd "$1/work"
export PATH=/usr/local/bin:$PATH HOME="$1/work" LC_ALL=C.UTF-8
shift
exec "$@"
"#;

/// The machine.
pub(crate) struct Machine {
    lab: Lab,
    root: TempDir,
    has_ended: AtomicBool,
}

/// What came of a command.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    /// Both streams, as a terminal would show them.
    pub(crate) text: String,
}

impl Machine {
    /// Does `work` on a new machine.
    pub(crate) fn with(work: impl FnOnce(&Self)) {
        let this = Self::new();
        thread::scope(|scope| {
            for port in SERVICES {
                let listener = this.lab.host.within(|| TcpListener::bind((HOST, port)));
                let listener = listener.expect("the service listens");
                scope.spawn(|| this.serve(listener));
            }
            let resolver = this.lab.host.within(|| UdpSocket::bind((HOST, 53)));
            let resolver = resolver.expect("the resolver listens");
            scope.spawn(|| this.resolve(resolver));
            scope.spawn(|| this.lab.peer.within(|| this.ask()));
            let _end = EndOfTraffic(&this.has_ended);
            let _daemon = this.daemon();
            work(&this);
        });
    }

    fn new() -> Self {
        let lab = Lab {
            host: Netns::new(),
            peer: Netns::new(),
        };
        lab.pair("eth0", "eth0");
        lab.host.address("eth0", HOST_MAC, HOST, "fd00::5");
        lab.peer.address("eth0", PEER_MAC, PEER, "fd00::9");
        lab.host.neighbour("eth0", PEER, PEER_MAC);
        lab.peer.neighbour("eth0", HOST, HOST_MAC);
        let root = tempfile::tempdir().expect("a directory");
        for directory in ["run", "var/lib", "usr/local/bin", "etc", "work/target/dist"] {
            fs::create_dir_all(root.path().join(directory)).expect("a directory");
        }
        // As `cargo xtask run` leaves it, and as the page about that installs it.
        for name in [
            "work/target/dist/capture-agent",
            "usr/local/bin/capture-agent",
        ] {
            symlink(binary(), root.path().join(name)).expect("the agent is installed");
        }
        Self {
            lab,
            root,
            has_ended: AtomicBool::new(false),
        }
    }

    fn command(&self, program: &[&str]) -> Command {
        let mut command = self.lab.host.command("bash");
        command
            .args(["-euc", ENTER, "bash"])
            .arg(self.root.path())
            .args(program)
            .stdin(Stdio::null());
        command
    }

    /// Runs lines of bash as somebody types them; the first that fails is the last.
    pub(crate) fn run(&self, script: &str) -> Outcome {
        let path = self.root.path().join("script");
        fs::write(&path, format!("exec 2>&1\n{script}")).expect("a script");
        let path = path.display().to_string();
        let mut command = self.command(&["bash", "-euo", "pipefail", &path]);
        // A group of its own, by which what was left in the background is ended.
        command.process_group(0).stdout(Stdio::piped());
        let mut child = command.spawn().expect("bash starts");
        let (text, reader) = lines_of(child.stdout.take().expect("stdout is piped"));
        let mut status = None;
        let in_time = eventually(LIMIT, || {
            status = child.try_wait().expect("it is our child");
            status.is_some()
        });
        // Nobody may be left.
        let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
        let text = || text.lock().expect("nobody panics").clone();
        assert!(in_time, "does not end: {script}\n{}", text());
        reader.join().expect("the reader ends");
        let text = text();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with(TSHARK_TO_ROOT));
        Outcome {
            code: status.expect("it has ended").code(),
            text: lines.map(|line| format!("{line}\n")).collect(),
        }
    }

    fn daemon(&self) -> Daemon {
        let mut command = self.command(&["capture-agent", "daemon"]);
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let (text, _) = lines_of(child.stderr.take().expect("stderr is piped"));
        let mut daemon = Daemon(child);
        let text = || text.lock().expect("nobody panics").clone();
        let is_ready = || text().lines().any(|line| line == "ready");
        let has_ended = |daemon: &mut Daemon| !matches!(daemon.0.try_wait(), Ok(None));
        eventually(LIMIT, || is_ready() || has_ended(&mut daemon));
        assert!(is_ready(), "not ready: {}", text());
        daemon
    }

    fn is_over(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }

    /// Answers every request, until one comes after the end.
    fn serve(&self, listener: TcpListener) {
        for client in listener.incoming() {
            if self.is_over() {
                return;
            }
            let mut client = client.expect("a client");
            let mut request = [0; 64];
            // Who does not wait for the answer misses it.
            let _ = client.read(&mut request);
            let _ = client.write_all(&[b'a'; 600]);
        }
    }

    fn resolve(&self, socket: UdpSocket) {
        let mut query = [0; 512];
        while let Ok((_, client)) = socket.recv_from(&mut query) {
            if self.is_over() {
                return;
            }
            socket.send_to(ANSWER, client).expect("it is sent");
        }
    }

    /// The neighbour: a round of requests, again and again; the last round ends those that serve.
    fn ask(&self) {
        let packets = traffic::packet_socket("eth0", 0);
        for sequence in 0_u16.. {
            let is_last = self.is_over();
            for port in SERVICES {
                match TcpStream::connect((HOST, port)) {
                    Ok(mut server) => {
                        let _ = server.write_all(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
                        let _ = server.read_to_end(&mut Vec::new());
                    }
                    // It saw the end first.
                    Err(_) if self.is_over() => {}
                    Err(error) => panic!("port {port} does not answer: {error}"),
                }
            }
            let resolver = UdpSocket::bind((PEER, 0)).expect("a socket");
            resolver.send_to(QUERY, (HOST, 53)).expect("it is sent");
            traffic::send_one(&packets, &ping(sequence));
            if is_last {
                return;
            }
            thread::sleep(PERIOD);
        }
    }
}

/// An echo request of the neighbour; the kernel answers it.
fn ping(sequence: u16) -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0, 0, 7];
    message.extend_from_slice(&sequence.to_be_bytes());
    message.extend_from_slice(&[0; 56]);
    let sum = traffic::checksum(&message, 0);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = Ipv4::new(PEER, HOST, traffic::ICMP).frame(&message);
    frame[..6].copy_from_slice(&HOST_MAC);
    frame[6..12].copy_from_slice(&PEER_MAC);
    frame
}

/// Ends the traffic, also where a page fails.
struct EndOfTraffic<'a>(&'a AtomicBool);

impl Drop for EndOfTraffic<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A daemon, ended with the machine.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        if !eventually(LIMIT, || !matches!(self.0.try_wait(), Ok(None))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
