//! The blocks of `docs/service/install.md` up to the first capture of a daemon, typed as they stand there, on a
//! machine of their own: with systemd as the service manager, and without. Checked are the owners of all files and
//! the messages about directories the daemon cannot use.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use capture_tests::{TIMEOUT, agent::lines_of, eventually, netns::Lab, output, sandbox::Sandbox};

use crate::daemon_privileges::kept;

/// CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF.
const NEEDED: u64 = 1 << 12 | 1 << 38 | 1 << 39;

/// Before the installed agent on the path: notes the process of a daemon.
const AGENT: &str =
    "[ \"$1\" != daemon ] || echo $$ > daemon.pid\nexec /usr/local/bin/capture-agent \"$@\"\n";

/// The step before the page's, from `docs/start/install.md`.
const INSTALL_AGENT: &str = "install -m 755 target/dist/capture-agent /usr/local/bin/";

/// Starts the daemon without systemd: the last line of the page's block.
const START: &str = "capture-agent daemon";

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

/// The first block of commands in a section of the page.
fn block(heading: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/service/install.md");
    let page = fs::read_to_string(path).expect("the page");
    let found = || {
        let (_, section) = page.split_once(&format!("\n## {heading}\n"))?;
        let section = section.split("\n## ").next()?;
        let (_, fenced) = section.split_once("\n```sh")?;
        let (_, commands) = fenced.split_once('\n')?;
        let (commands, _) = commands.split_once("\n```\n")?;
        Some(format!("{commands}\n"))
    };
    found().unwrap_or_else(|| panic!("no block of commands under {heading:?}"))
}

fn with_systemd_block() -> String {
    let block = block("With systemd");
    assert!(
        block.contains("systemctl enable --now capture-agent"),
        "{block}"
    );
    block
}

/// The commands before the start of the daemon, and all of them.
fn without_systemd_block() -> (String, String) {
    let block = block("Without systemd");
    let (before, start) = block.trim_end().rsplit_once('\n').expect("several lines");
    assert!(before.contains("systemd-tmpfiles"), "{block}");
    assert_eq!(start, START, "{block}");
    (before.to_owned(), block)
}

/// The line by which the page lets alice in.
fn let_in() -> String {
    let block = with_systemd_block();
    let mut lines = block.lines();
    let line = lines.find(|line| line.starts_with("usermod -aG capture-agent alice"));
    line.expect("a line for alice").to_owned()
}

/// A machine with a checkout and the agent installed, a user alice, and `eth0` as the interface to capture on.
fn machine(lab: &Lab) -> Sandbox {
    lab.pair("eth0", "peer1");
    let sandbox = Sandbox::new(&lab.host);
    sandbox.check_out();
    sandbox.program("capture-agent", AGENT);
    sandbox.program("systemctl", SYSTEMCTL);
    typed(
        &sandbox,
        "id -u alice || useradd --no-create-home --no-log-init alice",
    );
    typed(&sandbox, INSTALL_AGENT);
    sandbox
}

