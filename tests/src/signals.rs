//! Signals to a process that may end meanwhile, and whether it catches them.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::agent::binary;

/// A process, and no other that comes to have its number.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// One that runs, or has not been waited for.
    pub fn of(pid: u32) -> Self {
        // SAFETY: pidfd_open(2) on numbers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
        assert!(fd >= 0, "{pid}: {}", io::Error::last_os_error());
        // SAFETY: it was just made, and nobody else knows of it.
        Self(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let none = std::ptr::null::<libc::siginfo_t>();
        let fd = self.0.as_raw_fd();
        // SAFETY: pidfd_send_signal(2) on numbers; information on the signal is not given.
        let done =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as i32, none, 0) };
        match done {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Signals that a process gets one after the other, until this is dropped.
#[derive(Debug)]
pub struct RepeatedSignals {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl RepeatedSignals {
    /// Begins to send them, round and round.
    pub fn start(pid: u32, signals: &'static [Signal], pause: Duration) -> Self {
        let process = Process::of(pid);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut sent = 0;
            while !over.load(Ordering::Relaxed) {
                for signal in signals {
                    sent += u32::from(process.signal(*signal).is_ok());
                }
                thread::sleep(pause);
            }
            sent
        });
        Self {
            is_over,
            thread: Some(thread),
        }
    }

    /// Ends it, and says how many there were.
    pub fn end(mut self) -> u32 {
        self.is_over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is ended once");
        thread.join().expect("it does not panic")
    }
}

impl Drop for RepeatedSignals {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Whether a process is the agent by now, and has a handler for a signal.
pub fn catches(pid: u32, signal: Signal) -> bool {
    let path = binary();
    let agent = path.canonicalize().unwrap_or(path);
    let program = fs::read_link(format!("/proc/{pid}/exe"));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    program.is_ok_and(|program| program == agent)
        && mask.is_some_and(|mask| mask & (1 << (signal as i32 - 1)) != 0)
}
