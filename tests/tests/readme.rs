//! The README's way to the first capture of a daemon, typed as it stands there, on a machine of its own: with
//! systemd as the service manager, and by hand. What belongs to whom afterwards, and what is said where the daemon
//! cannot get at its directories.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use capture_tests::{agent::lines_of, eventually, netns::Lab, output, sandbox::Sandbox};

const LIMIT: Duration = Duration::from_secs(30);

/// CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF.
const NEEDED: u64 = 1 << 12 | 1 << 38 | 1 << 39;

/// Executes what it is given, as root already. The daemon's process is noted.
const SUDO: &str = "[ \"$2\" != daemon ] || echo $$ > daemon.pid\nexec \"$@\"\n";

/// What systemd does with the unit, as far as the block needs it: it starts the daemon as the unit's user with the
/// unit's capabilities, and waits until it is ready.
const SYSTEMCTL: &str = r#"
case "$*" in
daemon-reload) ;;
"enable --now capture-agent")
    of_unit() { sed -n "s/^$1=//p" /etc/systemd/system/capture-agent.service; }
    list=-all
    for name in $(of_unit AmbientCapabilities | tr A-Z a-z); do list=$list,+${name#cap_}; done
    setpriv --reuid "$(of_unit User)" --regid "$(of_unit Group)" --init-groups --no-new-privs \
        --bounding-set "$list" --inh-caps "$list" --ambient-caps "$list" $(of_unit ExecStart) \
        < /dev/null > /dev/null 2> daemon.log &
    echo $! > daemon.pid
    until grep -qx ready daemon.log; do
        kill -0 $! || { cat daemon.log >&2; exit 1; }
        sleep 0.1
    done
    ;;
*) echo "systemctl $*?" >&2; exit 1 ;;
esac
"#;

/// The blocks of commands in the README's section about the daemon, up to its configuration: to install, to capture,
/// and to start by hand.
fn blocks() -> [String; 3] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = fs::read_to_string(path).expect("the README");
    let section = text.split("\n## The daemon\n").nth(1).expect("a section");
    let section = section
        .split("\n### Configuration\n")
        .next()
        .expect("a part");
    let mut blocks = vec![String::new()];
    for line in section.lines() {
        let last = blocks.last_mut().expect("one at least");
        match line.strip_prefix("    ") {
            Some(command) => *last += &format!("{command}\n"),
            None if !last.is_empty() => blocks.push(String::new()),
            None => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks.try_into().expect("three blocks of commands")
}

/// A machine with a checkout, on which `eth0` is the interface to capture on.
fn machine(lab: &Lab) -> Sandbox {
    lab.pair("eth0", "peer1");
    let sandbox = Sandbox::new(&lab.host);
    sandbox.check_out();
    sandbox.program("sudo", SUDO);
    sandbox.program("cargo", "[ \"$*\" = 'xtask build --release' ]\n");
    sandbox.program("systemctl", SYSTEMCTL);
    sandbox
}

/// Types commands, which must all succeed.
fn typed(sandbox: &Sandbox, commands: &str) -> String {
    let mut shell = sandbox.command("sh");
    output(shell.args(["-euc", commands]).env("USER", "nobody"))
}

/// A daemon that was started inside.
struct Daemon<'a> {
    sandbox: &'a Sandbox,
    /// The shell in which it was typed, where it is in the foreground.
    shell: Option<(Child, Arc<Mutex<String>>, JoinHandle<()>)>,
}

impl<'a> Daemon<'a> {
    /// Types commands of which the last one starts the daemon in the foreground.
    fn typed(sandbox: &'a Sandbox, commands: &str) -> Self {
        let mut shell = sandbox.command("sh");
        shell.args(["-euc", commands]);
        shell.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = shell.spawn().expect("nsenter starts");
        let (said, reader) = lines_of(child.stderr.take().expect("it is piped"));
        Self {
            sandbox,
            shell: Some((child, said, reader)),
        }
    }

    fn said(&self) -> String {
        let (_, said, _) = self.shell.as_ref().expect("it is in the foreground");
        said.lock().expect("nobody panics").clone()
    }

    fn ready(self) -> Self {
        let is_ready = || self.said().lines().any(|line| line == "ready");
        let (_, _, reader) = self.shell.as_ref().expect("it is in the foreground");
        let ended = eventually(LIMIT, || is_ready() || reader.is_finished());
        assert!(ended && is_ready(), "not ready: {}", self.said());
        self
    }

