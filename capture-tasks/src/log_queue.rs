//! The daemon's lines on their way to standard error. A thread of its own writes them, so that a reader that has hung up
//! without closing (a full pipe, a stopped terminal) holds nothing else up. What the queue has no room for is dropped,
//! counted, and said once there is room again.
//!
//! Before [`start`], and in other commands, lines are written by whoever has them.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use capture_task::Cause;

use crate::error::{Error, Result};

/// Most bytes of lines that wait.
const MOST_BYTES: usize = 1 << 20;

/// How long a line waits for a descriptor that does not block.
const RETRY_AFTER: Duration = Duration::from_millis(20);

static QUEUE: OnceLock<&'static Queue> = OnceLock::new();

/// Lines, and the thread that writes them.
#[derive(Debug, Default)]
struct Queue {
    lines: Mutex<Lines>,
    /// There is a line, or all are written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether one is being written.
    is_writing: bool,
    dropped: u64,
    /// Those of them that a line of the log tells of.
    said: u64,
}

/// Begins to write by a thread. It keeps the privileges that the caller has now.
///
/// # Errors
/// The thread cannot be started.
pub fn start() -> Result<()> {
    let queue: &'static Queue = QUEUE.get_or_init(|| Box::leak(Box::default()));
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(|| queue.run(&mut StandardError))
        .map_err(|error| Error::runtime(format!("starting the log: {}", Cause(&error))))?;
    Ok(())
}

/// Writes lines to standard error, or has them written. There is nowhere to say that this failed.
pub fn write(lines: &[u8]) {
    match QUEUE.get() {
        Some(queue) => queue.push(lines),
        None => {
            let _ = io::stderr().lock().write_all(lines);
        }
    }
}

/// Waits until all is written, or for so long.
pub fn flush(limit: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(limit);
    }
}

/// How many lines were dropped.
pub fn dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.lock().dropped)
}

/// [`write()`] for a logger: each call has whole lines.
#[derive(Clone, Copy, Debug)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        write(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.lock();
        if lines.bytes + line.len() > MOST_BYTES {
            lines.dropped += 1;
            return;
        }
        lines.bytes += line.len();
        lines.waiting.push_back(line.to_owned());
        drop(lines);
        self.changed.notify_all();
    }

    fn flush(&self, limit: Duration) {
        let is_busy = |lines: &mut Lines| lines.is_writing || !lines.waiting.is_empty();
        // Whatever comes of it, the caller goes on.
        let _ = self.changed.wait_timeout_while(self.lock(), limit, is_busy);
    }

    fn run(&self, to: &mut impl Write) {
        loop {
            let line = self.next();
            let written = write_whole(to, &line);
            let mut lines = self.lock();
            lines.is_writing = false;
            lines.bytes -= line.len();
            lines.dropped += u64::from(written.is_err());
            let unsaid = lines.dropped - lines.said;
            let is_said = written.is_ok() && unsaid > 0;
            if is_said {
                lines.said = lines.dropped;
            }
            drop(lines);
            self.changed.notify_all();
            if is_said {
                // By way of this queue, which has room now.
                log::warn!(
                    "{unsaid} lines of the log were dropped, as standard error did not take them"
                );
            }
        }
    }

    fn next(&self) -> Vec<u8> {
        let is_empty = |lines: &mut Lines| lines.waiting.is_empty();
        let mut lines = self
            .changed
            .wait_while(self.lock(), is_empty)
            .unwrap_or_else(PoisonError::into_inner);
        lines.is_writing = true;
        lines.waiting.pop_front().unwrap_or_default()
    }
}

fn write_whole(to: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match to.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => line = &line[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY_AFTER),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Standard error without the lock of `std`, which nobody else would get while a write hangs.
struct StandardError;

impl Write for StandardError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(nix::unistd::write(io::stderr(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes a line each time that it may.
    struct Slow {
        may: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.may.recv() {
                Ok(()) => {}
                // The test is over.
                Err(_) => loop {
                    thread::park();
                },
            }
            let _ = self.taken.send(bytes.to_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_hangs_holds_nobody_up_and_what_is_dropped_is_counted() {
        let queue: &'static Queue = Box::leak(Box::default());
        let ((let_one, may), (taken, lines)) = (channel(), channel());
        thread::spawn(move || queue.run(&mut Slow { may, taken }));
        let line = vec![b'x'; 1 << 10];
        // They come back, though nothing is taken.
        for _ in 0..2 << 10 {
            queue.push(&line);
        }
        assert_eq!(queue.lock().dropped, 1 << 10);
        queue.flush(Duration::from_millis(10));
        assert_eq!(queue.lock().bytes, MOST_BYTES);
        for _ in 0..1 << 10 {
            let_one.send(()).expect("it writes");
            assert_eq!(lines.recv().expect("a line"), line);
        }
        queue.flush(Duration::from_secs(60));
        let state = queue.lock();
        assert_eq!(
            (state.bytes, state.dropped, state.said),
            (0, 1 << 10, 1 << 10)
        );
    }
}
