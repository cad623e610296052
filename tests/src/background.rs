//! Other programs that run beside a test: servers, and tools that attack. They end with the test.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{TIMEOUT, eventually};

/// How long a program has to end when it is asked to.
const END: Duration = Duration::from_secs(3);

/// A program that runs, in a directory of its own.
#[derive(Debug)]
pub struct Background {
    child: Child,
    command: String,
    directory: TempDir,
}

impl Background {
    /// Starts it; what it writes goes into a file.
    pub fn start(command: &mut Command) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = || {
            File::options()
                .create(true)
                .append(true)
                .open(directory.path().join("output"))
        };
        command.stdin(Stdio::null());
        command
            .stdout(file().expect("a file"))
            .stderr(file().expect("a file"));
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{command:?} does not start: {error}; is it installed?")
        });
        Self {
            child,
            command: format!("{command:?}"),
            directory,
        }
    }

    /// What it has written until now.
    pub fn output(&self) -> String {
        let path: PathBuf = self.directory.path().join("output");
        String::from_utf8_lossy(&fs::read(path).expect("it was made at the start")).into_owned()
    }

    /// Waits until it has written this.
    pub fn wait_for(&mut self, words: &str) -> &mut Self {
        let mut ended = None;
        let is_there = eventually(TIMEOUT, || {
            ended = self.child.try_wait().expect("it is our child");
            ended.is_some() || self.output().contains(words)
        });
        let output = self.output();
        let mut how = String::new();
        if let Some(status) = ended {
            let _ = write!(how, " ({status})");
        }
        assert!(
            is_there && output.contains(words),
            "{}{how}: no `{words}` in\n{output}",
            self.command
        );
        self
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// Ends it.
    pub fn stop(self) {}
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        if !eventually(END, || !matches!(self.child.try_wait(), Ok(None))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
