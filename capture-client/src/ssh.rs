//! The socket of another host by the system's ssh: one `ssh -N -L` for all connections of a client, to a socket in a
//! directory that only this user enters. `ssh -W` takes no sockets before OpenSSH 9.4, and would log in once for each
//! connection.

use std::{
    io::{self, Read as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use capture_task::{Cause, error::ErrorKind};
use nix::sys::{prctl::set_pdeathsig, signal::Signal};
use tempfile::TempDir;
use tokio::{net::UnixStream, time::sleep};

use crate::{
    address::in_brackets,
    error::{Error, Result},
    tcp::CONNECT_TIMEOUT,
};

/// How often it is tried whether ssh is through.
const AGAIN: Duration = Duration::from_millis(20);

/// Most bytes kept of what ssh says.
const LONGEST: usize = 16 << 10;

/// A tunnel to one socket. It ends with this value, and with the thread that opened it.
#[derive(Debug)]
pub(crate) struct Tunnel {
    ssh: Mutex<Child>,
    /// What ssh has said on standard error.
    said: Arc<Mutex<String>>,
    home: TempDir,
    shown: String,
    remote: PathBuf,
}

impl Tunnel {
    /// Logs in. Where somebody may be asked, ssh asks for passwords and unknown hosts on the terminal, and takes the
    /// time for it; else there is a deadline.
    pub(crate) async fn open(
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        remote: &Path,
        deadline: Option<Duration>,
    ) -> Result<Self> {
        let begun = Instant::now();
        let shown = match user {
            Some(user) => format!("{user}@{host}"),
            None => in_brackets(host),
        };
        let failed = |what: &str, error: &io::Error| {
            Error::new(ErrorKind::Runtime, format!("{what}: {}", Cause(error)))
        };
        let home = tempfile::Builder::new()
            .prefix("capture-agent-")
            .tempdir()
            .map_err(|error| failed("making a directory for the socket of ssh", &error))?;
        let mut ssh = Command::new("ssh");
        ssh.args(["-N", "-T", "-x", "-a"]);
        let timeout = CONNECT_TIMEOUT.as_secs();
        for option in [
            "ExitOnForwardFailure=yes",
            "ClearAllForwardings=no",
            "StreamLocalBindMask=0177",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
            "ControlMaster=no",
            "ControlPath=none",
            &format!("ConnectTimeout={timeout}"),
        ] {
            ssh.args(["-o", option]);
        }
        if deadline.is_some() {
            ssh.args(["-o", "BatchMode=yes"]);
            // Not ended by the terminal's Ctrl-C before this program has ended its task. Of the group of the
            // terminal it would be where it has somebody to ask.
            ssh.process_group(0);
        }
        if let Some(port) = port {
            ssh.args(["-p", &port.to_string()]);
        }
        if let Some(user) = user {
            ssh.args(["-l", user]);
        }
        let local = home.path().join("s");
        ssh.arg("-L")
            .arg(format!("{}:{}", local.display(), remote.display()))
            .args(["--", host]);
        ssh.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // SAFETY: prctl(2) alone is called between fork and exec; it neither allocates nor locks.
        unsafe {
            ssh.pre_exec(|| set_pdeathsig(Signal::SIGTERM).map_err(io::Error::from));
        }
        let mut child = ssh.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(
                ErrorKind::Missing,
                "the program `ssh` is not installed; ssh:// needs it",
            ),
            _ => failed("starting ssh", &error),
        })?;
        let said = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            listen(stderr, Arc::clone(&said));
        }
        let tunnel = Self {
            ssh: Mutex::new(child),
            said,
            home,
            shown,
            remote: remote.to_owned(),
        };
        loop {
            if UnixStream::connect(tunnel.local()).await.is_ok() {
                return Ok(tunnel);
            }
            if tunnel.has_ended() {
                return Err(Error::unreachable(tunnel.refusal()));
            }
            if deadline.is_some_and(|deadline| begun.elapsed() > deadline) {
                let seconds = begun.elapsed().as_secs();
                return Err(Error::unreachable(format!(
                    "ssh to {} has not logged in within {seconds} s",
                    tunnel.shown
                )));
            }
            sleep(AGAIN).await;
        }
    }

    /// One connection to the socket at the other end.
    pub(crate) async fn connect(&self) -> Result<UnixStream> {
        match UnixStream::connect(self.local()).await {
            Ok(stream) => Ok(stream),
            Err(_) if self.has_ended() => Err(Error::unreachable(self.refusal())),
            Err(error) => Err(Error::unreachable(format!(
                "the tunnel of ssh to {} is not there any more: {}",
                self.shown,
                Cause(&error)
            ))),
        }
    }

    /// What ssh has said of a connection that broke off at once, where it has.
    pub(crate) async fn broken(&self) -> Option<String> {
        // It comes just behind the end of the connection.
        for _ in 0..10 {
            let said = self.said();
            if let Some(line) = said.lines().find(|line| line.contains("open failed")) {
                let remote = self.remote.display();
                return Some(match line.contains("administratively prohibited") {
                    true => format!(
                        "ssh to {} works, and its sshd forwards no sockets: see AllowStreamLocalForwarding in its configuration",
                        self.shown
                    ),
                    false => format!(
                        "ssh to {} works, and {remote} there cannot be connected to: no daemon listens, or that user is not in the group of its socket",
                        self.shown
                    ),
                });
            }
            sleep(AGAIN).await;
        }
        None
    }

    fn local(&self) -> PathBuf {
        self.home.path().join("s")
    }

    fn has_ended(&self) -> bool {
        let mut ssh = self.ssh.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(ssh.try_wait(), Ok(None))
    }

    fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    /// Why ssh has ended, by its last line.
    fn refusal(&self) -> String {
        // Its end is read by another thread.
        thread::sleep(AGAIN);
        let said = self.said();
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        let last = last.unwrap_or("it has ended without a word");
        format!(
            "ssh to {} has failed: {}",
            self.shown,
            capture_task::printable(last)
        )
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let ssh = self.ssh.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It has ended already, or is ours to end.
        let _ = ssh.kill();
        let _ = ssh.wait();
    }
}

/// Keeps what ssh says, so that a full pipe never stops it.
fn listen(mut stderr: ChildStderr, said: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut bytes) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < LONGEST {
                said.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        }
    });
}
