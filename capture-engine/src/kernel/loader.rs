//! Loading by another process: one that holds the capabilities for it, and hands over the descriptors of what it has loaded.
//! Who works with descriptors needs no capability: since kernel 5.19 none for open maps, since 5.8 none for links.
//!
//! [`serve`] is the loader's side. It answers one request over a socket and knows nothing else. The request is two numbers of 32 bits in
//! the machine's order, the bytes of a ring and a bit for each program; the answer a message for each object, with its
//! descriptor:
//!
//! | byte | of an answer |
//! | --- | --- |
//! | 0 | what it is, a `Kind` |
//! | 1 | its place among those of its kind |
//! | 2 | why it is not there, a `Reason` |
//! | 3– | the same in words, UTF-8 |

use std::{
    collections::BTreeMap,
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    sync::Arc,
    time::Duration,
};

use aya::maps::{Map, MapData};
use caps::CapSet;
use capture_task::error::ErrorKind;
use nix::{
    cmsg_space,
    errno::Errno,
    sys::{
        prctl,
        signal::Signal,
        socket::{
            AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv,
            recvmsg, send, sendmsg, setsockopt, socketpair, sockopt::ReceiveTimeout,
        },
        time::TimeVal,
    },
    unistd::{ForkResult, Pid, alarm, dup2_stdin, fork},
};

use super::{
    KernelVersion,
    merge::is_ring_bytes,
    object::{Maps, maps, programs},
    objects::{KernelLog, Objects, count_cpus},
    programs::Programs,
};
use crate::{
    error::{Error, Result},
    signals::uninterrupted,
};

/// The verifier takes a second on a slow machine; beyond this the loader hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Most bytes of an answer; what the kernel says against a program is long, and cut.
const MAX_ANSWER: usize = 32 << 10;

/// Bytes before the words.
const HEAD: usize = 3;

/// Starts a loader, and gives the socket to it, of sequenced packets. It ends when the socket is closed.
pub type StartLoader = Arc<dyn Fn() -> io::Result<OwnedFd> + Send + Sync>;

/// Seconds after which a loader is ended.
const LIFETIME: u32 = 90;

/// Starts a loader as a child with the capabilities that are permitted here, and gives the socket to it. The child has nothing of this
/// process's but that, standard output and standard error; `confine` is called in it before it is asked for anything.
///
/// # Errors
/// There are several threads: a child of one does not have the others, nor what they hold. There can be no further process.
pub fn start(confine: impl FnOnce() -> io::Result<()>) -> io::Result<(Pid, OwnedFd)> {
    let (ours, theirs) = packet_sockets()?;
    match fork_alone()? {
        ForkResult::Parent { child } => Ok((child, ours)),
        ForkResult::Child => {
            let served = serve_as_child(&theirs, confine);
            if let Err(error) = &served {
                log::error!("loading the kernel programs: {error}");
            }
            // SAFETY: ends this process, without what the other one has planned for its own end.
            unsafe { libc::_exit(i32::from(served.is_err())) }
        }
    }
}

/// A pair of sockets of sequenced packets, which programs that are executed do not inherit.
///
/// # Errors
/// There are no descriptors left.
pub fn packet_sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        flags,
    )?)
}

/// Splits this process in two, each of which may do what it did: there must be one thread, as a child of one does not have the others, nor
/// gives back what they hold.
///
/// # Errors
/// There are several threads, or there can be no further process.
pub fn fork_alone() -> io::Result<ForkResult> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("there are {threads} threads")));
    }
    // SAFETY: there is one thread, so the child may do what this process may.
    Ok(unsafe { fork() }?)
}

fn serve_as_child(socket: &OwnedFd, confine: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    // What its signal does by default ends this process.
    alarm::set(LIFETIME);
    prctl::set_name(c"capture-loader")?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    dup2_stdin(socket)?;
    // SAFETY: whatever has one of these is not used any more: this process does nothing but what is said here, and ends
    // (close_range(2), 5.9).
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) })?;
    let permitted = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    caps::set(None, CapSet::Effective, &permitted).map_err(io::Error::other)?;
    confine()?;
    serve(io::stdin().as_fd())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A map of [`maps::ALL`].
    Map,
    /// The bell of a CPU.
    Bell,
    /// A program of [`programs::of`] this kernel.
    Program,
    /// Nothing was loaded.
    Failed,
    /// That was all.
    End,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Map,
        Self::Bell,
        Self::Program,
        Self::Failed,
        Self::End,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// It is there.
    None,
    OutOfMemory,
    Missing,
    Other,
}

