//! The one process that may start others. The daemon parts from it before it opens anything: what speaks with clients and reads packets
//! then holds no capability, and executes nothing.
//!
//! ```text
//! daemon ── asks ──→ supervisor ──→ loader: loads the kernel programs once, hands them over, ends
//!                               └─→ inspector, Wireshark: reads captures, see `capture_inspector::process`
//! ```
//!
//! The supervisor has the capabilities permitted and not in force; a loader puts them in force. It reads no packet, no file and no
//! configuration, and ends with the daemon. A request is a kind and, for what reads captures, its argument; the answer has a socket
//! to the new process.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use caps::CapSet;
use capture_engine::{
    loader::{self, StartLoader, fork_alone, packet_sockets},
    signals::uninterrupted,
};
use capture_inspector::{
    process::is_of_daemon,
    spawn::{self, MAX_ARGUMENT_BYTES, Start},
};
use nix::{
    cmsg_space,
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        signal::{SigHandler, Signal, kill, killpg, signal},
        socket::{
            ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, recvmsg, sendmsg, setsockopt,
            shutdown, sockopt::ReceiveTimeout,
        },
        time::TimeVal,
        wait::WaitPidFlag,
    },
    unistd::{ForkResult, Pid},
};

use super::confinement;
use crate::error::{Error, Result};

/// How long the supervisor may take for an answer. It waits for nobody.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Most processes at a time: two for each of the most tasks, and some more.
const MOST_CHILDREN: usize = 256;

/// A request for a loader.
const LOADER: u8 = b'L';
/// A request for a process that reads captures. Its argument follows.
const READER: u8 = b'R';
/// An answer: the process, and a socket to it.
const STARTED: u8 = b'+';
/// An answer: why there is none.
const REFUSED: u8 = b'-';

/// Signals for the daemon, which a terminal sends to all of its processes.
const OF_THE_DAEMON: [Signal; 6] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGPIPE,
];

/// The daemon's way to its supervisor.
struct Control(Mutex<OwnedFd>);

/// Parts this process into a supervisor and a daemon, which comes back. To be called while there is one thread.
///
/// # Errors
/// There can be no further process, or there are threads.
pub(super) fn part() -> Result<StartLoader> {
    let failed = |error: io::Error| Error::runtime(format!("starting the supervisor: {error}"));
    let (ours, theirs) = packet_sockets().map_err(failed)?;
    match fork_alone().map_err(failed)? {
        ForkResult::Child => {
            drop(ours);
            let ended = supervise(theirs);
            if let Err(error) = &ended {
                log::error!("the supervisor ends: {error}");
            }
            // SAFETY: ends this process, without what the daemon has planned for its own end.
            unsafe { libc::_exit(i32::from(ended.is_err())) }
        }
        ForkResult::Parent { child } => {
            drop(theirs);
            let timeout = TimeVal::new(ANSWER_TIMEOUT.as_secs() as i64, 0);
            setsockopt(&ours, ReceiveTimeout, &timeout).map_err(|errno| failed(errno.into()))?;
            log::debug!("the supervisor is process {child}");
        }
    }
    let control = Arc::new(Control(Mutex::new(ours)));
    let for_readers = Arc::clone(&control);
    spawn::start_by(Box::new(move |start| {
        let (id, socket) = for_readers.start_reader(&start)?;
        Ok((id, UnixStream::from(socket)))
    }));
    Ok(Arc::new(move || {
        let (_, socket) = control.ask(&[LOADER], &[])?;
        Ok(socket)
    }))
}

impl Control {
    fn start_reader(&self, start: &Start) -> io::Result<(u32, OwnedFd)> {
        let mut request = vec![READER];
        request.extend(start.argument.as_bytes());
        let output = start.output.as_ref();
        let descriptors: Vec<_> = [&start.input, &start.error]
            .into_iter()
            .chain(output)
            .map(|descriptor| descriptor.as_fd())
            .collect();
        self.ask(&request, &descriptors)
    }

    fn ask(&self, request: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<(u32, OwnedFd)> {
        let control = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Not cut short by a signal: a socket with a timeout does not begin again by itself.
        let (answer, descriptors) = uninterrupted(|| {
            send(control.as_fd(), request, descriptors)?;
            receive(control.as_fd())
        })
        // A late answer would be taken for that to another question.
        .inspect_err(|_| _ = shutdown(control.as_raw_fd(), Shutdown::Both))?;
        match answer.split_first() {
            None => Err(io::Error::other("the supervisor is gone")),
            Some((&STARTED, id)) => {
                let senseless = || io::Error::from(io::ErrorKind::InvalidData);
                let id = id.try_into().map_err(|_| senseless())?;
                let socket = descriptors.into_iter().next().ok_or_else(senseless)?;
                Ok((u32::from_ne_bytes(id), socket))
            }
            Some((_, why)) => Err(io::Error::other(String::from_utf8_lossy(why))),
        }
    }
}

fn send(socket: BorrowedFd<'_>, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if numbers.is_empty() { &[][..] } else { &rights };
    let parts = [IoSlice::new(message)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &parts, rights, flags, None)?;
    Ok(())
}

/// The next message and its descriptors; an empty one when the other side is gone.
fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; 1 + MAX_ARGUMENT_BYTES];
    let mut space = cmsg_space!([i32; 3]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let len = message.bytes;
    let is_cut = message
        .flags
        .intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made these descriptors for us, and nothing else knows of them.
            descriptors.extend(
                numbers
                    .into_iter()
                    .map(|one| unsafe { OwnedFd::from_raw_fd(one) }),
            );
        }
    }
    if is_cut {
        return Err(io::ErrorKind::InvalidData.into());
    }
    bytes.truncate(len);
    Ok((bytes, descriptors))
}

