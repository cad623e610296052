//! Starts an engine and waits for its end. Between the two this program is started again, confines itself in `sandbox`,
//! and becomes the engine.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::ExitStatus,
    thread::sleep,
    time::{Duration, Instant},
};

use capture_task::printable;
use serde::{Deserialize, Serialize};

use super::{error::Error, program::Program, scratch::Scratch};
use crate::spawn::{Process, Start};

/// Begins the one argument by which this program is to become an engine. [`Launch`] follows as JSON.
pub(crate) const ARGUMENT: &str = "engine-of-captures=";

/// Most bytes of an output that are read.
pub(super) const MOST_OUTPUT: u64 = 256 << 20;

/// Most characters of what an engine says about a failure.
const MOST_SHOWN: usize = 200;

/// Bounds of an engine.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Limits {
    /// Bytes of address space: Suricata with all public rules takes 1 to 2 GiB.
    pub(super) memory: u64,
    /// Bytes of each file that it writes.
    pub(super) file: u64,
    /// Seconds of processor time.
    pub(super) processor: u64,
    /// Time of the clock.
    pub(super) time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 6 << 30,
            file: MOST_OUTPUT,
            processor: 1200,
            time: Duration::from_secs(1200),
        }
    }
}

/// What a confined process is to become.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    /// What it reads beside libraries and rules.
    pub(super) read: Vec<PathBuf>,
    /// The only directory that it writes into, if there is one.
    pub(super) write: Option<PathBuf>,
    /// Whether it reads what its standard output is, a socket.
    pub(super) interactive: bool,
    pub(super) limits: Limits,
}

/// What the confined process says before it becomes the engine.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Confined {
    /// Without these layers.
    Without(Vec<String>),
    /// It may not be started.
    Refused(String),
}

/// Starts engines, one after the other.
#[derive(Debug)]
pub(super) struct Launcher {
    pub(super) scratch: Scratch,
    pub(super) limits: Limits,
    missing: Vec<String>,
}

/// How an engine ended.
#[derive(Debug)]
pub(super) struct Ended {
    status: ExitStatus,
    /// What it wrote on standard output and standard error.
    pub(super) said: String,
}

impl Launcher {
    pub(super) fn new(scratch: Scratch) -> Self {
        Self {
            scratch,
            limits: Limits::default(),
            missing: Vec::new(),
        }
    }

    /// The layers of the confinement that were missing.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Runs a program to its end, with an empty directory to write into.
    pub(super) fn run(
        &mut self,
        program: &Program,
        arguments: Vec<String>,
        read: &[&Path],
    ) -> Result<Ended, Error> {
        let name = program.name();
        self.scratch.clear().map_err(Error::Scratch)?;
        let said = self.scratch.path().join("said");
        let to = File::create(&said).map_err(Error::Scratch)?;
        let mut reads = vec![self.scratch.path().to_owned()];
        reads.extend(read.iter().map(|path| path.to_path_buf()));
        reads.extend(self.scratch.elsewhere.iter().cloned());
        let launch = Launch {
            program: program.path.clone(),
            arguments,
            read: reads,
            write: Some(self.scratch.out()),
            interactive: false,
            limits: self.limits,
        };
        let failed = |error: io::Error| Error::Start {
            program: name,
            error,
        };
        let deadline = Instant::now() + self.limits.time;
        let (mut process, socket) = start(&launch, &to).map_err(failed)?;
        match confined(socket, deadline).map_err(failed)? {
            Confined::Without(missing) => self.missing = missing,
            Confined::Refused(why) => return Err(Error::Unconfined { program: name, why }),
        }
        let Some(status) = ended_before(&mut process, deadline).map_err(failed)? else {
            return Err(Error::Time {
                program: name,
                after: self.limits.time,
            });
        };
        let said = text(&said, 1 << 20).map_err(Error::Scratch)?;
        Ok(Ended { status, said })
    }
}

impl Ended {
    /// An error unless it ended well.
    pub(super) fn well(&self, program: &Program) -> Result<(), Error> {
        if self.status.success() {
            return Ok(());
        }
        let how = match (self.status.code(), self.status.signal()) {
            (_, Some(libc::SIGXCPU)) => "ran out of its processor time".to_owned(),
            (_, Some(libc::SIGXFSZ)) => "wrote more than it may".to_owned(),
            (_, Some(signal)) => format!("was ended by signal {signal}"),
            (code, None) => format!("ended with {}", code.unwrap_or_default()),
        };
        Err(self.error(program, &how))
    }

    /// An error in these words, and the last ones of the engine.
    pub(super) fn error(&self, program: &Program, how: &str) -> Error {
        let mut lines = self.said.lines().map(str::trim);
        let last = lines.rfind(|line| !line.is_empty());
        let how = match last {
            Some(last) => format!("{how}: {}", shown(last)),
            None => how.to_owned(),
        };
        Error::Ended {
            program: program.name(),
            how,
        }
    }
}

/// Words of an engine, or of a packet through it.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(MOST_SHOWN).collect();
    printable(&short)
}

/// A file that an engine has written, up to so many bytes. It may have put a link or a pipe there.
pub(super) fn text(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    regular(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens a regular file, and nothing else.
pub(super) fn regular(path: &Path) -> io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    File::open(path)
}

fn start(launch: &Launch, said: &File) -> io::Result<(Process, UnixStream)> {
    start_with(launch, said.try_clone()?.into(), said.try_clone()?.into())
}

/// Starts a program with these as standard output and standard error. The socket says how it is confined.
pub(super) fn start_with(
    launch: &Launch,
    output: OwnedFd,
    error: OwnedFd,
) -> io::Result<(Process, UnixStream)> {
    let (socket, of_child) = UnixStream::pair()?;
    let launch = serde_json::to_string(launch)?;
    let process = Process::start(Start {
        argument: format!("{ARGUMENT}{launch}"),
        input: of_child.into(),
        output: Some(output),
        error,
    })?;
    Ok((process, socket))
}

/// What the child says before it becomes the engine, which has no other end of the socket.
pub(super) fn confined(mut socket: UnixStream, deadline: Instant) -> io::Result<Confined> {
    let left = deadline.saturating_duration_since(Instant::now());
    socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
    let mut text = Vec::new();
    socket.by_ref().take(64 << 10).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(|_| io::Error::other("the sandbox did not come up"))
}

/// How a process has ended, if it does before a moment.
fn ended_before(process: &mut Process, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        sleep(Duration::from_millis(5));
    }
}