/// Answers one request with the capabilities of this process: loads the kernel programs, and hands them over.
///
/// # Errors
/// The other side asks for something impossible, or is gone.
pub fn serve(socket: BorrowedFd<'_>) -> io::Result<()> {
    let mut request = [0; 8];
    let received = recv(socket.as_raw_fd(), &mut request, MsgFlags::MSG_TRUNC)?;
    let request = u64::from_ne_bytes(request);
    let (ring_bytes, wanted) = (request as u32, (request >> 32) as u32);
    if received != size_of_val(&request) || !is_ring_bytes(ring_bytes) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    match load(ring_bytes, wanted) {
        Ok((objects, release)) => hand_over(socket, objects, release, wanted)?,
        Err(error) => tell(socket, Kind::Failed, 0, Err(&error))?,
    }
    tell(socket, Kind::End, 0, Ok(None))
}

fn load(ring_bytes: u32, wanted: u32) -> Result<(Objects, KernelVersion)> {
    let release = KernelVersion::running()?;
    let mut objects = Objects::load(release, count_cpus()?, ring_bytes)?;
    let names: Vec<_> = named(release, wanted).map(|(_, name)| name).collect();
    // What is refused is told program by program.
    let _ = objects.programs.load_together(&names);
    Ok((objects, release))
}

/// The programs with these bits, each with its place.
fn named(release: KernelVersion, bits: u32) -> impl Iterator<Item = (usize, &'static str)> {
    let all = programs::of(release).into_iter().enumerate();
    all.filter(move |(place, _)| bits >> place & 1 != 0)
}

fn hand_over(
    socket: BorrowedFd<'_>,
    mut objects: Objects,
    release: KernelVersion,
    wanted: u32,
) -> io::Result<()> {
    for (place, name) in named(release, wanted) {
        let program = objects.programs.descriptor(name);
        tell(
            socket,
            Kind::Program,
            place,
            program.as_ref().map(|program| Some(*program)),
        )?;
    }
    for (place, name) in maps::ALL.into_iter().enumerate() {
        let map = objects.maps.take(name).map_err(io::Error::other)?;
        tell(socket, Kind::Map, place, Ok(Some(data(&map)?.fd().as_fd())))?;
    }
    for bell in &objects.bells {
        tell(socket, Kind::Bell, 0, Ok(Some(bell.fd().as_fd())))?;
    }
    Ok(())
}

/// Of a map of one of the kinds that the programs have.
fn data(map: &Map) -> io::Result<&MapData> {
    match map {
        Map::Array(data)
        | Map::ArrayOfMaps(data)
        | Map::HashMap(data)
        | Map::LpmTrie(data)
        | Map::PerCpuArray(data) => Ok(data),
        _ => Err(io::Error::other("a map of another kind")),
    }
}

