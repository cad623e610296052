//! Signals of a foreground capture: the first one asks for an orderly end, a second one, later than
//! an echo of the first could come, ends the process at once with exit code 1.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use capture_engine::{clock::monotonic_ns, procfs::status_mask};
use capture_task::Cause;
use nix::sys::signal::SigHandler;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    error::{Error, Result},
    exit::Exit,
};

/// Time within which a second signal counts as the first: timeout(1) sends its signal to the process
/// and to its group, and a terminal's Ctrl-C comes by more than one way, too.
const ECHO: Duration = Duration::from_millis(250);

/// The signals that end a capture.
#[derive(Debug)]
pub(super) struct StopSignals {
    streams: Vec<Signal>,
}

impl StopSignals {
    /// Takes over SIGINT, SIGTERM and, unless it is ignored (nohup), SIGHUP. Must be called within
    /// a runtime, and before anything that must not be left half done.
    ///
    /// A file beyond `ulimit -f` becomes an error of its write(2), and kills nobody by SIGXFSZ.
    pub(super) fn install() -> Result<Self> {
        // SAFETY: to ignore a signal runs no code in a handler.
        unsafe { nix::sys::signal::signal(nix::sys::signal::SIGXFSZ, SigHandler::SigIgn) }
            .map_err(|errno| Error::runtime(format!("ignoring SIGXFSZ: {errno}")))?;
        let mut numbers = vec![SIGINT, SIGTERM];
        let ignored = status_mask("SigIgn").unwrap_or(0);
        if ignored & (1 << (SIGHUP - 1)) == 0 {
            numbers.push(SIGHUP);
        }
        let first_ns = Arc::new(AtomicU64::new(0));
        let install = |number: i32| {
            let first_ns = Arc::clone(&first_ns);
            // SAFETY: the handler reads a clock and an atomic, and at most writes and exits, all of
            // which signal-safety(7) allows. It works also while the engine drains and nothing
            // polls a stream.
            unsafe { low_level::register(number, move || abort_if_asked_again(&first_ns)) }?;
            signal(SignalKind::from_raw(number))
        };
        let streams = numbers
            .into_iter()
            .map(install)
            .collect::<std::io::Result<_>>()
            .map_err(|error| Error::runtime(format!("taking over signals: {}", Cause(&error))))?;
        Ok(Self { streams })
    }

    /// Waits for the first one.
    pub(super) async fn received(&mut self) {
        std::future::poll_fn(|context| {
            if self
                .streams
                .iter_mut()
                .any(|stream| stream.poll_recv(context).is_ready())
            {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }
}

/// In the signal handler: ends the process where the first signal was long enough ago.
fn abort_if_asked_again(first_ns: &AtomicU64) {
    const MESSAGE: &[u8] =
        b"\ncapture-agent: aborted by a second signal; the file may be left as .part\n";
    let now = monotonic_ns();
    let first = first_ns.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    if let Err(first) = first
        && now.saturating_sub(first) > ECHO.as_nanos() as u64
    {
        // SAFETY: writes a constant to standard error. Nothing can be done if that fails.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
        low_level::exit(i32::from(Exit::Runtime as u8));
    }
}
