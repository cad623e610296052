//! Standard output, written in large pieces: at the latest before the next packets are waited for.

use std::{
    cell::RefCell,
    io::{self, BufWriter, Read, Stdout, Write as _},
    rc::Rc,
};

use capture_task::Cause;

use crate::error::{Error, Result};

/// Bytes that are written at once.
const PIECE: usize = 64 * 1024;

/// Standard output. Clones share it.
#[derive(Clone)]
pub(crate) struct Output(Rc<RefCell<Inner>>);

struct Inner {
    stdout: BufWriter<Stdout>,
    failure: Option<io::Error>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self(Rc::new(RefCell::new(Inner {
            stdout: BufWriter::with_capacity(PIECE, io::stdout()),
            failure: None,
        })))
    }

    /// A source that is read after all has been written: reading may wait.
    pub(crate) fn before<R: Read>(&self, source: R) -> impl Read + use<R> {
        Flushed {
            source,
            output: self.clone(),
        }
    }

    pub(super) fn write(&self, text: &str) {
        let Inner { stdout, failure } = &mut *self.0.borrow_mut();
        if failure.is_none() {
            *failure = stdout.write_all(text.as_bytes()).err();
        }
    }

    pub(super) fn flush(&self) {
        let Inner { stdout, failure } = &mut *self.0.borrow_mut();
        if failure.is_none() {
            *failure = stdout.flush().err();
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.borrow().failure.is_some()
    }

    /// Whether nobody reads it any more.
    pub(crate) fn is_closed(&self) -> bool {
        let inner = self.0.borrow();
        let failure = inner.failure.as_ref();
        failure.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether it could be written. That whoever reads it went away, as `head` does, is no failure.
    pub(super) fn result(&self) -> Result<()> {
        if self.is_closed() {
            return Ok(());
        }
        match &self.0.borrow().failure {
            None => Ok(()),
            Some(error) => Err(Error::runtime(format!(
                "writing to standard output: {}",
                Cause(error)
            ))),
        }
    }
}

struct Flushed<R> {
    source: R,
    output: Output,
}

impl<R: Read> Read for Flushed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.output.flush();
        if self.output.has_failed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.source.read(bytes)
    }
}
