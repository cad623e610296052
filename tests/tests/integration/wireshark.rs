//! The extcap, called by a real tshark (and the dumpcap that it starts) as it will be: as a user without privileges who is in
//! the group of the daemon's socket, by a symlink in the directory of extcaps.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED, udp_task},
    eventually,
    netns::{HOST_IF, Lab},
    output,
    peer_tools::Tcpdump,
    readers, traffic,
};
use nix::{
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// `nobody` of Debian, and the group `users`.
const NOBODY: &str = "65534";
const GROUP: &str = "100";

/// How long the end of a capture may take: a quarter of a second where the machine has nothing else to do.
const SOON: Duration = Duration::from_secs(3);

/// A user of Wireshark, and a daemon.
struct Wireshark {
    lab: Lab,
    daemon: Daemon,
    home: TempDir,
    socket: PathBuf,
}

impl Wireshark {
    fn new() -> Self {
        let lab = Lab::new();
        let state = daemon::home(&format!("{UNLIMITED}\n[access]\nsocket_group = \"users\""));
        open_to_all(state.path());
        let daemon = daemon::start_in(&lab.host, &Arc::clone(&state));
        let home = tempfile::tempdir().expect("a directory");
        open_to_all(home.path());
        let extcaps = home.path().join(".config/wireshark/extcap");
        fs::create_dir_all(&extcaps).expect("a directory");
        // It may lie where only root goes.
        let program = home.path().join("capture-agent");
        fs::copy(binary(), &program).expect("the agent");
        symlink(program, extcaps.join("capture-agent")).expect("a symlink");
        output(Command::new("chown").args(["-R", NOBODY]).arg(home.path()));
        let socket = daemon.socket();
        Self {
            lab,
            daemon,
            home,
            socket,
        }
    }

    /// A program of that user on the host, in these groups.
    fn user(&self, program: impl AsRef<Path>, groups: &str) -> Command {
        let mut command = self.lab.host.command("setpriv");
        command.args([
            "--reuid",
            NOBODY,
            "--regid",
            NOBODY,
            "--inh-caps=-all",
            "--bounding-set=-all",
        ]);
        command
            .args(["--groups", groups, "--"])
            .arg(program.as_ref());
        command
            .env("HOME", self.home.path())
            .env("CAPTURE_AGENT_SOCKET", &self.socket)
            .env_remove("XDG_CONFIG_HOME")
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    fn tshark(&self, arguments: &[&str]) -> Command {
        let mut command = self.user("tshark", GROUP);
        command.args(arguments);
        command
    }

    /// The tasks that have not ended.
    fn running(&self) -> Vec<Value> {
        let tasks = self
            .daemon
            .ask("GET", "/tasks?state=running", None)
            .expect(200)
            .json();
        tasks["tasks"].as_array().expect("a list").clone()
    }

    /// The one task that runs.
    fn one_running(&self) -> Value {
        let mut running = Vec::new();
        let is_one = eventually(TIMEOUT, || {
            running = self.running();
            running.len() == 1
        });
        assert!(is_one, "{running:?}; {}", self.daemon.stderr());
        running.remove(0)
    }

    /// All tasks, also those that have ended.
    fn count(&self) -> usize {
        let tasks = self.daemon.ask("GET", "/tasks", None).expect(200).json();
        tasks["tasks"].as_array().expect("a list").len()
    }

    /// The extcap itself, with a FIFO and a program that empties it.
    fn extcap(&self, interface: &str) -> (Killed, Killed) {
        let fifo = self.home.path().join("fifo");
        if !fifo.exists() {
            mkfifo(&fifo, Mode::from_bits_truncate(0o666)).expect("a FIFO");
            open_to_all(&fifo);
        }
        let mut reader = Command::new("cat");
        let reader = reader
            .arg(&fifo)
            .stdout(Stdio::null())
            .spawn()
            .expect("cat starts");
        let mut extcap = self.user(
            self.home
                .path()
                .join(".config/wireshark/extcap/capture-agent"),
            GROUP,
        );
        extcap.args(["--capture", "--extcap-interface", interface, "--fifo"]);
        extcap
            .arg(&fifo)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        (Killed(extcap.spawn().expect("it starts")), Killed(reader))
    }
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Killed {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).expect("it runs");
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("its mode");
}

fn said(done: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{:?}\n{}{}",
        done.status.code(),
        text(&done.stdout),
        text(&done.stderr)
    )
}

#[test]
fn interfaces_and_running_tasks_are_listed_without_a_privilege() {
    let wireshark = Wireshark::new();
    let id = wireshark
        .daemon
        .create(udp_task(json!({"name": "dns {1}"})));
    wireshark.daemon.reach(&id, "running");
    let listed = output(&mut wireshark.tshark(&["-D"]));
    let ours = |listed: &str| -> Vec<String> {
        let names = listed.lines().filter_map(|line| line.split_once(". "));
        let names = names.map(|(_, rest)| rest.to_owned());
        names
            .filter(|name| name.starts_with("capture-agent"))
            .collect()
    };
    let names = ours(&listed);
    let starting = |start: &str| names.iter().find(|name| name.starts_with(start));
    assert!(
        starting(&format!("capture-agent:{HOST_IF} (")).is_some(),
        "{listed}"
    );
    assert!(
        starting("capture-agent:any (any, all interfaces)").is_some(),
        "{listed}"
    );
    let task = format!("capture-agent:task:{id} (task dns 1 on {HOST_IF})");
    assert!(starting(&task).is_some(), "{listed}");

    // Others are offered nothing, and Wireshark does not wait for it.
    let begun = Instant::now();
    let mut stranger = wireshark.user("tshark", NOBODY);
    assert_eq!(ours(&output(stranger.arg("-D"))), Vec::<String>::new());
    // A context whose host swallows everything.
    let contexts = wireshark.home.path().join(".config/capture-agent");
    fs::create_dir(&contexts).expect("a directory");
    let far = "[contexts.far]\nurl = \"https://10.0.0.77:8443\"\n";
    fs::write(contexts.join("contexts.toml"), far).expect("contexts");
    assert_eq!(ours(&output(&mut wireshark.tshark(&["-D"]))), names);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn ten_thousand_packets_are_those_of_tcpdump() {
    const PACKETS: u32 = 10_000;
    let wireshark = Wireshark::new();
    let ours = wireshark.home.path().join("ours.pcapng");
    let tcpdump = Tcpdump::start(&wireshark.lab.host, HOST_IF, "udp port 9");
    let name = format!("capture-agent:{HOST_IF}");
    let mut tshark = wireshark.tshark(&["-q", "-i", &name, "-f", "udp port 9", "-w"]);
    tshark
        .arg(&ours)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let tshark = Killed(tshark.spawn().expect("tshark starts"));
    let task = wireshark.one_running();
    assert_eq!(task["name"], format!("wireshark {HOST_IF}"));
    assert_eq!(task["created_by"], format!("uid {NOBODY}"));
    assert_eq!(
        (&task["spec"]["protocol"], &task["spec"]["ports"]),
        (&json!("udp"), &json!([9]))
    );
    traffic::send_to_host(&wireshark.lab, 0..PACKETS, 200);

    // All of them come without the end of the capture.
    let id = task["id"].as_str().expect("an ID");
    wireshark.daemon.wait(id, "all packets", |task| {
        task["counters"]["captured"] == PACKETS
    });
    // dumpcap writes the last of them when its buffer is full, or a moment later.
    let whole = u64::from(PACKETS - 200) * 200;
    let came = eventually(TIMEOUT, || {
        fs::metadata(&ours).is_ok_and(|file| file.len() > whole)
    });
    assert!(came, "{:?}", fs::metadata(&ours));
    std::thread::sleep(Duration::from_secs(1));
    // The terminal's Ctrl-C.
    let begun = Instant::now();
    tshark.signal(Signal::SIGINT);
    let is_gone = eventually(TIMEOUT, || wireshark.count() == 0);
    assert!(is_gone && begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let mut tshark = tshark;
    assert!(tshark.0.wait().expect("tshark ends").success());
    let (ours, theirs) = (readers::packets(&ours), tcpdump.packets(PACKETS as usize));
    assert_eq!(theirs.len(), PACKETS as usize);
    let bytes = |packets: &[readers::Packet]| -> Vec<Vec<u8>> {
        packets.iter().map(|packet| packet.bytes.clone()).collect()
    };
    assert!(bytes(&ours) == bytes(&theirs), "{} packets", ours.len());
}

#[test]
fn a_capture_ends_its_own_task_and_no_other() {
    let wireshark = Wireshark::new();
    let (mut extcap, _reader) = wireshark.extcap(&format!("capture-agent:{HOST_IF}"));
    wireshark.one_running();
    let begun = Instant::now();
    extcap.signal(Signal::SIGTERM);
    assert!(extcap.0.wait().expect("it ends").success());
    let took = begun.elapsed();
    assert_eq!(wireshark.count(), 0);
    assert!(took < SOON, "{took:?}");

    // One that is killed leaves a task that ends by its limits.
    let (extcap, _reader) = wireshark.extcap(&format!("capture-agent:{HOST_IF}"));
    let left = wireshark.one_running();
    assert_eq!(left["spec"]["duration"], "1h");
    extcap.signal(Signal::SIGKILL);
    drop(extcap);

    // It can be looked at, and goes on.
    let id = left["id"].as_str().expect("an ID");
    let (mut extcap, reader) = wireshark.extcap(&format!("capture-agent:task:{id}"));
    std::thread::sleep(Duration::from_millis(500));
    extcap.signal(Signal::SIGTERM);
    assert!(extcap.0.wait().expect("it ends").success());
    assert_eq!(wireshark.one_running()["id"], id);
    drop(reader);
    // Where the reader goes away, so does the capture; also where it goes before the capture has opened the FIFO.
    let (mut extcap, reader) = wireshark.extcap(&format!("capture-agent:{HOST_IF}"));
    assert!(eventually(TIMEOUT, || wireshark.running().len() == 2));
    drop(reader);
    traffic::send_to_host(&wireshark.lab, 0..10, 200);
    assert!(eventually(TIMEOUT, || extcap
        .0
        .try_wait()
        .expect("ours")
        .is_some()));
    assert_eq!(wireshark.one_running()["id"], id);
}

#[test]
fn what_is_wrong_reaches_tshark() {
    let wireshark = Wireshark::new();
    let name = format!("capture-agent:{HOST_IF}");
    let preset =
        |field: &str, value: &str| format!("extcap.capture_agent_{HOST_IF}.{field}:{value}");
    for (arguments, words) in [
        (["-f", "tcp[13] & 2 != 0"], "has no option"),
        (["-f", "not port 22"], "expression"),
        (["-o", &preset("ip", "10.0.0.300")], "--ip: "),
        (["-o", &preset("duration", "30d")], "`limits.max_duration`"),
    ] {
        let done = wireshark
            .tshark(&["-a", "duration:60", "-i", &name])
            .args(arguments)
            .output();
        let done = done.expect("tshark starts");
        let text = said(&done);
        assert_eq!(done.status.code(), Some(1), "{text}");
        let line = text
            .lines()
            .find(|line| line.contains("Error by extcap pipe"));
        assert!(
            line.is_some_and(|line| line.contains(words)),
            "{words}: {text}"
        );
    }
    assert_eq!(wireshark.count(), 0);
    // The field of Wireshark that turns red.
    let check = |filter: &str| {
        let mut extcap = wireshark.user(wireshark.home.path().join("capture-agent"), GROUP);
        output(extcap.args([
            "--extcap-interface",
            &name,
            "--extcap-capture-filter",
            filter,
        ]))
    };
    assert_eq!(check("tcp port 443"), "");
    assert!(check("tcp[13] & 2 != 0").contains("has no option"));
}

#[test]
fn root_needs_no_daemon() {
    let wireshark = Wireshark::new();
    let mut tshark = wireshark.lab.host.command("tshark");
    tshark
        .env("HOME", wireshark.home.path())
        .env("CAPTURE_AGENT_SOCKET", "/none.sock");
    tshark.args([
        "-i",
        &format!("capture-agent:{HOST_IF}"),
        "-f",
        "udp port 9",
        "-c",
        "5",
        "-T",
        "fields",
        "-e",
    ]);
    tshark
        .arg("udp.dstport")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let tshark = tshark.spawn().expect("tshark starts");
    wireshark.lab.host.wait_attached(HOST_IF);
    traffic::send_to_host(&wireshark.lab, 0..5, 200);
    let done = tshark.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "9\n".repeat(5),
        "{}",
        said(&done)
    );
    assert!(eventually(TIMEOUT, || !wireshark
        .lab
        .host
        .is_attached(HOST_IF)));
}
