//! Filters of the clsact qdisc, by which [`super::hooks`] attaches tc programs where the kernel has
//! no TCX links. Unlike links they outlive a process that is killed, so each bears the mark of its
//! agent, and an agent takes away those whose agent is gone before it attaches its own.
//!
//! A mark is the name of an abstract Unix socket that the agent keeps bound: such names belong to
//! the network namespace, as interfaces do, and go with the last process that holds them, however
//! it ends. The last agent that leaves an interface also removes the qdisc, if an agent added it:
//! that too stands in the names of the filters.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    process,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use capture_task::plan::Hook;
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket},
};
use ulid::Ulid;

use super::{
    tc::{ClsactSide, TcFilter, TrafficControl},
    version::KernelVersion,
};
use crate::{
    error::{AttachError, Error, Result},
    interfaces::Links,
};

/// Every filter of an agent is named `capture-agent/PID/ULID`, with [`ADDED_QDISC`] at the end or not.
const PREFIX: &str = "capture-agent/";

/// At the end of the name where an agent added the qdisc.
const ADDED_QDISC: &str = "/qdisc";

/// How long to wait for another agent that is changing the same interface. Its changes take
/// milliseconds; after that long it is rather stopped, or somebody else has the name.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Attaches programs by clsact, in the network namespace of the caller.
#[derive(Default)]
pub(super) struct Clsact {
    /// Made with the first filter.
    mark: Option<Arc<OwnerSocket>>,
}

/// A filter that goes when this is dropped, and the qdisc with it where nobody needs it any more.
pub(super) struct AttachedFilter {
    ifindex: u32,
    side: ClsactSide,
    /// Not before the filter is gone.
    mark: Arc<OwnerSocket>,
}

impl Clsact {
    /// Puts a program first on one side of an interface.
    pub(super) fn attach(
        &mut self,
        (ifindex, interface): (u32, &str),
        side: ClsactSide,
        program: BorrowedFd<'_>,
    ) -> Result<AttachedFilter> {
        let failed = |what: &'static str| {
            move |error: io::Error| attach_error(interface, cause_of(what, &error))
        };
        let mark = match &self.mark {
            Some(mark) => Arc::clone(mark),
            None => {
                let mark = OwnerSocket::new().map_err(failed("marking its filters"))?;
                Arc::clone(self.mark.insert(Arc::new(mark)))
            }
        };
        let _turn = InterfaceLock::take(ifindex);
        let tc = TrafficControl::open().map_err(failed("opening a netlink socket"))?;
        let mut added = sweep(&tc, ifindex).map_err(failed("looking for old filters"))?;
        let qdisc = tc.qdisc(ifindex).map_err(failed("looking for its qdisc"))?;
        match qdisc.as_deref() {
            Some("clsact") => {}
            None => {
                tc.add_clsact(ifindex)
                    .map_err(failed("adding a clsact qdisc"))?;
                added = true;
            }
            // The qdisc `ingress` would take a filter for egress, and show it what comes in.
            Some(_) if side == ClsactSide::Ingress => {}
            Some(other) => {
                let qdisc = other.to_owned();
                return Err(attach_error(interface, AttachError::NoEgressSide { qdisc }));
            }
        }
        let put = tc.filters(ifindex, side).and_then(|there| {
            let priority = first_priority(&there);
            if priority > 1 {
                log::warn!(
                    "filters of another program come first on {interface}; packets on which they decide are not captured"
                );
            }
            let name = mark.filter_name(added);
            tc.add_filter(ifindex, side, priority, &name, program)
        });
        if let Err(error) = put {
            if added {
                log_fault(ifindex, delete_unused(&tc, ifindex));
            }
            return Err(failed("adding a filter")(error));
        }
        Ok(AttachedFilter {
            ifindex,
            side,
            mark,
        })
    }
}

/// Takes away what agents that are gone left on an interface.
pub(super) fn clean(ifindex: u32) {
    let _turn = InterfaceLock::take(ifindex);
    let swept = TrafficControl::open().and_then(|tc| sweep(&tc, ifindex));
    log_fault(ifindex, swept.map(drop));
}

/// Takes away what agents that are gone left on all interfaces of this network namespace, where the kernel is one on
/// which something is left.
///
/// # Errors
/// The kernel's version or the interfaces cannot be read.
pub fn remove_orphaned_filters() -> Result<()> {
    if KernelVersion::running()? < KernelVersion::TCX {
        for link in Links::list()?.iter() {
            clean(link.entry.ifindex);
        }
    }
    Ok(())
}

impl Drop for AttachedFilter {
    fn drop(&mut self) {
        let Self {
            ifindex,
            side,
            ref mark,
        } = *self;
        let _turn = InterfaceLock::take(ifindex);
        let detached = TrafficControl::open().and_then(|tc| {
            let mut added = false;
            for filter in tc.filters(ifindex, side)? {
                if filter.name.as_deref().and_then(agent) == Some(&mark.name) {
                    added |= is_on_added_qdisc(&filter);
                    tc.delete_filter(ifindex, side, &filter)?;
                }
            }
            if added {
                delete_unused(&tc, ifindex)?;
            }
            Ok(())
        });
        log_fault(ifindex, detached);
    }
}