    /// What it says where it does not start.
    fn refused(mut self) -> String {
        let (mut child, said, reader) = self.shell.take().expect("it is in the foreground");
        let code = child.wait().expect("it ends").code();
        reader.join().expect("the reader ends");
        let said = said.lock().expect("nobody panics").clone();
        assert!(matches!(code, Some(1 | 6)), "{code:?}: {said}");
        said
    }

    fn pid(&self) -> i32 {
        let path = self.sandbox.see(&self.sandbox.work().join("daemon.pid"));
        let pid = fs::read_to_string(path).expect("noted");
        pid.trim().parse().expect("a number")
    }

    /// Fields of its `/proc/PID/status`.
    fn status(&self, field: &str) -> String {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(self.sandbox.see(Path::new(&path)));
        let status = status.expect("it runs");
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.expect("the field").trim().to_owned()
    }

    /// Runs as this user with three capabilities, and no others can come back; its files belong to that user.
    #[track_caller]
    fn belongs_to(&self, uid: u32) {
        assert_eq!(self.status("Uid"), format!("{uid}\t{uid}\t{uid}\t{uid}"));
        for field in ["CapEff", "CapPrm", "CapBnd"] {
            let mask = u64::from_str_radix(&self.status(field), 16);
            assert_eq!(mask, Ok(NEEDED), "{field}");
        }
        for field in ["CapInh", "CapAmb"] {
            assert_eq!(self.status(field).trim_matches('0'), "", "{field}");
        }
        assert_eq!(self.status("NoNewPrivs"), "1");
        for path in [
            "/var/lib/capture-agent/state.db",
            "/var/lib/capture-agent/captures",
            SOCKET,
        ] {
            let metadata = fs::metadata(self.sandbox.see(Path::new(path)));
            assert_eq!(metadata.expect(path).uid(), uid, "{path}");
        }
    }

    fn end(mut self) {
        let shell = self.shell.take();
        typed(self.sandbox, &format!("kill {}", self.pid()));
        if let Some((mut child, said, reader)) = shell {
            let code = child.wait().expect("it ends").code();
            reader.join().expect("the reader ends");
            assert_eq!(code, Some(0), "{}", said.lock().expect("nobody panics"));
        }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some((child, _, _)) = &mut self.shell {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const SOCKET: &str = "/run/capture-agent/api.sock";

/// The identity of the user that the files of the project make.
fn installed_user(sandbox: &Sandbox) -> u32 {
    let uid = typed(sandbox, "id -u capture-agent");
    uid.trim().parse().expect("a number")
}

/// Captures as the README does, but not for a whole minute, as a user who has logged in anew.
fn capture(sandbox: &Sandbox, commands: &str, user: &str) {
    assert!(commands.contains("--duration 1m "), "{commands}");
    let commands = commands.replace("--duration 1m ", "--duration 1s ");
    let user = format!(
        "setpriv --reuid {user} --regid $(id -g {user}) --init-groups sh -euc '{commands}'"
    );
    typed(sandbox, &user);
    let file = sandbox.see(&sandbox.work().join("web.pcapng"));
    let file = fs::read(file).expect("a capture");
    assert!(file.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]), "pcapng");
}

#[test]
fn with_systemd() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    let [install, tasks, _] = blocks();
    assert!(
        install.contains("systemctl enable --now capture-agent"),
        "{install}"
    );
    typed(&sandbox, &install);
    let daemon = Daemon {
        sandbox: &sandbox,
        shell: None,
    };
    daemon.belongs_to(installed_user(&sandbox));
    capture(&sandbox, &tasks, "nobody");
    daemon.end();
}

#[test]
fn by_hand() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    let [_, tasks, by_hand] = blocks();
    assert!(by_hand.contains("systemd-tmpfiles"), "{by_hand}");
    typed(
        &sandbox,
        "install -m 755 target/release/capture-agent /usr/local/bin/",
    );
    let daemon = Daemon::typed(&sandbox, &by_hand).ready();
    let uid = installed_user(&sandbox);
    daemon.belongs_to(uid);
    let socket = fs::metadata(sandbox.see(Path::new(SOCKET))).expect("a socket");
    assert_eq!(
        (socket.gid(), socket.mode() & 0o777),
        (uid, 0o660),
        "its group"
    );
    typed(&sandbox, "usermod -aG capture-agent nobody");
    capture(&sandbox, &tasks, "nobody");
    daemon.end();

    // After a boot `/run` is empty.
    let run = sandbox.see(Path::new("/run/capture-agent"));
    fs::remove_dir_all(run).expect("it is there");
    let daemon = Daemon::typed(&sandbox, "sudo capture-agent daemon").ready();
    daemon.belongs_to(uid);
    daemon.end();
}