/// A process that the supervisor has started.
struct Started {
    id: Pid,
    /// Readable when it has ended.
    process: OwnedFd,
    /// Where its end is told, and by whose closing it is ended. A loader has none.
    owner: Option<OwnedFd>,
}

/// Serves the daemon until it is gone.
fn supervise(control: OwnedFd) -> io::Result<()> {
    // SAFETY: no handler is installed.
    unsafe {
        for one in OF_THE_DAEMON {
            signal(one, SigHandler::SigIgn)?;
        }
    }
    prctl::set_name(c"capture-superv")?;
    caps::clear(None, CapSet::Effective).map_err(io::Error::other)?;
    confinement::of_supervisor().map_err(io::Error::other)?;
    let mut children: Vec<Started> = Vec::new();
    loop {
        let mut polled = vec![PollFd::new(control.as_fd(), PollFlags::POLLIN)];
        for child in &children {
            polled.push(PollFd::new(child.process.as_fd(), PollFlags::POLLIN));
            if let Some(owner) = &child.owner {
                polled.push(PollFd::new(owner.as_fd(), PollFlags::POLLIN));
            }
        }
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ready = |descriptor: &OwnedFd| {
            let number = descriptor.as_raw_fd();
            let mut polled = polled.iter();
            let found = polled.find(|polled| polled.as_fd().as_raw_fd() == number);
            found.and_then(PollFd::any).unwrap_or(false)
        };
        let is_asked = ready(&control);
        let ended: Vec<bool> = children.iter().map(|child| ready(&child.process)).collect();
        let left: Vec<bool> = children
            .iter()
            .map(|child| child.owner.as_ref().is_some_and(ready))
            .collect();
        drop(polled);
        let mut place = 0;
        children.retain_mut(|child| {
            let (has_ended, is_left) = (ended[place], left[place]);
            place += 1;
            if is_left {
                end(child.id);
            }
            !(has_ended || is_left) || !child.reap(is_left)
        });
        if is_asked {
            let (request, descriptors) = match receive(control.as_fd()) {
                Ok(message) => message,
                // Too long: it is refused like whatever else makes no sense.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => (vec![0], Vec::new()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if request.is_empty() && descriptors.is_empty() {
                // The daemon is gone; what it had started goes with this process.
                return Ok(());
            }
            let started = match children.len() {
                0..MOST_CHILDREN => start(&request, descriptors),
                _ => Err(io::Error::other("too many processes")),
            };
            match started {
                Ok((child, socket)) => {
                    let mut answer = vec![STARTED];
                    answer.extend((child.id.as_raw() as u32).to_ne_bytes());
                    children.push(child);
                    send(control.as_fd(), &answer, &[socket.as_fd()])?;
                }
                Err(error) => {
                    let answer = [&[REFUSED], error.to_string().as_bytes()].concat();
                    send(control.as_fd(), &answer, &[])?;
                }
            }
        }
    }
}

/// Starts what is asked for, and gives the socket for the one who asked.
fn start(request: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<(Started, OwnedFd)> {
    let mut descriptors = descriptors.into_iter();
    match request {
        [LOADER] => {
            let (id, socket) =
                loader::start(|| confinement::of_loader().map_err(io::Error::other))?;
            let process = descriptor_of(id).inspect_err(|_| end(id))?;
            let owner = None;
            Ok((Started { id, process, owner }, socket))
        }
        [READER, argument @ ..] => {
            let (Some(input), Some(error)) = (descriptors.next(), descriptors.next()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let start = Start {
                argument: String::from_utf8_lossy(argument).into_owned(),
                input,
                output: descriptors.next(),
                error,
            };
            if !is_of_daemon(&start) {
                return Err(io::Error::other("the supervisor starts no such process"));
            }
            let child = start.spawn()?;
            let id = Pid::from_raw(child.id() as i32);
            let process = descriptor_of(id).inspect_err(|_| end(id))?;
            let (ours, theirs) = packet_sockets()?;
            let owner = Some(ours);
            Ok((Started { id, process, owner }, theirs))
        }
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// A descriptor of a child, which is readable when it has ended (pidfd_open(2), 5.3).
fn descriptor_of(id: Pid) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, id.as_raw(), 0) };
    let number = Errno::result(number)?;
    // SAFETY: the kernel has just made this descriptor for us, and nothing else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number as i32) })
}

/// Ends a child and what it has started. It fails where nothing is any more.
fn end(id: Pid) {
    let _ = killpg(id, Signal::SIGKILL);
    let _ = kill(id, Signal::SIGKILL);
}

impl Started {
    /// Whether it has ended, which is told to its owner. One that has been killed is waited for.
    fn reap(&mut self, is_killed: bool) -> bool {
        let how = if is_killed {
            WaitPidFlag::empty()
        } else {
            WaitPidFlag::WNOHANG
        };
        let mut status = 0;
        // SAFETY: the status outlives the call.
        let reaped = unsafe { libc::waitpid(self.id.as_raw(), &raw mut status, how.bits()) };
        if reaped == 0 {
            return false;
        }
        if let Some(owner) = &self.owner {
            // Whoever asked may be gone.
            let _ = send(owner.as_fd(), &status.to_ne_bytes(), &[]);
        }
        true
    }
}
