//! `run --print`: the packets as text on standard output while they are captured. They come out of the engine as a stream,
//! through a pipe and so behind a bounded queue: a standard output that is slow loses its own packets. With `-w` the
//! stream is that of a task of its own, beside the file's.

use std::{
    fs::File,
    io::{self, PipeReader},
    os::fd::OwnedFd,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use capture_file::{OpenTarget, Target, read::Reader};
use capture_task::{
    Cause,
    plan::{Format, Plan},
};

use crate::{
    error::{Error, Result},
    print::{Output, Printer, Style, print_all},
    task_request::TaskRequest,
};

/// How long the last lines may take after the end of the capture, as of the reader of a pipe.
const LAST_LINES: Duration = Duration::from_secs(3);

/// A thread that prints.
pub(super) struct Printing {
    ended: Receiver<Result<()>>,
}

impl Printing {
    /// Starts a thread that prints what the task captures, and gives the task its end of the pipe. A task that has a file
    /// gets a second one beside it.
    pub(super) fn start(style: Style, tasks: &mut Vec<TaskRequest>) -> Result<Self> {
        let cannot = |error: io::Error| Error::runtime(format!("printing: {}", Cause(&error)));
        let (reader, writer) = io::pipe().map_err(cannot)?;
        let writer = File::from(OwnedFd::from(writer));
        let target = Target::Open(OpenTarget::new(writer, "-".into()));
        if let Some(task) = tasks.first_mut() {
            match task.target {
                None => *task = stream(task, target),
                Some(_) => {
                    let beside = stream(task, target);
                    tasks.push(beside);
                }
            }
        }
        let (sender, ended) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("print".to_owned())
            .spawn(move || {
                // Nobody waits for it any more where this fails.
                let _ = sender.send(print(style, reader));
            })
            .map_err(cannot)?;
        Ok(Self { ended })
    }

    /// Waits for the last lines, of a capture whose stream has ended.
    pub(super) fn finish(self) -> Result<()> {
        match self.ended.recv_timeout(LAST_LINES) {
            Ok(ended) => ended,
            // Whoever reads standard output does not; the packets in the pipe are given up.
            Err(_) => Ok(()),
        }
    }
}

/// The same task as a stream of pcapng, which tells interfaces and directions.
fn stream(task: &TaskRequest, target: Target) -> TaskRequest {
    let plan = Plan {
        format: Format::Pcapng,
        rotate: None,
        max_file_bytes: None,
        ..task.plan.clone()
    };
    TaskRequest {
        spec: task.spec.clone(),
        plan,
        target: Some(target),
    }
}

fn print(style: Style, reader: PipeReader) -> Result<()> {
    let output = Output::new();
    let mut reader = Reader::new(output.before(reader));
    let mut printer = Printer::new(style, u64::MAX);
    // A stream that was given up ends within a packet; the task says so.
    print_all(&mut reader, &mut printer, &output).map(|_| ())
}