/// Where there is no such user, and where root has made the files before there was one.
#[test]
fn root_keeps_what_is_roots() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    let [_, tasks, by_hand] = blocks();
    let last = by_hand.lines().last().expect("commands").to_owned();
    assert_eq!(last, "sudo capture-agent daemon");
    typed(
        &sandbox,
        "install -m 755 target/release/capture-agent /usr/local/bin/",
    );
    let daemon = Daemon::typed(&sandbox, &last).ready();
    daemon.belongs_to(0);
    daemon.end();
    typed(
        &sandbox,
        "cp -r deploy/systemd/sysusers.d /etc/; systemd-sysusers",
    );
    assert_ne!(installed_user(&sandbox), 0);
    let daemon = Daemon::typed(&sandbox, &last).ready();
    daemon.belongs_to(0);
    capture(&sandbox, &tasks, "root");
    daemon.end();
}

/// Whose the directory is, what the daemon may not, and a command that helps.
#[test]
fn a_directory_of_somebody_else_is_told_with_what_to_type() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    typed(
        &sandbox,
        "install -m 755 target/release/capture-agent /usr/local/bin/",
    );
    for place in ["/var/lib/capture-agent", "/run/capture-agent"] {
        let place = sandbox.see(Path::new(place));
        fs::create_dir(&place).expect("a directory");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).expect("it is ours");
        chown(&place, Some(65534), Some(65534)).expect("root may");
    }
    let said = Daemon::typed(&sandbox, "sudo capture-agent daemon").refused();
    for word in [
        "/var/lib/capture-agent belongs to nobody (mode 0700)",
        "as root with no capabilities but CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
    ] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    let command = said.split('`').nth(1).expect("a command").to_owned();
    assert!(command.starts_with("setpriv "), "{command}");
    // As an ordinary user it says that its directories are not its own.
    chown(
        sandbox.see(Path::new("/var/lib/capture-agent")),
        Some(1),
        Some(1),
    )
    .expect("root may");
    let said = Daemon::typed(&sandbox, &command).refused();
    for word in [
        "/var/lib/capture-agent belongs to daemon",
        "runs as nobody",
        "`chown nobody /var/lib/capture-agent`",
    ] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    typed(&sandbox, "chown nobody /var/lib/capture-agent");
    let command = format!("exec {command}");
    let daemon = Daemon::typed(&sandbox, &format!("echo $$ > daemon.pid; {command}")).ready();
    daemon.belongs_to(65534);
    daemon.end();
}

/// A key that only root can read is of no use to the daemon, which says so.
#[test]
fn a_key_that_the_user_cannot_read_is_told() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    let [_, _, by_hand] = blocks();
    let (before, _) = by_hand.trim().rsplit_once('\n').expect("several lines");
    typed(
        &sandbox,
        "install -m 755 target/release/capture-agent /usr/local/bin/",
    );
    typed(&sandbox, before);
    let key =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=x \
               -keyout /etc/capture-agent/key.pem -out /etc/capture-agent/cert.pem 2> /dev/null
               chmod 600 /etc/capture-agent/key.pem; chmod 644 /etc/capture-agent/cert.pem";
    typed(&sandbox, key);
    let config = "[http]\nlisten = \"127.0.0.1:8443\"\ntls_cert = \"/etc/capture-agent/cert.pem\"\n\
                  tls_key = \"/etc/capture-agent/key.pem\"\n";
    let path = sandbox.see(Path::new("/etc/capture-agent/config.toml"));
    fs::write(path, config).expect("a configuration");
    let mut shell: Command = sandbox.command("sh");
    let ended = shell.args(["-c", "capture-agent daemon"]).output();
    let ended = ended.expect("nsenter starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    let expected = "/etc/capture-agent/key.pem: Permission denied (os error 13); the user capture-agent must be able to read it";
    assert!(said.contains(expected), "{said}");
    typed(&sandbox, "chown capture-agent /etc/capture-agent/key.pem");
    Daemon::typed(&sandbox, "sudo capture-agent daemon")
        .ready()
        .end();
}