fn tell(
    socket: BorrowedFd<'_>,
    kind: Kind,
    place: usize,
    what: std::result::Result<Option<BorrowedFd<'_>>, &Error>,
) -> io::Result<()> {
    let reason = match what {
        Ok(_) => Reason::None,
        Err(Error::OutOfMemory) => Reason::OutOfMemory,
        Err(error) if error.kind() == ErrorKind::Missing => Reason::Missing,
        Err(_) => Reason::Other,
    };
    let head = [kind as u8, place as u8, reason as u8];
    let mut words = what.err().map(ToString::to_string).unwrap_or_default();
    words.truncate(words.floor_char_boundary(MAX_ANSWER - HEAD));
    let parts = [IoSlice::new(&head), IoSlice::new(words.as_bytes())];
    let descriptor = what
        .ok()
        .flatten()
        .map(|descriptor| [descriptor.as_raw_fd()]);
    let rights = descriptor
        .as_ref()
        .map(|descriptor| ControlMessage::ScmRights(descriptor));
    sendmsg::<()>(
        socket.as_raw_fd(),
        &parts,
        rights.as_slice(),
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Has a loader load these kernel programs, with rings of `ring_bytes` for each of `cpus`.
pub(super) fn ask(
    start: &StartLoader,
    release: KernelVersion,
    (cpus, ring_bytes): (usize, u32),
    wanted: &[&str],
) -> Result<Objects> {
    let all = named(release, u32::MAX);
    let wanted = all.filter(|(_, name)| wanted.contains(name));
    let bits = wanted.fold(0, |bits, (place, _)| bits | 1_u64 << place);
    let request = u64::from(ring_bytes) | bits << 32;
    let answers = || -> io::Result<Vec<Answer>> {
        let socket = start()?;
        let timeout = TimeVal::new(ANSWER_TIMEOUT.as_secs() as i64, 0);
        setsockopt(&socket, ReceiveTimeout, &timeout)?;
        send(
            socket.as_raw_fd(),
            &request.to_ne_bytes(),
            MsgFlags::MSG_NOSIGNAL,
        )?;
        let mut answers = Vec::new();
        loop {
            let answer = receive(socket.as_fd())?;
            if answer.kind == Kind::End {
                return Ok(answers);
            }
            answers.push(answer);
        }
    };
    // Not cut short by a signal: a socket with a timeout does not begin again by itself.
    let answers =
        uninterrupted(answers).map_err(Error::system("have the kernel programs loaded"))?;
    sort(answers, release, cpus)
}

/// An answer of the loader.
struct Answer {
    kind: Kind,
    place: usize,
    what: std::result::Result<Option<OwnedFd>, Error>,
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<Answer> {
    let mut bytes = vec![0; MAX_ANSWER];
    let mut space = cmsg_space!([i32; 1]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    let len = message.bytes;
    let mut descriptor = None;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = control {
            for number in descriptors {
                // SAFETY: the kernel has just made this descriptor for us, and nothing else knows of it.
                descriptor = Some(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    let [kind, place, reason, words @ ..] = &bytes[..len] else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let kind = Kind::ALL.into_iter().find(|known| *known as u8 == *kind);
    let words = || String::from_utf8_lossy(words).into_owned();
    let what = match *reason {
        0 => Ok(descriptor),
        reason if reason == Reason::OutOfMemory as u8 => Err(Error::OutOfMemory),
        reason => Err(Error::Loader {
            words: words(),
            is_missing: reason == Reason::Missing as u8,
        }),
    };
    Ok(Answer {
        kind: kind.ok_or(io::ErrorKind::InvalidData)?,
        place: (*place).into(),
        what,
    })
}

fn sort(answers: Vec<Answer>, release: KernelVersion, cpus: usize) -> Result<Objects> {
    let senseless = || {
        Error::kernel("have the kernel programs loaded")(io::Error::from(
            io::ErrorKind::InvalidData,
        ))
    };
    let names = programs::of(release);
    let (mut maps, mut bells, mut loaded) = (Vec::new(), Vec::new(), BTreeMap::new());
    for Answer { kind, place, what } in answers {
        match kind {
            Kind::Program => {
                let name = names.get(place).ok_or_else(senseless)?;
                let program = what.and_then(|program| program.ok_or_else(senseless));
                loaded.insert(*name, program.map_err(|error| error.to_string()));
            }
            Kind::Map | Kind::Bell => {
                let made = Error::kernel("set up the kernel tables");
                let data = MapData::from_fd(what?.ok_or_else(senseless)?).map_err(made)?;
                if kind == Kind::Bell {
                    bells.push(data);
                    continue;
                }
                let name = maps::ALL.get(place).ok_or_else(senseless)?;
                let map = Map::from_map_data(data);
                maps.push((
                    *name,
                    map.map_err(Error::kernel("set up the kernel tables"))?,
                ));
            }
            Kind::Failed => return Err(what.err().unwrap_or_else(senseless)),
            Kind::End => {}
        }
    }
    if bells.len() != cpus {
        return Err(senseless());
    }
    Ok(Objects {
        maps: Maps::from_parts(maps),
        bells,
        programs: Programs::Given(loaded),
        log: KernelLog::none(),
    })
}
