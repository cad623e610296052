//! What captures of the command line and of the daemon have in common in signals: SIGUSR1 and SIGUSR2, which ask
//! for something and end nothing, and work that no signal may interrupt. What ends a capture is in
//! `cli::signals` and in `daemon`.

use nix::sys::signal::{SigSet, SigmaskHow};
use signal_hook::{
    consts::{SIGUSR1, SIGUSR2},
    low_level,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Result};

/// What fails where a signal cannot be caught.
const TAKE_OVER: &str = "take over signals";

/// What is asked for by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGUSR1: say the figures.
    Figures,
    /// SIGUSR2: write what is captured.
    Flush,
}

/// The signals that ask for something.
#[derive(Debug)]
pub struct Requests {
    figures: Signal,
    flush: Signal,
}

/// Has SIGUSR1 and SIGUSR2 end nothing from now on, also where nobody listens yet or any more. Programs that
/// are executed get them as they were: a handler is not inherited, as ignoring them would be.
pub fn catch_requests() -> Result<()> {
    for number in [SIGUSR1, SIGUSR2] {
        // SAFETY: the handler does nothing.
        unsafe { low_level::register(number, || ()) }.map_err(Error::system(TAKE_OVER))?;
    }
    Ok(())
}

impl Requests {
    /// Listens from now on; must be called within a runtime.
    pub fn install() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(Error::system(TAKE_OVER));
        Ok(Self {
            figures: listen(SignalKind::user_defined1())?,
            flush: listen(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one. Several of a kind that come before it is asked for are one.
    pub async fn received(&mut self) -> Request {
        tokio::select! {
            _ = self.figures.recv() => Request::Figures,
            _ = self.flush.recv() => Request::Flush,
        }
    }
}

/// Does some work while this thread takes no signals; those of the process wait, or go to other threads.
///
/// The verifier gives up with EAGAIN as soon as a signal is pending (`do_check` in kernel/bpf/verifier.c).
pub fn uninterrupted<T>(work: impl FnOnce() -> T) -> T {
    /// Restores the mask, also after a panic.
    struct Mask(Option<SigSet>);

    impl Drop for Mask {
        fn drop(&mut self) {
            if let Some(mask) = &self.0 {
                // It fails on arguments only, and this is one that the kernel gave.
                let _ = mask.thread_set_mask();
            }
        }
    }

    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let _mask = Mask(before.ok());
    work()
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::{Signal, raise};

    use super::*;

    #[test]
    fn a_signal_waits_until_the_work_is_done() {
        catch_requests().expect("handlers");
        let pending = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").expect("status");
            let mask = status
                .lines()
                .find_map(|line| line.strip_prefix("SigPnd:\t"))
                .and_then(|mask| u64::from_str_radix(mask, 16).ok());
            mask.expect("a mask") & (1 << (SIGUSR1 - 1)) != 0
        };
        let within = uninterrupted(|| {
            raise(Signal::SIGUSR1).expect("it is sent to this thread");
            pending()
        });
        assert!(within && !pending());
        let mask = SigSet::thread_get_mask().expect("a mask");
        assert!(!mask.contains(Signal::SIGUSR1));
    }
}