/// Deletes the filters of agents that are gone. Returns whether the qdisc that is there now was added
/// by an agent.
fn sweep(tc: &TrafficControl, ifindex: u32) -> io::Result<bool> {
    let (mut added, mut swept) = (false, false);
    for side in ClsactSide::BOTH {
        for filter in tc.filters(ifindex, side)? {
            let Some(agent) = filter.name.as_deref().and_then(agent) else {
                continue;
            };
            added |= is_on_added_qdisc(&filter);
            if is_gone(agent)? {
                log::info!("removing a filter on interface {ifindex} that {agent} left");
                tc.delete_filter(ifindex, side, &filter)?;
                swept = true;
            }
        }
    }
    let deleted = swept && added && delete_unused(tc, ifindex)?;
    Ok(added && !deleted)
}

/// Deletes a clsact qdisc without filters; false where there is another kind, or a filter.
fn delete_unused(tc: &TrafficControl, ifindex: u32) -> io::Result<bool> {
    if tc.qdisc(ifindex)?.as_deref() != Some("clsact") {
        return Ok(false);
    }
    for side in ClsactSide::BOTH {
        if !tc.filters(ifindex, side)?.is_empty() {
            return Ok(false);
        }
    }
    tc.delete_clsact(ifindex)?;
    Ok(true)
}

/// The mark in the name of a filter of an agent.
fn agent(name: &str) -> Option<&str> {
    let mark = name.strip_suffix(ADDED_QDISC).unwrap_or(name);
    mark.starts_with(PREFIX).then_some(mark)
}

fn is_on_added_qdisc(filter: &TcFilter) -> bool {
    filter
        .name
        .as_deref()
        .is_some_and(|name| name.ends_with(ADDED_QDISC))
}

/// The lowest priority that a `bpf` filter for every EtherType can have: all filters of a priority are
/// of one kind and for one EtherType, and the newest comes first.
fn first_priority(there: &[TcFilter]) -> u16 {
    (1..u16::MAX)
        .find(|priority| {
            there
                .iter()
                .filter(|filter| filter.priority == *priority)
                .all(|filter| filter.kind == "bpf" && filter.protocol == libc::ETH_P_ALL as u16)
        })
        .unwrap_or(u16::MAX)
}

/// The sign of a live agent in a network namespace.
struct OwnerSocket {
    name: String,
    /// Bound to the name for as long as the agent lives.
    _socket: OwnedFd,
}

impl OwnerSocket {
    fn new() -> io::Result<Self> {
        // The number of the process is for people: it is another one in another container.
        let name = format!("{PREFIX}{}/{}", process::id(), Ulid::new());
        let socket = bind_abstract(&name)?;
        Ok(Self {
            name,
            _socket: socket,
        })
    }

    fn filter_name(&self, added_qdisc: bool) -> String {
        let end = if added_qdisc { ADDED_QDISC } else { "" };
        format!("{}{end}", self.name)
    }
}

/// Whether nobody holds a mark any more.
fn is_gone(mark: &str) -> io::Result<bool> {
    match bind_abstract(mark) {
        Ok(_) => Ok(true),
        Err(Errno::EADDRINUSE) => Ok(false),
        // A name that is too long is none of ours.
        Err(Errno::ENAMETOOLONG) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The turn to change the filters of an interface, as agents take it one after the other.
struct InterfaceLock {
    /// Bound to the name of the turn; none where waiting was in vain.
    _socket: Option<OwnedFd>,
}

impl InterfaceLock {
    fn take(ifindex: u32) -> Self {
        let name = format!("{PREFIX}turn/{ifindex}");
        let end = Instant::now() + LOCK_TIMEOUT;
        loop {
            match bind_abstract(&name) {
                Ok(socket) => {
                    return Self {
                        _socket: Some(socket),
                    };
                }
                Err(Errno::EADDRINUSE) if Instant::now() < end => {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => {
                    log::debug!("not waiting for others on interface {ifindex}: {error}");
                    return Self { _socket: None };
                }
            }
        }
    }
}

fn bind_abstract(name: &str) -> nix::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Unix,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    bind(
        socket.as_raw_fd(),
        &UnixAddr::new_abstract(name.as_bytes())?,
    )?;
    Ok(socket)
}

fn attach_error(interface: &str, cause: AttachError) -> Error {
    Error::Attach {
        interface: interface.to_owned(),
        hook: Hook::Tc,
        cause,
    }
}

fn cause_of(what: &str, error: &io::Error) -> AttachError {
    match error.raw_os_error() {
        Some(libc::ENODEV) => AttachError::Vanished,
        Some(libc::EPERM | libc::EACCES) => AttachError::NoPrivilege,
        Some(libc::ENOENT | libc::EOPNOTSUPP) => AttachError::NoModules(format!("{what}: {error}")),
        _ => AttachError::Other(format!("{what}: {error}")),
    }
}

/// Logs why something could not be taken away; with its interface it is gone anyway.
fn log_fault(ifindex: u32, outcome: io::Result<impl Sized>) {
    if let Err(error) = outcome
        && error.raw_os_error() != Some(libc::ENODEV)
    {
        log::warn!("taking filters off interface {ifindex}: {error}");
    }
}

#[cfg(test)]
mod tests;
