//! How processes that read captures come to be: by this process, or by another one that starts them for it, as one does for
//! the daemon, which may execute nothing. Such a process is this program again, with one argument and nothing but the
//! descriptors that it is given.

use std::{
    io::{self, Read as _},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{
            net::UnixStream,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// Most bytes of the argument.
pub const MAX_ARGUMENT_BYTES: usize = 16 << 10;

/// A process to be started.
#[derive(Debug)]
pub struct Start {
    /// Its one argument. It tells what the process becomes.
    pub argument: String,
    /// Its standard input, a socket to whoever starts it.
    pub input: OwnedFd,
    /// Its standard output, if it has one.
    pub output: Option<OwnedFd>,
    /// Its standard error.
    pub error: OwnedFd,
}

impl Start {
    /// Starts it as a child of this process, and of the calling thread: it ends with that. It leads a group of processes.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(self) -> io::Result<Child> {
        // The file of this program, also after another one took its name.
        self.spawn_as(Path::new("/proc/self/exe"))
    }

    fn spawn_as(self, program: &Path) -> io::Result<Child> {
        Command::new(program)
            .arg0("capture-agent")
            .arg(self.argument)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(self.input)
            .stdout(self.output.map_or_else(Stdio::null, Stdio::from))
            .stderr(self.error)
            .spawn()
    }
}

/// Starts a process elsewhere. The socket tells its wait status, four bytes in the machine's order, when it has ended. It is ended with
/// all of its group when nothing more can come over the socket.
pub type Starter = Box<dyn Fn(Start) -> io::Result<(u32, UnixStream)> + Send + Sync>;

/// How long whoever starts processes may take to end one.
const END_TIMEOUT: Duration = Duration::from_secs(2);

static STARTER: OnceLock<Starter> = OnceLock::new();

/// From now on processes are started by this and not by this process. The first call counts.
pub fn start_by(starter: Starter) {
    let _ = STARTER.set(starter);
}

/// A process that reads captures. It ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    id: u32,
    parent: Parent,
    status: Option<ExitStatus>,
}

#[derive(Debug)]
enum Parent {
    This(Child),
    Other(UnixStream),
}

impl Process {
    /// Starts one.
    pub(crate) fn start(start: Start) -> io::Result<Self> {
        let Some(starter) = STARTER.get() else {
            return start.spawn().map(Self::of);
        };
        let (id, socket) = starter(start)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            id,
            parent: Parent::Other(socket),
            status: None,
        })
    }

    /// Starts another program as if it were this one.
    #[cfg(test)]
    pub(crate) fn start_as(program: &Path, start: Start) -> io::Result<Self> {
        start.spawn_as(program).map(Self::of)
    }

    fn of(child: Child) -> Self {
        Self {
            id: child.id(),
            parent: Parent::This(child),
            status: None,
        }
    }

    /// Its identifier.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// How it has ended, if it has.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = match &mut self.parent {
                Parent::This(child) => child.try_wait()?,
                Parent::Other(socket) => {
                    let mut status = [0; 4];
                    match socket.read_exact(&mut status) {
                        Ok(()) => Some(ExitStatus::from_raw(i32::from_ne_bytes(status))),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                        // Whoever started it is gone, and it with that.
                        Err(_) => Some(ExitStatus::from_raw(Signal::SIGKILL as i32)),
                    }
                }
            };
        }
        Ok(self.status)
    }

    /// Ends it and what it has started, whatever they do.
    pub(crate) fn end(&mut self) {
        // What it started may still be there when it has ended. It fails where nothing is.
        match &mut self.parent {
            Parent::This(child) => {
                if let Ok(group) = i32::try_from(self.id) {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                self.status = child.wait().ok().or(self.status);
            }
            Parent::Other(socket) if self.status.is_none() => {
                let mut status = [0; 4];
                let told = socket
                    .shutdown(Shutdown::Write)
                    .and_then(|()| socket.set_nonblocking(false))
                    .and_then(|()| socket.set_read_timeout(Some(END_TIMEOUT)))
                    .and_then(|()| socket.read_exact(&mut status));
                let status = told.map_or(Signal::SIGKILL as i32, |()| i32::from_ne_bytes(status));
                self.status = Some(ExitStatus::from_raw(status));
            }
            Parent::Other(_) => {}
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
