//! The confined process: takes files, reads them, and says what is in them.

use std::{
    env,
    fs::File,
    io::{self, Write as _},
    mem::ManuallyDrop,
    os::{fd::FromRawFd as _, unix::net::UnixStream},
    panic,
};

use nix::sys::socket::{UnixAddr, getsockname};

use super::{
    confine::{Bounds, confine},
    wire::{Answer, MAX_REPORT_BYTES, Request, is_asked, receive_request, send},
};
use crate::{
    cited::cited_packets,
    engine,
    findings::{AnalysisState, Findings},
    growing::Growing,
    html::html,
    input::Input,
    merge::{analyze, compare},
    redaction::RedactedCopy,
    spawn::Start,
    view::View,
};

/// Begins the one argument by which this program is an inspector. Two numbers follow, parted by a comma: bytes of
/// memory, and seconds of processor time or 0.
pub(super) const ARGUMENT: &str = "inspector-of-files=";

/// Serves as an inspector if this process was started as one, and then says whether it came to a good end. To be called
/// first in `main`: there must be one thread, and nothing open.
pub fn serve_if_asked() -> Option<bool> {
    let argument = env::args_os().nth(1)?;
    let argument = argument.to_str()?;
    if let Some(launch) = argument.strip_prefix(engine::ARGUMENT) {
        return Some(engine::become_engine(launch));
    }
    let numbers = argument.strip_prefix(ARGUMENT)?;
    Some(serve(numbers).is_ok())
}

/// Whether this is a process of a daemon: an inspector, or Wireshark with nothing but a capture. Both confine themselves before they
/// read anything.
pub fn is_of_daemon(start: &Start) -> bool {
    match start.argument.strip_prefix(engine::ARGUMENT) {
        Some(launch) => engine::is_wireshark(launch),
        None => start.argument.starts_with(ARGUMENT),
    }
}

fn serve(numbers: &str) -> io::Result<()> {
    // SAFETY: stdin was opened by whoever started this process, and nothing else here uses or closes it.
    let socket = ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(libc::STDIN_FILENO) });
    // Somebody typed the argument.
    getsockname::<UnixAddr>(libc::STDIN_FILENO)?;
    panic::set_hook(Box::new(|panic| {
        // Where, and not what: that may come from a packet. Nobody is left to tell where this fails.
        if let Some(place) = panic.location() {
            let _ = write!(io::stderr(), "panicked at {place}");
        }
    }));
    let bounds = bounds(numbers).ok_or(io::ErrorKind::InvalidInput)?;
    match confine(&bounds) {
        Ok(missing) => send(&socket, &Answer::Ready { missing }, None)?,
        Err(why) => {
            send(&socket, &Answer::Unconfined(why), None)?;
            return Err(io::ErrorKind::PermissionDenied.into());
        }
    }
    let mut work = Work::default();
    loop {
        // What a question did not wait for goes on until there is another one.
        while !is_asked(&socket) && work.view.go_on() {}
        let Some((request, file)) = receive_request(&socket)? else {
            return Ok(());
        };
        let answer = work.answer(request, file)?;
        send(&socket, &answer, None)?;
        (&*socket).write_all(&std::mem::take(&mut work.piece))?;
    }
}

fn bounds(numbers: &str) -> Option<Bounds> {
    let mut numbers = numbers.split(',');
    let mut number = || -> Option<u64> { numbers.next()?.parse().ok() };
    let (memory, processor) = (number()?, number()?);
    Some(Bounds {
        memory,
        processor: (processor > 0).then_some(processor),
        #[cfg(test)]
        with_all_system_calls: number().is_some(),
    })
}

/// What it has to do with.
#[derive(Default)]
struct Work {
    files: Vec<Input>,
    baseline: Vec<Input>,
    growing: Growing,
    copy: Option<RedactedCopy>,
    /// What follows the answer.
    piece: Vec<u8>,
    view: View,
}

impl Work {
    /// Does what is asked for. A request that makes no sense is the parent's mistake, and ends this process.
    fn answer(&mut self, request: Request, file: Option<File>) -> io::Result<Answer> {
        let nonsense = || io::Error::from(io::ErrorKind::InvalidInput);
        Ok(match request {
            Request::File { name } => {
                let file = file.ok_or_else(nonsense)?;
                self.files.push(Input::regular(name, file));
                Answer::Taken
            }
            Request::Analyze => match analyze(&mut self.files) {
                Ok(analysis) => report(Findings::of_files(analysis))?,
                Err(unreadable) => Answer::Unreadable(unreadable.to_string()),
            },
            Request::Baseline { name } => {
                let file = file.ok_or_else(nonsense)?;
                self.baseline.push(Input::regular(name, file));
                Answer::Taken
            }
            Request::Compare => match compare(&mut self.files, &mut self.baseline) {
                Ok(analysis) => report(Findings::of_files(analysis))?,
                Err(unreadable) => Answer::Unreadable(unreadable.to_string()),
            },
            Request::Html => match analyze(&mut self.files) {
                Ok(analysis) => {
                    let cited = cited_packets(&mut self.files, &analysis);
                    Answer::Html(html(&analysis, &cited))
                }
                Err(unreadable) => Answer::Unreadable(unreadable.to_string()),
            },
            Request::Follow { name, index } => {
                self.growing.follow(name, file.ok_or_else(nonsense)?, index);
                Answer::Taken
            }
            Request::Complete => Answer::Read(self.growing.complete().ok_or_else(nonsense)?),
            Request::Report => {
                self.growing.catch_up();
                report(self.growing.findings(AnalysisState::Live))?
            }
            Request::Finish => report(self.growing.findings(AnalysisState::Final))?,
            Request::Redact(redaction) => {
                let files = std::mem::take(&mut self.files);
                self.copy = Some(RedactedCopy::new(files, redaction)?);
                Answer::Taken
            }
            Request::Piece => match self.copy.as_mut().ok_or_else(nonsense)?.next() {
                Ok(piece) => {
                    self.piece = piece;
                    Answer::Piece(u32::try_from(self.piece.len()).map_err(|_| nonsense())?)
                }
                Err(why) => Answer::Unreadable(why),
            },
            Request::Show { index, is_growing } => {
                let file = file.ok_or_else(nonsense)?;
                match self.view.add(index, file, is_growing) {
                    Ok(()) => Answer::Taken,
                    Err(error) => Answer::Unreadable(error.to_string()),
                }
            }
            Request::ShownIsComplete => {
                self.view.complete();
                Answer::Taken
            }
            Request::Notes(notes) => {
                self.view.note(notes);
                Answer::Taken
            }
            Request::View(request) => match self.view.answer(request) {
                Ok(answer) => Answer::Shown(answer),
                Err(fault) => Answer::NotShown(fault),
            },
            #[cfg(test)]
            Request::Misbehave(misdeed) => misdeed.commit(file),
        })
    }
}

fn report(findings: Findings) -> io::Result<Answer> {
    Ok(Answer::Report(findings.into_json(MAX_REPORT_BYTES)?))
}
