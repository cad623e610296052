//! Starts inspectors, asks them, and ends them. An inspector that does not answer in time, or in another form than an
//! answer has, is ended at once.

use std::{
    fs::File,
    io::{self, PipeReader, Read as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::ExitStatus,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::value::RawValue;

use super::{
    Limits,
    child::ARGUMENT,
    error::{Error, MAX_STDERR_BYTES},
    wire::{Answer, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Request, send},
};
use crate::{
    findings::WasRead,
    redaction::Redaction,
    spawn::{Process, Start},
    view::{ViewFault, ViewNote, ViewRequest},
};

/// Most bytes of a note as JSON, without its comment, of which each byte may take six.
const NOTE_BYTES: usize = 96;

/// How long a child that has closed its socket may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Ends an inspector from another thread than the one that waits for its answer.
#[derive(Debug)]
pub struct Stopper(UnixStream);

impl Stopper {
    /// Whoever waits for an answer gets an error soon.
    pub fn stop(&self) {
        // It fails where the inspector is gone.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A process that looks into files. It goes with this value, and with the thread that started it.
#[derive(Debug)]
pub struct Inspector {
    process: Process,
    socket: UnixStream,
    stderr: PipeReader,
    limits: Limits,
    missing: Vec<String>,
}

impl Inspector {
    /// Starts one. The calling thread must live for as long as it is needed: the kernel ends the child with the thread
    /// that started it, and so with a parent that is killed.
    ///
    /// # Errors
    /// There is no process, or it could not confine itself.
    pub fn start(limits: &Limits) -> Result<Self, Error> {
        Self::start_with(Process::start, limits, "")
    }

    pub(super) fn start_with(
        start: impl FnOnce(Start) -> io::Result<Process>,
        limits: &Limits,
        more: &str,
    ) -> Result<Self, Error> {
        let (socket, of_child) = UnixStream::pair().map_err(Error::Start)?;
        let (stderr, error) = io::pipe().map_err(Error::Start)?;
        let processor = limits.processor.map_or(0, |most| most.as_secs().max(1));
        let process = start(Start {
            argument: format!("{ARGUMENT}{},{processor}{more}", limits.memory),
            input: of_child.into(),
            output: None,
            error: error.into(),
        });
        let mut inspector = Self {
            process: process.map_err(Error::Start)?,
            socket,
            stderr,
            limits: *limits,
            missing: Vec::new(),
        };
        match inspector.answer()? {
            Answer::Ready { missing } => inspector.missing = missing,
            Answer::Unconfined(why) => return Err(Error::Unconfined(why)),
            _ => return Err(unexpected()),
        }
        Ok(inspector)
    }

    /// The layers of its confinement that this machine does not have.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// What ends it while it works.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn stopper(&self) -> Result<Stopper, Error> {
        self.socket.try_clone().map(Stopper).map_err(Error::Start)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Gives it a complete file. Several files are one capture.
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn add(&mut self, name: &str, file: &File) -> Result<(), Error> {
        let name = name.to_owned();
        self.give(&Request::File { name }, file)
    }

    /// What is in the files that it was given, as JSON: [`Findings`](crate::Findings).
    ///
    /// # Errors
    /// There is no answer, or nothing of the files can be read.
    pub fn analyze(&mut self) -> Result<Box<RawValue>, Error> {
        self.ask_report(&Request::Analyze)
    }

    /// Gives it a complete file of the capture that the others are compared with.
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn add_baseline(&mut self, name: &str, file: &File) -> Result<(), Error> {
        let name = name.to_owned();
        self.give(&Request::Baseline { name }, file)
    }

    /// What is in the files that it was given, and what differs from the baseline, as JSON:
    /// [`Findings`](crate::Findings).
    ///
    /// # Errors
    /// There is no answer, or nothing of the files can be read.
    pub fn compare(&mut self) -> Result<Box<RawValue>, Error> {
        self.ask_report(&Request::Compare)
    }

    /// What is in the files that it was given, as a page of HTML.
    ///
    /// # Errors
    /// There is no answer, or nothing of the files can be read.
    pub fn html(&mut self) -> Result<String, Error> {
        match self.ask(&Request::Html, None)? {
            Answer::Html(page) => Ok(page),
            Answer::Unreadable(why) => Err(Error::Unreadable(why)),
            _ => Err(unexpected()),
        }
    }

    /// Has it follow a file that grows, and that goes on where the one before it has ended. `index` is its place where
    /// there may be several.
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn follow(&mut self, name: &str, index: Option<u16>, file: &File) -> Result<(), Error> {
        let name = name.to_owned();
        self.give(&Request::Follow { name, index }, file)
    }

    /// Has it read the rest of the file that it follows, which is complete now.
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn complete(&mut self) -> Result<WasRead, Error> {
        match self.ask(&Request::Complete, None)? {
            Answer::Read(read) => Ok(read),
            _ => Err(unexpected()),
        }
    }

    /// What is in what it follows so far, as JSON: [`Findings`](crate::Findings).
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn report(&mut self) -> Result<Box<RawValue>, Error> {
        self.ask_report(&Request::Report)
    }

    /// What is in what it has followed, which is complete: [`Findings`](crate::Findings).
    ///
    /// # Errors
    /// There is no answer.
    pub fn finish(mut self) -> Result<Box<RawValue>, Error> {
        self.ask_report(&Request::Finish)
    }

    /// Has it show the packets of a file, behind those of the files before it, which do not grow any more then. `index` is
    /// its number among the files of the task.
    ///
    /// # Errors
    /// There is no answer, or the file cannot be read.
    pub fn show(&mut self, index: u64, file: &File, is_growing: bool) -> Result<(), Error> {
        match self.ask(&Request::Show { index, is_growing }, Some(file))? {
            Answer::Taken => Ok(()),
            Answer::Unreadable(why) => Err(Error::Unreadable(why)),
            _ => Err(unexpected()),
        }
    }

    /// Tells it that the last file of those that it shows is complete.
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn shown_is_complete(&mut self) -> Result<(), Error> {
        match self.ask(&Request::ShownIsComplete, None)? {
            Answer::Taken => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Tells it what people noted about packets that it shows, in the place of what they noted before.
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn note(&mut self, notes: Vec<ViewNote>) -> Result<(), Error> {
        let mut part = Vec::new();
        let mut bytes = 0;
        for note in notes {
            bytes += NOTE_BYTES + 6 * note.comment.as_ref().map_or(0, String::len);
            if bytes > MAX_REQUEST_BYTES && !part.is_empty() {
                self.tell_notes(std::mem::take(&mut part))?;
                bytes = NOTE_BYTES + 6 * note.comment.as_ref().map_or(0, String::len);
            }
            part.push(note);
        }
        match part.is_empty() {
            true => Ok(()),
            false => self.tell_notes(part),
        }
    }

    fn tell_notes(&mut self, notes: Vec<ViewNote>) -> Result<(), Error> {
        match self.ask(&Request::Notes(notes), None)? {
            Answer::Taken => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Asks about the packets that it shows. The answer is JSON, of the type that the question names; the inner error is
    /// the question's fault.
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn view(
        &mut self,
        request: ViewRequest,
    ) -> Result<Result<Box<RawValue>, ViewFault>, Error> {
        match self.ask(&Request::View(request), None)? {
            Answer::Shown(answer) => Ok(Ok(answer)),
            Answer::NotShown(fault) => Ok(Err(fault)),
            _ => Err(unexpected()),
        }
    }

    /// Has it copy the files that it was given, one behind the other, without what `redaction` says. They are not analyzed
    /// any more then.
    ///
    /// # Errors
    /// There is no answer; the inspector is gone.
    pub fn redact(&mut self, redaction: Redaction) -> Result<(), Error> {
        match self.ask(&Request::Redact(redaction), None)? {
            Answer::Taken => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// The next bytes of the copy, which is a pcapng file. None are its end.
    ///
    /// # Errors
    /// There is no answer, or nothing of the files can be read.
    pub fn piece(&mut self) -> Result<Vec<u8>, Error> {
        let len = match self.ask(&Request::Piece, None)? {
            Answer::Piece(len) => len as usize,
            Answer::Unreadable(why) => return Err(Error::Unreadable(why)),
            _ => return Err(unexpected()),
        };
        if len > MAX_ANSWER_BYTES {
            self.end();
            return Err(Error::Answer("it is too long".to_owned()));
        }
        let mut piece = vec![0; len];
        let deadline = Instant::now() + self.limits.answer;
        let received = self.receive(&mut piece, deadline);
        received.map_err(|error| self.failed(&error))?;
        Ok(piece)
    }

    fn give(&mut self, request: &Request, file: &File) -> Result<(), Error> {
        match self.ask(request, Some(file))? {
            Answer::Taken => Ok(()),
            _ => Err(unexpected()),
        }
    }

    fn ask_report(&mut self, request: &Request) -> Result<Box<RawValue>, Error> {
        match self.ask(request, None)? {
            Answer::Report(report) => Ok(report),
            Answer::Unreadable(why) => Err(Error::Unreadable(why)),
            _ => Err(unexpected()),
        }
    }

    pub(super) fn ask(&mut self, request: &Request, file: Option<&File>) -> Result<Answer, Error> {
        let sent = self
            .socket
            .set_write_timeout(Some(self.limits.answer))
            .and_then(|()| send(&self.socket, request, file));
        match sent {
            Ok(()) => self.answer(),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The next answer. After an error the child is gone.
    fn answer(&mut self) -> Result<Answer, Error> {
        let deadline = Instant::now() + self.limits.answer;
        let mut len = [0; 4];
        let received = self.receive(&mut len, deadline).and_then(|()| {
            let len = u32::from_le_bytes(len) as usize;
            if len > MAX_ANSWER_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut text = vec![0; len];
            self.receive(&mut text, deadline).map(|()| text)
        });
        let text = received.map_err(|error| self.failed(&error))?;
        serde_json::from_slice(&text).map_err(|error| {
            self.end();
            Error::Answer(error.to_string())
        })
    }

    fn receive(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
        let mut there = 0;
        while there < buffer.len() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            match (&self.socket).read(&mut buffer[there..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => there += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Why it did not answer. Ends it where it has not ended.
    fn failed(&mut self, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                self.end();
                return Error::Time(self.limits.answer);
            }
            io::ErrorKind::InvalidData => {
                self.end();
                return Error::Answer("it is too long".to_owned());
            }
            _ => {}
        }
        let Some(status) = self.ended_within(END_TIMEOUT) else {
            self.end();
            return Error::Answer(error.to_string());
        };
        let mut said = Vec::new();
        // As much as there is: it explains, and is not needed.
        let _ = (&self.stderr).take(MAX_STDERR_BYTES).read_to_end(&mut said);
        Error::ended(status, &String::from_utf8_lossy(&said), &self.limits)
    }

    fn ended_within(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => sleep(Duration::from_millis(2)),
                _ => return None,
            }
        }
    }

    /// Ends it, whatever it does.
    fn end(&mut self) {
        self.process.end();
    }
}

fn unexpected() -> Error {
    Error::Answer("it answers another question".to_owned())
}