/// Types commands, which must all succeed.
fn typed(sandbox: &Sandbox, commands: &str) -> String {
    let mut shell = sandbox.command("sh");
    output(shell.args(["-euc", commands]))
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
        let ended = eventually(TIMEOUT, || is_ready() || reader.is_finished());
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

    /// Runs as this user with the capabilities that this kernel asks for, and no others can come back; its files belong to that user.
    #[track_caller]
    fn belongs_to(&self, uid: u32) {
        assert_eq!(self.status("Uid"), format!("{uid}\t{uid}\t{uid}\t{uid}"));
        for (field, kept) in [("CapEff", kept()), ("CapPrm", kept()), ("CapBnd", NEEDED)] {
            let mask = u64::from_str_radix(&self.status(field), 16);
            assert_eq!(mask, Ok(kept), "{field}");
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

/// Captures as the page does, as a user who has logged in anew.
fn capture(sandbox: &Sandbox, user: &str) {
    let commands = block("First capture");
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
    typed(&sandbox, &with_systemd_block());
    let daemon = Daemon {
        sandbox: &sandbox,
        shell: None,
    };
    daemon.belongs_to(installed_user(&sandbox));
    capture(&sandbox, "alice");
    daemon.end();
}

#[test]
fn without_systemd() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    let (_, block) = without_systemd_block();
    let daemon = Daemon::typed(&sandbox, &block).ready();
    let uid = installed_user(&sandbox);
    daemon.belongs_to(uid);
    let socket = fs::metadata(sandbox.see(Path::new(SOCKET))).expect("a socket");
    assert_eq!(
        (socket.gid(), socket.mode() & 0o777),
        (uid, 0o660),
        "its group"
    );
    typed(&sandbox, &let_in());
    capture(&sandbox, "alice");
    daemon.end();

    // After a boot `/run` is empty.
    let run = sandbox.see(Path::new("/run/capture-agent"));
    fs::remove_dir_all(run).expect("it is there");
    let daemon = Daemon::typed(&sandbox, START).ready();
    daemon.belongs_to(uid);
    daemon.end();
}

/// Where there is no such user, and where root has made the files before there was one.
#[test]
fn root_keeps_what_is_roots() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    let daemon = Daemon::typed(&sandbox, START).ready();
    daemon.belongs_to(0);
    daemon.end();
    typed(
        &sandbox,
        "cp -r deploy/systemd/sysusers.d /etc/; systemd-sysusers",
    );
    assert_ne!(installed_user(&sandbox), 0);
    let daemon = Daemon::typed(&sandbox, START).ready();
    daemon.belongs_to(0);
    capture(&sandbox, "root");
    daemon.end();
}

/// Where nothing is there yet, root makes it for the user of the service, or for the one that is named.
#[test]
fn root_makes_directories_for_the_user() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    typed(
        &sandbox,
        "cp -r deploy/systemd/sysusers.d /etc/; systemd-sysusers",
    );
    let daemon = Daemon::typed(&sandbox, START).ready();
    daemon.belongs_to(installed_user(&sandbox));
    daemon.end();
    // Root is a user like any other, and what it then lacks is said.
    let said = Daemon::typed(&sandbox, &format!("{START} --user root")).refused();
    let owner = "/var/lib/capture-agent belongs to capture-agent (mode 0700)";
    assert!(said.contains(owner), "{said}");

    typed(
        &sandbox,
        "rm -r /var/lib/capture-agent /run/capture-agent\n\
         printf '[access]\nuser = \"nobody\"\n' > /etc/capture-agent.toml",
    );
    let by_file = format!("{START} --config /etc/capture-agent.toml");
    let daemon = Daemon::typed(&sandbox, &by_file).ready();
    daemon.belongs_to(65534);
    daemon.end();

    // Nobody but root can become somebody, and nobody becomes who is not there.
    let as_nobody = "setpriv --reuid nobody --regid nogroup --clear-groups";
    for (command, expected) in [
        (
            format!("{as_nobody} capture-agent daemon --user daemon"),
            "is to run as \"daemon\" (`--user`, `access.user`), and was started as nobody",
        ),
        (
            format!("{START} --user no-such-user"),
            "there is no user \"no-such-user\"",
        ),
    ] {
        let mut shell: Command = sandbox.command("sh");
        let ended = shell.args(["-c", &command]).output();
        let ended = ended.expect("nsenter starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains(expected), "{command}: {said}");
    }
}

/// Whose the directory is, what the daemon may not, and a command that helps.
#[test]
fn a_directory_of_somebody_else_is_told_with_what_to_type() {
    let lab = Lab::new();
    let sandbox = machine(&lab);
    for place in ["/var/lib/capture-agent", "/run/capture-agent"] {
        let place = sandbox.see(Path::new(place));
        fs::create_dir(&place).expect("a directory");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).expect("it is ours");
        chown(&place, Some(65534), Some(65534)).expect("root may");
    }
    let said = Daemon::typed(&sandbox, START).refused();
    for word in [
        "/var/lib/capture-agent belongs to nobody (mode 0700)",
        "as root with no capabilities but CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
    ] {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    let mut commands = said.split('`').filter(|part| part.starts_with("setpriv "));
    let command = commands.next().expect("a command").to_owned();
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
    let (before, _) = without_systemd_block();
    typed(&sandbox, &before);
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
    let expected = "/etc/capture-agent/key.pem: Permission denied; the user capture-agent must be able to read it";
    assert!(said.contains(expected), "{said}");
    typed(&sandbox, "chown capture-agent /etc/capture-agent/key.pem");
    Daemon::typed(&sandbox, START).ready().end();
}
